//! HelmReleases on a real control plane: from a repository of charts to a release that is stored, upgraded
//! and uninstalled.

use harness::{ChartServer, ChartServerOptions};
use kube::api::{Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams};
use serde_json::{Value, json};

use super::stage::{PATIENCE, Stage, api, condition, stage};

const MAP: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Release.Name }}-map}\n\
                   data: {message: {{ .Values.message | quote }}, revision: {{ .Release.Revision | quote }}}\n";
const EXTRA: &str = "{{ if .Values.extra }}apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Release.Name }}-extra}\n{{ end }}";
const HOOK: &str = "apiVersion: batch/v1\nkind: Job\nmetadata:\n  name: {{ .Release.Name }}-hook\n  annotations:\n    \
                    helm.sh/hook: pre-upgrade\nspec:\n  suspend: true\n  backoffLimit: 0\n  template:\n    spec:\n      restartPolicy: Never\n      \
                    containers: [{name: main, image: registry.example/hook:1}]\n";

pub(super) fn releases(stage: &Stage<'_>) -> Api<DynamicObject> {
    api(&stage.client, &stage.namespace, "helm.toolkit.fluxcd.io/v2", "HelmRelease", "helmreleases")
}

fn core(stage: &Stage<'_>, kind: &str, plural: &str) -> Api<DynamicObject> {
    api(&stage.client, &stage.namespace, "v1", kind, plural)
}

pub(super) async fn until(stage: &Stage<'_>, what: &str, test: impl Fn(&Value) -> bool) -> Value {
    super::stage::until(&releases(stage), "web", what, test).await
}

pub(super) fn is_ready(status: &Value, reason: &str) -> bool {
    let ready = condition(status, "Ready");
    ready["status"] == "True" && ready["reason"] == reason
}

async fn edit(stage: &Stage<'_>, spec: Value) {
    let patch = Patch::Merge(json!({"spec": spec}));
    releases(stage).patch("web", &PatchParams::default(), &patch).await.unwrap();
}

/// The states of the versions in storage, as the labels of their Secrets say.
pub(super) async fn stored(stage: &Stage<'_>) -> Vec<(String, String)> {
    let of_release = ListParams::default().labels("owner=helm,name=web");
    let secrets = core(stage, "Secret", "secrets").list(&of_release).await.unwrap();
    let label = |secret: &DynamicObject, name: &str| {
        secret.metadata.labels.as_ref().and_then(|labels| labels.get(name)).cloned().unwrap_or_default()
    };
    let mut stored: Vec<_> =
        secrets.items.iter().map(|secret| (label(secret, "version"), label(secret, "status"))).collect();
    stored.sort();
    stored
}

/// Creates a release; returns the repository of its chart, which comes later.
async fn release_before(stage: &Stage<'_>, charts: &ChartServer) -> Value {
    let metadata = |name: &str| json!({"name": name, "namespace": stage.namespace});
    let repository = json!({"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "HelmRepository",
                            "metadata": metadata("charts"), "spec": {"url": charts.url(), "interval": "1h"}});
    let source = json!({"kind": "HelmRepository", "name": "charts"});
    let release = json!({
        "apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease", "metadata": metadata("web"),
        "spec": {"interval": "1h", "values": {"message": "one", "extra": true},
                 "chart": {"spec": {"chart": "demo", "version": "1.x", "sourceRef": source}}},
    });
    stage.apply(release).await.unwrap();
    repository
}

