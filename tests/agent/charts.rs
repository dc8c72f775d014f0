//! Repositories of charts, from their specs to their statuses, events and what `kubectl get` prints.

use harness::{Asked, CHARTS_USER, ChartServer, ChartServerOptions, Served};
use kube::api::{Api, DynamicObject, ListParams, Patch, PatchParams};
use serde_json::{Value, json};

use super::stage::{Stage, api, condition, stage};

const GROUP: &str = "source.toolkit.fluxcd.io/v1";

fn repositories(stage: &Stage<'_>) -> Api<DynamicObject> {
    api(&stage.client, &stage.namespace, GROUP, "HelmRepository", "helmrepositories")
}

async fn repository(stage: &Stage<'_>, name: &str, version: &str, spec: Value) {
    let metadata = json!({"name": name, "namespace": stage.namespace});
    let api_version = format!("source.toolkit.fluxcd.io/{version}");
    let object =
        json!({"apiVersion": api_version, "kind": "HelmRepository", "metadata": metadata, "spec": spec});
    stage.apply(object).await.unwrap();
}

async fn until(stage: &Stage<'_>, name: &str, what: &str, test: impl Fn(&Value) -> bool) -> Value {
    super::stage::until(&repositories(stage), name, what, test).await
}

async fn message(stage: &Stage<'_>, name: &str, reason: &str) -> String {
    let is_said = |status: &Value| condition(status, "Ready")["reason"] == reason;
    let status = until(stage, name, reason, is_said).await;
    condition(&status, "Ready")["message"].as_str().unwrap_or_default().to_owned()
}

async fn edit(stage: &Stage<'_>, name: &str, patch: Value) {
    let patch = Patch::Merge(patch);
    repositories(stage).patch(name, &PatchParams::default(), &patch).await.unwrap();
}

#[tokio::test]
async fn an_index_is_followed_and_its_failures_are_told() {
    let charts = ChartServer::start(ChartServerOptions::default()).unwrap();
    charts.publish("demo", "1.0.0", &[]).unwrap();
    let stage = stage("charts", &[]).await;
    repository(&stage, "charts", "v1", json!({"url": charts.url(), "interval": "1s"})).await;
    for version in ["v1beta2", "v1beta1"] {
        repository(&stage, version, version, json!({"url": charts.url(), "interval": "1h"})).await;
    }
    let _agent = stage.agent().await;
    let is_ready = |status: &Value| condition(status, "Ready")["status"] == "True";
    let status = until(&stage, "charts", "ready", is_ready).await;
    let artifact = &status["artifact"];
    let revision = artifact["revision"].as_str().unwrap();
    assert!(revision.starts_with("sha256:") && artifact["digest"] == revision, "{artifact}");
    let stored = format!("stored artifact: revision '{revision}'");
    for kind in ["Ready", "ArtifactInStorage"] {
        let said = condition(&status, kind);
        assert_eq!((&said["reason"], &said["message"]), (&json!("Succeeded"), &json!(stored)), "{kind}");
    }
    let size = artifact["size"].as_u64().unwrap();
    let news = format!("stored fetched index of size {size}B from '{}'", charts.url());
    stage.event("of the index", |message| message == news).await;
    for version in ["v1beta2", "v1beta1"] {
        until(&stage, version, "ready", is_ready).await;
    }

    // While it is the same it is not sent again.
    charts.asked();
    let unchanged = |asked: &Asked| asked.path == "/index.yaml" && asked.status == 304;
    harness::eventually(super::stage::PATIENCE, async || {
        anyhow::ensure!(charts.asked().iter().any(unchanged), "it was not asked for again");
        Ok(())
    })
    .await
    .unwrap();
    charts.publish("demo", "1.1.0", &[]).unwrap();
    let first = revision.to_owned();
    let status =
        until(&stage, "charts", "moved", |status| status["artifact"]["revision"] != first.as_str()).await;
    let second = status["artifact"]["revision"].as_str().unwrap().to_owned();

    charts.put("/index.yaml", Served::body("a: b\n"));
    let url = charts.url();
    let told = message(&stage, "charts", "IndexationFailed").await;
    assert_eq!(
        told,
        format!(
            "failed to load Helm repository from index YAML at {url}/index.yaml: no API version specified"
        )
    );
    charts.put("/index.yaml", Served::status(404));
    let told = message(&stage, "charts", "Failed").await;
    assert_eq!(told, format!("failed to fetch Helm repository index: {url}/index.yaml not found (HTTP 404)"));
    let status =
        until(&stage, "charts", "kept", |status| condition(status, "FetchFailed")["status"] == "True").await;
    assert_eq!(status["artifact"]["revision"], second.as_str(), "what is held stays");

    // Paused, it stays; asked for, it answers, as `flux reconcile source helm` waits for.
    edit(&stage, "charts", json!({"spec": {"suspend": true, "interval": "1h"}})).await;
    charts.write_index();
    edit(&stage, "charts", json!({"spec": {"suspend": false}})).await;
    edit(&stage, "charts", json!({"metadata": {"annotations": {"reconcile.fluxcd.io/requestedAt": "now"}}}))
        .await;
    let answered = |status: &Value| status["lastHandledReconcileAt"] == "now" && is_ready(status);
    until(&stage, "charts", "answered", answered).await;
}

