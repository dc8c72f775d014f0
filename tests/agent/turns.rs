//! Replacements: old objects that are deleted before the new one is created, and those that are deleted only
//! after the new one is up.

use std::collections::BTreeMap;
use std::sync::Mutex;

use harness::{Answer, Webhook};
use serde_json::{Value, json};

use super::stage::{Stage, api, condition, stage};

/// Which ConfigMaps of the generator there are.
async fn generated(stage: &Stage<'_>) -> Vec<String> {
    let all = stage.config_maps().list(&kube::api::ListParams::default()).await.unwrap().items;
    let names = all.into_iter().filter_map(|map| map.metadata.name);
    names.filter(|name| name.starts_with("conf-")).collect()
}

/// The ConfigMap of the roll-out that runs stays until the next one is healthy, so that it can be fallen back
/// on.
#[tokio::test]
async fn what_the_pods_of_now_use_outlives_a_roll_out_that_does_not_come_up() {
    let folder = |value: u32| {
        format!("resources: [web.yaml]\nconfigMapGenerator: [{{name: conf, literals: [a={value}]}}]\n")
    };
    let web = |nodes: &Value| {
        let from = json!([{"configMapRef": {"name": "conf"}}]);
        let pods = json!({"nodeSelector": nodes, "containers": [{"name": "c", "image": "example.org/c", "envFrom": from}]});
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {
            "replicas": 2, "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": pods}}})
        .to_string()
    };
    let files = [("apps/kustomization.yaml", folder(1)), ("apps/web.yaml", web(&json!({})))];
    let stage = stage("rollout", &files.each_ref().map(|(path, text)| (*path, text.as_str()))).await;
    let _agent = stage.agent().await;
    stage.kustomization("apps", json!({"wait": true, "timeout": "10m"})).await;
    stage.ready("apps").await;
    let old = generated(&stage).await;
    assert_eq!(old.len(), 1);
    // No node takes the new pods.
    let nowhere = web(&json!({"no": "such"}));
    let head = stage.push(&[("apps/kustomization.yaml", &folder(2)), ("apps/web.yaml", &nowhere)]);
    stage
        .until("apps", "waiting for the new pods", |status| {
            let waits = condition(status, "Reconciling")["message"].as_str().unwrap_or_default().to_owned();
            status["lastAttemptedRevision"] == head.as_str() && waits.contains("Running health checks")
        })
        .await;
    let both = generated(&stage).await;
    assert!(both.len() == 2 && both.contains(&old[0]), "{both:?}");
    // Once the next pods are up it goes.
    stage.push(&[("apps/web.yaml", &web(&json!({})))]);
    stage.ready("apps").await;
    let left = generated(&stage).await;
    assert!(left.len() == 1 && left != old, "{left:?}");
}

/// A Service under another name asks for the port of the nodes that the old one has.
#[tokio::test]
async fn what_is_in_the_way_of_a_new_object_goes_first() {
    let service = |name: &str| {
        let ports = json!([{"name": "http", "port": 80, "nodePort": 30777}]);
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
               "spec": {"type": "NodePort", "selector": {"app": "web"}, "ports": ports}})
        .to_string()
    };
    let stage = stage("ports", &[("apps/service.yaml", &service("old"))]).await;
    let _agent = stage.agent().await;
    stage.kustomization("apps", json!({"retryInterval": "10m"})).await;
    stage.ready("apps").await;
    stage.push(&[("apps/service.yaml", &service("new"))]);
    stage.ready("apps").await;
    let services = api(&stage.client, &stage.namespace, "v1", "Service", "services");
    assert!(services.get_opt("old").await.unwrap().is_none());
    let new = services.get("new").await.unwrap();
    assert_eq!(new.data["spec"]["ports"][0]["nodePort"], 30777);
    // Where something else is refused as well, the old one stays.
    let wrong: Value = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "wrong"},
                              "spec": {"ports": [{"port": 0}]}});
    stage.push(&[("apps/service.yaml", &service("newer")), ("apps/wrong.yaml", &wrong.to_string())]);
    stage.reason("apps", "ReconciliationFailed").await;
    assert!(services.get_opt("new").await.unwrap().is_some());
}

/// A webhook that allows each host in one Ingress only.
fn each_host_once(webhook: &Webhook) {
    let owners: Mutex<BTreeMap<String, String>> = Mutex::default();
    webhook.answer(move |request| {
        let mut owners = owners.lock().unwrap();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let name = text(&request["name"]);
        if request["operation"] == "DELETE" {
            if request["dryRun"] != true {
                owners.retain(|_, owner| *owner != name);
            }
            return Answer::Allow;
        }
        let host = text(&request["object"]["spec"]["rules"][0]["host"]);
        if let Some(owner) = owners.get(&host).filter(|owner| **owner != name) {
            return Answer::Deny(format!(
                "host \"{host}\" and path \"/\" is already defined in ingress {owner}"
            ));
        }
        if request["dryRun"] != true {
            owners.insert(host, name);
        }
        Answer::Allow
    });
}

/// An Ingress under another name asks for the host that the old one has.
#[tokio::test]
async fn an_ingress_whose_host_a_webhook_guards_makes_room() {
    let ingress = |name: &str| {
        let backend = json!({"service": {"name": "web", "port": {"number": 80}}});
        let paths = json!([{"path": "/", "pathType": "Prefix", "backend": backend}]);
        json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": name},
               "spec": {"rules": [{"host": "web.example.com", "http": {"paths": paths}}]}})
        .to_string()
    };
    let stage = stage("hosts", &[]).await;
    let webhook = Webhook::start().unwrap();
    each_host_once(&webhook);
    stage.guarded(&webhook, &["ingresses"]).await;
    let ingresses = api(&stage.client, &stage.namespace, "networking.k8s.io/v1", "Ingress", "ingresses");
    // The webhook is asked as soon as the server has taken note of it.
    let attempt = kube::api::PatchParams { dry_run: true, ..kube::api::PatchParams::apply("test") };
    let probe: Value = serde_json::from_str(&ingress("probe")).unwrap();
    harness::eventually(super::stage::PATIENCE, async || {
        ingresses.patch("probe", &attempt, &kube::api::Patch::Apply(&probe)).await?;
        anyhow::ensure!(!webhook.requests().is_empty(), "the webhook is not asked");
        Ok(())
    })
    .await
    .unwrap();
    stage.push(&[("apps/ingress.yaml", &ingress("old"))]);
    let _agent = stage.agent().await;
    stage.kustomization("apps", json!({"retryInterval": "10m"})).await;
    stage.ready("apps").await;
    stage.push(&[("apps/ingress.yaml", &ingress("new"))]);
    stage.ready("apps").await;
    assert!(ingresses.get_opt("old").await.unwrap().is_none());
    assert!(ingresses.get_opt("new").await.unwrap().is_some());
    stage.unguarded(&webhook).await;
}
