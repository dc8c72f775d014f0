//! F22: the place of Flux taken over on a cluster that it has brought up, from what its controllers have
//! left.

use kube::api::{Api, DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};

use super::stage::{Stage, api, condition, config_map, stage};

/// The field manager of Flux's controller.
const FLUX: &str = "kustomize-controller";

/// An object as that controller has applied it.
async fn applied(stage: &Stage<'_>, api: &Api<DynamicObject>, object: &str) {
    let mut object: Value = serde_json::from_str(object).unwrap();
    let name = object["metadata"]["name"].as_str().unwrap().to_owned();
    object["metadata"]["namespace"] = stage.namespace.as_str().into();
    object["metadata"]["labels"] = json!({"kustomize.toolkit.fluxcd.io/name": "apps",
                                          "kustomize.toolkit.fluxcd.io/namespace": stage.namespace});
    api.patch(&name, &PatchParams::apply(FLUX).force(), &Patch::Apply(&object)).await.unwrap();
}

/// A Deployment, as Git has it.
fn deployment() -> String {
    let container = json!({"name": "c", "image": "example.org/c:1"});
    let labels = json!({"app": "d"});
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"},
           "spec": {"selector": {"matchLabels": labels},
                    "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}}}})
    .to_string()
}

/// Objects that are as in Git are neither written nor deleted, no pod restarts, dropped objects are deleted,
/// and applied ones keep their marks, so that Flux could continue with them.
#[tokio::test]
async fn what_flux_has_applied_is_taken_over_as_it_is() {
    let kept = config_map("kept", "1");
    let stage = stage("taken-over", &[("apps/a.yaml", &kept), ("apps/d.yaml", &deployment())]).await;
    let deployments = api(&stage.client, &stage.namespace, "apps/v1", "Deployment", "deployments");
    applied(&stage, &stage.config_maps(), &kept).await;
    applied(&stage, &stage.config_maps(), &config_map("dropped", "1")).await;
    applied(&stage, &deployments, &deployment()).await;
    stage.kustomization("apps", json!({})).await;
    let entry =
        |kind: &str, name: &str| json!({"id": format!("{}_{name}_{kind}", stage.namespace), "v": "v1"});
    let entries =
        [entry("_ConfigMap", "kept"), entry("_ConfigMap", "dropped"), entry("apps_Deployment", "d")];
    let revision = "main@sha1:0000000000000000000000000000000000000000";
    let status = json!({"status": {"inventory": {"entries": entries}, "lastAppliedRevision": revision,
                                   "lastAttemptedRevision": revision, "observedGeneration": 1}});
    let finalizers = json!({"metadata": {"finalizers": ["finalizers.fluxcd.io"]}});
    let as_flux = PatchParams { field_manager: Some(FLUX.into()), ..PatchParams::default() };
    stage.kustomizations().patch("apps", &as_flux, &Patch::Merge(finalizers)).await.unwrap();
    stage.kustomizations().patch_status("apps", &as_flux, &Patch::Merge(status)).await.unwrap();
    let before = stage.config_maps().get("kept").await.unwrap().metadata;
    let pods = deployments.get("d").await.unwrap().metadata;

    let _agent = stage.agent().await;
    let status = stage.ready("apps").await;
    assert_eq!(condition(&status, "Ready")["reason"], "ReconciliationSucceeded");
    let after = stage.config_maps().get("kept").await.unwrap().metadata;
    assert_eq!((after.uid, after.resource_version), (before.uid, before.resource_version));
    let managers = after.managed_fields.unwrap_or_default();
    let managers: Vec<_> = managers.into_iter().filter_map(|entry| entry.manager).collect();
    assert_eq!(managers, [FLUX]);
    let after = deployments.get("d").await.unwrap().metadata;
    assert_eq!((after.uid, after.generation), (pods.uid, pods.generation));
    assert!(stage.data("dropped").await.is_none(), "Git has dropped it while Flux was away");
}
