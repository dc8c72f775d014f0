//! Deploy keys of clusters that come and go: the keys that bootstrap, `keys` and `uninstall` report, delete
//! and keep.

use std::process::Stdio;
use std::time::{Duration, SystemTime};

use harness::{Access, KeyAlgorithm, SshKey, Token};
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;

use super::site::{Site, TOKEN, done, ended, killed_at};

const NAMED: [&str; 2] = ["--cluster-name", "eu-west9"];
const PRUNING: [&str; 3] = ["--cluster-name", "eu-west9", "--prune-keys"];

/// `lockgate keys` for the repository: it is given no cluster.
fn keys(site: &Site, act: &str, more: &[&str]) -> tokio::process::Command {
    let api = site.hub.url();
    let arguments = [&["keys", act, "barolab/foobar-infra", "--api-url", &api], more].concat();
    let mut command = site.lockgate(&arguments);
    command.env("KUBECONFIG", "/nonexistent").env("GITHUB_TOKEN", TOKEN);
    command
}

fn titles(site: &Site) -> Vec<String> {
    site.hub.keys().into_iter().map(|key| key.title).collect()
}

/// Registers a key under a title, as another cluster's bootstrap or a person does.
fn register(site: &Site, title: &str, read_only: bool) -> u64 {
    let key = SshKey::generate(KeyAlgorithm::Ed25519).unwrap();
    site.hub.register("barolab/foobar-infra", title, &key.public, read_only, TOKEN).unwrap()
}

fn ago(minutes: u64) -> SystemTime {
    SystemTime::now() - Duration::from_mins(minutes)
}

/// A cluster that is created again under its name leaves no key of the earlier one, once its agent has
/// fetched.
#[tokio::test(flavor = "multi_thread")]
async fn a_recreated_cluster_deletes_the_key_of_the_last() {
    let mut site = Site::new().await;
    let (run, agent) = site.with_agent(site.bootstrap(&NAMED), &[]).await;
    assert!(!run.stderr.contains("earlier clusters"), "{}", run.stderr);
    let [old] = site.hub.keys().try_into().unwrap();
    assert!(
        old.title.starts_with("lockgate eu-west9 ") && old.title.ends_with(" flux-system"),
        "{}",
        old.title
    );
    drop(agent);
    let title = |name: &str, namespace: &str| format!("lockgate {name} 0badcafe {namespace}");
    for (title, read_only) in [
        (title("eu-west", "flux-system"), true),
        (title("in-cluster", "flux-system"), true),
        (title("eu-west9", "gitops"), true),
        (title("eu-west9", "flux-system"), false),
        ("flux".to_owned(), true),
    ] {
        register(&site, &title, read_only);
    }
    let kept: Vec<String> = titles(&site).into_iter().filter(|title| *title != old.title).collect();

    site.recreate().await;
    assert!(killed_at(site.bootstrap(&NAMED), "✔ deploy key ").await);
    assert_eq!(site.hub.keys().len(), kept.len() + 2, "nothing is deleted unless it is asked for");
    let asked = site.hub.requests().len();
    let (run, _agent) = site.with_agent(site.bootstrap(&PRUNING), &[]).await;
    // The key is read before it is deleted.
    let requests = site.hub.requests().split_off(asked);
    assert_eq!(requests.len(), 6 + 2, "{requests:#?}");
    let deleted = format!("deleted \"{}\" ed25519 SHA256:", old.title);
    assert!(run.stderr.contains(&deleted), "{}", run.stderr);
    for (title, reason) in [
        (title("eu-west9", "gitops"), "it belongs to an installation in another namespace"),
        (title("eu-west9", "flux-system"), "it has write access"),
    ] {
        let told = format!("the deploy key \"{title}\" is kept: {reason}");
        assert!(run.stderr.contains(&told), "{told}: {}", run.stderr);
    }
    let fetched = run.stderr.find("✔ source ").unwrap();
    assert!(run.stderr.find(&deleted).unwrap() > fetched, "before the agent had fetched: {}", run.stderr);
    let left = titles(&site);
    assert!(kept.iter().all(|title| left.contains(title)) && left.len() == kept.len() + 1, "{left:?}");
    assert!(!left.contains(&old.title), "{left:?}");
    let again = done(site.bootstrap(&PRUNING)).await;
    assert!(again.stderr.contains("nothing was changed"), "{}", again.stderr);
}

