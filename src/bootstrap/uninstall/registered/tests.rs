//! Keys that an uninstall finds and deletes, against the stand-in for GitHub.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::*;
use crate::bootstrap::github::GithubCredentials;
use crate::bootstrap::key::{Algorithm, KeyPair};
use crate::bootstrap::problem::ExitClass;
use crate::bootstrap::title::Title;
use lockgate_base::model::{Secret, Timestamp};

const TOKEN: &str = "ghp_of_an_administrator";
const REPOSITORY: &str = "acme/platform";
const UID: &str = "df32f7a6-0000-0000-0000-000000000000";

fn key(comment: &str) -> KeyPair {
    KeyPair::generate(Algorithm::Ed25519, comment).unwrap()
}

/// A Secret with a key, which remembers a place and a previous key if they are given.
fn secret(name: &str, key: &KeyPair, host: Option<&KeyHost>, old: Option<&KeyPair>) -> Object {
    let mut value = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": "n", "annotations": {}},
        "data": {
            "identity": STANDARD.encode(key.identity().expose()),
            "identity.pub": STANDARD.encode(key.public_line()),
        },
    });
    let annotations = &mut value["metadata"]["annotations"];
    if let Some(host) = host {
        annotations[keys::KEY_HOST] = host.to_string().into();
    }
    if let Some(old) = old {
        annotations[keys::REPLACED_KEY] = old.public_line().into();
    }
    Object::parse(value).unwrap()
}

fn source(url: &str, flags: Option<&str>) -> Object {
    let mut value = json!({
        "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository",
        "metadata": {"name": "s", "namespace": "n", "annotations": {}},
        "spec": {"url": url, "secretRef": {"name": "flux-system"}},
    });
    if let Some(flags) = flags {
        value["metadata"]["annotations"][keys::FLAGS] = flags.into();
    }
    Object::parse(value).unwrap()
}

fn hub(api: &str) -> Hub {
    let token = Secret::new(TOKEN.to_owned());
    Hub { api: api.into(), credentials: Some(GithubCredentials::Token(token)) }
}

fn hosts(secrets: &[Object], sources: &[Object], hub: Option<&Hub>) -> Vec<Vec<String>> {
    let all = Registered::all(secrets, sources, hub);
    all.iter().map(|key| key.hosts.iter().map(ToString::to_string).collect()).collect()
}

#[test]
fn a_key_is_where_its_secret_remembers_and_else_where_its_source_tells() {
    let key = key("c");
    let place = KeyHost::github("http://127.0.0.1:1", REPOSITORY);
    let remembering = [secret("flux-system", &key, Some(&place), None)];
    let told = "http://127.0.0.1:1/repos/acme/platform";
    assert_eq!(hosts(&remembering, &[], None), [[told]]);
    let bare = [secret("flux-system", &key, None, None)];
    let ssh = "ssh://git@127.0.0.1:2/acme/platform";
    let flags = r#"{"remote":"acme/platform","api-url":"http://127.0.0.1:1"}"#;
    let public = r#"{"remote":"acme/platform"}"#;
    let other = hub("http://127.0.0.1:3");
    for (source, hub, expected) in [
        (source(ssh, Some(flags)), None, told),
        (source(ssh, Some(public)), None, "https://api.github.com/repos/acme/platform"),
        (source(ssh, None), None, ssh),
        (source("ssh://git@github.com/o/r", None), None, "https://api.github.com/repos/o/r"),
        (source(ssh, None), Some(&other), "http://127.0.0.1:3/repos/acme/platform"),
    ] {
        assert_eq!(hosts(&bare, &[source], hub), [[expected]]);
    }
    assert_eq!(hosts(&bare, &[], Some(&other)), [Vec::<String>::new()]);
    // Before the source goes, the Secret learns what only the source tells.
    let flagged = [source(ssh, Some(flags))];
    assert_eq!(unnoted(&bare[0], &flagged, None), Some(place));
    assert_eq!((unnoted(&bare[0], &[], None), unnoted(&remembering[0], &flagged, None)), (None, None));
}

