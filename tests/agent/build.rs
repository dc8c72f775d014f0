//! Trees that cannot be built: each is reported with file, place and cause, changes nothing, and is healed by
//! the next commit.

use harness::{Change, Proxy};
use serde_json::json;

use super::stage::{Stage, condition, config_map, stage};

/// A case's name, its files (`-> target` is a symbolic link), and a part of its message.
struct Case {
    name: &'static str,
    files: Vec<(&'static str, String)>,
    told: Vec<&'static str>,
}

fn case(name: &'static str, files: &[(&'static str, &str)], told: &[&'static str]) -> Case {
    let files = files.iter().map(|(path, text)| (*path, (*text).to_owned())).collect();
    Case { name, files, told: told.to_vec() }
}

/// A kustomization of the folder with one more resource.
fn with_resource(resource: &str) -> String {
    format!("resources: [good.yaml, '{resource}']\n")
}

/// Nine levels of nine aliases each: 9^9 values in less than a page.
fn bomb() -> String {
    let mut text = "a0: &a0 [x]\n".to_owned();
    for level in 1..10 {
        let aliases = vec![format!("*a{}", level - 1); 9].join(", ");
        text = format!("{text}a{level}: &a{level} [{aliases}]\n");
    }
    text
}

/// I01, I02, I03, I11.
fn malformed(good: &str) -> Vec<Case> {
    let deep = format!("a: {}{}", "[".repeat(1000), "]".repeat(1000));
    vec![
        case("malformed", &[("apps/bad.yaml", "a: 1\nb: [1,\nc: {")], &["apps/bad.yaml:3: column 4"]),
        case("an alias bomb", &[("apps/bad.yaml", &bomb())], &["apps/bad.yaml", "alias bomb"]),
        case("an alias of itself", &[("apps/bad.yaml", "a: &a [*a]\n")], &["apps/bad.yaml:1"]),
        case("too deep", &[("apps/bad.yaml", &deep)], &["apps/bad.yaml:1", "recursion limit exceeded"]),
        case(
            "a key twice",
            &[("apps/bad.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: bad}\nkind: Secret\n")],
            &["apps/bad.yaml:4", "kind"],
        ),
        case(
            "an object twice",
            &[("apps/bad.yaml", good)],
            &["may not add resource with an already registered id", "apps/bad.yaml", "apps/good.yaml"],
        ),
    ]
}

/// I04: bases that lead back to themselves.
fn cyclic() -> Vec<Case> {
    let back = with_resource("../other");
    vec![
        case(
            "a base in a circle",
            &[("apps/kustomization.yaml", &back), ("other/kustomization.yaml", "resources: [../apps]\n")],
            &["cycle: apps -> other -> apps"],
        ),
        case(
            "a base of itself",
            &[("apps/kustomization.yaml", &with_resource("../apps"))],
            &["cycle: apps -> apps"],
        ),
    ]
}

/// I06, I07: paths that lead out of the repository, by their text or by links.
fn outside() -> Vec<Case> {
    let generator = |file: &str| {
        format!("resources: [good.yaml]\nconfigMapGenerator: [{{name: stolen, files: ['stolen={file}']}}]\n")
    };
    let patch = |file: &str| format!("resources: [good.yaml]\npatches: [{{path: '{file}'}}]\n");
    let kustomization = "apps/kustomization.yaml";
    vec![
        case("out by ..", &[(kustomization, &with_resource("../../../etc/passwd"))], &["etc/passwd"]),
        case("out from the root", &[(kustomization, &with_resource("/etc/passwd"))], &["/etc/passwd"]),
        case("a patch outside", &[(kustomization, &patch("../../etc/passwd"))], &["etc/passwd"]),
        case("a file outside", &[(kustomization, &generator("/etc/passwd"))], &["/etc/passwd"]),
        case(
            "a link to a file",
            &[("apps/l.yaml", "-> /etc/passwd"), (kustomization, &generator("l.yaml"))],
            &["apps/l.yaml", "outside"],
        ),
        case(
            "a link to a folder",
            &[("apps/up", "-> ../.."), (kustomization, &generator("up/etc/passwd"))],
            &["apps/up", "outside"],
        ),
        case(
            "a chain of links",
            &[("apps/one", "-> two"), ("apps/two", "-> ../../x"), (kustomization, &generator("one"))],
            &["outside"],
        ),
        case(
            "links in a circle",
            &[("apps/one", "-> two"), ("apps/two", "-> one"), (kustomization, &generator("one"))],
            &["apps/one"],
        ),
    ]
}

/// Commits the case's files beside the good one.
fn push(stage: &Stage<'_>, files: &[(&str, String)], good: &str) -> String {
    let mut changes = vec![Change::DeleteAll, Change::file("apps/good.yaml", good)];
    changes.extend(files.iter().map(|(path, text)| match text.strip_prefix("-> ") {
        Some(target) => Change::Symlink((*path).into(), target.into()),
        None => Change::file(*path, text.as_str()),
    }));
    format!("main@sha1:{}", stage.repo.commit_changes("main", "change", &changes).unwrap())
}

