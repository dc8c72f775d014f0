//! The parts of our kinds that tools for Flux read: columns, conditions, inventory, history, events, and the
//! answers to requests.

use harness::eventually;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use super::stage::{PATIENCE, Stage, api, condition, config_map, stage};

/// Sets annotations or fields of a Kustomization (`kustomizations`) or GitRepository.
async fn edit(api: &kube::Api<kube::api::DynamicObject>, name: &str, change: Value) {
    api.patch(name, &PatchParams::default(), &Patch::Merge(change)).await.unwrap();
}

fn annotated(name: &str, value: &str) -> Value {
    json!({"metadata": {"annotations": {name: value}}})
}

/// The types of a status's conditions, each with its status.
fn conditions(status: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let all = status["conditions"].as_array().unwrap();
    let mut all: Vec<(String, String)> =
        all.iter().map(|condition| (text(&condition["type"]), text(&condition["status"]))).collect();
    all.sort();
    all
}

fn named(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(kind, status)| ((*kind).to_owned(), (*status).to_owned())).collect()
}

#[tokio::test]
async fn a_status_is_what_tools_expect() {
    let stage = stage("status", &[("apps/a.yaml", &config_map("a", "1"))]).await;
    let head = format!("main@sha1:{}", stage.repo.rev_parse("main").unwrap());
    let before = stage.kustomization("apps", json!({"wait": true})).await;
    assert_eq!(before.data["status"], json!({"observedGeneration": -1}), "before the first look");
    let noted = annotated("event.toolkit.fluxcd.io/team", "platform");
    edit(&stage.kustomizations(), "apps", noted).await;
    let _agent = stage.agent().await;
    let status = stage.ready("apps").await;
    assert_eq!(conditions(&status), named(&[("Healthy", "True"), ("Ready", "True")]));
    let ready = condition(&status, "Ready");
    assert_eq!(ready["reason"], "ReconciliationSucceeded");
    assert_eq!(ready["message"], format!("Applied revision: {head}"));
    assert_eq!(ready["observedGeneration"], 1);
    assert_eq!(status["observedGeneration"], 1);
    assert_eq!(
        (&status["lastAppliedRevision"], &status["lastAttemptedRevision"]),
        (&json!(head), &json!(head))
    );
    let id = format!("{}_a__ConfigMap", stage.namespace);
    assert_eq!(status["inventory"], json!({"entries": [{"id": id, "v": "v1"}]}));
    let last = &status["history"][0];
    assert!(last["digest"].as_str().unwrap().starts_with("sha256:"));
    assert_eq!(last["lastReconciledStatus"], "ReconciliationSucceeded");
    assert_eq!((&last["totalReconciliations"], &last["metadata"]["revision"]), (&json!(1), &json!(head)));
    let object = stage.kustomizations().get("apps").await.unwrap();
    assert_eq!(object.metadata.finalizers.unwrap(), ["finalizers.fluxcd.io"]);
    let labels = stage.config_maps().get("a").await.unwrap().metadata.labels.unwrap();
    assert_eq!(labels["kustomize.toolkit.fluxcd.io/name"], "apps");
    assert_eq!(labels["kustomize.toolkit.fluxcd.io/namespace"], stage.namespace);

    let source =
        stage.until_source("repo", "fetched", |status| condition(status, "Ready")["status"] == "True").await;
    assert_eq!(conditions(&source), named(&[("ArtifactInStorage", "True"), ("Ready", "True")]));
    assert_eq!(condition(&source, "Ready")["message"], format!("stored artifact for revision '{head}'"));
    let artifact = &source["artifact"];
    assert_eq!(artifact["revision"], head.as_str());
    for field in ["url", "path", "digest", "lastUpdateTime"] {
        assert!(artifact[field].is_string(), "{field}: {artifact}");
    }
    let event =
        stage.event("of the success", |message| message.starts_with("Reconciliation finished in ")).await;
    let annotations = event.metadata.annotations.unwrap();
    assert_eq!(annotations["kustomize.toolkit.fluxcd.io/revision"], head);
    assert_eq!(annotations["event.toolkit.fluxcd.io/team"], "platform");
    assert_eq!(
        (&event.data["reason"], &event.data["type"]),
        (&json!("ReconciliationSucceeded"), &json!("Normal"))
    );
    assert_eq!(event.data["involvedObject"]["kind"], "Kustomization");
    let event =
        stage.event("of the artifact", |message| message == "stored artifact for commit 'begin'").await;
    assert_eq!(event.metadata.annotations.unwrap()["source.toolkit.fluxcd.io/revision"], head);
    assert_eq!(event.data["reason"], "NewArtifact");
    columns(&stage, &head).await;
}

