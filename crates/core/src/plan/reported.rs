//! Drift that is reported and not corrected: the fields that others have changed, without the fields that Git
//! has changed.

use serde_json::{Map, Value};

use super::drift::{Drift, FieldDrift, drift};
use super::ignore::{is_held, put};
use super::managed_fields::{foreign_fields, own};
use crate::api::Ownership;
use lockgate_base::model::Object;

/// The drift of one object.
#[derive(Debug, Default)]
pub(super) struct ReportedDrift {
    /// The differences to report.
    pub(super) drift: Vec<Drift>,
    /// The JSON pointers of the fields that stay as they are.
    pub(super) paths: Vec<String>,
    /// Whether nothing else differs.
    pub(super) is_all: bool,
}

/// The part of a live object's differences that is drift. All differences are drift if the same object was
/// applied before (`is_applied`). Otherwise only those fields are that were ours and now have another
/// manager.
pub(super) fn found(
    live: &Object,
    (desired, wanted): (&Object, &Object),
    is_applied: bool,
    is_secret: bool,
    ownership: &Ownership,
) -> ReportedDrift {
    let mut paths = Vec::new();
    differing(&content(live), &content(wanted), "", &mut paths);
    let all = paths.len();
    paths.retain(|path| is_applied || is_taken(live, path, ownership));
    let mut restored = live.value().clone();
    for path in &paths {
        put(&mut restored, path, wanted.pointer(path));
    }
    let mut told =
        Object::parse(restored).map(|restored| drift(live, &restored, is_secret)).unwrap_or_default();
    told.extend(foreign_fields(live, desired, ownership));
    ReportedDrift { drift: told, is_all: paths.len() == all, paths }
}

/// The drift of an object that somebody else has deleted.
pub(super) fn deleted() -> Drift {
    Drift { path: "metadata.name".into(), change: FieldDrift::Missing("the object".into()) }
}

/// Whether a field was ours and has another manager now.
fn is_taken(live: &Object, path: &str, ownership: &Ownership) -> bool {
    let is_ours = |entry: &Value| ownership.is_own(entry);
    own(live, ownership).is_some()
        && !is_held(live, path, &is_ours)
        && is_held(live, path, &|entry| !is_ours(entry))
}

/// An object without the fields that only the server writes.
fn content(object: &Object) -> Value {
    let mut content = object.value().clone();
    if let Value::Object(fields) = &mut content {
        fields.shift_remove("status");
        if let Some(Value::Object(metadata)) = fields.get_mut("metadata") {
            metadata.retain(|name, _| {
                matches!(name.as_str(), "labels" | "annotations" | "finalizers" | "ownerReferences")
            });
        }
    }
    content
}

/// Collects the pointers of the smallest parts that differ. A list of another length differs as a whole.
fn differing(live: &Value, wanted: &Value, path: &str, paths: &mut Vec<String>) {
    let none = Value::Null;
    match (live, wanted) {
        _ if live == wanted => {}
        (Value::Object(one), Value::Object(other)) => {
            let keys: Map<String, Value> =
                one.keys().chain(other.keys()).map(|key| (key.clone(), Value::Null)).collect();
            for (key, _) in keys {
                let path = format!("{path}/{}", key.replace('~', "~0").replace('/', "~1"));
                match (one.get(&key), other.get(&key)) {
                    (Some(live), Some(wanted)) => differing(live, wanted, &path, paths),
                    (live, wanted) => differing(live.unwrap_or(&none), wanted.unwrap_or(&none), &path, paths),
                }
            }
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            for (at, (live, wanted)) in one.iter().zip(other).enumerate() {
                differing(live, wanted, &format!("{path}/{at}"), paths);
            }
        }
        _ => paths.push(path.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::Kustomization;

    fn object(entries: Value, spec: Value) -> Object {
        let mut object = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"}});
        object["metadata"]["managedFields"] = entries;
        object["spec"] = spec;
        Object::parse(object).unwrap()
    }

    fn told(entries: Value, live: Value, git: Value, is_applied: bool) -> (Vec<String>, bool) {
        let (live, wanted) = (object(entries, live), object(json!([]), git));
        let found = found(&live, (&wanted, &wanted), is_applied, false, Kustomization::OWNERSHIP);
        (found.drift.iter().map(ToString::to_string).collect(), found.is_all)
    }

    #[test]
    fn what_others_have_taken_is_drift_and_what_git_changes_is_none() {
        let entry = |manager: &str, operation: &str, fields: &[&str]| {
            let fields: Value = fields.iter().map(|field| (format!("f:{field}"), json!({}))).collect();
            json!({"manager": manager, "operation": operation, "fieldsV1": {"f:spec": fields}})
        };
        let ours = entry("kustomize-controller", "Apply", &["paused", "template"]);
        let entries = || json!([ours, entry("dashboard", "Update", &["replicas"])]);
        let live = || json!({"replicas": 5, "paused": false, "template": "old"});
        let git = || json!({"replicas": 2, "paused": false, "template": "new"});
        let drifted = "spec.replicas: 5 → 2";
        assert_eq!(told(entries(), live(), git(), false), (vec![drifted.to_owned()], false));
        let both = vec![drifted.to_owned(), "spec.template: old → new".to_owned()];
        assert_eq!(told(entries(), live(), git(), true), (both, true));
        let mut alike = git();
        alike["template"] = "old".into();
        assert_eq!(told(entries(), live(), alike, false), (vec![drifted.to_owned()], true));
        let edited = json!([ours, entry("kubectl-edit", "Update", &["replicas", "strategy"])]);
        let added = "spec.strategy: set by kubectl-edit → (removed)";
        let live = json!({"replicas": 2, "paused": false, "template": "new", "strategy": "x"});
        let mut wanted = live.clone();
        wanted["strategy"] = "x".into();
        let (told, _) = told(edited, live, wanted, true);
        assert!(told.is_empty() || told == [added], "{told:?}");
    }
}
