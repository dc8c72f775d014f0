//! Objects that stay although Git has dropped them, or their owner is deleted.

use kube::api::{Api, DeleteParams, DynamicObject};
use serde_json::{Value, json};

use super::stage::{PATIENCE, Stage, api, condition, config_map, gone, stage};

/// The manifest of a Kustomization of the stage's source, for a repository.
pub(super) fn manifest(stage: &Stage<'_>, name: &str, path: &str) -> String {
    json!({"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
           "metadata": {"name": name, "namespace": stage.namespace},
           "spec": {"interval": "10m", "retryInterval": "2s", "prune": true, "path": path,
                    "sourceRef": {"kind": "GitRepository", "name": "repo"}}})
    .to_string()
}

pub(super) fn namespaced(stage: &Stage<'_>, name: &str) -> String {
    let mut object: Value = serde_json::from_str(&config_map(name, "1")).unwrap();
    object["metadata"]["namespace"] = stage.namespace.as_str().into();
    object.to_string()
}

/// A Kustomization whose own manifest leaves the folder that it applies continues, and says so.
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
    stage.event("about what stays", |message| message.contains("its owner needs it")).await;
    let live = stage.kustomizations().get("cluster").await.unwrap().metadata;
    assert!(live.uid == uid && live.deletion_timestamp.is_none());
    assert!(stage.data("a").await.is_some());
}

/// An object that the API server itself keeps is given up with a note: the Kustomization stays Ready, and can
/// be deleted.
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

/// Of two Kustomizations that hold a namespace and what there is once in a cluster, the one that drops it, or
/// goes, leaves it to the other.
#[tokio::test]
async fn what_two_hold_outlives_the_first_of_its_owners() {
    let stage = stage("shared", &[]).await;
    let shared = format!("{}-both", stage.namespace);
    let (storage, priority) = ("storage.k8s.io/v1", "scheduling.k8s.io/v1");
    let all = [
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": shared}}),
        json!({"apiVersion": storage, "kind": "StorageClass", "metadata": {"name": shared},
               "provisioner": "example.com/disk"}),
        json!({"apiVersion": priority, "kind": "PriorityClass", "metadata": {"name": shared}, "value": 7}),
    ];
    let namespace = all.map(|object| object.to_string()).join("\n---\n");
    let kinds = [
        stage.in_cluster("v1", "Namespace", "namespaces"),
        stage.in_cluster(storage, "StorageClass", "storageclasses"),
        stage.in_cluster(priority, "PriorityClass", "priorityclasses"),
    ];
    let map = |name: &str| {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": shared}})
            .to_string()
    };
    stage.push(&[
        ("a/ns.yaml", &namespace),
        ("a/map.yaml", &map("a")),
        ("b/ns.yaml", &namespace),
        ("b/map.yaml", &map("b")),
    ]);
    let _agent = stage.agent().await;
    // The second takes the labels, so it is the one that would delete.
    for name in ["b", "a"] {
        stage.kustomization(name, json!({"targetNamespace": null})).await;
        stage.ready(name).await;
    }
    stage.repo.commit::<&str>("main", "drop the namespace", &[("a/ns.yaml", None)]).unwrap();
    stage.ready("a").await;
    stage.event("about what stays", |message| message.contains("/b manages it")).await;
    let maps = api(&stage.client, &shared, "v1", "ConfigMap", "configmaps");
    assert!(maps.get("b").await.is_ok());
    // The other puts its labels on it, so that it is not orphaned.
    for kind in &kinds {
        labelled(kind, &shared, "b").await;
    }
    stage.push(&[("a/ns.yaml", &namespace)]);
    stage.ready("a").await;
    for kind in &kinds {
        labelled(kind, &shared, "a").await;
    }
    stage.kustomizations().delete("a", &DeleteParams::default()).await.unwrap();
    for kind in &kinds {
        labelled(kind, &shared, "b").await;
    }
    assert!(maps.get("b").await.is_ok());
    stage.kustomizations().delete("b", &DeleteParams::default()).await.unwrap();
    for kind in &kinds {
        gone(kind, &shared).await;
    }
}

