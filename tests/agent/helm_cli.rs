//! The real helm and the real flux CLI on the agent's releases, what the agent does about the acts of helm,
//! and releases that helm-controller has made.

use harness::charts::packed;
use harness::flux::FluxCli;
use harness::helm::HelmCli;
use harness::{ChartServer, ChartServerOptions, Registry, RegistryOptions};
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};

use super::flux_cli::line;
use super::releases::{is_ready, releases, stored, until};
use super::stage::{Stage, condition, patch, stage};

const MAP: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Release.Name }}-map}\ndata:\n  message: \
                   {{ .Values.message | quote }}\n{{- with .Values.by }}\n  by: {{ . }}\n{{- end }}\n";
const EXTRA: &str = "{{ if .Values.by }}apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Release.Name }}-extra}\n{{ end }}";

/// A HelmRelease in Git.
fn file(message: &str) -> String {
    let source = json!({"kind": "HelmRepository", "name": "charts"});
    json!({
        "apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease", "metadata": {"name": "web"},
        "spec": {"interval": "1h", "values": {"message": message},
                 "chart": {"spec": {"chart": "demo", "version": "1.x", "sourceRef": source}}},
    })
    .to_string()
}

/// The two command lines, on a stage.
struct Tools<'s> {
    stage: &'s Stage<'s>,
    helm: HelmCli,
    flux: FluxCli,
}

impl<'s> Tools<'s> {
    fn on(stage: &'s Stage<'s>) -> Self {
        let kubeconfig = stage.plane.admin_kubeconfig();
        let (helm, flux) = (HelmCli::of(&kubeconfig).unwrap(), FluxCli::of(&kubeconfig).unwrap());
        Self { stage, helm, flux }
    }

    fn helm(&self, arguments: &[&str]) -> String {
        self.helm.run(&self.stage.namespace, arguments).unwrap()
    }

    fn helm_json(&self, arguments: &[&str]) -> Value {
        let printed = self.helm(&[arguments, &["--output", "json"]].concat());
        serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{error}: {printed}"))
    }

    fn flux(&self, arguments: &[&str]) -> String {
        let (is_done, printed) = self.flux.run(&self.stage.namespace, arguments).unwrap();
        assert!(is_done, "{arguments:?}: {printed}");
        printed
    }

    /// The data of the release's ConfigMap.
    async fn data(&self) -> Value {
        self.stage.config_maps().get("web-map").await.unwrap().data["data"].clone()
    }
}

/// The versions in storage and their states.
async fn versions(stage: &Stage<'_>) -> Vec<String> {
    stored(stage).await.into_iter().map(|(version, status)| format!("{version} {status}")).collect()
}

#[tokio::test]
async fn helm_reads_and_changes_releases_and_the_agent_goes_on_from_there() {
    let charts = ChartServer::start(ChartServerOptions::default()).unwrap();
    let files = [("templates/map.yaml", MAP), ("templates/extra.yaml", EXTRA)];
    charts.publish("demo", "1.0.0", &files).unwrap();
    let stage = stage("helm-cli", &[("apps/web.yaml", &*file("one"))]).await;
    stage
        .source_of("HelmRepository", "charts", json!({"url": charts.url(), "interval": "1h"}))
        .await
        .unwrap();
    stage.kustomization("apps", json!({})).await;
    let _agent = stage.agent().await;
    let tools = Tools::on(&stage);
    until(&stage, "installed", |status| is_ready(status, "InstallSucceeded")).await;
    let listed = tools.helm_json(&["list"]);
    let of = |field: &str| listed[0][field].as_str().unwrap_or_default().to_owned();
    assert_eq!((of("name"), of("revision")), ("web".into(), "1".into()), "{listed}");
    assert_eq!((of("status"), of("chart")), ("deployed".into(), "demo-1.0.0".into()), "{listed}");
    stage.push(&[("apps/web.yaml", &*file("two"))]);
    until(&stage, "upgraded", |status| is_ready(status, "UpgradeSucceeded")).await;
    let history = tools.helm_json(&["history", "web"]);
    let states: Vec<&Value> = history.as_array().unwrap().iter().map(|one| &one["status"]).collect();
    assert_eq!(states, ["superseded", "deployed"], "{history}");
    let status = tools.helm_json(&["status", "web"]);
    assert_eq!((&status["version"], &status["info"]["status"]), (&json!(2), &json!("deployed")), "{status}");
    assert_eq!(tools.helm_json(&["get", "values", "web"]), json!({"message": "two"}));
    let all = tools.helm(&["get", "all", "web"]);
    assert!(all.contains("# Source: demo/templates/map.yaml") && all.contains("message: two"), "{all}");

    // Rolled back by hand: the agent sees that the version is none of its own, and upgrades.
    tools.helm(&["rollback", "web", "1", "--force-conflicts"]);
    assert_eq!(tools.data().await, json!({"message": "one"}));
    assert_eq!(versions(&stage).await, ["1 superseded", "2 superseded", "3 deployed"]);
    let told = tools.flux(&["reconcile", "helmrelease", "web"]);
    assert!(told.contains("applied revision 1.0.0"), "{told}");
    assert_eq!(tools.data().await, json!({"message": "two"}));
    assert_eq!(versions(&stage).await.pop().unwrap(), "4 deployed");

    // Upgraded by hand: what that has brought goes.
    let chart = format!("{}/demo-1.0.0.tgz", charts.url());
    let hand = ["upgrade", "web", &chart, "--set", "message=three,by=hand", "--force-conflicts"];
    tools.helm(&hand);
    assert_eq!(tools.data().await, json!({"message": "three", "by": "hand"}));
    tools.flux(&["reconcile", "helmrelease", "web"]);
    assert_eq!(tools.data().await, json!({"message": "two"}));
    assert!(stage.config_maps().get_opt("web-extra").await.unwrap().is_none(), "what helm has made goes");
    assert_eq!(versions(&stage).await.pop().unwrap(), "6 deployed");

    // Uninstalled by hand: it is installed anew.
    tools.helm(&["uninstall", "web"]);
    assert_eq!(versions(&stage).await, Vec::<String>::new());
    tools.flux(&["reconcile", "helmrelease", "web"]);
    assert_eq!(
        (tools.data().await, versions(&stage).await),
        (json!({"message": "two"}), vec!["1 deployed".into()])
    );
    let status = until(&stage, "installed", |status| is_ready(status, "InstallSucceeded")).await;
    assert_eq!(status["history"].as_array().map(Vec::len), Some(1), "{status}");
    flux_shows(&tools);
}

