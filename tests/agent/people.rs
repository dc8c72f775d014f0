//! People at work: what they ask for is let run, and what they edit is undone.

use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use super::stage::{PATIENCE, api, stage};

/// Patches an object as kubectl does.
async fn patch(objects: &kube::api::Api<kube::api::DynamicObject>, name: &str, manager: &str, patch: Value) {
    let params = PatchParams { field_manager: Some(manager.to_owned()), ..PatchParams::default() };
    objects.patch(name, &params, &Patch::Merge(patch)).await.unwrap();
}

/// `kubectl rollout restart` is no drift, though an edit beside it is.
#[tokio::test]
async fn a_restart_is_let_run() {
    let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "web"}},
                 "template": {"metadata": {"labels": {"app": "web"}},
                              "spec": {"containers": [{"name": "c", "image": "example.org/c"}]}}}});
    let stage = stage("restart", &[("apps/web.yaml", &deployment.to_string())]).await;
    let _agent = stage.agent().await;
    stage.kustomization("apps", json!({})).await;
    stage.ready("apps").await;
    let deployments = api(&stage.client, &stage.namespace, "apps/v1", "Deployment", "deployments");
    let at = "2026-01-01T00:00:00Z";
    let restart = json!({"kubectl.kubernetes.io/restartedAt": at});
    let restart = json!({"spec": {"template": {"metadata": {"annotations": restart}}}});
    patch(&deployments, "web", "kubectl-rollout", restart).await;
    patch(&deployments, "web", "kubectl-edit", json!({"spec": {"replicas": 5, "paused": true}})).await;
    harness::eventually(PATIENCE, async || {
        let spec = deployments.get("web").await?.data["spec"].clone();
        anyhow::ensure!(spec["replicas"] == 2 && spec["paused"].is_null(), "the edit stands: {spec}");
        Ok(())
    })
    .await
    .unwrap();
    let live = deployments.get("web").await.unwrap();
    let annotations = &live.data["spec"]["template"]["metadata"]["annotations"];
    assert_eq!(annotations["kubectl.kubernetes.io/restartedAt"], at);
    // A new revision leaves it as well.
    let mut changed = deployment.clone();
    changed["spec"]["minReadySeconds"] = json!(1);
    stage.push(&[("apps/web.yaml", &changed.to_string())]);
    stage.ready("apps").await;
    let live = deployments.get("web").await.unwrap();
    assert_eq!(live.data["spec"]["minReadySeconds"], 1);
    let annotations = &live.data["spec"]["template"]["metadata"]["annotations"];
    assert_eq!(annotations["kubectl.kubernetes.io/restartedAt"], at);
}

/// What `kubectl annotate` says of an object holds until it is taken off.
#[tokio::test]
async fn an_annotation_that_keeps_an_object_is_heeded_whoever_set_it() {
    let map = |name: &str| super::stage::config_map(name, "1");
    let stage = stage("kept", &[("apps/a.yaml", &map("a")), ("apps/b.yaml", &map("b"))]).await;
    let _agent = stage.agent().await;
    stage.kustomization("apps", json!({})).await;
    stage.ready("apps").await;
    let keep = json!({"metadata": {"annotations": {"kustomize.toolkit.fluxcd.io/prune": "disabled"}}});
    patch(&stage.config_maps(), "a", "kubectl-annotate", keep).await;
    // Its drift is put back, and the annotation stays.
    patch(&stage.config_maps(), "a", "kubectl-edit", json!({"data": {"value": "edited"}})).await;
    harness::eventually(PATIENCE, async || {
        anyhow::ensure!(stage.data("a").await.is_some_and(|data| data["value"] == "1"), "the edit stands");
        Ok(())
    })
    .await
    .unwrap();
    stage.repo.commit::<&str>("main", "drop both", &[("apps/a.yaml", None), ("apps/b.yaml", None)]).unwrap();
    stage.push(&[("apps/c.yaml", &map("c"))]);
    stage.ready("apps").await;
    assert!(stage.data("a").await.is_some() && stage.data("b").await.is_none());
}

/// What `spec.ignore` names is left to whoever sets it, and everything else is put back.
#[tokio::test]
async fn what_a_kustomization_ignores_is_left_as_it_is() {
    let deployment = |image: &str| {
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {
            "replicas": 2, "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": image}]}}}})
        .to_string()
    };
    let stage = stage("ignored", &[("apps/web.yaml", &deployment("example.org/c"))]).await;
    let _agent = stage.agent().await;
    let ignore = json!([{"paths": ["/spec/replicas"], "target": {"kind": "Deployment"}}]);
    stage.kustomization("apps", json!({"ignore": ignore})).await;
    stage.ready("apps").await;
    let deployments = api(&stage.client, &stage.namespace, "apps/v1", "Deployment", "deployments");
    patch(&deployments, "web", "dashboard", json!({"spec": {"replicas": 5, "revisionHistoryLimit": 3}}))
        .await;
    patch(&deployments, "web", "kubectl-edit", json!({"spec": {"paused": true}})).await;
    harness::eventually(PATIENCE, async || {
        let spec = deployments.get("web").await?.data["spec"].clone();
        anyhow::ensure!(spec["paused"].is_null(), "the edit stands: {spec}");
        Ok(())
    })
    .await
    .unwrap();
    stage.push(&[("apps/web.yaml", &deployment("example.org/d"))]);
    stage.ready("apps").await;
    let spec = deployments.get("web").await.unwrap().data["spec"].clone();
    assert_eq!(
        (&spec["replicas"], &spec["template"]["spec"]["containers"][0]["image"]),
        (&json!(5), &json!("example.org/d"))
    );
    // A rule that cannot be read is told.
    stage.kustomization("apps", json!({"ignore": [{"paths": ["spec.replicas"]}]})).await;
    let message = stage.reason("apps", "InvalidSpec").await;
    assert!(message.contains("spec.ignore[0].paths: 'spec.replicas' is no JSON pointer"), "{message}");
}
