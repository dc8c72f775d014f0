//! Events in the life of a repository: the status of its GitRepository, the applied objects, which stay, and
//! other sources, which do not wait.

use harness::{Change, HostKeyType, Mode, Proxy, eventually};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use super::stage::{PATIENCE, Stage, condition, config_map, stage};

/// A stage whose Kustomization `apps` is Ready with the ConfigMaps `a` and `b`.
async fn applied(name: &str) -> Stage<'static> {
    let stage =
        stage(name, &[("apps/a.yaml", &config_map("a", "1")), ("apps/b.yaml", &config_map("b", "1"))]).await;
    stage.kustomization("apps", json!({})).await;
    stage
}

/// The last good state is still enforced: an edit is corrected although the source cannot be fetched.
async fn is_enforced(stage: &Stage<'_>, value: &str) {
    let params = PatchParams { field_manager: Some("kubectl-edit".into()), ..PatchParams::default() };
    let edit = Patch::Merge(json!({"data": {"value": "edited"}}));
    stage.config_maps().patch("a", &params, &edit).await.unwrap();
    eventually(PATIENCE, async || {
        let data = stage.data("a").await.unwrap_or_default();
        anyhow::ensure!(data.get("value").map(String::as_str) == Some(value), "{data:?}");
        Ok(())
    })
    .await
    .unwrap();
    assert!(stage.data("b").await.is_some(), "nothing is deleted");
}

async fn is_fetched(stage: &Stage<'_>, name: &str, revision: &str) -> Value {
    stage
        .until_source(name, "fetched", |status| {
            condition(status, "Ready")["status"] == "True" && status["artifact"]["revision"] == revision
        })
        .await
}

fn head(stage: &Stage<'_>) -> String {
    format!("main@sha1:{}", stage.repo.rev_parse("main").unwrap())
}

/// I22: nothing is sent to a host whose key differs from the Secret's, and both fingerprints are reported.
#[tokio::test]
async fn a_host_key_that_is_not_known_is_told_with_both_fingerprints() {
    let stage = applied("hostkey").await;
    let _agent = stage.agent().await;
    stage.ready("apps").await;
    let all = [HostKeyType::Ed25519, HostKeyType::EcdsaP256, HostKeyType::Rsa];
    for kind in all {
        stage.git.rotate_host_key(kind).unwrap();
    }
    stage.push(&[("apps/a.yaml", &config_map("a", "2"))]);
    let message = stage.source_reason("repo", "AuthenticationFailed").await;
    assert!(message.starts_with("host key mismatch for [127.0.0.1]:"), "{message}");
    assert!(message.contains("got SHA256:") && message.contains("known_hosts has SHA256:"), "{message}");
    assert!(message.contains(&format!("Secret {}/repo", stage.namespace)), "{message}");
    is_enforced(&stage, "1").await;
    stage.secret("repo", json!({})).await.unwrap();
    is_fetched(&stage, "repo", &head(&stage)).await;
    stage.ready("apps").await;
    assert_eq!(stage.data("a").await.unwrap()["value"], "2");
}

/// I23: a key that the host no longer admits.
#[tokio::test]
async fn a_revoked_key_leaves_what_was_applied() {
    let stage = applied("revoked").await;
    let _agent = stage.agent().await;
    stage.ready("apps").await;
    let revision = head(&stage);
    stage.git.revoke(stage.deploy_key).unwrap();
    stage.push(&[("apps/a.yaml", &config_map("a", "2"))]);
    let message = stage.source_reason("repo", "AuthenticationFailed").await;
    assert!(message.contains("SHA256:") && message.contains("not registered"), "{message}");
    let status = stage.sources().get("repo").await.unwrap().data["status"].clone();
    assert_eq!(status["artifact"]["revision"], revision.as_str(), "the last artifact stays");
    assert_eq!(condition(&status, "ArtifactInStorage")["status"], "True");
    assert_eq!(condition(&status, "FetchFailed")["reason"], "AuthenticationFailed");
    is_enforced(&stage, "1").await;
    stage.git.authorize(&stage.repo, &stage.key.public).unwrap();
    let status = is_fetched(&stage, "repo", &head(&stage)).await;
    assert_eq!(condition(&status, "FetchFailed"), Value::Null);
    stage.ready("apps").await;
}

