//! Fields that are explicitly empty in Git: another field manager may fill and keep them.

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

/// Nulls, empty values and values in another spelling are applied once, and are no drift afterwards.
#[tokio::test]
async fn what_says_nothing_is_no_drift() {
    let stage = stage("nothing", &[]).await;
    let group = format!("{}.example.com", stage.namespace);
    let text = include_str!("empty/platform.yaml").replace("GROUP", &group);
    let (definition, objects) = text.split_once("\n---\n").unwrap();
    stage.push(&[("crds/crd.yaml", definition), ("apps/all.yaml", objects)]);
    let _agent = stage.agent().await;
    stage.kustomization("crds", json!({"targetNamespace": null})).await;
    stage.kustomization("apps", json!({"dependsOn": [{"name": "crds"}]})).await;
    stage.ready("apps").await;
    let kinds = [
        ("v1", "ConfigMap", "configmaps", "c"),
        ("v1", "Secret", "secrets", "s"),
        ("v1", "Service", "services", "dns"),
        ("v1", "PersistentVolumeClaim", "persistentvolumeclaims", "data"),
        ("v1", "ServiceAccount", "serviceaccounts", "robot"),
        ("batch/v1", "Job", "jobs", "once"),
        ("apps/v1", "Deployment", "deployments", "web"),
        ("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies", "deny"),
    ];
    let thing = format!("{group}/v1");
    let kinds: Vec<_> = kinds.into_iter().chain([(thing.as_str(), "Thing", "things", "t")]).collect();
    // What Git sets has its time by the one who set it, so that a write of ours shows there.
    let ours = async || {
        let mut all = Vec::new();
        for (api_version, kind, plural, name) in &kinds {
            let live =
                api(&stage.client, &stage.namespace, api_version, kind, plural).get(name).await.unwrap();
            let entries = live.metadata.managed_fields.unwrap_or_default();
            let own = |manager: &str| manager == "kustomize-controller";
            let own = entries.into_iter().find(|entry| entry.manager.as_deref().is_some_and(own));
            all.push((*kind, own.and_then(|entry| entry.time), live.metadata.generation));
        }
        all
    };
    let before = ours().await;
    // The time of a write counts seconds.
    let changed = super::config_map("other", "1");
    stage.push(&[("apps/other.yaml", &changed)]);
    stage.ready("apps").await;
    assert_eq!(ours().await, before);
    let events = api(&stage.client, &stage.namespace, "v1", "Event", "events");
    let events = events.list(&kube::api::ListParams::default()).await.unwrap().items;
    let configured = |event: &&kube::api::DynamicObject| {
        event.data["message"].as_str().is_some_and(|message| message.contains(" configured"))
    };
    assert_eq!(
        events.iter().filter(configured).map(|event| event.data["message"].to_string()).collect::<Vec<_>>(),
        [""; 0]
    );
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
    let roles = stage.in_cluster(api_version, kind, "clusterroles");
    harness::eventually(PATIENCE, async || {
        let live = roles.get(&name).await?;
        anyhow::ensure!(live.data["rules"] == rules, "the rules are {}", live.data["rules"]);
        Ok(())
    })
    .await
    .unwrap();
    let version = roles.get(&name).await.unwrap().metadata.resource_version;
    // Another pass over all objects finds nothing to correct.
    let mut note = one.clone();
    note["metadata"]["annotations"] = json!({"a": "b"});
    stage.push(&[("apps/one.yaml", &note.to_string())]);
    stage.ready("apps").await;
    let live = roles.get(&name).await.unwrap();
    assert_eq!((&live.data["rules"], live.metadata.resource_version), (&rules, version));
}
