//! What stays because others have objects in it, need it, or say so.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use harness::{Answer, Webhook};
use kube::api::DeleteParams;
use serde_json::{Value, json};

use super::keeping::{manifest, namespaced};
use super::stage::{PATIENCE, api, config_map, gone, stage};

fn space(name: &str) -> String {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}).to_string()
}

fn inside(namespace: &str, name: &str) -> String {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace}})
        .to_string()
}

/// A namespace stays while another owner has objects in it, and values stay while another owner uses them.
/// Both owners are notified.
#[tokio::test]
async fn what_others_live_in_or_need_stays() {
    let stage = stage("inside", &[]).await;
    let space_name = format!("{}-space", stage.namespace);
    stage.push(&[
        ("base/space.yaml", &space(&space_name)),
        ("base/vars.yaml", &namespaced(&stage, "vars")),
        ("base/a.yaml", &namespaced(&stage, "a")),
        ("apps/b.yaml", &inside(&space_name, "b")),
    ]);
    let _agent = stage.agent().await;
    stage.kustomization("base", json!({"targetNamespace": null})).await;
    stage.ready("base").await;
    let from = json!({"substituteFrom": [{"kind": "ConfigMap", "name": "vars"}]});
    stage.kustomization("apps", json!({"targetNamespace": null, "postBuild": from})).await;
    stage.ready("apps").await;
    let dropped = [("base/space.yaml", None::<&str>), ("base/vars.yaml", None)];
    stage.repo.commit("main", "drop both", &dropped).unwrap();
    stage.ready("base").await;
    for told in [
        "/apps manages it, or objects that would be deleted with it",
        "this Kustomization manages objects in it",
        "/apps needs it",
        "this Kustomization needs it",
    ] {
        stage.event(told, |message| message.contains(told)).await;
    }
    let spaces = stage.in_cluster("v1", "Namespace", "namespaces");
    assert!(spaces.get(&space_name).await.unwrap().metadata.deletion_timestamp.is_none());
    assert!(api(&stage.client, &space_name, "v1", "ConfigMap", "configmaps").get("b").await.is_ok());
    assert!(stage.data("vars").await.is_some());
    spaces.delete(&space_name, &DeleteParams::default()).await.unwrap();
}

/// Objects in a namespace do not block its deletion if their owner is deleted in the same commit.
#[tokio::test]
async fn a_namespace_goes_with_the_kustomization_of_what_is_in_it() {
    let stage = stage("along", &[]).await;
    let space_name = format!("{}-space", stage.namespace);
    let root = manifest(&stage, "cluster", "./cluster");
    stage.push(&[
        ("cluster/a.yaml", &namespaced(&stage, "a")),
        ("cluster/space.yaml", &space(&space_name)),
        ("cluster/apps.yaml", &manifest(&stage, "apps", "./apps")),
        ("apps/b.yaml", &inside(&space_name, "b")),
    ]);
    let _agent = stage.agent().await;
    stage.apply(serde_json::from_str(&root).unwrap()).await.unwrap();
    for name in ["cluster", "apps"] {
        stage.ready(name).await;
    }
    let dropped = [("cluster/space.yaml", None::<&str>), ("cluster/apps.yaml", None)];
    stage.repo.commit("main", "drop the application", &dropped).unwrap();
    stage.ready("cluster").await;
    gone(&stage.in_cluster("v1", "Namespace", "namespaces"), &space_name).await;
    gone(&stage.kustomizations(), "apps").await;
}

/// An object whose deletion a webhook refuses stays managed, and is deleted as soon as the webhook allows it.
/// All others are deleted meanwhile.
#[tokio::test]
async fn a_deletion_that_a_webhook_refuses_is_tried_again() {
    let files = ["a", "b", "c"].map(|name| (format!("apps/{name}.yaml"), config_map(name, "1")));
    let stage = stage("refused", &files.each_ref().map(|(path, text)| (path.as_str(), text.as_str()))).await;
    let (webhook, allows) = (Webhook::start().unwrap(), Arc::new(AtomicBool::new(false)));
    let rule = Arc::clone(&allows);
    webhook.answer(move |request| {
        let is_guarded = request["operation"] == "DELETE" && request["name"] == "b";
        if is_guarded && !rule.load(Ordering::Relaxed) {
            Answer::Deny("b is in use".into())
        } else {
            Answer::Allow
        }
    });
    stage.guarded(&webhook, &["configmaps"]).await;
    let _agent = stage.agent().await;
    stage.kustomization("apps", json!({})).await;
    stage.ready("apps").await;
    // The webhook is asked as soon as the server has taken note of it.
    harness::eventually(PATIENCE, async || {
        let attempt = DeleteParams { dry_run: true, ..DeleteParams::default() };
        anyhow::ensure!(stage.config_maps().delete("b", &attempt).await.is_err(), "b may be deleted");
        Ok(())
    })
    .await
    .unwrap();
    let dropped = [("apps/b.yaml", None::<&str>), ("apps/c.yaml", None)];
    stage.repo.commit("main", "drop two", &dropped).unwrap();
    let message = stage.reason("apps", "PruneFailed").await;
    assert!(message.contains("ConfigMap/") && message.contains("/b: "), "{message}");
    assert!(message.contains("b is in use") && !message.contains("/c"), "{message}");
    assert!(stage.data("b").await.is_some() && stage.data("c").await.is_none());
    let status = stage.kustomizations().get("apps").await.unwrap().data["status"].clone();
    let entries: Vec<&Value> = status["inventory"]["entries"].as_array().unwrap().iter().collect();
    assert_eq!(entries.len(), 2, "{entries:?}");
    allows.store(true, Ordering::Relaxed);
    stage.ready("apps").await;
    assert!(stage.data("b").await.is_none());
    stage.unguarded(&webhook).await;
}