/// Leftovers are reported if they are not to be deleted, and keys of a living cluster with the same name are
/// left alone.
#[tokio::test(flavor = "multi_thread")]
async fn another_cluster_of_the_name_is_told_of_and_left_alone() {
    let site = Site::new().await;
    let id = register(&site, "lockgate eu-west9 0badcafe flux-system", true);
    site.hub.pretend(id, ago(600), None).unwrap();
    let (run, _agent) = site.with_agent(site.bootstrap(&NAMED), &[]).await;
    let told = "there are deploy keys of earlier clusters called eu-west9; --prune-keys deletes them: \
                \"lockgate eu-west9 0badcafe flux-system\" (no use known)";
    assert!(run.stderr.contains(told), "{}", run.stderr);

    // The plane is some seconds old.
    site.hub.pretend(id, ago(600), Some(SystemTime::now())).unwrap();
    let before = site.versions().await;
    let run = ended(site.bootstrap(&PRUNING)).await;
    assert_eq!(run.code, 4, "{}", run.stderr);
    let (start, end) = run.stderr.split_once(" s ago, ").unwrap();
    assert!(start.contains("the key \"lockgate eu-west9 0badcafe flux-system\" was used "), "{start}");
    let rest =
        "after this cluster was created: another cluster is called eu-west9; give one of them another name";
    assert!(end.starts_with(rest), "{end}");
    assert_eq!((site.hub.keys().len(), site.versions().await), (2, before));
}

/// Keys are looked after with GitHub alone.
#[tokio::test(flavor = "multi_thread")]
async fn keys_are_listed_and_deleted_without_a_cluster() {
    let site = Site::new().await;
    let title = |name: &str, uid: &str| format!("lockgate {name} {uid} flux-system");
    let over = format!("{} until 2020-01-01T00:00:00Z", title("pr-7", "11111111"));
    let later = format!("{} until 2999-01-01T00:00:00Z", title("pr-8", "22222222"));
    for title in [&over, &later, &title("eu-west9", "33333333"), &title("eu-west9", "44444444"), "flux"] {
        register(&site, title, true);
    }
    for (id, created) in [(3, 900), (4, 300)] {
        site.hub.pretend(id, ago(created), Some(ago(created - 1))).unwrap();
    }
    let list = done(keys(&site, "list", &[])).await;
    let rows: Vec<Vec<&str>> = list.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0][..3], ["CLUSTER", "UID", "NAMESPACE"], "{}", list.stdout);
    assert_eq!(rows[1][..3], ["eu-west9", "33333333", "flux-system"], "{}", list.stdout);
    assert_eq!(rows.len(), 6, "{}", list.stdout);
    let json = done(keys(&site, "list", &["--cluster-name", "pr-7", "-o", "json"])).await;
    let json: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(
        (json[0]["cluster"].as_str(), json[0]["until"].as_str()),
        (Some("pr-7"), Some("2020-01-01T00:00:00Z"))
    );

    let would = done(keys(&site, "prune", &["--expired", "--dry-run"])).await;
    assert!(would.stderr.contains(&format!("would delete \"{over}\"")), "{}", would.stderr);
    assert_eq!(site.hub.keys().len(), 5);
    done(keys(&site, "prune", &["--expired"])).await;
    assert_eq!(titles(&site).iter().filter(|title| title.contains("pr-")).collect::<Vec<_>>(), [&later]);

    // GitHub shows both alive.
    site.hub.pretend(3, ago(900), Some(ago(3))).unwrap();
    let twins = ended(keys(&site, "delete", &NAMED)).await;
    assert_eq!(twins.code, 4, "{}", twins.stderr);
    assert!(twins.stderr.contains("two clusters are called eu-west9: the key "), "{}", twins.stderr);
    assert!(
        twins.stderr.contains("was used 3 min ago, after the other cluster got its key"),
        "{}",
        twins.stderr
    );
    assert!(twins.stderr.contains("fix: add --uid 33333333 or --uid 44444444"), "{}", twins.stderr);
    done(keys(&site, "delete", &[&NAMED[..], &["--uid", "33333333"]].concat())).await;
    done(keys(&site, "delete", &NAMED)).await;
    assert_eq!(titles(&site), [later.as_str(), "flux"]);
    let again = done(keys(&site, "delete", &NAMED)).await;
    assert!(again.stderr.contains("nothing was changed"), "{}", again.stderr);

    let folder = tempfile::tempdir().unwrap();
    let key = SshKey::generate(KeyAlgorithm::Ed25519).unwrap();
    let file = folder.path().join("key");
    std::fs::write(&file, &key.openssh).unwrap();
    let create = |more: &[&str]| {
        let flags = ["--key-file", file.to_str().unwrap(), "--key-ttl", "12h"];
        keys(&site, "create", &[&NAMED[..], &flags, more].concat())
    };
    done(create(&["--dry-run"])).await;
    assert_eq!(site.hub.keys().len(), 2);
    done(create(&[])).await;
    let made = site.hub.keys().pop().unwrap();
    assert!(made.title.starts_with("lockgate eu-west9 00000000 flux-system until 2"), "{}", made.title);
    assert!(made.read_only && key.public.starts_with(&made.key), "{made:?}");
}

