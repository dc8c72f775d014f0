//! Secrets stay hidden, whatever fails.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use harness::{Answer, HttpsAuth, HttpsGitServer, Webhook, eventually};
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::{Value, json};

use super::outage::body;
use super::stage::{LISTEN, PATIENCE, Running, Stage, api, condition, config_map, stage};

/// The value of variables and credentials.
const CANARY: &str = "canary-7f3a-do-not-print";
/// The value of Secrets in a build, which nothing but the build knows.
const BUILT: &str = "kanarienvogel-99-hush";
/// A value of digits alone, as the API server quotes numbers in another form.
const NUMBER: u64 = 31_337_424_242;

/// All that people can read of a test's namespace: events, and the objects of our kinds.
async fn readable(stage: &Stage<'_>) -> String {
    let mut text = String::new();
    let kinds = [
        ("v1", "Event", "events"),
        ("kustomize.toolkit.fluxcd.io/v1", "Kustomization", "kustomizations"),
        ("source.toolkit.fluxcd.io/v1", "GitRepository", "gitrepositories"),
    ];
    for (version, kind, plural) in kinds {
        let objects = api(&stage.client, &stage.namespace, version, kind, plural);
        for object in objects.list(&ListParams::default()).await.unwrap() {
            text.push_str(&serde_json::to_string(&object).unwrap());
        }
    }
    text
}

/// A Secret of a build, with this field instead of sound data.
fn secret(field: &str, value: &Value) -> String {
    let mut secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}});
    secret[field] = value.clone();
    secret.to_string()
}