#[tokio::test]
async fn a_release_is_installed_upgraded_with_its_hook_and_uninstalled() {
    let charts = ChartServer::start(ChartServerOptions::default()).unwrap();
    let files = [("templates/map.yaml", MAP), ("templates/extra.yaml", EXTRA), ("templates/hook.yaml", HOOK)];
    charts.publish("demo", "1.0.0", &files).unwrap();
    let stage = stage("releases", &[]).await;
    let repository = release_before(&stage, &charts).await;
    let agent = stage.agent().await;
    let named = format!("HelmChart '{0}/{0}-web' is not ready", stage.namespace);
    until(&stage, "blocked", |status| {
        let ready = condition(status, "Ready");
        ready["reason"] == "SourceNotReady"
            && ready["message"].as_str().unwrap_or_default().starts_with(&named)
    })
    .await;
    stage.apply(repository).await.unwrap();
    let status = until(&stage, "installed", |status| is_ready(status, "InstallSucceeded")).await;
    let message =
        format!("Helm install succeeded for release {}/web.v1 with chart demo@1.0.0", stage.namespace);
    assert_eq!(condition(&status, "Ready")["message"], message);
    assert_eq!(condition(&status, "Released")["message"], message);
    let helm_chart = format!("{0}/{0}-web", stage.namespace);
    assert_eq!((&status["helmChart"], &status["history"][0]["version"]), (&json!(helm_chart), &json!(1)));
    stage.event("of the install", |said| said == message).await;
    let maps = core(&stage, "ConfigMap", "configmaps");
    let map = maps.get("web-map").await.unwrap();
    assert_eq!(map.data["data"], json!({"message": "one", "revision": "1"}));
    assert_eq!(stored(&stage).await, [("1".into(), "deployed".into())]);

    // The agent ends in the middle of a hook; the next one continues with the same version.
    edit(&stage, json!({"values": {"message": "two", "extra": null}})).await;
    until(&stage, "upgrading", |status| {
        condition(status, "Reconciling")["message"]
            .as_str()
            .unwrap_or_default()
            .starts_with("Running 'upgrade'")
    })
    .await;
    let jobs: Api<DynamicObject> = api(&stage.client, &stage.namespace, "batch/v1", "Job", "jobs");
    let begun = harness::eventually(PATIENCE, async || Ok(jobs.get("web-hook").await?)).await.unwrap();
    drop(agent);
    let _agent = stage.agent().await;
    let goes_on = Patch::Merge(json!({"spec": {"suspend": false}}));
    jobs.patch("web-hook", &PatchParams::default(), &goes_on).await.unwrap();
    let status = until(&stage, "upgraded", |status| is_ready(status, "UpgradeSucceeded")).await;
    assert_eq!(status["history"].as_array().map(Vec::len), Some(2));
    assert_eq!(jobs.get("web-hook").await.unwrap().metadata.uid, begun.metadata.uid, "the hook was run once");
    let map = maps.get("web-map").await.unwrap();
    assert_eq!(map.data["data"], json!({"message": "two", "revision": "2"}));
    assert!(maps.get_opt("web-extra").await.unwrap().is_none(), "what is dropped is deleted");
    let expected = [("1".into(), "superseded".into()), ("2".into(), "deployed".into())];
    assert_eq!(stored(&stage).await, expected);

    releases(&stage).delete("web", &DeleteParams::default()).await.unwrap();
    harness::eventually(PATIENCE, async || {
        anyhow::ensure!(releases(&stage).get_opt("web").await?.is_none(), "the release is still there");
        Ok(())
    })
    .await
    .unwrap();
    assert!(maps.get_opt("web-map").await.unwrap().is_none());
    assert_eq!(stored(&stage).await, []);
    let made: Api<DynamicObject> =
        api(&stage.client, &stage.namespace, "source.toolkit.fluxcd.io/v1", "HelmChart", "helmcharts");
    assert!(made.list(&ListParams::default()).await.unwrap().items.is_empty(), "the HelmChart went along");
}

#[tokio::test]
async fn releases_and_kustomizations_wait_for_each_other() {
    let charts = ChartServer::start(ChartServerOptions::default()).unwrap();
    charts.publish("demo", "1.0.0", &[("templates/map.yaml", MAP)]).unwrap();
    let (base, behind) = (super::stage::config_map("base", "1"), super::stage::config_map("behind", "1"));
    let stage = stage("releases-order", &[("base/a.yaml", &*base), ("behind/a.yaml", &*behind)]).await;
    let metadata = |name: &str| json!({"name": name, "namespace": stage.namespace});
    let source = json!({"kind": "HelmRepository", "name": "charts"});
    let objects = [
        json!({"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "HelmRepository",
               "metadata": metadata("charts"), "spec": {"url": charts.url(), "interval": "1h"}}),
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata("releaser")}),
        json!({"apiVersion": "helm.toolkit.fluxcd.io/v2beta1", "kind": "HelmRelease", "metadata": metadata("web"),
               "spec": {"interval": "1h", "values": {"message": "one"}, "serviceAccountName": "releaser",
                        "dependsOn": [{"kind": "Kustomization", "name": "base"}],
                        "chart": {"spec": {"chart": "demo", "sourceRef": source}}}}),
    ];
    for object in objects {
        stage.apply(object).await.unwrap();
    }
    let depends = json!([{"kind": "HelmRelease", "name": "web"}]);
    stage.kustomization("behind", json!({"path": "behind", "dependsOn": depends})).await;
    let _agent = stage.agent().await;
    let said = |status: &Value, reason: &str, part: &str| {
        let ready = condition(status, "Ready");
        ready["reason"] == reason && ready["message"].as_str().unwrap_or_default().contains(part)
    };
    until(&stage, "waiting", |status| said(status, "DependencyNotReady", "/base'")).await;
    stage.until("behind", "blocked", |status| said(status, "DependencyNotReady", "HelmRelease/")).await;
    stage.kustomization("base", json!({"path": "base"})).await;
    // It acts as its account, which may do nothing yet.
    until(&stage, "refused", |status| said(status, "AccessDenied", "secrets")).await;
    let role = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "admin"});
    let account = json!({"kind": "ServiceAccount", "name": "releaser", "namespace": stage.namespace});
    let binding = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
                         "metadata": metadata("releaser"), "roleRef": role, "subjects": [account]});
    stage.apply(binding).await.unwrap();
    until(&stage, "installed", |status| is_ready(status, "InstallSucceeded")).await;
    stage.ready("behind").await;
    assert_eq!(stored(&stage).await, [("1".into(), "deployed".into())]);
}