/// I24: an unrelated history is adopted, reported, and used for pruning.
#[tokio::test]
async fn a_forced_push_is_adopted_and_told() {
    let stage = applied("forced").await;
    let _agent = stage.agent().await;
    stage.ready("apps").await;
    let old = stage.repo.rev_parse("main").unwrap();
    stage.repo.force_orphan("main", "anew", &[("apps/a.yaml", Some(config_map("a", "2")))]).unwrap();
    stage.ready("apps").await;
    assert_eq!(stage.data("a").await.unwrap()["value"], "2");
    assert!(stage.data("b").await.is_none(), "what the new history does not hold goes");
    let told = format!("history rewritten: '{}' does not descend from", head(&stage));
    let event = stage.event("of the rewritten history", |message| message.starts_with(&told)).await;
    assert!(event.data["message"].as_str().unwrap().contains(&old));
    assert_eq!(event.data["type"], "Warning");
}

/// I25: a branch that is gone, a repository without commits, and a default branch of another name. Nothing is
/// deleted.
#[tokio::test]
async fn a_missing_branch_is_told_with_those_that_are_there() {
    let stage = applied("branch").await;
    let _agent = stage.agent().await;
    stage.ready("apps").await;
    stage.repo.set_branch("develop", "main").unwrap();
    stage.repo.delete_branch("main").unwrap();
    let message = stage.source_reason("repo", "GitOperationFailed").await;
    assert_eq!(message, "branch 'main' not found; remote has: develop");
    is_enforced(&stage, "1").await;
    stage.source("default", json!({"ref": null})).await.unwrap();
    let message = stage.source_reason("default", "GitOperationFailed").await;
    assert_eq!(message, "branch 'master' not found; remote has: develop");
    let source = json!({"kind": "GitRepository", "name": "default"});
    stage.kustomization("lost", json!({"sourceRef": source, "path": "./apps"})).await;
    let message = stage.reason("lost", "ArtifactFailed").await;
    assert!(message.contains("remote has: develop"), "{message}");
    let told = stage.event("what lost waits for", |message| message.contains("Source is not ready")).await;
    assert_eq!(told.data["type"], "Normal", "nothing is wrong with it");
    let empty = stage.git.create_repo("empty").unwrap();
    let key = harness::SshKey::generate(harness::KeyAlgorithm::EcdsaP521).unwrap();
    stage.git.authorize(&empty, &key.public).unwrap();
    stage.secret("empty", json!({"identity": key.openssh.as_str()})).await.unwrap();
    stage
        .source("empty", json!({"url": stage.git.url(&empty), "secretRef": {"name": "empty"}}))
        .await
        .unwrap();
    let message = stage.source_reason("empty", "EmptyGitRepository").await;
    assert!(message.starts_with("git repository is empty"), "{message}");
    stage.repo.set_branch("main", "develop").unwrap();
    is_fetched(&stage, "repo", &head(&stage)).await;
    let revision = head(&stage);
    let stored = format!("stored artifact for revision '{revision}'");
    let healed = stage.event("that the same revision is back", |message| message == stored).await;
    assert_eq!((&healed.data["reason"], &healed.data["type"]), (&json!("Succeeded"), &json!("Normal")));
    // A Kustomization that waits for a source repeats the source's current message, and not its first one.
    let follows = |status: &Value| {
        condition(status, "Ready")["message"]
            .as_str()
            .is_some_and(|message| message.ends_with("remote has: develop, main"))
    };
    stage.until("lost", "another message", follows).await;
}

/// F07: sources that wait for a silent host do not delay those of other hosts, however many they are.
#[tokio::test]
async fn many_sources_of_a_silent_host_leave_room_for_others() {
    let stage = applied("mute").await;
    let host = Proxy::start(stage.git.address()).unwrap();
    host.set(Mode::Silent).await;
    let url = stage.git.url_at(&stage.repo, host.address());
    for number in 0..20 {
        let url = url.replace(".git", &format!("-{number}.git"));
        stage.source(&format!("mute-{number}"), json!({"url": url, "timeout": "10m"})).await.unwrap();
    }
    let _agent = stage.agent().await;
    stage.ready("apps").await;
    stage.push(&[("apps/a.yaml", &config_map("a", "2"))]);
    stage.ready("apps").await;
}