/// The columns of `kubectl get ks` and `kubectl get gitrepo`, in every served version.
async fn columns(stage: &Stage<'_>, head: &str) {
    let kinds = [
        ("kustomize.toolkit.fluxcd.io", "kustomizations", vec!["Name", "Age", "Ready", "Status"]),
        ("source.toolkit.fluxcd.io", "gitrepositories", vec!["Name", "URL", "Age", "Ready", "Status"]),
    ];
    for (group, plural, expected) in kinds {
        for version in ["v1", "v1beta2", "v1beta1"] {
            let path = format!("/apis/{group}/{version}/namespaces/{}/{plural}", stage.namespace);
            let (names, table) = crate::table::printed(&stage.client, &path).await;
            assert_eq!(names, expected, "{plural} {version}");
            let cells = table["rows"][0]["cells"].as_array().unwrap();
            assert_eq!(cells[cells.len() - 2], "True", "{plural} {version}: {cells:?}");
            assert!(cells.last().unwrap().as_str().unwrap().contains(head), "{plural} {version}: {cells:?}");
        }
    }
}

/// The files that `flux bootstrap` writes into a repository beside the platform: Flux itself, of a version
/// that lacks `v1`.
fn components(namespace: &str) -> String {
    let labels = json!({"app.kubernetes.io/part-of": "flux", "app.kubernetes.io/instance": "flux-system"});
    let names = json!({"kind": "Kustomization", "listKind": "KustomizationList", "plural": "kustomizations",
                       "singular": "kustomization"});
    let schema = json!({"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}});
    let app = json!({"app": "kustomize-controller"});
    let objects = [
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": labels}}),
        json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "kustomizations.kustomize.toolkit.fluxcd.io", "labels": labels},
        "spec": {"group": "kustomize.toolkit.fluxcd.io", "scope": "Namespaced", "names": names, "versions": [
            {"name": "v1beta2", "served": true, "storage": true, "schema": schema},
        ]}}),
        json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "kustomize-controller", "namespace": namespace, "labels": labels},
        "spec": {"replicas": 1, "selector": {"matchLabels": app}, "template": {
            "metadata": {"labels": app},
            "spec": {"containers": [{"name": "manager", "image": "example.org/flux"}]},
        }}}),
    ];
    objects.map(|object| object.to_string()).join("\n---\n")
}

#[tokio::test]
async fn a_repository_that_holds_flux_starts_no_flux_and_may_drop_it() {
    let stage = stage("components", &[("apps/a.yaml", &config_map("a", "1"))]).await;
    let with = stage.push(&[("apps/components.yaml", &components(&stage.namespace))]);
    stage.kustomization("apps", json!({"wait": true})).await;
    let _agent = stage.agent().await;
    let applied = async |revision: &str| {
        stage.until("apps", "applied", |status| status["lastAppliedRevision"] == revision).await
    };
    let status = applied(&with).await;
    assert_eq!(status["inventory"]["entries"].as_array().unwrap().len(), 4, "{status}");
    let deployments = api(&stage.client, &stage.namespace, "apps/v1", "Deployment", "deployments");
    assert!(deployments.get_opt("kustomize-controller").await.unwrap().is_none());
    let without = stage.push(&[("apps/components.yaml", &config_map("b", "1"))]);
    applied(&without).await;
    // The namespace of the Kustomization, and its kind in the version that Flux did not have, still exist.
    let namespaces: kube::Api<k8s_openapi::api::core::v1::Namespace> = kube::Api::all(stage.client.clone());
    let home = namespaces.get(&stage.namespace).await.unwrap();
    assert!(home.metadata.deletion_timestamp.is_none());
    assert_eq!(
        stage.kustomizations().get("apps").await.unwrap().types.unwrap().api_version,
        "kustomize.toolkit.fluxcd.io/v1"
    );
}