#[test]
fn a_key_in_two_secrets_is_one_key_and_the_replaced_one_another() {
    let (old, new) = (key("lockgate a df32f7a6 n"), key("lockgate a df32f7a6 n"));
    let place = KeyHost::github(PUBLIC_API, REPOSITORY);
    let secrets = [
        secret("flux-system", &new, Some(&place), Some(&old)),
        secret("flux-system-next", &new, Some(&place), None),
    ];
    let all = Registered::all(&secrets, &[], None);
    let told: Vec<(&str, bool)> = all.iter().map(|key| (key.title.as_str(), key.is_replaced)).collect();
    assert_eq!(told, [("lockgate a df32f7a6 n", false), ("lockgate a df32f7a6 n", true)]);
    assert_ne!(all[0].fingerprint, all[1].fingerprint);
}

#[test]
fn a_damaged_secret_gives_its_key_away_by_either_half() {
    let key = key("c");
    let damaged = |field: &str| {
        let secret = secret("flux-system", &key, None, None);
        secret.edit(|value| value["data"][field] = STANDARD.encode("garbage").into()).unwrap()
    };
    for field in ["identity", "identity.pub"] {
        let all = Registered::all(&[damaged(field)], &[], None);
        assert_eq!(all[0].fingerprint, hosts::fingerprint(key.public()), "{field}");
        assert!(unreadable(&[damaged(field)]).is_empty());
    }
    let both = damaged("identity").edit(|value| value["data"]["identity.pub"] = "".into()).unwrap();
    assert!(Registered::all(std::slice::from_ref(&both), &[], None).is_empty());
    let problems = unreadable(&[both]);
    assert!(problems[0].to_string().starts_with("Secret/n/flux-system has no readable key"), "{problems:?}");
    assert_eq!(problems[0].class(), ExitClass::Unreachable);
}

#[tokio::test]
async fn a_key_is_deleted_without_a_source_and_so_is_the_one_that_it_replaced() {
    let git = harness::GitServer::start().unwrap();
    let repo = git.create_repo(REPOSITORY).unwrap();
    repo.commit("main", "begin", &[("a", Some("b"))]).unwrap();
    let server = harness::GitHub::start(&git).unwrap();
    server.add_token(TOKEN);
    let identity = KeyIdentity { uid: UID.into(), created: Timestamp::from_unix(0) };
    let title = Title::new("a", Some(UID), "n", None).to_string();
    let (old, new, shared) = (key(&title), key(&title), key("shared"));
    for key in [&old, &new, &shared] {
        let comment = comment_of(&key.public_line()).unwrap().to_owned();
        server.register(REPOSITORY, &comment, &key.public_line(), true, TOKEN).unwrap();
    }
    let hub = hub(&server.url());
    let place = KeyHost::github(&hub.api, REPOSITORY);
    let mut told = Vec::new();
    let mut sink = |event| told.push(event);
    let progress = &mut ProgressLog::new(&mut sink);
    let secrets = [
        secret("flux-system", &new, Some(&place), Some(&old)),
        secret("flux-system-next", &new, Some(&place), None),
        secret("other", &new, Some(&place), Some(&shared)),
    ];
    for key in Registered::all(&secrets, &[], Some(&hub)) {
        assert_eq!(key.check_api(PUBLIC_API).len(), 1);
        assert_eq!(key.check_api(&hub.api), []);
        assert_eq!(key.delete(&hub, &identity, progress).await, []);
    }
    // A previous key that was not made for this cluster may serve others too.
    let left: Vec<String> = server.keys().into_iter().map(|key| key.title).collect();
    assert_eq!(left, ["shared"]);
    let bare = secret("flux-system", &new, None, None);
    let [lost] = Registered::all(&[bare], &[], Some(&hub)).try_into().unwrap();
    let problems = lost.delete(&hub, &identity, progress).await;
    assert_eq!(problems[0].class(), ExitClass::Unreachable);
    let start = format!("the key \"{title}\" stays: nothing on the cluster says in which repository");
    assert!(problems[0].to_string().starts_with(&start), "{problems:?}");
    let notes = told.iter().filter(|event| matches!(event, ProgressEvent::Note(_))).count();
    let steps = told.iter().filter(|event| matches!(event, ProgressEvent::Step { .. })).count();
    assert_eq!((notes, steps), (1, 3), "{told:#?}");
}