/// F07: a host that is down or hangs is reported within `spec.timeout`. The applied objects stay, and other
/// hosts continue.
#[tokio::test]
async fn a_host_that_hangs_holds_up_no_other() {
    let stage = applied("hang").await;
    let _agent = stage.agent().await;
    let host = Proxy::start(stage.git.address()).unwrap();
    let url = stage.git.url_at(&stage.repo, host.address());
    let known_hosts: Vec<String> =
        stage.git.known_hosts_at(host.address()).unwrap().into_iter().map(|(_, line)| line).collect();
    stage.secret("far", json!({"known_hosts": known_hosts.join("\n")})).await.unwrap();
    let far = json!({"url": url, "secretRef": {"name": "far"}, "timeout": "2s"});
    stage.source("far", far).await.unwrap();
    stage.kustomization("far", json!({"path": "./far", "sourceRef": {"name": "far"}})).await;
    stage.push(&[("far/c.yaml", &config_map("c", "1"))]);
    stage.ready("far").await;
    stage.ready("apps").await;
    let mut value = 1;
    for (mode, told) in [
        (Mode::Silent, "timed out after 2s while "),
        (Mode::Refuse, "Connection refused"),
        (Mode::BlackholeAfter(4_000), "timed out after 2s while "),
        (Mode::Throttle(300), "timed out after 2s while "),
        (Mode::Reset, "cannot reach "),
    ] {
        host.set(mode).await;
        value += 1;
        let new = config_map("c", &value.to_string());
        stage.push(&[("far/c.yaml", &new), ("apps/a.yaml", &config_map("a", &value.to_string()))]);
        // The other host's revision is applied, whatever this one does.
        stage.ready("apps").await;
        let status = stage
            .until_source("far", told, |status| {
                condition(status, "FetchFailed")["message"].as_str().unwrap_or_default().contains(told)
            })
            .await;
        assert_eq!(condition(&status, "Ready")["reason"], "GitOperationFailed", "{mode:?}");
        assert_eq!(condition(&status, "ArtifactInStorage")["status"], "True", "{mode:?}");
        let kept = stage.data("c").await.unwrap()["value"].clone();
        assert_eq!(kept, (value - 1).to_string(), "{mode:?}: the last artifact stands");
        host.set(Mode::Pass).await;
        stage.ready("far").await;
        assert_eq!(stage.data("c").await.unwrap()["value"], value.to_string(), "{mode:?}");
    }
}

/// S13: an address that would run a program, or reach a forbidden host, is refused before any connection.
#[tokio::test]
async fn addresses_that_lead_elsewhere_are_refused() {
    let stage = stage("urls", &[("apps/a.yaml", &config_map("a", "1"))]).await;
    let agent = stage.agent().await;
    // A text that is no supported address at all does not pass the schema.
    for url in ["ext::sh -c id", "file:///etc", "git@github.com:o/r.git", "/srv/git"] {
        let source = json!({"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository",
                            "metadata": {"name": "refused"}, "spec": {"url": url, "interval": "1m"}});
        let source = serde_json::from_value(source).unwrap();
        let refused = stage.sources().create(&PostParams::default(), &source).await.unwrap_err();
        assert!(refused.to_string().contains("spec.url"), "{url}: {refused}");
    }
    let cases = [
        ("option", "ssh://-oProxyCommand=id/r", "begins with '-'"),
        ("path", "ssh://host/--upload-pack=id", "as an option"),
        ("metadata", "http://169.254.169.254/latest", "link-local"),
        ("number", "https://2852039166/x", "a number"),
        ("userinfo", "https://user:hunter2@host/r", "spec.secretRef"),
    ];
    for (name, url, told) in cases {
        stage.source(name, json!({"url": url})).await.unwrap();
        let message = stage.source_reason(name, "URLInvalid").await;
        assert!(message.contains(told) && !message.contains("hunter2"), "{url}: {message}");
        let status = stage.sources().get(name).await.unwrap().data["status"].clone();
        assert_eq!(condition(&status, "Stalled")["status"], "True", "{url}");
    }
    // A password is sent to no host over plain HTTP.
    stage.secret("basic", json!({"username": "git", "password": "hunter2"})).await.unwrap();
    let plain = json!({"url": "http://10.1.2.3/o/r.git", "secretRef": {"name": "basic"}});
    stage.source("plain", plain).await.unwrap();
    let status = stage
        .until_source("plain", "refused", |status| condition(status, "Ready")["status"] == "False")
        .await;
    let message = condition(&status, "Ready")["message"].to_string();
    assert!(message.contains("https://"), "{message}");
    assert!(!agent.output().contains("hunter2"));
}

