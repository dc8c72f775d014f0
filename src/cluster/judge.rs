//! Reads the owner, the field managers and the health of an object from the object alone.

use std::hash::{DefaultHasher, Hasher};
use std::io;

use serde_json::Value;

use super::index::Sighting;
use lockgate_base::model::Object;
use lockgate_core::api::Ownership;
use lockgate_core::health::{self, Health, HealthRules};
use lockgate_core::plan;

/// Built-in groups whose kinds have no health in their status.
const STATELESS_GROUPS: [&str; 7] = [
    "rbac.authorization.k8s.io",
    "admissionregistration.k8s.io",
    "storage.k8s.io",
    "scheduling.k8s.io",
    "node.k8s.io",
    "coordination.k8s.io",
    "discovery.k8s.io",
];

/// Kinds without health of other built-in groups.
const STATELESS_KINDS: [(&str, &str); 9] = [
    ("", "ConfigMap"),
    ("", "Secret"),
    ("", "ServiceAccount"),
    ("", "Endpoints"),
    ("", "LimitRange"),
    ("", "Namespace"),
    ("networking.k8s.io", "NetworkPolicy"),
    ("networking.k8s.io", "IngressClass"),
    ("networking.k8s.io", "Ingress"),
];

/// The subresource through which an autoscaler sets the replica count.
const SCALE: &str = "scale";

/// Whether type and metadata suffice to judge the objects of a kind.
pub(super) fn is_stateless(group: &str, kind: &str) -> bool {
    STATELESS_GROUPS.contains(&group) || STATELESS_KINDS.contains(&(group, kind))
}

/// The stored state of an object, from the whole object or from its metadata.
pub(super) fn sight(object: &Object, ownership: &Ownership) -> Sighting {
    let entries =
        object.pointer("/metadata/managedFields").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let ours = |entry: &&Value| ownership.is_own(entry);
    let last_foreign = entries
        .iter()
        .filter(|entry| !ours(entry) && is_of_content(entry) && entry["manager"] != ownership.manager)
        .max_by_key(|entry| entry["time"].as_str().unwrap_or_default());
    Sighting {
        namespace: object.namespace().unwrap_or_default().into(),
        name: object.name().into(),
        uid: object.text("/metadata/uid").unwrap_or_default().into(),
        resource_version: version_number(object.text("/metadata/resourceVersion").unwrap_or_default()),
        owner: ownership.owner_of(object),
        fingerprint: entries.iter().find(ours).map_or(0, fingerprint),
        overridden: plan::apply_policy(object) != plan::Apply::Merge && plan::is_edited(object, ownership),
        by: last_foreign.and_then(named),
        policy: plan::drift_policy(object),
        health: health::health(object, &HealthRules::BUILT_IN),
    }
}

/// Whether an entry of managedFields is about fields that Git may set too: the object itself, or its replica
/// count.
fn is_of_content(entry: &Value) -> bool {
    matches!(entry["subresource"].as_str(), None | Some("" | SCALE))
}

/// The manager of an entry in words. A manager of the scale subresource is an autoscaler, or acts like one.
fn named(entry: &Value) -> Option<String> {
    let manager = entry["manager"].as_str()?;
    Some(match entry["subresource"].as_str() {
        Some(SCALE) => format!("{manager} (an autoscaler, by {SCALE})"),
        _ => manager.to_owned(),
    })
}

/// A resourceVersion as a number. All API servers over etcd count. For one that does not, the result is 0,
/// which is never later than another.
pub(crate) fn version_number(resource_version: &str) -> u64 {
    resource_version.parse().unwrap_or(0)
}

/// A hash of an entry of managedFields with its time, which changes when a write of the manager has changed
/// something.
fn fingerprint(entry: &Value) -> u64 {
    struct Sink(DefaultHasher);
    impl io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.write(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut sink = Sink(DefaultHasher::new());
    // Writing to a hasher cannot fail, and neither can writing a `Value`.
    let _ = serde_json::to_writer(&mut sink, entry);
    // 0 stands for no entry.
    sink.0.finish().max(1)
}

/// Whether more waiting cannot make the object healthy.
pub(super) fn has_failed(health: &Health) -> bool {
    matches!(health, Health::Failed(_))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use lockgate_core::api::Kustomization;

    #[test]
    fn who_wrote_last_is_named_be_it_an_autoscaler() {
        let entry = |manager: &str, subresource: &str, time: &str| {
            json!({"manager": manager, "operation": "Update",
            "subresource": subresource, "time": time, "fieldsV1": {"f:spec": {"f:replicas": {}}}})
        };
        let by = |entries: &[Value]| {
            let metadata = json!({"name": "a", "uid": "u", "managedFields": entries});
            let object = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata});
            sight(&Object::parse(object).unwrap(), Kustomization::OWNERSHIP).by
        };
        let edit = entry("dashboard", "", "1");
        let status = entry("kube-controller-manager", "status", "3");
        let scale = entry("kube-controller-manager", "scale", "2");
        assert_eq!(by(&[edit.clone(), status.clone()]).as_deref(), Some("dashboard"));
        let autoscaler = "kube-controller-manager (an autoscaler, by scale)";
        assert_eq!(by(&[edit.clone(), status, scale]).as_deref(), Some(autoscaler));
        // Nobody manages a replica count that lockgate has given up.
        assert_eq!(by(&[edit, entry("kustomize-controller", "scale", "4")]).as_deref(), Some("dashboard"));
    }
}