async fn labelled(objects: &Api<DynamicObject>, object: &str, owner: &str) {
    harness::eventually(PATIENCE, async || {
        let labels = objects.get(object).await?.metadata.labels.unwrap_or_default();
        let name = labels.get("kustomize.toolkit.fluxcd.io/name").map(String::as_str);
        anyhow::ensure!(name == Some(owner), "it is labelled {name:?}");
        Ok(())
    })
    .await
    .unwrap();
}

/// A child that is renamed in one commit, and an object that moves to another child, keep their uids.
#[tokio::test]
async fn what_moves_to_another_kustomization_is_handed_over() {
    let stage = stage("moves", &[]).await;
    let (root, app) = (manifest(&stage, "cluster", "./cluster"), manifest(&stage, "app", "./app"));
    let (app2, other) = (manifest(&stage, "app2", "./app"), manifest(&stage, "other", "./other"));
    let (a, b) = (namespaced(&stage, "a"), namespaced(&stage, "b"));
    stage.push(&[
        ("cluster/app.yaml", &app),
        ("cluster/other.yaml", &other),
        ("app/a.yaml", &a),
        ("app/b.yaml", &b),
        ("other/c.yaml", &namespaced(&stage, "c")),
    ]);
    let _agent = stage.agent().await;
    stage.apply(serde_json::from_str(&root).unwrap()).await.unwrap();
    for name in ["cluster", "app", "other"] {
        stage.ready(name).await;
    }
    let uid = async |name: &str| stage.config_maps().get(name).await.unwrap().metadata.uid.unwrap();
    let (uid_a, uid_b) = (uid("a").await, uid("b").await);
    stage.repo.commit("main", "move b", &[("app/b.yaml", None), ("other/b.yaml", Some(&b))]).unwrap();
    for name in ["cluster", "app", "other"] {
        stage.ready(name).await;
    }
    assert_eq!(uid("b").await, uid_b);
    labelled(&stage.config_maps(), "b", "other").await;
    let renamed = [("cluster/app.yaml", None), ("cluster/app2.yaml", Some(&app2))];
    stage.repo.commit("main", "rename app", &renamed).unwrap();
    stage.ready("app2").await;
    harness::eventually(PATIENCE, async || {
        anyhow::ensure!(stage.kustomizations().get_opt("app").await?.is_none(), "app is still there");
        Ok(())
    })
    .await
    .unwrap();
    assert_eq!(uid("a").await, uid_a);
    labelled(&stage.config_maps(), "a", "app2").await;
    // Its new owner prunes it in the end.
    stage.repo.commit::<&str>("main", "drop b", &[("other/b.yaml", None)]).unwrap();
    harness::eventually(PATIENCE, async || {
        anyhow::ensure!(stage.data("b").await.is_none(), "b is still there");
        Ok(())
    })
    .await
    .unwrap();
}

