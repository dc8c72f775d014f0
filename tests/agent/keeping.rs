//! What is not deleted though Git has dropped it, or its owner goes.

use kube::api::DeleteParams;
use serde_json::{Value, json};

use super::stage::{PATIENCE, Stage, api, condition, config_map, stage};

/// The manifest of a Kustomization of the stage's source, as it stands in a repository.
fn manifest(stage: &Stage<'_>, name: &str, path: &str) -> String {
    json!({"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
           "metadata": {"name": name, "namespace": stage.namespace},
           "spec": {"interval": "10m", "retryInterval": "2s", "prune": true, "path": path,
                    "sourceRef": {"kind": "GitRepository", "name": "repo"}}})
    .to_string()
}

fn namespaced(stage: &Stage<'_>, name: &str) -> String {
    let mut object: Value = serde_json::from_str(&config_map(name, "1")).unwrap();
    object["metadata"]["namespace"] = stage.namespace.as_str().into();
    object.to_string()
}

/// A Kustomization whose own manifest leaves the folder that it applies goes on, and says so.
#[tokio::test]
async fn a_kustomization_does_not_prune_itself() {
    let stage = stage("itself", &[]).await;
    let (root, child) = (manifest(&stage, "cluster", "./cluster"), manifest(&stage, "apps", "./apps"));
    let map = namespaced(&stage, "a");
    stage.push(&[("cluster/sync.yaml", &root), ("cluster/apps.yaml", &child), ("apps/a.yaml", &map)]);
    let _agent = stage.agent().await;
    stage.apply(serde_json::from_str(&root).unwrap()).await.unwrap();
    stage.ready("cluster").await;
    stage.ready("apps").await;
    let uid = stage.kustomizations().get("cluster").await.unwrap().metadata.uid;
    stage.repo.commit::<&str>("main", "drop the sync", &[("cluster/sync.yaml", None)]).unwrap();
    stage.ready("cluster").await;
    stage.event("about what stays", |message| message.contains("cannot do without it")).await;
    let live = stage.kustomizations().get("cluster").await.unwrap().metadata;
    assert!(live.uid == uid && live.deletion_timestamp.is_none());
    assert!(stage.data("a").await.is_some());
}

/// What the API server itself keeps is let go with a word: the Kustomization stays Ready, and can be deleted.
#[tokio::test]
async fn a_namespace_that_the_server_keeps_is_let_go() {
    let namespace =
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kube-public"}}).to_string();
    let stage = stage("public", &[]).await;
    let map = namespaced(&stage, "a");
    stage.push(&[("apps/ns.yaml", &namespace), ("apps/a.yaml", &map)]);
    let _agent = stage.agent().await;
    stage.kustomization("apps", json!({"targetNamespace": null})).await;
    stage.ready("apps").await;
    stage.repo.commit::<&str>("main", "drop the namespace", &[("apps/ns.yaml", None)]).unwrap();
    let status = stage.ready("apps").await;
    assert_eq!(condition(&status, "Ready")["reason"], "ReconciliationSucceeded");
    stage.event("about what stays", |message| message.contains("it belongs to the API server itself")).await;
    stage.push(&[("apps/ns.yaml", &namespace)]);
    stage.ready("apps").await;
    stage.kustomizations().delete("apps", &DeleteParams::default()).await.unwrap();
    harness::eventually(PATIENCE, async || {
        anyhow::ensure!(stage.kustomizations().get_opt("apps").await?.is_none(), "it is still there");
        Ok(())
    })
    .await
    .unwrap();
    assert!(stage.data("a").await.is_none());
    let accounts = api(&stage.client, "kube-public", "v1", "ServiceAccount", "serviceaccounts");
    assert!(accounts.get_opt("default").await.is_ok());
}
