//! Prepares an object for sending: drops the fields that the server owns, and writes out fields that
//! server-side apply would otherwise get wrong.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::cause::Cause;
use super::managed_fields::LEFTOVERS;
use super::normalize::normalize;
use super::refusal::{Phase, Refusal, is_secret};
use lockgate_base::model::Object;

/// Fields of `metadata` that the server owns. An exported object has them, and an apply with them fails.
const SERVER_OWNED: [&str; 6] =
    ["creationTimestamp", "generation", "managedFields", "resourceVersion", "selfLink", "uid"];

/// The start of a value that SOPS has encrypted.
const ENCRYPTED: &str = "ENC[AES256_GCM,";

/// Prepares an object of a build for sending, or refuses it.
pub fn prepare(object: Object) -> Result<Object, Refusal> {
    if is_encrypted(&object) {
        let text = "configuring decryption is required for this secret to be reconciled";
        return Err(Refusal::new(object.id(), Phase::DryRun, Cause::Encrypted, text));
    }
    let id = object.id();
    let prepared = object.edit(|value| {
        let kind = id.kind.as_str();
        if let Value::Object(fields) = value {
            fields.shift_remove("status");
            if is_secret(&id) {
                string_data_to_data(fields);
            }
        }
        if let Some(Value::Object(metadata)) = value.get_mut("metadata") {
            clean_metadata(metadata);
        }
        normalize(&id, value);
        if let Some(template) = pod_template(kind, value) {
            default_container_ports(template);
        }
        if (id.group.as_str(), kind) == ("", "Service") {
            value.pointer_mut("/spec/ports").map(default_protocols);
        }
    });
    prepared.map_err(|error| Refusal::new(id, Phase::DryRun, Cause::Invalid, error.to_string()))
}

/// Whether the object is still encrypted by SOPS: its ciphertext must not be applied in place of the secret.
fn is_encrypted(object: &Object) -> bool {
    let marked = object.pointer("/sops/mac").is_some()
        || (object.kind() == "Secret" && object.pointer("/sops").is_some());
    let holds_ciphertext = |field: &str| {
        let values = object.pointer(field).and_then(Value::as_object).into_iter().flat_map(Map::values);
        values.filter_map(Value::as_str).any(|value| value.starts_with(ENCRYPTED))
    };
    marked || (is_secret(&object.id()) && (holds_ciphertext("/data") || holds_ciphertext("/stringData")))
}

/// Moves `stringData` into `data`. `stringData` is write-only: the server merges it into `data` and does not
/// record its field manager, so a key that is removed from Git would stay (kubernetes/kubernetes#108008).
fn string_data_to_data(fields: &mut Map<String, Value>) {
    let Some(Value::Object(string_data)) = fields.get("stringData") else { return };
    // The server refuses a value that is not a string, and names the path of the field.
    if !string_data.values().all(Value::is_string) {
        return;
    }
    if !matches!(fields.get("data"), None | Some(Value::Null | Value::Object(_))) {
        return;
    }
    let string_data = string_data.clone();
    fields.shift_remove("stringData");
    let data = fields.entry("data").or_insert(Value::Null);
    if data.is_null() {
        *data = Map::new().into();
    }
    for (key, value) in string_data {
        data[key] = STANDARD.encode(value.as_str().unwrap_or_default()).into();
    }
}

fn clean_metadata(metadata: &mut Map<String, Value>) {
    for field in SERVER_OWNED {
        metadata.shift_remove(field);
    }
    for (map, key) in LEFTOVERS {
        let Some(Value::Object(entries)) = metadata.get_mut(map) else { continue };
        if entries.shift_remove(key).is_some() && entries.is_empty() {
            metadata.shift_remove(map);
        }
    }
}

/// The Pod template inside a workload, or the Pod itself: the value with `spec.containers`.
fn pod_template<'a>(kind: &str, value: &'a mut Value) -> Option<&'a mut Value> {
    let pointer = match kind {
        "Pod" => "",
        "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet" | "Job" => "/spec/template",
        "CronJob" => "/spec/jobTemplate/spec/template",
        _ => return None,
    };
    value.pointer_mut(pointer)
}

/// Sets the default protocol of container ports. Server-side apply tells ports apart by number and protocol,
/// and compares them before it fills in the default (kubernetes-sigs/structured-merge-diff#130).
fn default_container_ports(template: &mut Value) {
    for list in ["containers", "initContainers"] {
        let Some(Value::Array(containers)) = template.get_mut("spec").and_then(|spec| spec.get_mut(list))
        else {
            continue;
        };
        for container in containers {
            container.get_mut("ports").map(default_protocols);
        }
    }
}