/// Builds that the API server refuses, and quotes from as it does; the Kustomization substitutes
/// `${PASSWORD}` and others.
fn refused_builds() -> Vec<(&'static str, String)> {
    let object = |api_version: &str, kind: &str, spec: Value| {
        let mut value = json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": "x"}});
        json_patch::merge(&mut value, &spec);
        value.to_string()
    };
    let labels = json!({"app": "x"});
    let pod = json!({"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "example.org/c"}]}});
    let deployment = |name: &str, value: &str| {
        let mut pod = pod.clone();
        pod["spec"]["containers"][0][name] = value.into();
        json!({"spec": {"selector": {"matchLabels": labels}, "template": pod}})
    };
    vec![
        ("a number", secret("stringData", &json!({"password": NUMBER}))),
        ("a nested value", secret("stringData", &json!({"password": {"inner": BUILT}}))),
        ("data that is a text", secret("data", &json!(BUILT))),
        ("a list", secret("data", &json!({"password": [BUILT, NUMBER]}))),
        ("no base64", secret("data", &json!({"password": format!("{BUILT}!")}))),
        (
            "a wrong type",
            object("v1", "Secret", json!({"type": "kubernetes.io/tls", "stringData": {"tls.crt": BUILT}})),
        ),
        ("a port", object("v1", "Service", json!({"spec": {"ports": [{"port": "${PASSWORD}"}]}}))),
        ("a name", object("v1", "ConfigMap", json!({"metadata": {"name": "${PASSWORD}_"}}))),
        ("a label", object("v1", "ConfigMap", json!({"metadata": {"labels": {"a": "${PASSWORD}/"}}}))),
        ("an enumeration", object("apps/v1", "Deployment", deployment("imagePullPolicy", "${PASSWORD}"))),
        ("an unknown field", object("v1", "ConfigMap", json!({"${PASSWORD}": "x"}))),
        ("a kind", object("v1", "${PASSWORD}", json!({}))),
        (
            "no YAML",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndata: {a: ${BROKEN}}\n".to_owned(),
        ),
        ("an expression", object("v1", "ConfigMap", json!({"data": {"a": "${PASSWORD/a}"}}))),
    ]
}

/// S01, S10: a Secret's value appears in no log, event, status, metric or file, whatever fails and whoever
/// quotes it.
#[tokio::test]
async fn no_secret_is_seen_in_any_failure() {
    let stage = stage("canary", &[("apps/a.yaml", &config_map("a", "1"))]).await;
    let variables = json!({"PASSWORD": CANARY, "BROKEN": format!("[{CANARY}")});
    stage
        .apply(json!({"apiVersion": "v1", "kind": "Secret", "stringData": variables,
                      "metadata": {"name": "vars", "namespace": stage.namespace}}))
        .await
        .unwrap();
    let agent = stage.agent_with(LISTEN).await;
    let from = json!({"substituteFrom": [{"kind": "Secret", "name": "vars"}]});
    stage.kustomization("apps", json!({"postBuild": from})).await;
    stage.ready("apps").await;
    for (name, content) in refused_builds() {
        is_refused(&stage, name, &content).await;
    }
    // A value that is there and is changed, by us and by another.
    stage.push(&[("apps/a.yaml", &secret("stringData", &json!({"password": BUILT})))]);
    stage.ready("apps").await;
    let secrets = api(&stage.client, &stage.namespace, "v1", "Secret", "secrets");
    let edit = json!({"stringData": {"password": format!("{BUILT}-edited")}});
    secrets.patch("s", &PatchParams::default(), &Patch::Merge(edit)).await.unwrap();
    stage
        .event("of the drift", |message| message.contains("Secret/") && message.contains("data.password"))
        .await;
    quoted_by_a_webhook(&stage).await;
    wrong_credentials(&stage).await;
    // Events are written after the status.
    stage.event("of a refused password", |message| message.contains("HTTP 401")).await;
    nothing_is_seen(&stage, &agent).await;
}

/// The build is refused because of its mistake, without its values.
async fn is_refused(stage: &Stage<'_>, name: &str, content: &str) {
    let revision = stage.push(&[("apps/a.yaml", content)]);
    let status = stage
        .until("apps", name, |status| {
            condition(status, "Ready")["status"] == "False"
                && status["lastAttemptedRevision"] == revision.as_str()
        })
        .await;
    let message = condition(&status, "Ready")["message"].as_str().unwrap().to_owned();
    println!("{name}: {message}");
    assert!(
        ![CANARY, BUILT, &NUMBER.to_string()].iter().any(|value| message.contains(value)),
        "{name}: {message}"
    );
}

/// A webhook that denies a Secret and quotes its content.
async fn quoted_by_a_webhook(stage: &Stage<'_>) {
    let webhook = Webhook::start().unwrap();
    webhook.answer(|request| {
        let data = &request["object"]["data"];
        Answer::Deny(format!("this is no password: {BUILT} ({data})"))
    });
    stage.guarded(&webhook, &["secrets"]).await;
    eventually(PATIENCE, async || {
        let revision =
            stage.push(&[("apps/a.yaml", &secret("stringData", &json!({"password": BUILT, "n": "1"})))]);
        let status = stage
            .until("apps", "looked at", |status| status["lastAttemptedRevision"] == revision.as_str())
            .await;
        let message = condition(&status, "Ready")["message"].to_string();
        anyhow::ensure!(message.contains("this is no password: ***"), "{message}");
        Ok(())
    })
    .await
    .unwrap();
    stage.unguarded(&webhook).await;
}

/// Sources whose credentials are no good.
async fn wrong_credentials(stage: &Stage<'_>) {
    let auth = HttpsAuth::Basic { username: "git".into(), password: "right".into() };
    let host = HttpsGitServer::start(&stage.git, auth).unwrap();
    let cases = [
        ("garbage", json!({"identity": format!("-----BEGIN {CANARY}-----\n{CANARY}")}), json!({})),
        (
            "passphrase",
            json!({"identity": stage.key.encrypted(CANARY).unwrap(), "password": format!("{CANARY}x")}),
            json!({}),
        ),
        (
            "basic",
            json!({"username": "git", "password": CANARY, "ca.crt": host.ca_pem()}),
            json!({"url": host.url(&stage.repo)}),
        ),
        (
            "bearer",
            json!({"bearerToken": CANARY, "ca.crt": host.ca_pem()}),
            json!({"url": host.url(&stage.repo)}),
        ),
        ("hosts", json!({"known_hosts": format!("{CANARY} {CANARY} {CANARY}")}), json!({})),
    ];
    for (name, data, spec) in cases {
        stage.secret(name, data).await.unwrap();
        let mut all = json!({"secretRef": {"name": name}});
        json_patch::merge(&mut all, &spec);
        stage.source(name, all).await.unwrap();
        let message = stage.source_reason(name, "AuthenticationFailed").await;
        println!("{name}: {message}");
    }
    // The address is in the object, where its owner wrote it, and nowhere else.
    stage.source("userinfo", json!({"url": format!("https://user:{CANARY}@host/r")})).await.unwrap();
    let message = stage.source_reason("userinfo", "URLInvalid").await;
    assert!(!message.contains(CANARY), "{message}");
    stage.sources().delete("userinfo", &kube::api::DeleteParams::default()).await.unwrap();
}

/// No value of a Secret is in any text that people can read, or on the disk, and the agent's files are
/// readable for nobody else.
async fn nothing_is_seen(stage: &Stage<'_>, agent: &Running) {
    let key = stage.key.openssh.lines().nth(1).unwrap().to_owned();
    let (encoded, built) = (STANDARD.encode(CANARY), STANDARD.encode(BUILT));
    let number = NUMBER.to_string();
    let mut places = vec![
        ("the cluster".to_owned(), readable(stage).await),
        ("the log".to_owned(), agent.output()),
        ("the metrics".to_owned(), body(agent, "/metrics").await),
    ];
    let files = files_below(&agent.home().join("state"));
    assert!(files.len() > 3, "{files:?}");
    for path in files {
        let mode = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode & 0o077, 0, "{} is {mode:o}", path.display());
        if path.is_file() {
            places.push((
                path.display().to_string(),
                String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into(),
            ));
        }
    }
    for (place, text) in places {
        for value in [CANARY, BUILT, &key, &encoded, &built, &number] {
            assert!(!text.contains(value), "{place} holds {value}");
        }
    }
}

/// All files and folders below one, with itself.
fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = vec![folder.to_owned()];
    let mut next = 0;
    while let Some(path) = found.get(next).cloned() {
        next += 1;
        if path.is_dir() {
            found.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    found
}

/// Keys and tokens are in memory alone, which nobody writes out.
#[tokio::test]
async fn no_core_file_is_written_of_the_agent() {
    let stage = stage("core", &[("apps/a.yaml", &config_map("a", "1"))]).await;
    let agent = stage.agent().await;
    stage.kustomization("apps", json!({})).await;
    stage.ready("apps").await;
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", agent.pid())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().skip(4).collect::<Vec<_>>(), ["0", "0", "bytes"], "{core}");
    assert!(!agent.output().contains("cannot disable core dumps"));
}