/// `uninstall` names its key, and deletes it on request.
#[tokio::test(flavor = "multi_thread")]
async fn a_removal_deletes_the_key_with_a_token_and_says_how_without() {
    let site = Site::new().await;
    let api = site.hub.url();
    let (_, _agent) = site.with_agent(site.bootstrap(&NAMED), &[]).await;
    let [key] = site.hub.keys().try_into().unwrap();
    let flags = ["uninstall", "--delete-key", "--api-url", &api];
    let run = ended(site.lockgate(&flags)).await;
    assert_eq!(run.code, 3, "{}", run.stderr);
    let told = format!(
        "the key \"{}\" of barolab/foobar-infra stays: set GITHUB_TOKEN and run lockgate keys delete barolab/foobar-infra --key SHA256:",
        key.title
    );
    assert!(run.stderr.contains(&told), "{told}: {}", run.stderr);
    // The same command again knows where the key is.
    let with_token = |arguments: &[&str]| {
        let mut command = site.lockgate(arguments);
        command.env("GITHUB_TOKEN", TOKEN);
        command
    };
    done(with_token(&flags)).await;
    assert!(site.hub.keys().is_empty());

    let (_, _agent) = site.with_agent(site.bootstrap(&NAMED), &[]).await;
    assert_eq!(site.hub.keys().len(), 1);
    let run = ended(site.lockgate(&flags)).await;
    let (_, command) = run.stderr.split_once("run lockgate ").unwrap();
    done(with_token(&command.split_whitespace().collect::<Vec<_>>())).await;
    assert!(site.hub.keys().is_empty());
    let run = done(with_token(&[&flags[..], &["--purge"]].concat())).await;
    assert!(site.hub.keys().is_empty() && site.secrets().await.is_empty(), "{}", run.stderr);

    // Where no source tells where the key is, its Secret remembers.
    assert!(killed_at(site.bootstrap(&NAMED), "✔ deploy key ").await);
    assert_eq!(site.hub.keys().len(), 1);
    let run = ended(with_token(&["uninstall", "--delete-key", "--purge"])).await;
    let told = format!("barolab/foobar-infra was set up with --api-url {api}");
    assert!(run.code == 2 && run.stderr.contains(&told), "{}", run.stderr);
    assert_eq!((site.hub.keys().len(), site.secrets().await.len()), (1, 1));
    let run = done(with_token(&[&flags[..], &["--purge"]].concat())).await;
    assert!(site.hub.keys().is_empty() && site.secrets().await.is_empty(), "{}", run.stderr);
}

/// Each mistake is reported before any change, in these words and with this code.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_names_and_tokens_is_told() {
    let site = Site::new().await;
    let kubeconfig = std::fs::read_to_string(site.plane.admin_kubeconfig()).unwrap();
    let config: Value = serde_json::from_str(&kubeconfig).unwrap();
    let context = config["current-context"].as_str().unwrap();
    let alone =
        format!("--prune-keys needs --cluster-name: the context '{context}' may be another cluster's too");
    let named = "'EU West' is no cluster name: use a-z, 0-9 and '-'";
    let lags = "GitHub's last use lags; give at least 7d";
    for (command, told) in [
        (site.bootstrap(&["--prune-keys"]), alone.as_str()),
        (site.bootstrap(&["--cluster-name", "EU West"]), named),
        (keys(&site, "prune", &["--unused-for", "2d"]), lags),
    ] {
        let run = ended(command).await;
        assert_eq!(run.code, 2, "{}", run.stderr);
        assert!(run.stderr.contains(told), "{told}: {}", run.stderr);
    }
    // A kubeconfig on a pipe is read once, and so keeps its context.
    let mut command = site.bootstrap(&["--prune-keys", "--kubeconfig", "/dev/stdin"]);
    command.stdin(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(kubeconfig.as_bytes()).await.unwrap();
    let output = child.wait_with_output().await.unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains(&alone), "{output:?}");

    let workflow = Token::installation("github-actions[bot]", Access::None);
    site.hub.add_token_as("ghs_workflow", workflow);
    let mut command = site.bootstrap(&[]);
    command.env("GITHUB_TOKEN", "ghs_workflow");
    let run = ended(command).await;
    assert_eq!(run.code, 1, "{}", run.stderr);
    let told = "a workflow's own token cannot register deploy keys; use an App's token with \"Administration: read and write\"";
    assert!(run.stderr.contains(told), "{}", run.stderr);
    assert!(site.hub.keys().is_empty() && site.secrets().await.is_empty());

    // An App's token is no admin's, and does.
    site.hub.add_token_as("ghs_app", Token::installation("app[bot]", Access::Write));
    let mut command = site.bootstrap(&[]);
    command.env("GITHUB_TOKEN", "ghs_app");
    assert!(killed_at(command, "✔ deploy key ").await);
    assert_eq!(site.hub.keys().len(), 1);
}