/// What the flux CLI shows of a release, and that it pauses and resumes it.
fn flux_shows(tools: &Tools<'_>) {
    let listed = tools.flux(&["get", "helmreleases"]);
    let columns = line(&listed, "web");
    assert_eq!(columns[1..4], ["1.0.0", "False", "True"], "{listed}");
    tools.flux(&["suspend", "helmrelease", "web"]);
    let (is_done, told) =
        tools.flux.run(&tools.stage.namespace, &["reconcile", "helmrelease", "web"]).unwrap();
    assert!(!is_done && told.contains("resource is suspended"), "{told}");
    let told = tools.flux(&["resume", "helmrelease", "web"]);
    assert!(told.contains("applied revision 1.0.0"), "{told}");
    let events = tools.flux(&["events", "--for", "HelmRelease/web"]);
    assert!(events.contains("UpgradeSucceeded") && events.contains("InstallSucceeded"), "{events}");
    let exported = tools.flux(&["export", "helmrelease", "web"]);
    assert!(exported.contains("kind: HelmRelease") && exported.contains("message: two"), "{exported}");
    let tree = tools.flux(&["tree", "kustomization", "apps"]);
    let namespace = &tools.stage.namespace;
    for line in [format!("HelmRelease/{namespace}/web"), format!("ConfigMap/{namespace}/web-map")] {
        assert!(tree.contains(&line), "{tree}");
    }
    let trace = tools.flux(&["trace", "--kind", "ConfigMap", "--api-version", "v1", "web-map"]);
    assert!(trace.contains("HelmRelease:") && trace.contains("HelmChart:"), "{trace}");
}