fn default_protocols(ports: &mut Value) {
    let Value::Array(ports) = ports else { return };
    for port in ports.iter_mut().filter_map(Value::as_object_mut) {
        let protocol = port.entry("protocol").or_insert(Value::Null);
        if protocol.is_null() || protocol == "" {
            *protocol = "TCP".into();
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn prepared(value: impl Into<Value>) -> Value {
        prepare(Object::parse(value.into()).unwrap()).unwrap().into_value()
    }

    #[test]
    fn string_data_becomes_data_and_wins() {
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"},
                            "data": {"a": "b2xk", "b": "a2VwdA=="}, "stringData": {"a": "new"}});
        let result = prepared(secret);
        assert_eq!(result["data"], json!({"a": "bmV3", "b": "a2VwdA=="}));
        assert_eq!(result.get("stringData"), None);
    }

    #[test]
    fn a_wrong_string_data_is_left_for_the_server_to_refuse() {
        for wrong in [json!({"stringData": {"a": 1}}), json!({"stringData": {"a": "x"}, "data": "y"})] {
            let mut secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}});
            secret.as_object_mut().unwrap().extend(wrong.as_object().unwrap().clone());
            assert_eq!(prepared(secret.clone()), secret);
        }
    }

    #[test]
    fn what_the_server_owns_is_left_out() {
        let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "status": {"x": 1}, "metadata": {
            "name": "c", "uid": "u", "resourceVersion": "1", "generation": 1, "managedFields": [],
            "creationTimestamp": null, "labels": {"kept": "x"},
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}"}}});
        assert_eq!(
            prepared(object),
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "labels": {"kept": "x"}}})
        );
    }

    #[test]
    fn ports_get_their_protocol() {
        let pod = json!({"containers": [{"ports": [{"containerPort": 80}, {"containerPort": 53, "protocol": "UDP"}]}],
                         "initContainers": [{"ports": [{"containerPort": 81, "protocol": null}]}]});
        let expected = json!({
            "containers": [{"ports": [{"containerPort": 80, "protocol": "TCP"}, {"containerPort": 53, "protocol": "UDP"}]}],
            "initContainers": [{"ports": [{"containerPort": 81, "protocol": "TCP"}]}]});
        let cases = [
            ("v1", "Pod", pod.clone(), expected.clone()),
            (
                "apps/v1",
                "Deployment",
                json!({"template": {"spec": pod}}),
                json!({"template": {"spec": expected}}),
            ),
            (
                "batch/v1",
                "CronJob",
                json!({"jobTemplate": {"spec": {"template": {"metadata": {"creationTimestamp": null}, "spec": pod}}}}),
                json!({"jobTemplate": {"spec": {"template": {"metadata": {}, "spec": expected}}}}),
            ),
            (
                "v1",
                "Service",
                json!({"ports": [{"port": 80}]}),
                json!({"ports": [{"port": 80, "protocol": "TCP"}]}),
            ),
            // The ports of another kind are left alone.
            ("x.io/v1", "Service", json!({"ports": [{"port": 80}]}), json!({"ports": [{"port": 80}]})),
        ];
        for (api_version, kind, spec, expected) in cases {
            let result = prepared(
                json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": "a"}, "spec": spec}),
            );
            assert_eq!(result["spec"], expected, "{api_version} {kind}");
        }
    }

    #[test]
    fn ciphertext_is_not_applied() {
        let message = "Secret/s is SOPS encrypted: configuring decryption is required for this secret to be reconciled; \
                       configure spec.decryption";
        let cases = [
            json!({"sops": {"mac": "ENC[...]"}, "data": {}}),
            json!({"data": {"a": "ENC[AES256_GCM,data:x]"}}),
            json!({"stringData": {"a": "ENC[AES256_GCM,data:x]"}}),
        ];
        for case in cases {
            let mut secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}});
            secret.as_object_mut().unwrap().extend(case.as_object().unwrap().clone());
            assert_eq!(prepare(Object::parse(secret).unwrap()).unwrap_err().to_string(), message);
        }
        let plain = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "s"},
                           "data": {"a": "ENC[AES256_GCM,data:x]"}});
        assert!(prepare(Object::parse(plain).unwrap()).is_ok());
    }
}