/// The files that are left out by default, by `.sourceignore`, and by `spec.ignore`, which may include them
/// again. A change of `spec.ignore` alone is applied at once.
#[tokio::test]
async fn what_is_ignored_is_not_applied() {
    let names = ["kept", "example", "drone"];
    let files: Vec<(String, String)> =
        names.iter().map(|name| (format!("apps/{name}.yaml"), config_map(name, "1"))).collect();
    let mut files: Vec<(&str, &str)> =
        files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    let (drone, hidden) = (config_map("ci", "1"), config_map("hidden", "1"));
    // The first is left out by default, the second always.
    files.extend([("apps/.drone.yml", drone.as_str()), ("apps/.git-x/a.yaml", hidden.as_str())]);
    let stage = stage("ignore", &files).await;
    let _agent = stage.agent().await;
    stage.kustomization("apps", json!({})).await;
    stage.ready("apps").await;
    assert_eq!(there(&stage).await, ["drone", "example", "hidden", "kept"], "the defaults hold");
    // Any pattern of the repository's own drops the defaults.
    stage.push(&[(".sourceignore", "/apps/ex*.yaml\n.git-x/\n")]);
    stage.ready("apps").await;
    assert_eq!(there(&stage).await, ["ci", "drone", "kept"]);
    // The object wins, at the same revision.
    for (ignore, left) in [
        ("!/apps/example.yaml\n/apps/drone.yaml\n", vec!["ci", "example", "kept"]),
        ("/*\n!/apps/kept.yaml\n", vec!["kept"]),
        ("# nothing\n", vec!["ci", "drone", "kept"]),
    ] {
        stage.source("repo", json!({"ignore": ignore})).await.unwrap();
        stage
            .until_source("repo", "looked at with these rules", |status| status["observedIgnore"] == ignore)
            .await;
        eventually(PATIENCE, async || {
            let there = there(&stage).await;
            anyhow::ensure!(there == left, "{ignore:?}: {there:?}");
            Ok(())
        })
        .await
        .unwrap();
    }
}

/// The names of the ConfigMaps that the Kustomization owns.
async fn there(stage: &Stage<'_>) -> Vec<String> {
    let owned = kube::api::ListParams::default().labels("kustomize.toolkit.fluxcd.io/name=apps");
    let all = stage.config_maps().list(&owned).await.unwrap();
    let mut names: Vec<String> = all.items.into_iter().filter_map(|object| object.metadata.name).collect();
    names.sort();
    names
}

/// A path that is a symbolic link leads elsewhere, to files of the same names, although none of them has
/// changed.
#[tokio::test]
async fn a_path_that_is_a_link_is_followed_when_it_is_turned() {
    let (one, two) = (config_map("a", "1"), config_map("a", "2"));
    let stage = stage("turned-link", &[("v1/a.yaml", &one), ("v2/a.yaml", &two)]).await;
    let turn = |target: &str| {
        let link = Change::Symlink("apps/current".into(), target.into());
        stage.repo.commit_changes("main", target, &[link]).unwrap();
    };
    turn("../v1");
    stage.kustomization("apps", json!({"path": "apps/current"})).await;
    let _agent = stage.agent().await;
    stage.ready("apps").await;
    assert_eq!(stage.data("a").await.unwrap()["value"], "1");
    turn("../v2");
    stage.ready("apps").await;
    assert_eq!(stage.data("a").await.unwrap()["value"], "2");
}

/// A suspended source stays at its revision over a restart of the agent, wherever its tag leads by then.
#[tokio::test]
async fn a_paused_source_stays_at_its_tag_over_a_restart() {
    let stage = applied("paused-tag").await;
    let first = stage.repo.rev_parse("main").unwrap();
    stage.repo.tag("v1.0.0", "main").unwrap();
    let at_tag = |suspend: bool| json!({"ref": {"branch": null, "tag": "v1.0.0"}, "suspend": suspend});
    stage.source("repo", at_tag(false)).await.unwrap();
    let agent = stage.agent().await;
    let revision = format!("v1.0.0@sha1:{first}");
    let applied = |status: &Value| status["lastAppliedRevision"] == revision.as_str();
    stage.until("apps", "applied", applied).await;
    stage.source("repo", at_tag(true)).await.unwrap();
    drop(agent);
    stage.push(&[("apps/a.yaml", &config_map("a", "2"))]);
    stage.repo.tag("v1.0.0", "main").unwrap();
    let _agent = stage.agent().await;
    is_enforced(&stage, "1").await;
    let source = is_fetched(&stage, "repo", &revision).await;
    assert_eq!(condition(&source, "Stalled"), json!(null), "{source}");
}

