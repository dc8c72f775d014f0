//! Drift by watch: a change by somebody else is reported at once, and a change that is no drift is not
//! reported.

use kube::api::DeleteParams;
use lockgate::tested::HeldChange;
use lockgate_base::model::ObjectId;
use lockgate_core::api::Kustomization;
use lockgate_core::pipeline::ports::{Settle as _, Writes as _};
use serde_json::json;

use super::{SOON, Stage, owner};

/// A ConfigMap that is applied, and the watch that has caught up with it.
async fn held(stage: &mut Stage) -> ObjectId {
    let object = stage.config_map("c", json!({"a": "1", "b": "2"}));
    stage.cluster.apply(&object).await.unwrap();
    until_intact(stage, &object.id()).await;
    object.id()
}

async fn until_intact(stage: &Stage, id: &ObjectId) {
    harness::eventually(SOON, async || {
        anyhow::ensure!(stage.cluster.intact(std::slice::from_ref(id)), "{id} is not intact");
        Ok(())
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_changed_value_is_drift() {
    let mut stage = Stage::new().await;
    let id = held(&mut stage).await;
    stage.edit("someone", "c", json!({"data": {"a": "other"}})).await;
    let HeldChange::Drifted { id: changed, owner: of, by, .. } = stage.change().await else {
        panic!("drift is told");
    };
    assert_eq!((changed, of, by.as_deref()), (id.clone(), owner(), Some("someone")));
    assert!(!stage.cluster.intact(std::slice::from_ref(&id)));
    // Put back, it is intact again, and our own write is no drift.
    stage.cluster.apply(&stage.config_map("c", json!({"a": "1", "b": "2"}))).await.unwrap();
    until_intact(&stage, &id).await;
    assert!(stage.is_quiet().await);
}

#[tokio::test]
async fn a_removed_field_is_drift() {
    let mut stage = Stage::new().await;
    held(&mut stage).await;
    stage.edit("someone", "c", json!({"data": {"a": null}})).await;
    assert!(matches!(stage.change().await, HeldChange::Drifted { .. }));
}

#[tokio::test]
async fn a_field_that_kubectl_added_is_drift() {
    let mut stage = Stage::new().await;
    held(&mut stage).await;
    stage.edit("kubectl-edit", "c", json!({"data": {"added": "1"}})).await;
    assert!(matches!(stage.change().await, HeldChange::Drifted { .. }));
}

#[tokio::test]
async fn what_touches_no_field_of_ours_is_no_drift() {
    let mut stage = Stage::new().await;
    let id = held(&mut stage).await;
    stage.edit("someone", "c", json!({"data": {"a": "1"}})).await;
    stage.edit("someone", "c", json!({"data": {"theirs": "1"}})).await;
    stage.edit("someone", "c", json!({"metadata": {"annotations": {"theirs": "1"}}})).await;
    assert!(stage.is_quiet().await);
    assert!(stage.cluster.intact(&[id]));
}

#[tokio::test]
async fn a_lost_owner_label_is_told() {
    let mut stage = Stage::new().await;
    let id = held(&mut stage).await;
    stage
        .edit("someone", "c", json!({"metadata": {"labels": {"kustomize.toolkit.fluxcd.io/name": null}}}))
        .await;
    assert_eq!(stage.change().await, HeldChange::Gone { id, owner: owner(), policy: None });
}

#[tokio::test]
async fn another_owner_in_the_label_is_drift() {
    let mut stage = Stage::new().await;
    held(&mut stage).await;
    stage
        .edit("someone", "c", json!({"metadata": {"labels": {"kustomize.toolkit.fluxcd.io/name": "other"}}}))
        .await;
    assert!(matches!(stage.change().await, HeldChange::Drifted { .. }));
}

#[tokio::test]
async fn a_deleted_object_is_told() {
    let mut stage = Stage::new().await;
    let id = held(&mut stage).await;
    stage.config_maps().delete("c", &DeleteParams::default()).await.unwrap();
    assert_eq!(stage.change().await, HeldChange::Gone { id: id.clone(), owner: owner(), policy: None });
    assert!(!stage.cluster.intact(&[id]));
}

#[tokio::test]
async fn our_own_writes_and_deletions_are_not_told() {
    let mut stage = Stage::new().await;
    let id = held(&mut stage).await;
    for round in 0..20 {
        stage.cluster.apply(&stage.config_map("c", json!({"a": round.to_string()}))).await.unwrap();
    }
    assert!(stage.is_quiet().await);
    let applied = stage.cluster.apply(&stage.config_map("c", json!({}))).await.unwrap();
    stage.cluster.delete(&applied.reference, &applied.uid, None).await.unwrap();
    stage.cluster.gone(&[applied.reference], SOON).await;
    assert!(stage.is_quiet().await);
    assert!(!stage.cluster.intact(&[id]));
}

#[tokio::test]
async fn an_object_that_was_only_looked_at_is_held_as_well() {
    use lockgate_core::pipeline::ports::{ObjectReference, Reads as _};
    let mut stage = Stage::new().await;
    let object = stage.config_map("c", json!({"a": "1"}));
    stage.cluster.apply(&object).await.unwrap();
    // Another process, which applied nothing itself: it finds the object as Git wants it.
    let mut other = Stage::new().await;
    let live = other.cluster.get(&ObjectReference::to(&object)).await.unwrap().unwrap();
    other.cluster.hold(&live);
    until_intact(&other, &object.id()).await;
    // Its former owner has nothing to give up.
    other.cluster.release(&Kustomization::named("flux-system", "former"), &[object.id()]);
    stage.edit("someone", "c", json!({"data": {"a": "2"}})).await;
    assert!(matches!(other.change().await, HeldChange::Drifted { .. }));
    assert!(matches!(stage.change().await, HeldChange::Drifted { .. }));
    other.cluster.release(&Kustomization::named("flux-system", "apps"), &[object.id()]);
    stage.edit("someone", "c", json!({"data": {"a": "3"}})).await;
    assert!(other.is_quiet().await);
}