#[tokio::test]
async fn a_repository_in_a_registry_has_no_index_and_says_nothing() {
    let charts = ChartServer::start(ChartServerOptions::default()).unwrap();
    let stage = stage("charts-oci", &[]).await;
    let url = charts.url().replace("http://", "oci://");
    repository(&stage, "registry", "v1", json!({"type": "oci", "url": url, "insecure": true})).await;
    repository(&stage, "web", "v1", json!({"url": charts.url(), "interval": "1h"})).await;
    let behind = json!({"dependsOn": [{"kind": "HelmRepository", "name": "registry"}], "path": "./"});
    stage.kustomization("behind", behind).await;
    let _agent = stage.agent().await;
    until(&stage, "web", "ready", |status| condition(status, "Ready")["status"] == "True").await;
    stage.until("behind", "ready", |status| condition(status, "Ready")["status"] == "True").await;
    let registry = repositories(&stage).get("registry").await.unwrap();
    assert_eq!(registry.data["status"], json!({"observedGeneration": -1}));
}

#[tokio::test]
async fn secrets_of_repositories_are_read_and_shown_to_nobody() {
    let charts = ChartServer::start(ChartServerOptions { login: true, tls: true }).unwrap();
    let stage = stage("charts-login", &[]).await;
    let secret = |name: &str, data: Value| {
        json!({"apiVersion": "v1", "kind": "Secret", "stringData": data,
               "metadata": {"name": name, "namespace": stage.namespace}})
    };
    let (username, password) = CHARTS_USER;
    stage.apply(secret("ca", json!({"ca.crt": charts.ca_pem()}))).await.unwrap();
    stage.apply(secret("login", json!({"username": username, "password": password}))).await.unwrap();
    let spec = |more: Value| {
        let mut spec = json!({"url": charts.url(), "interval": "1s", "certSecretRef": {"name": "ca"}});
        json_patch::merge(&mut spec, &more);
        spec
    };
    repository(&stage, "whole", "v1", spec(json!({"secretRef": {"name": "login"}}))).await;
    repository(&stage, "nobody", "v1", spec(json!({}))).await;
    repository(&stage, "lost", "v1", spec(json!({"secretRef": {"name": "gone"}}))).await;
    let plain =
        json!({"url": "http://charts.example.com", "certSecretRef": null, "secretRef": {"name": "login"}});
    repository(&stage, "plain", "v1", spec(plain)).await;
    repository(&stage, "cloud", "v1", spec(json!({"provider": "aws"}))).await;
    let _agent = stage.agent().await;
    until(&stage, "whole", "ready", |status| condition(status, "Ready")["status"] == "True").await;
    let told = message(&stage, "nobody", "AuthenticationFailed").await;
    assert!(told.starts_with("failed to fetch Helm repository index: 127.0.0.1:"), "{told}");
    let told = message(&stage, "lost", "AuthenticationFailed").await;
    assert!(told.ends_with("/gone not found: create it, or correct spec.secretRef"), "{told}");
    let told = message(&stage, "plain", "URLInvalid").await;
    assert_eq!(
        told,
        "invalid url 'http://charts.example.com/': the credentials of spec.secretRef are not sent over plain http; write \
         https://"
    );
    let told = message(&stage, "cloud", "InvalidSpec").await;
    assert_eq!(told, "spec.provider is not supported yet; remove it");
}