/// All unsupported fields are refused by name, all at once, and none is ignored silently.
#[tokio::test]
async fn what_is_not_supported_is_told() {
    let stage = stage("unsupported", &[("apps/a.yaml", &config_map("a", "1"))]).await;
    let _agent = stage.agent().await;
    let sources = [
        ("verify", json!({"verify": {"mode": "HEAD", "secretRef": {"name": "keys"}}}), "spec.verify is"),
        (
            "submodules",
            json!({"recurseSubmodules": true, "sparseCheckout": ["a"]}),
            "spec.recurseSubmodules, spec.sparseCheckout are",
        ),
        ("include", json!({"include": [{"repository": {"name": "x"}}]}), "spec.include is"),
        ("proxy", json!({"proxySecretRef": {"name": "x"}}), "spec.proxySecretRef is"),
        ("provider", json!({"provider": "azure"}), "spec.provider is"),
    ];
    for (name, spec, told) in sources {
        stage.source(name, spec).await.unwrap();
        let message = stage.source_reason(name, "InvalidSpec").await;
        assert!(message.starts_with(&format!("{told} not supported yet")), "{name}: {message}");
    }
    let expression = json!({"apiVersion": "x.io/v1", "kind": "X", "current": "true"});
    let kustomizations = [
        ("cel", json!({"healthCheckExprs": [expression]}), "spec.healthCheckExprs is"),
        ("expr", json!({"dependsOn": [{"name": "x", "readyExpr": "true"}]}), "spec.dependsOn[].readyExpr is"),
        ("remote", json!({"kubeConfig": {"secretRef": {"name": "x"}}}), "spec.kubeConfig is"),
        ("sops", json!({"decryption": {"provider": "sops"}}), "spec.decryption is"),
    ];
    for (name, spec, told) in kustomizations {
        let mut all = json!({"path": "./apps"});
        json_patch::merge(&mut all, &spec);
        stage.kustomization(name, all).await;
        let message = stage.reason(name, "InvalidSpec").await;
        assert!(message.starts_with(&format!("{told} not supported yet")), "{name}: {message}");
        let status = stage.kustomizations().get(name).await.unwrap().data["status"].clone();
        assert_eq!(condition(&status, "Stalled")["status"], "True", "{name}");
    }
    assert!(stage.data("a").await.is_none());
}

/// A source with Flux's finalizer can be deleted, even while it is suspended.
#[tokio::test]
async fn a_source_that_flux_has_held_goes_when_it_is_deleted() {
    let stage = applied("finalizer").await;
    let _agent = stage.agent().await;
    stage.ready("apps").await;
    let held = json!({"metadata": {"finalizers": ["finalizers.fluxcd.io"]}, "spec": {"suspend": true}});
    stage.sources().patch("repo", &PatchParams::default(), &Patch::Merge(held)).await.unwrap();
    stage.sources().delete("repo", &DeleteParams::default()).await.unwrap();
    eventually(PATIENCE, async || {
        anyhow::ensure!(stage.sources().get_opt("repo").await?.is_none(), "the source is still there");
        Ok(())
    })
    .await
    .unwrap();
    let message = stage.reason("apps", "ArtifactFailed").await;
    assert!(message.contains("not found"), "{message}");
    assert!(stage.data("a").await.is_some(), "what was applied stays");
}

/// A fetch for a source that is deleted, or that has another address by now, is dropped.
#[tokio::test]
async fn a_fetch_ends_with_its_source_and_with_another_spec() {
    let stage = stage("cut-off", &[]).await;
    let host = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = json!({"url": format!("ssh://git@{}/r", host.local_addr().unwrap()), "timeout": "1440m"});
    let _agent = stage.agent().await;
    let ends = async |mut stream: tokio::net::TcpStream| {
        let mut said = Vec::new();
        let end = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut said);
        assert!(tokio::time::timeout(PATIENCE, end).await.is_ok(), "it is still being fetched");
    };
    stage.source("hung", silent.clone()).await.unwrap();
    let (first, _) = host.accept().await.unwrap();
    stage.source("hung", json!({})).await.unwrap();
    ends(first).await;
    stage.until_source("hung", "fetched", |status| condition(status, "Ready")["status"] == "True").await;
    stage.source("hung", silent).await.unwrap();
    let (second, _) = host.accept().await.unwrap();
    stage.sources().delete("hung", &DeleteParams::default()).await.unwrap();
    ends(second).await;
}