#[tokio::test]
async fn a_chart_of_a_registry_is_released_and_followed() {
    let registry = Registry::start(RegistryOptions::default()).await.unwrap();
    let stage = stage("helm-oci", &[]).await;
    let helm = HelmCli::of(&stage.plane.admin_kubeconfig()).unwrap();
    let push = |version: &str| {
        let archive = packed("demo", version, &[("templates/map.yaml", MAP)]).unwrap();
        helm.push(&archive, &registry.url("charts")).unwrap();
    };
    push("1.0.0");
    let url = registry.url("charts/demo");
    let layer =
        json!({"mediaType": "application/vnd.cncf.helm.chart.content.v1.tar+gzip", "operation": "copy"});
    let spec = json!({"url": url, "interval": "1s", "insecure": true, "ref": {"semver": "1.x"}, "layerSelector": layer});
    stage.source_of("OCIRepository", "demo", spec).await.unwrap();
    let metadata = json!({"name": "web", "namespace": stage.namespace});
    let chart = json!({"kind": "OCIRepository", "name": "demo"});
    let release = json!({"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease", "metadata": metadata,
                         "spec": {"interval": "1h", "values": {"message": "one"}, "chartRef": chart,
                                  "driftDetection": {"mode": "enabled"}}});
    stage.apply(release).await.unwrap();
    let _agent = stage.agent().await;
    let status = until(&stage, "installed", |status| is_ready(status, "InstallSucceeded")).await;
    let at = &status["history"][0];
    let digest = at["ociDigest"].as_str().unwrap().strip_prefix("sha256:").unwrap().to_owned();
    // As Flux does, the version says of which build it is.
    let version = format!("1.0.0+{}", &digest[..12]);
    assert_eq!(at["chartVersion"], version.as_str());
    assert_eq!(status["lastAttemptedRevision"], version.as_str());
    assert_eq!(status["lastAttemptedRevisionDigest"], format!("sha256:{digest}"));
    assert!(status["helmChart"].is_null(), "none is made");
    push("1.1.0");
    let status = until(&stage, "upgraded", |status| is_ready(status, "UpgradeSucceeded")).await;
    let version = status["history"][0]["chartVersion"].as_str().unwrap();
    assert!(version.starts_with("1.1.0+"), "{version}");

    // What others change is put back, as is wished.
    assert_eq!(condition(&status, "Drifted")["reason"], "NoDriftDetected", "{status}");
    let maps = stage.config_maps();
    patch(&maps, "web-map", "kubectl-edit", json!({"data": {"message": "mine", "more": "mine"}})).await;
    stage.event("of the drift", |message| message.contains("has been corrected:\nConfigMap/")).await;
    assert_eq!(maps.get("web-map").await.unwrap().data["data"], json!({"message": "one"}));
}

/// A release of helm-controller, as it was recorded.
fn recorded() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/crates/core/src/release/fixtures/install.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[tokio::test]
async fn a_release_of_helm_controller_is_taken_over_as_it_is() {
    let charts = ChartServer::start(ChartServerOptions::default()).unwrap();
    // Another chart of the same name and version: an upgrade would bring an object of it.
    charts.publish("tiny", "1.0.0", &[("templates/map.yaml", MAP)]).unwrap();
    let stage = stage("helm-taken", &[]).await.moved_to("apps");
    stage
        .apply(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "apps"}}))
        .await
        .unwrap();
    stage
        .source_of("HelmRepository", "charts", json!({"url": charts.url(), "interval": "1h"}))
        .await
        .unwrap();
    let mut record = recorded();
    for secret in record["secrets"].as_array().unwrap() {
        stage.apply(secret.clone()).await.unwrap();
    }
    let mut release = record["release"].take();
    let mut status = release["status"].take();
    release["spec"]["chart"]["spec"]["sourceRef"] = json!({"kind": "HelmRepository", "name": "charts"});
    let release = json!({"apiVersion": release["apiVersion"], "kind": "HelmRelease", "spec": release["spec"],
                         "metadata": {"name": "install", "namespace": "apps", "finalizers": ["finalizers.fluxcd.io"]}});
    stage.apply(release).await.unwrap();
    status["helmChart"].take();
    let known = status["history"].clone();
    releases(&stage)
        .patch_status("install", &PatchParams::default(), &Patch::Merge(json!({"status": status})))
        .await
        .unwrap();
    let secrets: Api<DynamicObject> = stage.api("v1", "Secret", "secrets");
    let before = secrets.get("sh.helm.release.v1.install.v1").await.unwrap();
    let _agent = stage.agent().await;
    let is_taken = |status: &Value| {
        status["helmChart"] == "apps/apps-install"
            && condition(status, "Ready")["reason"] == "InstallSucceeded"
    };
    let status = super::stage::until(&releases(&stage), "install", "taken over", is_taken).await;
    assert_eq!(status["history"], known);
    let after = secrets.get("sh.helm.release.v1.install.v1").await.unwrap();
    assert_eq!(after.metadata.resource_version, before.metadata.resource_version, "nothing is stored");
    assert!(secrets.get_opt("sh.helm.release.v1.install.v2").await.unwrap().is_none());
    assert!(stage.config_maps().get_opt("install-map").await.unwrap().is_none(), "nothing is applied");

    // What comes next is an upgrade of it.
    let patch = Patch::Merge(json!({"spec": {"values": {"message": "second"}}}));
    releases(&stage).patch("install", &PatchParams::default(), &patch).await.unwrap();
    let is_upgraded = |status: &Value| is_ready(status, "UpgradeSucceeded");
    super::stage::until(&releases(&stage), "install", "upgraded", is_upgraded).await;
    let map = stage.config_maps().get("install-map").await.unwrap();
    assert_eq!(map.data["data"], json!({"message": "second"}));
}
