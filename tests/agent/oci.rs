//! OCIRepositories of a real registry, from their status to the objects of a Kustomization.

use std::path::Path;

use harness::{CosignKey, Registry, RegistryOptions};
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};

use super::stage::{Stage, api, condition, config_map, stage};

const GROUP: &str = "source.toolkit.fluxcd.io/v1";

/// A folder of these files.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, content) in files {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    folder
}

fn push(registry: &Registry, folder: &Path, revision: &str) -> String {
    registry.push("org/app", "latest", folder, revision).unwrap()
}

async fn source(stage: &Stage<'_>, name: &str, registry: &Registry, spec: Value) {
    let mut all = json!({"url": registry.url("org/app"), "interval": "1s", "insecure": true});
    json_patch::merge(&mut all, &spec);
    stage.source_of("OCIRepository", name, all).await.unwrap();
}

fn sources(stage: &Stage<'_>) -> Api<DynamicObject> {
    api(&stage.client, &stage.namespace, GROUP, "OCIRepository", "ocirepositories")
}

async fn until(stage: &Stage<'_>, name: &str, what: &str, test: impl Fn(&Value) -> bool) -> Value {
    super::stage::until(&sources(stage), name, what, test).await
}

async fn reason(stage: &Stage<'_>, name: &str, reason: &str) -> String {
    let is_said = |status: &Value| condition(status, "Ready")["reason"] == reason;
    let status = until(stage, name, reason, is_said).await;
    condition(&status, "Ready")["message"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_kustomization_is_built_from_an_artifact_and_follows_it() {
    let registry = Registry::start(RegistryOptions::default()).await.unwrap();
    let first = folder(&[
        ("app/a.yaml", &config_map("a", "1")),
        (".sourceignore", "left/\n"),
        ("left/x.yaml", "x: ["),
    ]);
    let digest = push(&registry, first.path(), "main@sha1:0123456789");
    let stage = stage("oci", &[]).await;
    source(&stage, "app", &registry, json!({})).await;
    stage.kustomization("app", json!({"sourceRef": {"kind": "OCIRepository", "name": "app"}})).await;
    let _agent = stage.agent().await;
    let revision = format!("latest@{digest}");
    let status =
        stage.until("app", "applied", |status| status["lastAppliedRevision"] == revision.as_str()).await;
    assert_eq!(status["lastAppliedOriginRevision"], "main@sha1:0123456789");
    assert_eq!(status["history"][0]["metadata"]["originRevision"], "main@sha1:0123456789");
    assert_eq!(stage.data("a").await.unwrap()["value"], "1");

    let status = until(&stage, "app", "ready", |status| condition(status, "Ready")["status"] == "True").await;
    let message = format!("stored artifact for digest '{revision}'");
    assert_eq!(condition(&status, "Ready")["message"], message.as_str());
    assert_eq!(condition(&status, "ArtifactInStorage")["reason"], "Succeeded");
    let artifact = &status["artifact"];
    assert_eq!(artifact["revision"], revision.as_str());
    assert_eq!(artifact["metadata"]["org.opencontainers.image.source"], "https://example.com/platform");
    let url = registry.url("org/app");
    let news = format!(
        "stored artifact with revision '{revision}' from '{url}', origin source 'https://example.com/platform', origin \
         revision 'main@sha1:0123456789'"
    );
    stage.event("of a new artifact", |message| message == news).await;
    let applied = stage.event("of what was applied", |message| message.contains("ConfigMap")).await;
    let annotations = applied.metadata.annotations.unwrap_or_default();
    assert_eq!(annotations["kustomize.toolkit.fluxcd.io/originRevision"], "main@sha1:0123456789");

    let second = folder(&[("app/a.yaml", &config_map("a", "2")), ("app/b.yaml", &config_map("b", "1"))]);
    let moved = push(&registry, second.path(), "main@sha1:9876543210");
    let revision = format!("latest@{moved}");
    stage.until("app", "applied", |status| status["lastAppliedRevision"] == revision.as_str()).await;
    assert_eq!(stage.data("a").await.unwrap()["value"], "2");
    assert!(stage.data("b").await.is_some());

    // Paused, it stays; asked for, it answers, as `flux reconcile source oci` waits for.
    let edit = |patch: Value| {
        let sources = sources(&stage);
        async move { sources.patch("app", &PatchParams::default(), &Patch::Merge(patch)).await.unwrap() }
    };
    edit(json!({"spec": {"suspend": true, "interval": "1h"}})).await;
    let third = push(&registry, first.path(), "main@sha1:3333333333");
    edit(json!({"spec": {"suspend": false}})).await;
    edit(json!({"metadata": {"annotations": {"reconcile.fluxcd.io/requestedAt": "now"}}})).await;
    let answered = |status: &Value| {
        status["lastHandledReconcileAt"] == "now"
            && status["artifact"]["revision"] == format!("latest@{third}").as_str()
    };
    until(&stage, "app", "answered", answered).await;
}

/// A suspended source keeps its artifact even for an agent that has not fetched it yet, and so does a
/// comparison.
#[tokio::test]
async fn a_paused_artifact_stays_over_a_restart() {
    let registry = Registry::start(RegistryOptions::default()).await.unwrap();
    let first = folder(&[("app/a.yaml", &config_map("a", "1"))]);
    let digest = push(&registry, first.path(), "main@sha1:1");
    let stage = stage("oci-paused", &[]).await;
    source(&stage, "app", &registry, json!({})).await;
    let built = json!({"sourceRef": {"kind": "OCIRepository", "name": "app"}});
    stage.kustomization("app", built.clone()).await;
    let agent = stage.agent().await;
    let revision = format!("latest@{digest}");
    let is_applied = |status: &Value| {
        condition(status, "Ready")["status"] == "True" && status["lastAppliedRevision"] == revision.as_str()
    };
    stage.until("app", "applied", is_applied).await;
    let pause = json!({"spec": {"suspend": true}});
    sources(&stage).patch("app", &PatchParams::default(), &Patch::Merge(pause)).await.unwrap();
    drop(agent);
    let second = folder(&[("app/a.yaml", &config_map("a", "2"))]);
    push(&registry, second.path(), "main@sha1:2");
    let arguments = ["--kustomization", "app", "-n", &stage.namespace];
    let output = super::diff::diff(&stage.plane.admin_kubeconfig(), &arguments);
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "app: no change\n");
    let _agent = stage.agent().await;
    stage
        .kustomization(
            "later",
            json!({"path": "./app", "namePrefix": "later-", "sourceRef": built["sourceRef"]}),
        )
        .await;
    stage.until("later", "applied", is_applied).await;
    assert_eq!(stage.data("later-a").await.unwrap()["value"], "1");
    assert_eq!(stage.data("a").await.unwrap()["value"], "1");
}

#[tokio::test]
async fn credentials_come_from_a_secret_or_from_the_pull_secrets_of_an_account() {
    let registry = Registry::start(RegistryOptions { login: true, tls: true }).await.unwrap();
    let files = folder(&[("a.yaml", &config_map("a", "1"))]);
    push(&registry, files.path(), "main@sha1:1");
    let stage = stage("pull", &[]).await;
    let secret = |name: &str, data: Value| {
        json!({"apiVersion": "v1", "kind": "Secret", "stringData": data,
                                               "metadata": {"name": name, "namespace": stage.namespace}})
    };
    stage.apply(secret("ca", json!({"ca.crt": registry.authority()}))).await.unwrap();
    let config = secret("pull", json!({".dockerconfigjson": registry.docker_config()}));
    let mut config = config;
    config["type"] = "kubernetes.io/dockerconfigjson".into();
    stage.apply(config).await.unwrap();
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "imagePullSecrets": [{"name": "pull"}],
                         "metadata": {"name": "puller", "namespace": stage.namespace}});
    stage.apply(account).await.unwrap();
    let tls = json!({"insecure": false, "certSecretRef": {"name": "ca"}});
    let with = |more: Value| {
        let mut all = tls.clone();
        json_patch::merge(&mut all, &more);
        all
    };
    source(&stage, "named", &registry, with(json!({"secretRef": {"name": "pull"}}))).await;
    source(&stage, "account", &registry, with(json!({"serviceAccountName": "puller"}))).await;
    source(&stage, "nobody", &registry, with(json!({}))).await;
    source(&stage, "lost", &registry, with(json!({"serviceAccountName": "gone"}))).await;
    let _agent = stage.agent().await;
    for name in ["named", "account"] {
        until(&stage, name, "ready", |status| condition(status, "Ready")["status"] == "True").await;
    }
    let told = reason(&stage, "nobody", "AuthenticationFailed").await;
    assert!(told.contains("asks for credentials (HTTP 401): name a Secret in spec.secretRef"), "{told}");
    let told = reason(&stage, "lost", "AuthenticationFailed").await;
    assert!(told.contains("not found: create it, or correct spec.serviceAccountName"), "{told}");
}

