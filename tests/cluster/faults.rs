//! Faults of a control plane. The tests have one of their own, since they would disturb others.

use std::collections::HashSet;

use harness::proxy::{Mode, Proxy};
use harness::{ControlPlane, Options};
use kube::api::{DeleteParams, PostParams};
use lockgate::tested::HeldChange;
use lockgate_base::model::Gvk;
use lockgate_core::pipeline::ports::{ApiFailure, Reads as _, Scope, Settle as _, Writes as _};
use serde_json::json;

use super::{SOON, Stage, dynamic, owner};

#[tokio::test]
async fn a_control_plane_that_fails_and_returns() {
    let plane = ControlPlane::start(Options::bare()).await.unwrap();
    a_dead_group_holds_up_no_other(&plane).await;
    changes_during_an_outage_are_seen_after_it(&plane).await;
    a_place_in_the_watch_that_is_too_old_is_no_loss(&plane).await;
}

async fn a_dead_group_holds_up_no_other(plane: &ControlPlane) {
    let stage = Stage::on(plane).await;
    let service = json!({"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
        "metadata": {"name": "v1beta1.metrics.k8s.io"},
        "spec": {"group": "metrics.k8s.io", "version": "v1beta1", "groupPriorityMinimum": 100, "versionPriority": 100,
                 "insecureSkipTLSVerify": true, "service": {"name": "gone", "namespace": "default"}}});
    let services = stage.in_cluster("apiregistration.k8s.io/v1", "APIService", "apiservices");
    services.create(&PostParams::default(), &dynamic(service)).await.unwrap();
    let kind = |group: &str, version: &str, kind: &str| Gvk {
        group: group.into(),
        version: version.into(),
        kind: kind.into(),
    };
    harness::eventually(SOON, async || {
        let dead = stage.cluster.scope(&kind("metrics.k8s.io", "v1beta1", "NodeMetrics")).await;
        anyhow::ensure!(matches!(dead, Err(ApiFailure::UnknownKind { unreachable: true, .. })), "{dead:?}");
        Ok(())
    })
    .await
    .unwrap();
    assert_eq!(stage.cluster.scope(&kind("apps", "v1", "Deployment")).await, Ok(Scope::Namespaced));
    assert_eq!(stage.cluster.scope(&kind("", "v1", "Namespace")).await, Ok(Scope::Cluster));
    let absent = stage.cluster.scope(&kind("x.io", "v1", "Bar")).await;
    assert!(matches!(absent, Err(ApiFailure::UnknownKind { unreachable: false, .. })), "{absent:?}");
    stage.cluster.apply(&stage.config_map("c", json!({}))).await.unwrap();
    let metrics = stage.cluster_object("metrics.k8s.io/v1beta1", "NodeMetrics", "n", json!({}));
    let refused = stage.cluster.observe(&[metrics], &HashSet::new()).await.remove(0).dry_run.unwrap_err();
    assert!(refused.is_transient(), "{refused}");
    services.delete("v1beta1.metrics.k8s.io", &DeleteParams::default()).await.unwrap();
}

async fn changes_during_an_outage_are_seen_after_it(plane: &ControlPlane) {
    let mut stage = Stage::on(plane).await;
    let object = stage.config_map("c", json!({"a": "1"}));
    stage.cluster.apply(&object).await.unwrap();
    until_intact(&stage, &object).await;
    plane.kill_apiserver();
    harness::eventually(SOON, async || {
        anyhow::ensure!(!stage.cluster.intact(&[object.id()]), "the watch is not known to be broken");
        Ok(())
    })
    .await
    .unwrap();
    let refused = stage.cluster.apply(&object).await.unwrap_err();
    assert!(refused.is_transient(), "{refused}");
    plane.start_apiserver().await.unwrap();
    stage.edit("someone", "c", json!({"data": {"a": "2"}})).await;
    assert!(matches!(stage.change().await, HeldChange::Drifted { .. }));
    stage.cluster.apply(&object).await.unwrap();
    until_intact(&stage, &object).await;
}

async fn a_place_in_the_watch_that_is_too_old_is_no_loss(plane: &ControlPlane) {
    let proxy = Proxy::start(plane.address()).unwrap();
    let kubeconfig = plane.kubeconfig_through(&plane.admin_kubeconfig(), proxy.address()).unwrap();
    let mut stage = Stage::with(plane, kubeconfig).await;
    let (kept, lost) = (stage.config_map("kept", json!({"a": "1"})), stage.config_map("lost", json!({})));
    stage.cluster.apply(&kept).await.unwrap();
    stage.cluster.apply(&lost).await.unwrap();
    until_intact(&stage, &lost).await;
    // While the watch is away, an object is deleted, and all history is dropped.
    proxy.set(Mode::Refuse).await;
    stage.config_maps().delete("lost", &DeleteParams::default()).await.unwrap();
    stage.edit("someone", "kept", json!({"metadata": {"annotations": {"theirs": "1"}}})).await;
    plane.compact_etcd().await.unwrap();
    plane.restart_apiserver().await.unwrap();
    proxy.set(Mode::Pass).await;
    assert_eq!(stage.change().await, HeldChange::Gone { id: lost.id(), owner: owner(), policy: None });
    until_intact(&stage, &kept).await;
    assert!(stage.is_quiet().await);
}

async fn until_intact(stage: &Stage, object: &lockgate_base::model::Object) {
    harness::eventually(SOON, async || {
        anyhow::ensure!(stage.cluster.intact(&[object.id()]), "{object:?} is not intact");
        Ok(())
    })
    .await
    .unwrap();
}
