//! What is, or seems to be, Flux.

use serde_json::{Value, json};

/// A Deployment with the label of Flux's, as anybody may make one in his own namespace.
#[must_use]
pub fn controller(namespace: &str, name: &str, replicas: u8) -> Value {
    let labels = json!({"app.kubernetes.io/part-of": "flux", "app": name});
    let pod =
        json!({"serviceAccountName": name, "containers": [{"name": "manager", "image": "example.org/flux"}]});
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    })
}

/// The ClusterRoleBinding that Flux's installation makes for its controllers, in the namespace `flux-system`.
#[must_use]
pub fn binding(names: &[&str]) -> Value {
    let subjects =
        names.iter().map(|name| json!({"kind": "ServiceAccount", "namespace": "flux-system", "name": name}));
    let role = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "crd-controller-flux-system"});
    json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
           "metadata": {"name": "crd-controller-flux-system"}, "roleRef": role, "subjects": subjects.collect::<Vec<_>>()})
}