#[tokio::test]
async fn what_is_not_served_or_can_never_work_stalls_by_its_name() {
    let registry = Registry::start(RegistryOptions::default()).await.unwrap();
    let stage = stage("oci-stalls", &[]).await;
    source(&stage, "keyless", &registry, json!({"verify": {"provider": "cosign"}})).await;
    let notation = json!({"verify": {"provider": "notation", "secretRef": {"name": "keys"}}});
    source(&stage, "notation", &registry, notation).await;
    source(&stage, "provider", &registry, json!({"provider": "aws"})).await;
    source(&stage, "far", &registry, json!({"url": "oci://registry.example/app"})).await;
    source(&stage, "tagged", &registry, json!({"url": "oci://ghcr.io/app:v1"})).await;
    source(&stage, "missing", &registry, json!({})).await;
    source(&stage, "range", &registry, json!({"ref": {"semver": "*"}})).await;
    let _agent = stage.agent().await;
    for (name, text) in [
        ("keyless", "spec.verify without secretRef is not supported yet; remove it"),
        ("notation", "spec.verify.provider is not supported yet; remove it"),
        ("provider", "spec.provider is not supported yet; remove it"),
        ("far", "--allow-insecure-registries"),
        ("tagged", "it names a version ('v1'), which belongs into spec.ref"),
    ] {
        let is_stalled = |status: &Value| condition(status, "Stalled")["status"] == "True";
        let status = until(&stage, name, "stalled", is_stalled).await;
        let message = condition(&status, "Ready")["message"].to_string();
        assert!(message.contains(text), "{name}: {message}");
    }
    let told = reason(&stage, "missing", "OCIArtifactPullFailed").await;
    assert!(told.contains("tag 'latest' not found in 127.0.0.1:"), "{told}");
    reason(&stage, "range", "ReadOperationFailed").await;
}