/// A definition that its owner drops stays while another holds an object of its kind, and both say so.
#[tokio::test]
async fn a_definition_outlives_its_owner_while_another_holds_objects_of_its_kind() {
    let stage = stage("defined", &[]).await;
    let group = format!("{}.example.com", stage.namespace);
    let schema = json!({"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}});
    let definition = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("things.{group}")},
        "spec": {"group": group, "scope": "Namespaced",
                 "names": {"kind": "Thing", "plural": "things", "singular": "thing"},
                 "versions": [{"name": "v1", "served": true, "storage": true, "schema": schema}]}})
    .to_string();
    let thing =
        json!({"apiVersion": format!("{group}/v1"), "kind": "Thing", "metadata": {"name": "t"}}).to_string();
    let map = namespaced(&stage, "a");
    stage.push(&[("crds/crd.yaml", &definition), ("crds/a.yaml", &map), ("apps/t.yaml", &thing)]);
    let _agent = stage.agent().await;
    stage.kustomization("crds", json!({"targetNamespace": null})).await;
    stage.ready("crds").await;
    stage.kustomization("apps", json!({})).await;
    stage.ready("apps").await;
    stage.repo.commit::<&str>("main", "drop the definition", &[("crds/crd.yaml", None)]).unwrap();
    stage.ready("crds").await;
    stage
        .event("of who drops it", |message| {
            message.contains("/apps manages it, or objects that would be deleted with it")
        })
        .await;
    stage
        .event("of who needs it", |message| {
            message.contains("this Kustomization manages objects of its kind")
        })
        .await;
    let things = api(&stage.client, &stage.namespace, &format!("{group}/v1"), "Thing", "things");
    assert!(things.get("t").await.is_ok());
    // It is nobody's now, and in nobody's way.
    stage.kustomizations().delete("crds", &DeleteParams::default()).await.unwrap();
    harness::eventually(PATIENCE, async || {
        anyhow::ensure!(stage.kustomizations().get_opt("crds").await?.is_none(), "crds is still there");
        Ok(())
    })
    .await
    .unwrap();
    assert!(things.get("t").await.is_ok());
}

/// Of children that depend on each other the operator is deleted last, so that it can clean up. The status
/// says what it waits for.
#[tokio::test]
async fn a_parent_takes_its_children_away_against_the_order_of_their_dependencies() {
    let stage = stage("order", &[]).await;
    let child = |name: &str, depends_on: Value| {
        let mut child: Value = serde_json::from_str(&manifest(&stage, name, &format!("./{name}"))).unwrap();
        child["spec"]["deletionPolicy"] = "WaitForTermination".into();
        child["spec"]["dependsOn"] = depends_on;
        child.to_string()
    };
    // The names are in the order that would be wrong.
    let (operator, resource) =
        (child("z-operator", json!([])), child("a-resource", json!([{"name": "z-operator"}])));
    let root = manifest(&stage, "cluster", "./cluster");
    stage.push(&[
        ("cluster/a.yaml", &resource),
        ("cluster/z.yaml", &operator),
        ("a-resource/r.yaml", &namespaced(&stage, "resource")),
        ("z-operator/o.yaml", &namespaced(&stage, "operator")),
    ]);
    let _agent = stage.agent().await;
    stage.apply(serde_json::from_str(&root).unwrap()).await.unwrap();
    for name in ["cluster", "z-operator", "a-resource"] {
        stage.ready(name).await;
    }
    let hold = |finalizers: Value| kube::api::Patch::Merge(json!({"metadata": {"finalizers": finalizers}}));
    let by_hand = kube::api::PatchParams { field_manager: Some("x".into()), ..Default::default() };
    stage.config_maps().patch("resource", &by_hand, &hold(json!(["example.com/hold"]))).await.unwrap();
    stage.kustomizations().delete("cluster", &DeleteParams::default()).await.unwrap();
    stage
        .until("z-operator", "waiting", |status| {
            let ready = condition(status, "Ready");
            let message = ready["message"].as_str().unwrap_or_default();
            message.contains("deletion waits for its dependents") && message.contains("a-resource")
        })
        .await;
    let leaving = async |map: &str| {
        let found = stage.config_maps().get_opt(map).await.unwrap();
        found.is_none_or(|found| found.metadata.deletion_timestamp.is_some())
    };
    assert!(leaving("resource").await && !leaving("operator").await);
    stage.config_maps().patch("resource", &by_hand, &hold(Value::Null)).await.unwrap();
    harness::eventually(PATIENCE, async || {
        for name in ["cluster", "z-operator", "a-resource"] {
            anyhow::ensure!(stage.kustomizations().get_opt(name).await?.is_none(), "{name} is still there");
        }
        Ok(())
    })
    .await
    .unwrap();
    assert!(leaving("operator").await);
}
