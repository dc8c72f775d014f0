//! Commits whose changes decide about other objects of the same commit, and removed objects that a commit
//! still requires.

use kube::api::{Api, DynamicObject, ListParams};
use serde_json::{Value, json};

use super::stage::{Stage, api, config_map, stage};

/// A definition with this many fields, and an object that sets them all.
fn gizmo(stage: &Stage<'_>, group: &str, fields: usize) -> [(&'static str, String); 2] {
    let names: Vec<String> = (0..fields).map(|at| format!("f{at}")).collect();
    let properties: Value = names.iter().map(|name| (name.clone(), json!({"type": "string"}))).collect();
    let spec: Value = names.iter().map(|name| (name.clone(), json!("x"))).collect();
    let schema =
        json!({"type": "object", "properties": {"spec": {"type": "object", "properties": properties}}});
    let version =
        json!({"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}});
    let definition = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("gizmos.{group}")},
        "spec": {"group": group, "scope": "Namespaced", "versions": [version],
                 "names": {"kind": "Gizmo", "plural": "gizmos", "singular": "gizmo"}}});
    let object = json!({"apiVersion": format!("{group}/v1"), "kind": "Gizmo", "spec": spec,
                        "metadata": {"name": "g", "namespace": stage.namespace}});
    [("apps/crd.yaml", definition.to_string()), ("apps/g.yaml", object.to_string())]
}

async fn messages(stage: &Stage<'_>) -> Vec<String> {
    let events: Api<DynamicObject> = api(&stage.client, &stage.namespace, "v1", "Event", "events");
    let all = events.list(&ListParams::default()).await.unwrap().items;
    all.into_iter().map(|event| event.data["message"].as_str().unwrap_or_default().to_owned()).collect()
}

/// One build adds a field to a definition and uses it in an object: the reconcile waits for the changed
/// schema.
#[tokio::test]
async fn a_field_is_used_by_the_commit_that_defines_it() {
    let stage = stage("fields", &[]).await;
    let group = format!("{}.example.com", stage.namespace);
    let push = |fields: usize| {
        let files = gizmo(&stage, &group, fields);
        stage.push(&files.each_ref().map(|(path, text)| (*path, text.as_str())));
    };
    push(1);
    let _agent = stage.agent().await;
    stage.kustomization("apps", json!({"targetNamespace": null, "retryInterval": "10m"})).await;
    stage.ready("apps").await;
    for fields in 2..10 {
        push(fields);
        stage.ready("apps").await;
    }
    let refused: Vec<String> = messages(&stage).await;
    let refused: Vec<&String> = refused.iter().filter(|message| message.contains("not declared")).collect();
    assert!(refused.is_empty(), "{refused:?}");
}

/// A commit relaxes a quota or a policy, and adds or changes an object that it refused before, in the same
/// stage.
#[tokio::test]
async fn what_a_commit_allows_is_allowed_to_it() {
    let quota = |count: u32| {
        json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"},
               "spec": {"hard": {"count/configmaps": count.to_string()}}})
        .to_string()
    };
    let stage = stage("allowed", &[]).await;
    let name = format!("{}.example.com", stage.namespace);
    let policy = |allowed: &str| {
        let rule = json!({"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"],
                          "resources": ["configmaps"]});
        let kind = "ValidatingAdmissionPolicy";
        json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": {"name": name},
               "spec": {"failurePolicy": "Fail", "matchConstraints": {"resourceRules": [rule]},
                        "validations": [{"expression": format!("!has(object.data) || object.data.value in {allowed}")}]}})
        .to_string()
    };
    let selector = json!({"matchLabels": {"kubernetes.io/metadata.name": stage.namespace}});
    let binding = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": name}, "spec": {"policyName": name, "validationActions": ["Deny"],
                                             "matchResources": {"namespaceSelector": selector}}});
    stage.push(&[
        ("apps/q.yaml", &quota(2)),
        ("apps/a.yaml", &config_map("a", "1")),
        ("apps/p.yaml", &policy("['1']")),
        ("apps/b.yaml", &binding.to_string()),
    ]);
    let _agent = stage.agent().await;
    stage.kustomization("apps", json!({"retryInterval": "10m"})).await;
    stage.ready("apps").await;
    stage.push(&[("apps/q.yaml", &quota(5)), ("apps/c.yaml", &config_map("c", "1"))]);
    stage.ready("apps").await;
    assert_eq!(stage.data("c").await.unwrap()["value"], "1");
    stage.push(&[("apps/p.yaml", &policy("['1', '2']")), ("apps/a.yaml", &config_map("a", "2"))]);
    stage.ready("apps").await;
    assert_eq!(stage.data("a").await.unwrap()["value"], "2");
}

/// The cure names the missing object and its replacement.
#[tokio::test]
async fn a_version_that_kubernetes_serves_no_more_is_told() {
    let ingress = json!({"apiVersion": "extensions/v1beta1", "kind": "Ingress", "metadata": {"name": "i"}});
    let stage = stage("gone", &[("apps/i.yaml", &ingress.to_string())]).await;
    let _agent = stage.agent().await;
    stage.kustomization("apps", json!({})).await;
    let message = stage.reason("apps", "ReconciliationFailed").await;
    let cure = "extensions/v1beta1 is gone since Kubernetes 1.22, use networking.k8s.io/v1";
    assert!(message.contains(cure) && !message.contains("CustomResourceDefinition"), "{message}");
}
