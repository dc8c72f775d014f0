//! Objects of Kubernetes' own kinds as Flux sends them. Flux reads them into Kubernetes' types and prints
//! these (`normalize` of its pkg/ssa), so that empty fields are not sent, and stay with the manager that
//! fills them.
//!
//! A `false` or a 0 in Git is kept, unlike in Flux, whose types leave it out: others may have set the field
//! to another value.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::groups::is_built_in;
use lockgate_base::model::ObjectId;

/// Built-in groups for which Flux has no types.
const UNTYPED: [&str; 2] = ["apiextensions.k8s.io", "apiregistration.k8s.io"];

/// Fields with values under the user's own names; a null among them is a value.
const MAPS: [&str; 12] = [
    "annotations",
    "attributes",
    "binaryData",
    "data",
    "hard",
    "labels",
    "limits",
    "matchLabels",
    "nodeSelector",
    "parameters",
    "requests",
    "stringData",
];

/// Fields that the control plane fills if they are empty or 0, by group, kind and place. If they were sent,
/// they would be reset, or the object would be refused since they cannot change. Source: the fields that
/// Kubernetes' types leave out if they are empty, as far as an admission plugin, the storage of a kind or a
/// controller fills them.
const FILLED: [(&str, &str, &str, &[&str]); 8] = [
    (
        "",
        "Service",
        "/spec",
        &[
            "clusterIP",
            "externalName",
            "externalTrafficPolicy",
            "healthCheckNodePort",
            "loadBalancerIP",
            "sessionAffinity",
            "type",
        ],
    ),
    ("", "Service", "/spec/ports/*", &["nodePort"]),
    ("", "PersistentVolumeClaim", "/spec", &["volumeName"]),
    ("", "Pod", "/spec", &["nodeName", "priorityClassName", "serviceAccount", "serviceAccountName"]),
    ("", "Node", "/spec", &["podCIDR", "providerID"]),
    ("", "Secret", "", &["type"]),
    ("batch", "Job", "/spec", &["selector"]),
    ("certificates.k8s.io", "CertificateSigningRequest", "/spec", &["uid", "username"]),
];

