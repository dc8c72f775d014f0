//! The writes: create, configure, recreate, delete, and the fence before them.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use kube::api::{Patch, PatchParams};
use lockgate::tested::{Cluster, HeldChange};
use lockgate_base::model::Object;
use lockgate_core::pipeline::ports::{
    Accepted, ApiFailure, Deleted, ObjectReference, Reads as _, Settle as _, Settled, Writes as _,
};
use lockgate_core::plan::Refusal;
use serde_json::json;

use super::{QUIET, SOON, Stage, deployment};

#[tokio::test]
async fn what_was_applied_is_what_the_server_accepted() {
    let stage = Stage::new().await;
    let first = stage.cluster.apply(&stage.config_map("c", json!({"a": "1"}))).await.unwrap();
    let again = stage.cluster.apply(&stage.config_map("c", json!({"a": "1"}))).await.unwrap();
    assert_eq!(first, again, "the same object is no write");
    let changed = stage.cluster.apply(&stage.config_map("c", json!({"b": "1"}))).await.unwrap();
    assert_eq!(first.uid, changed.uid);
    assert_ne!(first.resource_version, changed.resource_version);
    let live = stage.cluster.get(&first.reference).await.unwrap().unwrap();
    assert_eq!(
        live.pointer("/data"),
        Some(&json!({"b": "1"})),
        "a field that is no longer applied is removed"
    );
    let managers = live.pointer("/metadata/managedFields/0/manager");
    assert_eq!(managers, Some(&json!("kustomize-controller")));
}

/// Deletes an object, waits until it is gone, and applies it again.
async fn recreate(
    cluster: &Cluster,
    object: &Object,
    uid: &str,
    timeout: Duration,
) -> Result<Accepted, Refusal> {
    cluster.clear(object, uid).await?;
    cluster.cleared(object, timeout).await?;
    cluster.apply(object).await
}

#[tokio::test]
async fn an_object_is_made_anew() {
    let stage = Stage::new().await;
    let first = stage.cluster.apply(&deployment(&stage, "d", "one")).await.unwrap();
    let anew = recreate(&stage.cluster, &deployment(&stage, "d", "two"), &first.uid, SOON).await.unwrap();
    assert_ne!(first.uid, anew.uid);
    let live = stage.cluster.get(&anew.reference).await.unwrap().unwrap();
    assert_eq!(live.pointer("/spec/selector/matchLabels/app"), Some(&json!("two")));
}

#[tokio::test]
async fn an_object_that_a_finalizer_holds_is_named() {
    let stage = Stage::new().await;
    let held = stage
        .config_map("held", json!({}))
        .edit(|value| value["metadata"]["finalizers"] = json!(["example.com/hold"]))
        .unwrap();
    let applied = stage.cluster.apply(&held).await.unwrap();
    let refusal = recreate(&stage.cluster, &held, &applied.uid, super::QUIET).await.unwrap_err();
    assert!(refusal.to_string().contains("example.com/hold"), "{refusal}");
    stage.edit("test", "held", json!({"metadata": {"finalizers": null}})).await;
}

#[tokio::test]
async fn only_the_object_with_that_uid_is_deleted() {
    let stage = Stage::new().await;
    let object = stage.config_map("c", json!({}));
    let applied = stage.cluster.apply(&object).await.unwrap();
    let reference = applied.reference.clone();
    let other = stage.cluster.delete(&reference, "00000000-0000-0000-0000-000000000000", None).await;
    assert_eq!(other, Ok(Deleted::Changed));
    let earlier = stage.cluster.delete(&reference, &applied.uid, Some("1")).await;
    assert_eq!(earlier, Ok(Deleted::Changed));
    assert!(stage.cluster.get(&reference).await.unwrap().is_some());
    assert_eq!(stage.cluster.delete(&reference, &applied.uid, None).await, Ok(Deleted::Accepted));
    assert!(stage.cluster.gone(std::slice::from_ref(&reference), SOON).await.is_empty());
    assert_eq!(stage.cluster.delete(&reference, &applied.uid, None).await, Ok(Deleted::Gone));
}

#[tokio::test]
async fn what_is_to_be_pruned_is_asked_by_its_labels() {
    let stage = Stage::new().await;
    let ours = stage.cluster.apply(&stage.config_map("ours", json!({}))).await.unwrap().reference;
    let missing = ObjectReference::to(&stage.config_map("missing", json!({})));
    let no_kind = ObjectReference::to(&stage.object("x.io/v1", "Bar", "b", json!({})));
    // This version is not served, but the object is the same.
    let other_version = ObjectReference { version: "v9".into(), ..ours.clone() };
    let answers = stage.cluster.identify(&[ours, missing, no_kind, other_version]).await;
    let names: Vec<_> = answers.iter().map(|answer| answer.as_ref().unwrap().as_ref()).collect();
    assert_eq!(names.iter().map(Option::is_some).collect::<Vec<_>>(), [true, false, false, true]);
    let live = names[0].unwrap();
    assert_eq!((live.kind(), live.api_version()), ("ConfigMap", "v1"));
    assert_eq!(live.label("kustomize.toolkit.fluxcd.io/name"), Some("apps"));
    assert_eq!(live.pointer("/data"), None, "no more than type and metadata was asked for");
}