/// Pushes the case and waits until the Kustomization reports why it cannot be built.
async fn refused(stage: &Stage<'_>, case: &Case, good: &str) {
    let name = case.name;
    let revision = push(stage, &case.files, good);
    let status = stage
        .until("apps", name, |status| {
            condition(status, "Ready")["status"] == "False"
                && status["lastAttemptedRevision"] == revision.as_str()
        })
        .await;
    let ready = condition(&status, "Ready");
    let message = ready["message"].as_str().unwrap();
    println!("{name}: {message}");
    assert_eq!(ready["reason"], "BuildFailed", "{name}: {message}");
    for part in &case.told {
        assert!(message.contains(part), "{name}: no {part:?} in {message}");
    }
    assert_eq!(stage.data("good").await.unwrap()["value"], "1", "{name}");
    assert!(stage.data("stolen").await.is_none() && stage.data("bad").await.is_none(), "{name}");
}

/// I01, I02, I03, I04, I06, I07, I11: nothing is applied, nothing is deleted, memory stays bounded, and the
/// next good commit heals.
#[tokio::test]
async fn what_cannot_be_built_is_told_with_its_file_and_changes_nothing() {
    let good = config_map("good", "1");
    let stage = stage("build", &[("apps/good.yaml", &good)]).await;
    let agent = stage.agent().await;
    stage.kustomization("apps", json!({})).await;
    stage.ready("apps").await;
    let before = agent.peak_rss_kib().unwrap();
    for case in malformed(&good).into_iter().chain(cyclic()).chain(outside()) {
        refused(&stage, &case, &good).await;
    }
    let grown = agent.peak_rss_kib().unwrap() - before;
    assert!(grown < 10 * 1024, "{grown} KiB for builds that were refused");
    assert!(agent.exited().is_none());
    push(&stage, &[], &config_map("good", "2"));
    stage.ready("apps").await;
    assert_eq!(stage.data("good").await.unwrap()["value"], "2");
}

/// I06, I07: links and `..` inside the repository are followed, and `spec.path` never leaves it.
#[tokio::test]
async fn paths_inside_the_repository_are_followed() {
    let stage = stage("inside", &[("base/b.yaml", &config_map("b", "1"))]).await;
    let _agent = stage.agent().await;
    let files = [
        ("base/kustomization.yaml", "resources: [b.yaml]\n"),
        ("apps/deep/kustomization.yaml", "resources: [../../base, linked.yaml, folder/f.yaml]\n"),
        ("apps/deep/linked.yaml", "-> ../../other/l.yaml"),
        ("apps/deep/folder", "-> ../../other"),
        ("other/l.yaml", &config_map("l", "1")),
        ("other/f.yaml", &config_map("f", "1")),
    ];
    let files: Vec<(&str, String)> = files.iter().map(|(path, text)| (*path, (*text).to_owned())).collect();
    let mut all = files;
    all.push(("base/b.yaml", config_map("b", "1")));
    push(&stage, &all, &config_map("good", "1"));
    stage.kustomization("apps", json!({"path": "./apps/deep"})).await;
    stage.ready("apps").await;
    for name in ["b", "l", "f"] {
        assert!(stage.data(name).await.is_some(), "{name}");
    }
    stage.kustomization("out", json!({"path": "../../../../etc"})).await;
    // As in Flux, the path stops at the root of the source, where there is no such folder.
    let message = stage.reason("out", "ArtifactFailed").await;
    assert!(message.starts_with("kustomization path not found: stat etc: "), "{message}");
}

/// I08: no form of a remote base is fetched, and no connection is made.
#[tokio::test]
async fn a_remote_base_is_refused_without_a_connection() {
    let good = config_map("good", "1");
    let stage = stage("remote", &[("apps/good.yaml", &good)]).await;
    let _agent = stage.agent().await;
    stage.kustomization("apps", json!({})).await;
    stage.ready("apps").await;
    let host = Proxy::start(stage.git.address()).unwrap();
    let address = host.address();
    let forms = [
        format!("http://{address}/base.yaml"),
        format!("https://{address}/owner/repo//base?ref=main"),
        format!("ssh://git@{address}/owner/repo"),
        format!("git::ssh://git@{address}/owner/repo"),
        format!("git::https://{address}/owner/repo"),
        format!("git@{}:owner/repo", address.ip()),
        "github.com/owner/repo//base?ref=v1".to_owned(),
        "gh:owner/repo".to_owned(),
    ];
    for form in &forms {
        let case = Case {
            name: "remote",
            files: vec![("apps/kustomization.yaml", with_resource(form))],
            told: vec!["remote bases are not supported"],
        };
        refused(&stage, &case, &good).await;
    }
    for field in ["components", "configurations", "crds"] {
        let text = format!("resources: [good.yaml]\n{field}: ['{}']\n", forms[0]);
        let case =
            Case { name: field, files: vec![("apps/kustomization.yaml", text)], told: vec!["base.yaml"] };
        refused(&stage, &case, &good).await;
    }
    assert_eq!(host.connections(), 0);
}
