//! The results of a dry run: whether an object exists, what an apply would change, and the causes of
//! refusals.

use std::collections::HashSet;

use kube::api::DeleteParams;
use lockgate_base::model::Object;
use lockgate_core::pipeline::ports::{ObjectReference, Reads as _, Settle as _, Writes as _};
use lockgate_core::plan::{Cause, Refusal};
use serde_json::{Value, json};

use super::{SOON, Stage, deployment};

/// Whether a cause is the expected one.
type Judge = fn(&Cause) -> bool;

async fn refusal(stage: &Stage, object: Object) -> Refusal {
    let observation = stage.cluster.observe(&[object], &HashSet::new()).await.remove(0);
    observation.dry_run.expect_err("the server refuses it")
}

#[tokio::test]
async fn an_object_that_is_not_there_would_be_created() {
    let stage = Stage::new().await;
    let object = stage.config_map("new", json!({"a": "b"}));
    for known in [HashSet::new(), HashSet::from([object.id()])] {
        let observation = stage.cluster.observe(std::slice::from_ref(&object), &known).await.remove(0);
        assert!(observation.live.is_none());
        assert_eq!(observation.dry_run.unwrap().pointer("/data/a"), Some(&json!("b")));
    }
    assert_eq!(stage.cluster.get(&ObjectReference::to(&object)).await, Ok(None), "nothing was written");
}

#[tokio::test]
async fn an_object_that_is_there_comes_with_what_it_would_become() {
    let stage = Stage::new().await;
    stage.cluster.apply(&stage.config_map("there", json!({"a": "1"}))).await.unwrap();
    let changed = stage.config_map("there", json!({"a": "2"}));
    for known in [HashSet::new(), HashSet::from([changed.id()])] {
        let observation = stage.cluster.observe(std::slice::from_ref(&changed), &known).await.remove(0);
        assert_eq!(observation.live.unwrap().pointer("/data/a"), Some(&json!("1")));
        assert_eq!(observation.dry_run.unwrap().pointer("/data/a"), Some(&json!("2")));
    }
}

#[tokio::test]
async fn each_refusal_is_told_apart() {
    let stage = Stage::new().await;
    let in_nowhere = stage
        .config_map("a", json!({}))
        .edit(|value| value["metadata"]["namespace"] = json!("nope"))
        .unwrap();
    let without = stage.cluster_object("v1", "ConfigMap", "a", json!({}));
    let with = |rest: Value| stage.object("v1", "ConfigMap", "a", rest);
    let wrong_type = stage.object("v1", "PersistentVolumeClaim", "c", json!({"spec": {"volumeName": {}}}));
    let cases: Vec<(&str, Object, Judge)> = vec![
        ("namespace missing", in_nowhere, |cause| *cause == Cause::NamespaceMissing("nope".into())),
        ("no namespace", without, |cause| *cause == Cause::NamespaceNotSpecified),
        ("unknown field", with(json!({"dataa": {}})), |cause| *cause == Cause::UnknownField("dataa".into())),
        ("wrong type", wrong_type, |cause| *cause == Cause::TypeError),
        ("no such kind", stage.object("x.io/v1", "Bar", "b", json!({})), |cause| {
            matches!(cause, Cause::UnknownKind(_))
        }),
        ("not base64", stage.object("v1", "Secret", "s", json!({"data": {"a": "%"}})), |cause| {
            *cause == Cause::TypeError
        }),
        ("invalid name", stage.object("v1", "ConfigMap", "Bad_Name", json!({})), |cause| {
            *cause == Cause::Invalid
        }),
        ("a path for a name", stage.object("v1", "ConfigMap", "../b", json!({})), |cause| {
            *cause == Cause::Invalid
        }),
    ];
    for (what, object, expected) in cases {
        let refusal = refusal(&stage, object).await;
        assert!(expected(&refusal.cause), "{what}: {:?}: {refusal}", refusal.cause);
    }
}

#[tokio::test]
async fn an_immutable_field_is_told_with_the_live_object() {
    let stage = Stage::new().await;
    stage.cluster.apply(&deployment(&stage, "d", "one")).await.unwrap();
    let other = deployment(&stage, "d", "two");
    for known in [HashSet::new(), HashSet::from([other.id()])] {
        let observation = stage.cluster.observe(std::slice::from_ref(&other), &known).await.remove(0);
        let refusal = observation.dry_run.unwrap_err();
        assert_eq!(refusal.cause, Cause::Immutable { loss: None }, "{refusal}");
        assert!(observation.live.is_some(), "its uid is needed to make it anew");
    }
}

#[tokio::test]
async fn a_secret_that_is_refused_shows_no_value() {
    let stage = Stage::new().await;
    for broken in [
        json!({"stringData": {"password": 31337}}),
        json!({"stringData": {"password": {"inner": "hunter2"}}}),
        json!({"data": "hunter2"}),
    ] {
        let refusal = refusal(&stage, stage.object("v1", "Secret", "s", broken)).await;
        let text = format!("{refusal} {refusal:?}");
        assert!(!text.contains("hunter2") && !text.contains("31337"), "{text}");
        assert!(text.contains("expected"), "{text}");
    }
}

#[tokio::test]
async fn a_terminating_namespace_is_no_missing_right() {
    let stage = Stage::new().await;
    let held = stage
        .config_map("held", json!({}))
        .edit(|value| value["metadata"]["finalizers"] = json!(["example.com/hold"]))
        .unwrap();
    stage.cluster.apply(&held).await.unwrap();
    let namespaces = stage.in_cluster("v1", "Namespace", "namespaces");
    namespaces.delete(&stage.namespace, &DeleteParams::default()).await.unwrap();
    let refusal = refusal(&stage, stage.config_map("late", json!({}))).await;
    assert_eq!(refusal.terminating_namespace(), Some(stage.namespace.as_str()), "{refusal}");
    assert!(refusal.is_transient());
    stage.edit("test", "held", json!({"metadata": {"finalizers": null}})).await;
    assert!(stage.cluster.gone(&[ObjectReference::to(&held)], SOON).await.is_empty());
}

#[tokio::test]
async fn all_refusals_are_gathered_in_the_order_asked() {
    let stage = Stage::new().await;
    let objects: Vec<Object> = (0..30)
        .map(|index| {
            let rest =
                if index % 3 == 0 { json!({"dataa": {}}) } else { json!({"data": {"i": index.to_string()}}) };
            stage.object("v1", "ConfigMap", &format!("c{index}"), rest)
        })
        .collect();
    let observations = stage.cluster.observe(&objects, &HashSet::new()).await;
    assert_eq!(observations.len(), 30);
    for (index, observation) in observations.iter().enumerate() {
        match &observation.dry_run {
            Ok(object) => assert_eq!(object.name(), format!("c{index}")),
            Err(refusal) => assert!(index % 3 == 0, "{refusal}"),
        }
    }
}