#[tokio::test]
async fn nothing_is_written_once_the_fence_is_up() {
    let stage = Stage::new().await;
    let applied = stage.cluster.apply(&stage.config_map("c", json!({}))).await.unwrap();
    let fenced = stage.cluster.clone().fenced(Arc::new(|| Err("the lease was taken by b".into())));
    let refusal = fenced.apply(&stage.config_map("d", json!({}))).await.unwrap_err();
    assert!(refusal.to_string().contains("the lease was taken by b"), "{refusal}");
    let deleted = fenced.delete(&applied.reference, &applied.uid, None).await;
    assert_eq!(deleted, Err(ApiFailure::Fenced("the lease was taken by b".into())));
    let taken = fenced.take_over(&stage.config_map("c", json!({})), &json!([])).await.unwrap_err();
    assert!(taken.to_string().contains("the lease was taken by b"), "{taken}");
    assert!(recreate(&fenced, &stage.config_map("c", json!({})), &applied.uid, SOON).await.is_err());
    assert!(stage.cluster.get(&applied.reference).await.unwrap().is_some());
}

/// A definition of Widgets in a group of the stage's own, and a Widget.
fn widgets(stage: &Stage) -> (Object, Object) {
    let group = format!("{}.example.com", stage.namespace);
    let versions = json!([{"name": "v1", "served": true, "storage": true,
        "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": {"type": "object",
            "properties": {"size": {"type": "integer"}}}}}}}]);
    let names =
        json!({"kind": "Widget", "plural": "widgets", "singular": "widget", "listKind": "WidgetList"});
    let definition = stage.cluster_object(
        "apiextensions.k8s.io/v1",
        "CustomResourceDefinition",
        &format!("widgets.{group}"),
        json!({"spec": {"group": group, "scope": "Namespaced", "versions": versions, "names": names}}),
    );
    (definition, stage.object(&format!("{group}/v1"), "Widget", "w", json!({"spec": {"size": 1}})))
}

/// Applies an object, and waits until it is healthy.
async fn settled(stage: &Stage, object: &Object) -> Accepted {
    let applied = stage.cluster.apply(object).await.unwrap();
    let settled = stage.cluster.settle(std::slice::from_ref(&applied.reference), SOON).await;
    assert_eq!(settled, Settled::Healthy);
    applied
}

#[tokio::test]
async fn a_custom_resource_is_applied_right_after_its_definition() {
    let stage = Stage::new().await;
    let (definition, widget) = widgets(&stage);
    let before = stage.cluster.observe(std::slice::from_ref(&widget), &HashSet::new()).await.remove(0);
    assert!(before.dry_run.is_err(), "there is no such kind yet");
    settled(&stage, &definition).await;
    let observation = stage.cluster.observe(std::slice::from_ref(&widget), &HashSet::new()).await.remove(0);
    observation.dry_run.unwrap();
    settled(&stage, &widget).await;
    let wrong = stage.object(widget.api_version(), "Widget", "w", json!({"spec": {"sizee": 1}}));
    let refused =
        stage.cluster.observe(&[wrong], &HashSet::from([widget.id()])).await.remove(0).dry_run.unwrap_err();
    assert!(refused.to_string().contains("sizee"), "{refused}");
}

#[tokio::test]
async fn with_a_definition_go_its_objects_and_their_watch() {
    let mut stage = Stage::new().await;
    let (definition, widget) = widgets(&stage);
    let of_definition = settled(&stage, &definition).await;
    let of_widget = settled(&stage, &widget).await;
    stage.cluster.delete(&of_definition.reference, &of_definition.uid, None).await.unwrap();
    assert!(stage.cluster.gone(&[of_definition.reference], SOON).await.is_empty());
    assert_eq!(stage.cluster.get(&of_widget.reference).await, Ok(None));
    assert_eq!(stage.cluster.delete(&of_widget.reference, &of_widget.uid, None).await, Ok(Deleted::Gone));
    // The watch has time to notice that its kind is gone. Then both come back, and so does the watch.
    tokio::time::sleep(2 * QUIET).await;
    settled(&stage, &definition).await;
    settled(&stage, &widget).await;
    harness::eventually(SOON, async || {
        anyhow::ensure!(
            stage.cluster.intact(&[widget.id()]),
            "the watch is not back: {:?}",
            stage.cluster.unwatched()
        );
        Ok(())
    })
    .await
    .unwrap();
    let params = PatchParams { field_manager: Some("someone".into()), ..PatchParams::default() };
    let widgets = stage.api(widget.api_version(), "Widget", "widgets");
    widgets.patch("w", &params, &Patch::Merge(json!({"spec": {"size": 2}}))).await.unwrap();
    loop {
        match stage.change().await {
            HeldChange::Drifted { id, .. } if id == widget.id() => break,
            // The definition and the widget were deleted before they came back.
            _ => {}
        }
    }
}