/// `flux reconcile`, `flux suspend` and `flux resume`, as the flux CLI sends them.
#[tokio::test]
async fn requests_are_answered_and_a_pause_holds() {
    let stage = stage("requests", &[("apps/a.yaml", &config_map("a", "1"))]).await;
    stage.source("repo", json!({"interval": "1h"})).await.unwrap();
    let _agent = stage.agent().await;
    stage.kustomization("apps", json!({})).await;
    stage.ready("apps").await;
    let requested = "reconcile.fluxcd.io/requestedAt";
    stage.push(&[("apps/a.yaml", &config_map("a", "2"))]);
    edit(&stage.sources(), "repo", annotated(requested, "one")).await;
    stage.until_source("repo", "asked", |status| status["lastHandledReconcileAt"] == "one").await;
    stage.ready("apps").await;
    edit(&stage.kustomizations(), "apps", annotated(requested, "two")).await;
    let status = stage.until("apps", "asked", |status| status["lastHandledReconcileAt"] == "two").await;
    assert_eq!(condition(&status, "Ready")["status"], "True");
    // While it is suspended, it neither follows nor corrects drift. When it is resumed, it does both at once.
    edit(&stage.kustomizations(), "apps", json!({"spec": {"suspend": true}})).await;
    stage.push(&[("apps/a.yaml", &config_map("a", "3"))]);
    edit(&stage.sources(), "repo", annotated(requested, "three")).await;
    stage.until_source("repo", "asked", |status| status["lastHandledReconcileAt"] == "three").await;
    let drift = json!({"data": {"value": "edited"}});
    stage.config_maps().patch("a", &PatchParams::default(), &Patch::Merge(drift)).await.unwrap();
    // An event that must not come can only be waited for.
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    assert_eq!(stage.data("a").await.unwrap()["value"], "edited");
    edit(&stage.kustomizations(), "apps", json!({"spec": {"suspend": false}})).await;
    stage.ready("apps").await;
    assert_eq!(stage.data("a").await.unwrap()["value"], "3");
}

/// A source that was never fetched is not fetched while it is suspended, as in Flux, and its Kustomizations
/// say so.
#[tokio::test]
async fn a_source_that_is_made_paused_is_left_alone_until_it_is_resumed() {
    let stage = stage("made-paused", &[("apps/a.yaml", &config_map("a", "1"))]).await;
    stage.source("repo", json!({"interval": "1h", "suspend": true})).await.unwrap();
    let _agent = stage.agent().await;
    stage.kustomization("apps", json!({})).await;
    let message = stage.reason("apps", "ArtifactFailed").await;
    assert!(message.contains("artifact not found: GitRepository/"), "{message}");
    let source = stage.sources().get("repo").await.unwrap();
    assert_eq!(source.data["status"]["conditions"], json!(null), "{}", source.data);
    edit(&stage.sources(), "repo", json!({"spec": {"suspend": false}})).await;
    stage.ready("apps").await;
}

/// The annotations by which objects choose another policy.
#[tokio::test]
async fn objects_ask_to_be_treated_otherwise() {
    let asking = |name: &str, value: &str, key: &str, wish: &str| {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"value": value},
               "metadata": {"name": name, "annotations": {format!("kustomize.toolkit.fluxcd.io/{key}"): wish}}})
        .to_string()
    };
    let all = |value: &str| {
        [
            ("apps/kept.yaml", asking("kept", value, "prune", "disabled")),
            ("apps/once.yaml", asking("once", value, "ssa", "IfNotPresent")),
            ("apps/never.yaml", asking("never", value, "reconcile", "disabled")),
            ("apps/ignored.yaml", asking("ignored", value, "ssa", "Ignore")),
            ("apps/a.yaml", config_map("a", value)),
        ]
    };
    let stage = stage("wishes", &[]).await;
    let push = |value: &str| {
        let files = all(value);
        let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
        stage.push(&files);
    };
    push("1");
    let _agent = stage.agent().await;
    stage.kustomization("apps", json!({})).await;
    stage.ready("apps").await;
    push("2");
    stage.ready("apps").await;
    let value = async |name: &str| stage.data(name).await.map(|data| data["value"].clone());
    assert_eq!(value("a").await.as_deref(), Some("2"));
    assert_eq!(value("once").await.as_deref(), Some("1"), "it is there, so it stays");
    assert_eq!((value("never").await, value("ignored").await), (None, None));
    let gone = ["kept", "once", "never", "ignored"].map(|name| (format!("apps/{name}.yaml"), None::<&str>));
    let gone: Vec<(&str, Option<&str>)> = gone.iter().map(|(path, text)| (path.as_str(), *text)).collect();
    stage.repo.commit("main", "remove", &gone).unwrap();
    stage.ready("apps").await;
    assert_eq!(value("kept").await.as_deref(), Some("2"), "it is not deleted");
    eventually(PATIENCE, async || {
        anyhow::ensure!(stage.data("once").await.is_none(), "it is still there");
        Ok(())
    })
    .await
    .unwrap();
}
