//! Fields of which Git says nothing, in so many words: whoever fills them keeps them.

use kube::api::{Patch, PatchParams};
use serde_json::json;

use super::stage::{PATIENCE, api, stage};

/// `replicas:` without a number is no count, so an autoscaler's stays.
#[tokio::test]
async fn a_null_in_git_sets_nothing() {
    let deployment = |image: &str| {
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {
            "replicas": null, "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}},
                         "spec": {"containers": [{"name": "c", "image": image, "resources": null, "env": []}]}}}})
        .to_string()
    };
    let stage = stage("nulls", &[("apps/web.yaml", &deployment("example.org/c"))]).await;
    let _agent = stage.agent().await;
    stage.kustomization("apps", json!({})).await;
    stage.ready("apps").await;
    let deployments = api(&stage.client, &stage.namespace, "apps/v1", "Deployment", "deployments");
    let scaler =
        PatchParams { field_manager: Some("kube-controller-manager".into()), ..PatchParams::default() };
    deployments.patch_scale("web", &scaler, &Patch::Merge(json!({"spec": {"replicas": 5}}))).await.unwrap();
    stage.push(&[("apps/web.yaml", &deployment("example.org/d"))]);
    stage.ready("apps").await;
    let live = deployments.get("web").await.unwrap();
    assert_eq!(live.data["spec"]["replicas"], 5);
    assert_eq!(live.data["spec"]["template"]["spec"]["containers"][0]["image"], "example.org/d");
}

/// The control plane gathers the rules, whether or not Git says that there are none.
#[tokio::test]
async fn rules_that_the_control_plane_gathers_stay() {
    let kind = "ClusterRole";
    let api_version = "rbac.authorization.k8s.io/v1";
    let stage = stage("gathered", &[]).await;
    let (name, source) = (format!("{}-all", stage.namespace), format!("{}-one", stage.namespace));
    let label = json!({"gathered": stage.namespace});
    let selectors = json!({"clusterRoleSelectors": [{"matchLabels": label}]});
    let gathered = json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": name},
                          "aggregationRule": selectors, "rules": []});
    let rules = json!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]);
    let one = json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": source, "labels": label},
                     "rules": rules});
    stage.push(&[("apps/all.yaml", &gathered.to_string()), ("apps/one.yaml", &one.to_string())]);
    let _agent = stage.agent().await;
    stage.kustomization("apps", json!({"targetNamespace": null})).await;
    stage.ready("apps").await;
    let roles: kube::api::Api<kube::api::DynamicObject> = kube::api::Api::all_with(
        stage.client.clone(),
        &kube::api::ApiResource::from_gvk_with_plural(
            &kube::core::GroupVersionKind::gvk("rbac.authorization.k8s.io", "v1", kind),
            "clusterroles",
        ),
    );
    harness::eventually(PATIENCE, async || {
        let live = roles.get(&name).await?;
        anyhow::ensure!(live.data["rules"] == rules, "the rules are {}", live.data["rules"]);
        Ok(())
    })
    .await
    .unwrap();
    let version = roles.get(&name).await.unwrap().metadata.resource_version;
    // Another pass over all objects finds nothing to put back.
    let mut note = one.clone();
    note["metadata"]["annotations"] = json!({"a": "b"});
    stage.push(&[("apps/one.yaml", &note.to_string())]);
    stage.ready("apps").await;
    let live = roles.get(&name).await.unwrap();
    assert_eq!((&live.data["rules"], live.metadata.resource_version), (&rules, version));
}
