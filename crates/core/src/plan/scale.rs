//! The replica count that Git has set and no longer sets, most often in favour of an autoscaler. An apply
//! without it would set the default, which is 1.

use serde_json::{Value, json};

use super::fields::{self, Fields, difference, reach};
use super::guarded::is_scaled;
use crate::api::Ownership;
use lockgate_base::model::Object;

const COUNT: &str = "/spec/replicas";

/// Whether only we hold the count of a live object, and Git no longer sets it.
pub(super) fn lets_go(live: &Object, desired: &Object, entries: &[Value], ownership: &Ownership) -> bool {
    let holds = |entry: &&Value| fields::of(entry).is_some_and(|of| reach(of, &["f:spec", "f:replicas"]));
    is_scaled(live.group(), live.kind())
        && desired.pointer(COUNT).is_none()
        && live.pointer(COUNT).is_some()
        && entries.iter().filter(holds).all(|entry| ownership.is_own(entry))
        && entries.iter().any(|entry| holds(&entry))
}

/// The entries of `metadata.managedFields` with the count moved from our applies to our use of `/scale`. The
/// next setter of the count takes it over from there.
pub(super) fn hand_over(entries: &[Value], ownership: &Ownership) -> Vec<Value> {
    let count: Fields = [("f:spec".to_owned(), json!({"f:replicas": {}}))].into_iter().collect();
    let mut handed = Vec::with_capacity(entries.len() + 1);
    for entry in entries {
        let mut entry = entry.clone();
        if ownership.is_own(&entry) {
            let mut scale = entry.clone();
            scale["operation"] = "Update".into();
            scale["subresource"] = "scale".into();
            scale["fieldsV1"] = count.clone().into();
            handed.push(scale);
            entry["fieldsV1"] =
                fields::of(&entry).map(|of| difference(of, &count)).unwrap_or_default().into();
        }
        handed.push(entry);
    }
    handed
}

/// The expected result of an apply that keeps the count of `live`.
pub(super) fn keeping_count(wanted: &Object, live: &Object) -> Option<Object> {
    let count = live.pointer(COUNT)?.clone();
    let edited = wanted.clone().edit(|value| {
        if let Some(wanted) = value.pointer_mut(COUNT) {
            *wanted = count;
        }
    });
    edited.ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Kustomization;

    const OURS: &Ownership = Kustomization::OWNERSHIP;

    fn entry(manager: &str, operation: &str, fields: Value) -> Value {
        let mut entry = json!({"manager": manager, "operation": operation, "apiVersion": "apps/v1"});
        entry["fieldsV1"] = fields;
        entry
    }

    fn deployment(kind: &str, spec: Value) -> Object {
        let mut object = json!({"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": "a"}});
        object["spec"] = spec;
        Object::parse(object).unwrap()
    }

    #[test]
    fn a_count_that_git_drops_is_handed_over_once() {
        let ours =
            || entry("kustomize-controller", "Apply", json!({"f:spec": {"f:replicas": {}, "f:paused": {}}}));
        let live = deployment("Deployment", json!({"replicas": 4}));
        let without = deployment("Deployment", json!({}));
        assert!(lets_go(&live, &without, &[ours()], OURS));
        assert!(!lets_go(&live, &live, &[ours()], OURS), "Git sets it");
        let scaler = entry("kube-controller-manager", "Update", json!({"f:spec": {"f:replicas": {}}}));
        assert!(!lets_go(&live, &without, &[ours(), scaler], OURS), "another holds it as well");
        let other = deployment("DaemonSet", json!({"replicas": 4}));
        assert!(!lets_go(&other, &without, &[ours()], OURS));
        let handed = hand_over(&[ours()], OURS);
        assert_eq!(handed[0]["subresource"], "scale");
        assert_eq!(handed[0]["fieldsV1"], json!({"f:spec": {"f:replicas": {}}}));
        assert_eq!(handed[1]["fieldsV1"], json!({"f:spec": {"f:paused": {}}}));
        assert!(!lets_go(&live, &without, &handed, OURS));
        let wanted = deployment("Deployment", json!({"replicas": 1, "paused": true}));
        let kept = keeping_count(&wanted, &live).unwrap();
        assert_eq!(kept.pointer("/spec"), Some(&json!({"replicas": 4, "paused": true})));
    }
}