/// A suspended repository keeps its index even for an agent that has not read it yet: its charts come from
/// the present index, and no others are offered.
#[tokio::test]
async fn a_paused_index_stays_over_a_restart() {
    let charts = ChartServer::start(ChartServerOptions::default()).unwrap();
    charts.publish("demo", "1.0.0", &[]).unwrap();
    let stage = stage("charts-paused", &[]).await;
    repository(&stage, "charts", "v1", json!({"url": charts.url(), "interval": "1h"})).await;
    let chart = async |name: &str| {
        let from = json!({"kind": "HelmRepository", "name": "charts"});
        let spec = json!({"chart": "demo", "interval": "1h", "sourceRef": from});
        let metadata = json!({"name": name, "namespace": stage.namespace});
        let object = json!({"apiVersion": GROUP, "kind": "HelmChart", "metadata": metadata, "spec": spec});
        stage.apply(object).await.unwrap();
    };
    chart("demo").await;
    let all = api(&stage.client, &stage.namespace, GROUP, "HelmChart", "helmcharts");
    let at = async |version: &str| {
        let is_there = |status: &Value| {
            status["artifact"]["revision"] == version && condition(status, "Ready")["status"] == "True"
        };
        super::stage::until(&all, "demo", version, is_there).await
    };
    let agent = stage.agent().await;
    at("1.0.0").await;
    edit(&stage, "charts", json!({"spec": {"suspend": true}})).await;
    drop(agent);
    let before = repositories(&stage).get("charts").await.unwrap().data["status"]["artifact"].clone();
    charts.publish("demo", "1.1.0", &[]).unwrap();
    charts.asked();
    chart("late").await;
    let _agent = stage.agent().await;
    let told = "no artifact available for HelmRepository source 'charts': it is paused, and its index has been replaced; \
                resume it";
    let is_told = |status: &Value| condition(status, "Ready")["message"] == told;
    super::stage::until(&all, "late", "told", is_told).await;
    harness::eventually(super::stage::PATIENCE, async || {
        let is_had = charts.asked().iter().any(|asked| asked.path == "/demo-1.0.0.tgz");
        anyhow::ensure!(is_had, "the chart is not held again yet");
        Ok(())
    })
    .await
    .unwrap();
    at("1.0.0").await;
    let after = repositories(&stage).get("charts").await.unwrap().data["status"]["artifact"].clone();
    for field in ["revision", "digest", "size"] {
        assert_eq!(after[field], before[field], "{field}");
    }
    edit(&stage, "charts", json!({"spec": {"suspend": false}})).await;
    at("1.1.0").await;
    let moved = repositories(&stage).get("charts").await.unwrap();
    assert_ne!(moved.data["status"]["artifact"]["revision"], before["revision"]);
}

/// A hundred charts of one repository take one request for its index a pass, and one for each archive.
#[tokio::test]
async fn many_charts_of_a_repository_share_its_index_and_their_archives() {
    const CHARTS: usize = 100;
    const ARCHIVES: usize = 10;
    let charts = ChartServer::start(ChartServerOptions::default()).unwrap();
    let publish = |version: &str| {
        for number in 0..ARCHIVES {
            charts.publish(&format!("demo-{number}"), version, &[]).unwrap();
        }
    };
    publish("1.0.0");
    let stage = stage("many-charts", &[]).await;
    repository(&stage, "charts", "v1", json!({"url": charts.url(), "interval": "1h"})).await;
    for number in 0..CHARTS {
        let spec = json!({"chart": format!("demo-{}", number % ARCHIVES), "interval": "1h", "version": "1.x",
                          "sourceRef": {"kind": "HelmRepository", "name": "charts"}});
        let metadata = json!({"name": format!("chart-{number}"), "namespace": stage.namespace});
        let object = json!({"apiVersion": GROUP, "kind": "HelmChart", "metadata": metadata, "spec": spec});
        stage.apply(object).await.unwrap();
    }
    charts.asked();
    let _agent = stage.agent().await;
    let all = api(&stage.client, &stage.namespace, GROUP, "HelmChart", "helmcharts");
    // How often the index was asked for, and how often each archive of a version, until all charts have it.
    let pass = async |version: &str| {
        harness::eventually(super::stage::PATIENCE, async || {
            let objects = all.list(&ListParams::default()).await?.items;
            let have = |object: &&DynamicObject| object.data["status"]["artifact"]["revision"] == version;
            let count = objects.iter().filter(have).count();
            anyhow::ensure!(count == CHARTS, "{count} of {CHARTS} charts are at {version}");
            Ok(())
        })
        .await
        .unwrap();
        let asked = charts.asked();
        let index = asked.iter().filter(|asked| asked.path == "/index.yaml").count();
        let archives = (0..ARCHIVES).map(|number| format!("/demo-{number}-{version}.tgz"));
        let archives = archives.map(|path| asked.iter().filter(|asked| asked.path == path).count());
        assert_eq!((index, archives.collect::<Vec<_>>()), (1, vec![1; ARCHIVES]), "{version}");
    };
    pass("1.0.0").await;
    publish("1.1.0");
    edit(&stage, "charts", json!({"metadata": {"annotations": {"reconcile.fluxcd.io/requestedAt": "now"}}}))
        .await;
    pass("1.1.0").await;
}