/// An artifact without a signature of the object's key is refused, and the earlier one stays.
#[tokio::test]
async fn an_artifact_that_must_be_signed_is_taken_only_where_it_is() {
    let registry = Registry::start(RegistryOptions::default()).await.unwrap();
    let (key, other) = (CosignKey::make().unwrap(), CosignKey::make().unwrap());
    let files = |value: &str| folder(&[("app/a.yaml", &config_map("a", value))]);
    let first = push(&registry, files("1").path(), "main@sha1:1");
    registry.sign("org/app", &first, &key, false).unwrap();
    let stage = stage("signed", &[]).await;
    let keys = |key: &CosignKey| {
        json!({"apiVersion": "v1", "kind": "Secret", "stringData": {"cosign.pub": key.public()},
               "metadata": {"name": "keys", "namespace": stage.namespace}})
    };
    stage.apply(keys(&key)).await.unwrap();
    let verify = json!({"verify": {"provider": "cosign", "secretRef": {"name": "keys"}}});
    source(&stage, "app", &registry, verify).await;
    let _agent = stage.agent().await;
    let at = async |digest: &str| {
        let revision = format!("latest@{digest}");
        let is_there = |status: &Value| {
            status["artifact"]["revision"] == revision.as_str()
                && condition(status, "Ready")["status"] == "True"
        };
        until(&stage, "app", "there", is_there).await
    };
    let verified = condition(&at(&first).await, "SourceVerified");
    let message = format!("verified signature of revision latest@{first}");
    assert_eq!((&verified["status"], &verified["message"]), (&json!("True"), &json!(message)));

    let second = push(&registry, files("2").path(), "main@sha1:2");
    registry.sign("org/app", &second, &other, false).unwrap();
    let told = reason(&stage, "app", "VerificationError").await;
    let start =
        "failed to verify the signature using provider 'cosign': no matching signatures were found for ";
    assert!(told.starts_with(start) && told.contains(&second), "{told}");
    let status = sources(&stage).get("app").await.unwrap().data["status"].clone();
    assert_eq!(condition(&status, "SourceVerified")["status"], "False");
    assert_eq!(status["artifact"]["revision"], format!("latest@{first}").as_str(), "what is held stays");
    // A new key in the Secret is used at once.
    stage.apply(keys(&other)).await.unwrap();
    at(&second).await;
}

/// A layer is unpacked as it streams in: however large it is, it is never in memory.
#[tokio::test]
async fn a_large_artifact_takes_little_memory() {
    let registry = Registry::start(RegistryOptions::default()).await.unwrap();
    let large = folder(&[("app/a.yaml", &config_map("a", "1"))]);
    // Of no pattern, so that it does not become small on the way.
    let mut state = 1_u64;
    for number in 0..10 {
        let bytes: Vec<u8> = (0..10 << 17)
            .flat_map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state ^ (state >> 29)).to_le_bytes()
            })
            .collect();
        std::fs::write(large.path().join(format!("{number}.bin")), bytes).unwrap();
    }
    push(&registry, large.path(), "main@sha1:1");
    let stage = stage("large", &[]).await;
    let agent = stage.agent().await;
    stage.source("small", json!({})).await.unwrap();
    stage.until_source("small", "ready", |status| condition(status, "Ready")["status"] == "True").await;
    let before = agent.peak_rss_kib().unwrap();
    source(&stage, "app", &registry, json!({"interval": "1h"})).await;
    until(&stage, "app", "ready", |status| condition(status, "Ready")["status"] == "True").await;
    let more = agent.peak_rss_kib().unwrap() - before;
    assert!(more < 20 << 10, "{more} KiB for 100 MiB");
    println!("{more} KiB for 100 MiB");
}
