//! The rotation of keys and host keys: the repository accepts the agent at each moment.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use harness::{Fault, HostKeyType};
use lockgate::tested::identity_of;
use serde_json::Value;

use super::site::{PATH, Site, TOKEN, done, ended, killed_at, killed_when};

fn rotate(site: &Site) -> tokio::process::Command {
    let api = site.hub.url();
    let mut command = site.lockgate(&["rotate-key", "--api-url", &api]);
    command.env("GITHUB_TOKEN", TOKEN);
    command
}

fn data(secret: &Value, key: &str) -> String {
    String::from_utf8(STANDARD.decode(secret["data"][key].as_str().unwrap()).unwrap()).unwrap()
}

/// The public line of the key in use, which GitHub accepts.
async fn in_use(site: &Site) -> String {
    let secrets = site.secrets().await;
    let secret = secrets.iter().find(|secret| secret["metadata"]["name"] == "flux-system").unwrap();
    let line = data(secret, "identity.pub");
    let is_it = |listed: &str| identity_of(listed) == identity_of(&line);
    assert!(site.hub.keys().iter().any(|key| is_it(&key.key)), "the agent is locked out");
    line.trim().to_owned()
}

/// Checks for one key at GitHub, one Secret, and no mark of an unfinished rotation.
async fn is_finished(site: &Site) {
    let (keys, secrets) = (site.hub.keys(), site.secrets().await);
    assert_eq!((keys.len(), secrets.len()), (1, 1), "{keys:?} {secrets:?}");
    let annotations = &secrets[0]["metadata"]["annotations"];
    assert!(annotations.get("lockgate.dev/replaced-key").is_none(), "{annotations}");
    in_use(site).await;
}

/// S09: wherever a rotation is killed, the Secret has a working key, and the same command finishes the
/// rotation.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_replaced_and_a_run_that_was_killed_is_finished() {
    let site = Site::new().await;
    let (_, agent) = site.with_agent(site.bootstrap(&["--cluster-name", "eu-west9"]), &[]).await;
    let first = in_use(&site).await;
    let title = site.hub.keys()[0].title.clone();
    let run = done(rotate(&site)).await;
    assert!(run.stderr.contains("the old key is deleted at GitHub"), "{}", run.stderr);
    is_finished(&site).await;
    let second = in_use(&site).await;
    assert_ne!(first, second, "{}", agent.log());
    assert_eq!(site.hub.keys()[0].title, title, "the cluster's name is lost");

    assert!(killed_at(rotate(&site), "✔ secret ").await);
    assert_eq!(in_use(&site).await, second);
    site.hub.fail("POST", "/keys", Fault::Lost, None);
    killed_when(rotate(&site), || site.hub.keys().len() == 2).await;
    site.hub.heal();
    assert_eq!(in_use(&site).await, second);
    assert!(killed_at(rotate(&site), "✔ rotation ").await);
    let third = in_use(&site).await;
    assert_ne!(third, second);
    site.hub.fail("DELETE", "/keys", Fault::Lost, None);
    killed_when(rotate(&site), || site.hub.keys().len() == 1).await;
    site.hub.heal();
    done(rotate(&site)).await;
    is_finished(&site).await;
    assert_eq!(in_use(&site).await, third, "a rotation that was begun is finished, and no other begun");

    // Bootstrap also rotates, and finishes an unfinished rotation.
    assert!(killed_at(site.bootstrap(&["--replace-secret"]), "✔ rotation ").await);
    assert_eq!(site.hub.keys().len(), 2);
    let fourth = in_use(&site).await;
    assert_ne!(fourth, third);
    done(site.bootstrap(&[])).await;
    is_finished(&site).await;
    done(site.bootstrap(&["--replace-secret"])).await;
    is_finished(&site).await;
    assert_ne!(in_use(&site).await, fourth);
}

/// Bootstrap alone renews a host key that GitHub no longer publishes; for other hosts the user names the
/// right one.
#[tokio::test(flavor = "multi_thread")]
async fn host_keys_are_renewed() {
    let site = Site::new().await;
    let (_, _agent) = site.with_agent(site.bootstrap(&[]), &[]).await;
    let key = in_use(&site).await;
    site.git.rotate_host_key(HostKeyType::Ed25519).unwrap();
    let run = done(site.bootstrap(&[])).await;
    assert!(run.stderr.contains("renewed: ed25519 ecdsa rsa  (configured)"), "{}", run.stderr);
    let secret = site.secrets().await.remove(0);
    assert_eq!(data(&secret, "known_hosts"), site.git.known_hosts_file().unwrap());
    assert_eq!(in_use(&site).await, key);
    let again = done(site.bootstrap(&[])).await;
    assert!(again.stderr.contains("nothing was changed"), "{}", again.stderr);

    let url = format!("{}@{}/barolab/foobar-infra", site.git.user(), site.git.address());
    let url = format!("ssh://{url}");
    let git = |more: &[&str]| {
        let flags = ["--path", PATH, "--name", "foobar-infra"];
        site.lockgate(&[&["bootstrap", "git", url.as_str()][..], &flags, more].concat())
    };
    site.git.set_host_keys(&[HostKeyType::EcdsaP256]).unwrap();
    site.git.rotate_host_key(HostKeyType::EcdsaP256).unwrap();
    let run = ended(git(&[])).await;
    assert_eq!(run.code, 4, "{}", run.stderr);
    assert!(run.stderr.contains("then accept one with --accept-host-key FINGERPRINT"), "{}", run.stderr);
    let shown = site.git.host_keys().unwrap().remove(0).1;
    let print = harness::git::fingerprint(&shown).unwrap();
    let other = print.chars().rev().collect::<String>();
    let run = ended(git(&["--accept-host-key", &other])).await;
    assert_eq!(run.code, 4, "{}", run.stderr);
    let told = format!("presents the host key ecdsa {print}, and not {other}");
    assert!(run.stderr.contains(&told), "{told}: {}", run.stderr);
    let run = done(git(&["--accept-host-key", &print])).await;
    assert!(run.stderr.contains("renewed: ecdsa  (configured)"), "{}", run.stderr);
    assert_eq!(in_use(&site).await, key);
}