/// The places of certificates that a controller injects.
const BUNDLES: [(&str, &str, &str); 4] = [
    ("apiextensions.k8s.io", "CustomResourceDefinition", "/spec/conversion/webhook/clientConfig"),
    ("apiregistration.k8s.io", "APIService", "/spec"),
    ("admissionregistration.k8s.io", "MutatingWebhookConfiguration", "/webhooks/*/clientConfig"),
    ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration", "/webhooks/*/clientConfig"),
];

/// Removes empty fields from an object of a built-in kind.
pub(super) fn normalize(id: &ObjectId, value: &mut Value) {
    let (group, kind) = (id.group.as_str(), id.kind.as_str());
    for (_, _, at) in BUNDLES.iter().filter(|(of, named, _)| (*of, *named) == (group, kind)) {
        without_placeholders(value, at);
    }
    match (group, kind) {
        // A controller fills in the rules of the aggregated roles. Flux sends an empty list, and so removes
        // them.
        ("rbac.authorization.k8s.io", "ClusterRole")
            if value.get("aggregationRule").is_some_and(|rule| !rule.is_null()) =>
        {
            if let Value::Object(fields) = value {
                fields.shift_remove("rules");
            }
        }
        // An empty list allows nothing, and must stay so; Flux sends these unchanged, too.
        ("rbac.authorization.k8s.io", "Role" | "ClusterRole") => {}
        _ if is_built_in(group) && !UNTYPED.contains(&group) => {
            // Nobody fills the lists of a policy.
            without_nothing(value, kind == "NetworkPolicy");
            without_unfilled(id, value);
        }
        _ => {}
    }
}

/// Removes nulls, and empty lists unless `keeps_lists`.
fn without_nothing(value: &mut Value, keeps_lists: bool) {
    let says_nothing =
        |value: &Value| value.is_null() || (!keeps_lists && value.as_array().is_some_and(Vec::is_empty));
    match value {
        Value::Object(fields) => {
            fields.retain(|_, value| !says_nothing(value));
            for (_, value) in fields.iter_mut().filter(|(name, _)| !MAPS.contains(&name.as_str())) {
                without_nothing(value, keeps_lists);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| without_nothing(item, keeps_lists)),
        _ => {}
    }
}

fn without_unfilled(id: &ObjectId, value: &mut Value) {
    let is_unfilled =
        |value: &Value| *value == "" || *value == 0 || value.as_object().is_some_and(Map::is_empty);
    for (.., at, names) in FILLED.iter().filter(|(group, kind, ..)| (*group, *kind) == (&id.group, &id.kind))
    {
        for fields in places(value, at) {
            fields.retain(|name, value| !(names.contains(&name.as_str()) && is_unfilled(value)));
        }
    }
}

/// The objects at a path, of which `/*` stands for each item of a list.
fn places<'v>(value: &'v mut Value, at: &str) -> Vec<&'v mut Map<String, Value>> {
    let Some((list, rest)) = at.split_once("/*") else {
        return value.pointer_mut(at).and_then(Value::as_object_mut).into_iter().collect();
    };
    let items = value.pointer_mut(list).and_then(Value::as_array_mut).into_iter().flatten();
    items.filter_map(|item| item.pointer_mut(rest)?.as_object_mut()).collect()
}

/// Tools leave a placeholder for a certificate that is to be injected. The server refuses it, or it would
/// replace the injected certificate.
fn without_placeholders(value: &mut Value, at: &str) {
    for client in places(value, at) {
        if client.get("caBundle").is_some_and(is_placeholder) {
            client.shift_remove("caBundle");
        }
    }
}

fn is_placeholder(bundle: &Value) -> bool {
    let decoded = bundle.as_str().map(|text| STANDARD.decode(text).unwrap_or_default());
    match decoded {
        Some(decoded) => !String::from_utf8_lossy(&decoded).contains("-----BEGIN CERTIFICATE-----"),
        None => bundle.is_null(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use lockgate_base::model::Object;

    fn normal(api_version: &str, kind: &str, content: &Value) -> Value {
        let mut value = json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": "a"}});
        value.as_object_mut().unwrap().extend(content.as_object().unwrap().clone());
        let id = Object::parse(value.clone()).unwrap().id();
        normalize(&id, &mut value);
        for field in ["apiVersion", "kind", "metadata"] {
            value.as_object_mut().unwrap().shift_remove(field);
        }
        value
    }

    #[test]
    fn what_says_nothing_is_not_sent() {
        let cases = [
            (
                "apps/v1",
                "Deployment",
                json!({"spec": {"replicas": null, "template": {"spec": {"volumes": [], "nodeSelector": {"a": null},
                    "containers": [{"name": "c", "env": [], "resources": null, "securityContext": {}, "tty": false}]}}}}),
                json!({"spec": {"template": {"spec": {"nodeSelector": {"a": null},
                    "containers": [{"name": "c", "securityContext": {}, "tty": false}]}}}}),
            ),
            ("v1", "ConfigMap", json!({"data": {"a": null}}), json!({"data": {"a": null}})),
            ("v1", "ConfigMap", json!({"data": null}), json!({})),
            (
                "networking.k8s.io/v1",
                "NetworkPolicy",
                json!({"spec": {"ingress": [], "egress": null, "podSelector": {}}}),
                json!({"spec": {"ingress": [], "podSelector": {}}}),
            ),
            // Nulls of other kinds are left alone.
            (
                "x.io/v1",
                "Thing",
                json!({"spec": {"a": null, "b": []}}),
                json!({"spec": {"a": null, "b": []}}),
            ),
            (
                "apiextensions.k8s.io/v1",
                "CustomResourceDefinition",
                json!({"spec": {"versions": [{"schema": {"default": null}}]}}),
                json!({"spec": {"versions": [{"schema": {"default": null}}]}}),
            ),
        ];
        for (api_version, kind, content, expected) in cases {
            assert_eq!(normal(api_version, kind, &content), expected, "{kind} {content}");
        }
    }

    #[test]
    fn what_the_control_plane_fills_is_not_sent_empty() {
        let cases = [
            (
                "v1",
                "Service",
                json!({"spec": {"clusterIP": "", "type": "", "ports": [{"port": 80, "nodePort": 0, "targetPort": 0}]}}),
                json!({"spec": {"ports": [{"port": 80, "targetPort": 0}]}}),
            ),
            ("v1", "Service", json!({"spec": {"clusterIP": "None"}}), json!({"spec": {"clusterIP": "None"}})),
            (
                "v1",
                "PersistentVolumeClaim",
                json!({"spec": {"volumeName": "", "storageClassName": ""}}),
                json!({"spec": {"storageClassName": ""}}),
            ),
            (
                "v1",
                "Pod",
                json!({"spec": {"nodeName": "", "serviceAccountName": "", "priorityClassName": "", "hostNetwork": false,
                                "containers": [{"name": "c", "env": [{"name": "A", "value": ""}]}]}}),
                json!({"spec": {"hostNetwork": false, "containers": [{"name": "c", "env": [{"name": "A", "value": ""}]}]}}),
            ),
            (
                "v1",
                "Node",
                json!({"spec": {"podCIDR": "", "providerID": "x"}}),
                json!({"spec": {"providerID": "x"}}),
            ),
            (
                "batch/v1",
                "Job",
                json!({"spec": {"selector": {}, "backoffLimit": 0}}),
                json!({"spec": {"backoffLimit": 0}}),
            ),
            (
                "certificates.k8s.io/v1",
                "CertificateSigningRequest",
                json!({"spec": {"username": "", "uid": "", "signerName": "s"}}),
                json!({"spec": {"signerName": "s"}}),
            ),
        ];
        for (api_version, kind, content, expected) in cases {
            assert_eq!(normal(api_version, kind, &content), expected, "{kind} {content}");
        }
    }

    #[test]
    fn rules_that_are_gathered_from_other_roles_are_not_sent() {
        let role = |content: Value| normal("rbac.authorization.k8s.io/v1", "ClusterRole", &content);
        let gathers = json!({"clusterRoleSelectors": [{"matchLabels": {"a": "b"}}]});
        for rules in [json!([]), Value::Null, json!([{"verbs": ["get"]}])] {
            let gathered = role(json!({"aggregationRule": gathers, "rules": rules}));
            assert_eq!(gathered, json!({"aggregationRule": gathers}));
        }
        assert_eq!(role(json!({"rules": []})), json!({"rules": []}), "it allows nothing");
    }

    #[test]
    fn a_placeholder_for_a_certificate_goes() {
        let real = STANDARD.encode("-----BEGIN CERTIFICATE-----\n");
        let webhooks =
            |bundle: &Value| json!({"webhooks": [{"name": "w", "clientConfig": {"caBundle": bundle}}]});
        let conversion = |bundle: &Value| json!({"spec": {"conversion": {"webhook": {"clientConfig": {"caBundle": bundle}}}}});
        let service = |bundle: &Value| json!({"spec": {"caBundle": bundle, "version": "v1"}});
        let kinds: [(&str, &str, &dyn Fn(&Value) -> Value); 4] = [
            ("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration", &webhooks),
            ("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", &webhooks),
            ("apiextensions.k8s.io/v1", "CustomResourceDefinition", &conversion),
            ("apiregistration.k8s.io/v1", "APIService", &service),
        ];
        for (api_version, kind, with) in kinds {
            for placeholder in ["", "Cg==", "not base64"] {
                let left = normal(api_version, kind, &with(&placeholder.into())).to_string();
                assert!(!left.contains("caBundle"), "{kind}: {left}");
            }
            assert_eq!(normal(api_version, kind, &with(&real.clone().into())), with(&real.clone().into()));
        }
    }
}
