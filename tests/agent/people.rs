//! People at work: their requests are not undone, and their edits are.

use serde_json::{Value, json};

use super::stage::{PATIENCE, api, patch, stage};

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

/// An annotation that was set with `kubectl annotate` is obeyed until it is removed.
#[tokio::test]
async fn an_annotation_that_keeps_an_object_is_heeded_whoever_set_it() {
    let map = |name: &str| super::stage::config_map(name, "1");
    let stage = stage("kept", &[("apps/a.yaml", &map("a")), ("apps/b.yaml", &map("b"))]).await;
    let _agent = stage.agent().await;
    stage.kustomization("apps", json!({})).await;
    stage.ready("apps").await;
    let keep = json!({"metadata": {"annotations": {"kustomize.toolkit.fluxcd.io/prune": "disabled"}}});
    patch(&stage.config_maps(), "a", "kubectl-annotate", keep).await;
    // Its drift is corrected, and the annotation stays.
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

/// The fields in `spec.ignore` are left to whoever sets them, and all others are corrected.
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
    // An invalid rule is reported.
    stage.kustomization("apps", json!({"ignore": [{"paths": ["spec.replicas"]}]})).await;
    let message = stage.reason("apps", "InvalidSpec").await;
    assert!(message.contains("spec.ignore[0].paths: 'spec.replicas' is no JSON pointer"), "{message}");
}

/// Waits until an edit of a ConfigMap is undone.
async fn put_back(stage: &super::stage::Stage<'_>, name: &str) {
    harness::eventually(PATIENCE, async || {
        let data = stage.data(name).await.unwrap_or_default();
        anyhow::ensure!(data["value"] == "1", "the edit of {name} stands");
        Ok(())
    })
    .await
    .unwrap();
}

/// Each policy, for a Kustomization and for an object that says so itself: what an edit comes to.
#[tokio::test]
async fn drift_is_put_back_at_once_at_the_interval_or_never() {
    let said = |name: &str, policy: &str| {
        let mut map: Value = serde_json::from_str(&super::stage::config_map(name, "1")).unwrap();
        map["metadata"]["annotations"] = json!({"lockgate.dev/drift": policy});
        map.to_string()
    };
    let plain = super::stage::config_map("plain", "1");
    let stage = stage(
        "drift",
        &[
            ("apps/plain.yaml", &plain),
            ("apps/kept.yaml", &said("kept", "report")),
            ("late/late.yaml", &super::stage::config_map("late", "1")),
        ],
    )
    .await;
    let agent = stage.agent_with(super::stage::LISTEN).await;
    stage.kustomization("apps", json!({})).await;
    stage.kustomization("late", json!({})).await;
    let late = json!({"metadata": {"annotations": {"lockgate.dev/drift": "interval"}}});
    patch(&stage.kustomizations(), "late", "test", late).await;
    for name in ["apps", "late"] {
        stage.ready(name).await;
    }
    for name in ["late", "kept", "plain"] {
        patch(&stage.config_maps(), name, "kubectl-edit", json!({"data": {"value": "edited"}})).await;
    }
    let value = async |name: &str| stage.data(name).await.unwrap()["value"].clone();
    put_back(&stage, "plain").await;
    let status = stage
        .until("apps", "said to have drifted", |status| {
            super::stage::condition(status, "Drifted")["status"] == "True"
        })
        .await;
    let drifted = super::stage::condition(&status, "Drifted");
    assert_eq!(drifted["reason"], "DriftReported");
    let message = drifted["message"].as_str().unwrap();
    assert!(message.contains("/kept (data.value)") && !message.contains("/plain"), "{message}");
    assert_eq!((value("kept").await.as_str(), value("late").await.as_str()), ("edited", "edited"));
    let labels = format!(r#"{{kind="Kustomization",name="apps",namespace="{}"}} 1"#, stage.namespace);
    let metrics = super::outage::body(&agent, "/metrics").await;
    assert!(metrics.contains(&format!("lockgate_drifted_objects{labels}")), "{metrics}");
    // A commit applies its own changes, and leaves what has drifted.
    let mut changed: Value = serde_json::from_str(&said("kept", "report")).unwrap();
    changed["data"]["other"] = "2".into();
    stage.push(&[("apps/kept.yaml", &changed.to_string())]);
    stage.ready("apps").await;
    let data = stage.data("kept").await.unwrap();
    assert_eq!((data["value"].as_str(), data["other"].as_str()), ("edited", "2"));
    stage.config_maps().delete("kept", &kube::api::DeleteParams::default()).await.unwrap();
    stage
        .until("apps", "said to have lost one", |status| {
            let drifted = super::stage::condition(status, "Drifted");
            drifted["message"].as_str().is_some_and(|message| message.contains("/kept (metadata.name)"))
        })
        .await;
    assert_eq!(stage.data("kept").await, None);
    // After a request, or when the interval is over, the waiting drift is corrected.
    let request = json!({"metadata": {"annotations": {"reconcile.fluxcd.io/requestedAt": "now"}}});
    patch(&stage.kustomizations(), "late", "test", request).await;
    put_back(&stage, "late").await;
}
