//! Who set which field: edits made with kubectl are handed to us, so that the next apply undoes them.
//!
//! A server-side apply removes a field only from the manager that applies. What `kubectl edit` adds belongs to kubectl and
//! would stay for ever; therefore its entries in `metadata.managedFields` are merged into ours first, as Flux does.

use serde_json::{Map, Value, json};

use super::drift::{Change, Drift, join};
use super::policy::{Apply, apply_policy};
use super::requests::parted;
use crate::api::Ownership;
use lockgate_base::model::Object;

/// Managers whose edits are undone, beside the updates of our own: a prefix of the name, and the operation.
const OVERRIDDEN: [(&str, &str); 3] =
    [("kubectl", "Apply"), ("kubectl", "Update"), ("before-first-apply", "Update")];

/// Annotations and labels that other ways of applying leave behind.
pub(super) const LEFTOVERS: [(&str, &str); 4] = [
    ("annotations", "kubectl.kubernetes.io/last-applied-configuration"),
    ("annotations", "kustomize.toolkit.fluxcd.io/checksum"),
    ("annotations", "fluxcd.io/sync-checksum"),
    ("labels", "fluxcd.io/sync-gc-mark"),
];

/// Whether what an entry of `metadata.managedFields` stands for is undone: edits of people and of other ways of applying, as far
/// as they are no requests.
pub fn is_overridden(entry: &Value, ownership: &Ownership) -> bool {
    is_foreign_edit(entry, ownership) && !matches!(parted(entry), (Some(_), None))
}

fn is_foreign_edit(entry: &Value, ownership: &Ownership) -> bool {
    let text = |field: &str| entry.get(field).and_then(Value::as_str).unwrap_or_default();
    let (manager, operation) = (text("manager"), text("operation"));
    let own = (ownership.manager, "Update");
    let is = |(prefix, known): (&str, &str)| manager.starts_with(prefix) && operation == known;
    text("subresource").is_empty() && (OVERRIDDEN.into_iter().any(is) || is(own))
}

/// A JSON 6902 patch that hands the fields of overridden managers to ours and removes what other ways of applying left
/// behind; `None` where there is nothing of the kind, or where the object says `ssa: Merge`.
pub fn take_over(live: &Object, ownership: &Ownership) -> Option<Value> {
    if apply_policy(live) == Apply::Merge {
        return None;
    }
    let mut patch = Vec::new();
    for (map, key) in LEFTOVERS {
        let there = if map == "labels" { live.label(key) } else { live.annotation(key) };
        if there.is_some() {
            patch
                .push(json!({"op": "remove", "path": format!("/metadata/{map}/{}", key.replace('/', "~1"))}));
        }
    }
    if let Some(entries) = merged_entries(live, ownership) {
        patch.push(json!({"op": "replace", "path": "/metadata/managedFields", "value": entries}));
    }
    if patch.is_empty() {
        return None;
    }
    if let Some(version) = live.text("/metadata/resourceVersion") {
        // The server refuses the patch with a conflict when the object has changed since it was looked at.
        patch.push(json!({"op": "replace", "path": "/metadata/resourceVersion", "value": version}));
    }
    Some(patch.into())
}

/// The entries of `metadata.managedFields` with those of overridden managers merged into ours.
fn merged_entries(live: &Object, ownership: &Ownership) -> Option<Vec<Value>> {
    let entries = entries(live);
    if !entries.iter().any(|entry| is_overridden(entry, ownership)) {
        return None;
    }
    let mut ours = entries.iter().find(|entry| ownership.is_own(entry)).cloned();
    let mut merged = Vec::new();
    for entry in entries {
        if ownership.is_own(entry) {
            continue;
        }
        if !is_overridden(entry, ownership) {
            merged.push(entry.clone());
            continue;
        }
        let (requests, rest) = parted(entry);
        if let Some(requests) = requests {
            let mut left = entry.clone();
            left["fieldsV1"] = requests;
            merged.push(left);
        }
        let fields = rest.unwrap_or_default();
        if let Some(ours) = &mut ours {
            ours["fieldsV1"] = union(ours.get("fieldsV1").cloned().unwrap_or_default(), fields);
        } else {
            let mut first = entry.clone();
            first["fieldsV1"] = fields;
            first["manager"] = ownership.manager.into();
            first["operation"] = "Apply".into();
            ours = Some(first);
        }
    }
    merged.extend(ours);
    Some(merged)
}

fn entries(live: &Object) -> &[Value] {
    live.pointer("/metadata/managedFields").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The union of two `fieldsV1` at their root.
fn union(a: Value, b: Value) -> Value {
    match (a, b) {
        (Value::Object(a), Value::Object(b)) if !a.is_empty() && !b.is_empty() => union_below(a, b).into(),
        (a, Value::Object(b)) if b.is_empty() => a,
        (Value::Object(a), b) if a.is_empty() => b,
        (Value::Null, other) | (other, _) => other,
    }
}

/// The union of two nodes of `fieldsV1`. An empty node stands for the field itself; a node with children stands for the
/// field itself only where it says so with `.`.
fn union_below(mut a: Map<String, Value>, b: Map<String, Value>) -> Map<String, Value> {
    for (key, theirs) in b {
        let ours = a.shift_remove(&key);
        let node = match (ours, theirs) {
            (Some(Value::Object(ours)), Value::Object(theirs)) => {
                match (ours.is_empty(), theirs.is_empty()) {
                    (true, true) => Map::new(),
                    (true, false) => with_itself(theirs),
                    (false, true) => with_itself(ours),
                    (false, false) => union_below(ours, theirs),
                }
                .into()
            }
            (_, theirs) => theirs,
        };
        a.insert(key, node);
    }
    a
}

fn with_itself(mut node: Map<String, Value>) -> Map<String, Value> {
    node.insert(".".into(), Map::new().into());
    node
}

/// The fields that overridden managers have set and that Git does not set. Where we have not applied before there is
/// nothing to tell: another tool made the object, with all the server's defaults to its name.
pub(super) fn foreign_fields(live: &Object, desired: &Object, ownership: &Ownership) -> Vec<Drift> {
    let entries = entries(live);
    if !entries.iter().any(|entry| ownership.is_own(entry)) {
        return Vec::new();
    }
    let mut found = Vec::new();
    for entry in entries.iter().filter(|entry| is_overridden(entry, ownership)) {
        let manager = entry.get("manager").and_then(Value::as_str).unwrap_or_default();
        let mut paths = Vec::new();
        absent(parted(entry).1.as_ref(), Some(desired.value()), "", &mut paths);
        found.extend(paths.into_iter().map(|path| Drift { path, change: Change::SetBy(manager.into()) }));
    }
    found
}

/// What an apply makes of an object once the fields of overridden managers are taken over: the result of a dry run from before
/// that, without the fields that they have set and Git does not set.
pub fn without_overridden(result: Object, live: &Object, desired: &Object, ownership: &Ownership) -> Object {
    let entries = entries(live);
    if !entries.iter().any(|entry| ownership.is_own(entry)) {
        return result;
    }
    let edited = result.clone().edit(|value| {
        for entry in entries.iter().filter(|entry| is_overridden(entry, ownership)) {
            strip(parted(entry).1.as_ref(), Some(desired.value()), value);
        }
    });
    edited.unwrap_or(result)
}

/// Takes the fields under a node of `fieldsV1` that `desired` does not have off a value.
fn strip(node: Option<&Value>, desired: Option<&Value>, value: &mut Value) {
    let Some(Value::Object(children)) = node else { return };
    for (key, child) in children {
        match key.split_once(':') {
            Some(("f", name)) => match desired.and_then(|desired| desired.get(name)) {
                Some(desired) => {
                    if let Some(value) = value.get_mut(name) {
                        strip(Some(child), Some(desired), value);
                    }
                }
                None => {
                    if let Value::Object(fields) = value {
                        fields.shift_remove(name);
                    }
                }
            },
            Some(("k", item)) => {
                let keys: Map<String, Value> = serde_json::from_str(item).unwrap_or_default();
                let is_it = |item: &Value| keys.iter().all(|(key, value)| item.get(key) == Some(value));
                let Value::Array(items) = value else { continue };
                match item_of("", item, desired).1 {
                    Some(desired) => {
                        if let Some(value) = items.iter_mut().find(|item| is_it(item)) {
                            strip(Some(child), Some(desired), value);
                        }
                    }
                    None => items.retain(|item| !is_it(item)),
                }
            }
            Some(("v", text)) => {
                let gone: Option<Value> = serde_json::from_str(text).ok();
                let is_wanted = desired
                    .and_then(Value::as_array)
                    .is_some_and(|items| items.iter().any(|item| Some(item) == gone.as_ref()));
                if let (Value::Array(items), false) = (&mut *value, is_wanted) {
                    items.retain(|item| Some(item) != gone.as_ref());
                }
            }
            _ => {}
        }
    }
}

/// Collects the fields under a node of `fieldsV1` that `desired` does not have.
fn absent(node: Option<&Value>, desired: Option<&Value>, path: &str, paths: &mut Vec<String>) {
    let Some(Value::Object(children)) = node else { return };
    for (key, child) in children {
        let (path, desired) = match key.split_once(':') {
            Some(("f", "status")) if path.is_empty() => continue,
            Some(("f", name)) if LEFTOVERS.iter().any(|(_, leftover)| *leftover == name) => continue,
            Some(("f", name)) => (join(path, name), desired.and_then(|desired| desired.get(name))),
            Some(("k", item)) => item_of(path, item, desired),
            Some(("v", value)) => {
                let wanted: Option<Value> = serde_json::from_str(value).ok();
                let items = desired.and_then(Value::as_array);
                let item = items.and_then(|items| items.iter().find(|item| Some(*item) == wanted.as_ref()));
                (format!("{path}[{value}]"), item)
            }
            // `.` stands for the field itself, which its children are told of; `i` for a place in an atomic list.
            _ => continue,
        };
        if desired.is_none() {
            paths.push(path);
        } else {
            absent(Some(child), desired, &path, paths);
        }
    }
}

/// The item of a list that has the keys `item`, such as `{"name":"web"}`.
fn item_of<'a>(path: &str, item: &str, desired: Option<&'a Value>) -> (String, Option<&'a Value>) {
    let keys: Map<String, Value> = serde_json::from_str(item).unwrap_or_default();
    let items = desired.and_then(Value::as_array);
    // The server completes keys by defaults, so a key that the desired item lacks does not count against it.
    let fits = |candidate: &&Value| {
        keys.iter().all(|(key, value)| candidate.get(key).is_none_or(|has| has == value))
    };
    let shown: Vec<String> = keys.iter().map(|(key, value)| format!("{key}={}", plain(value))).collect();
    (format!("{path}[{}]", shown.join(",")), items.and_then(|items| items.iter().find(fits)))
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Kustomization;
    use lockgate_base::keys;

    const OURS: &Ownership = Kustomization::OWNERSHIP;

    fn object(mut metadata: Value, spec: impl Into<Value>) -> Object {
        metadata["name"] = "a".into();
        let spec = spec.into();
        Object::parse(
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}),
        )
        .unwrap()
    }

    fn entry(manager: &str, operation: &str, fields: impl Into<Value>) -> Value {
        let fields = fields.into();
        json!({"manager": manager, "operation": operation, "apiVersion": "apps/v1", "fieldsType": "FieldsV1",
               "fieldsV1": fields})
    }

    #[test]
    fn kubectl_is_overridden_and_controllers_are_not() {
        let cases = [
            ("kubectl-edit", "Update", "", true),
            ("kubectl", "Apply", "", true),
            ("kubectl-client-side-apply", "Update", "", true),
            ("before-first-apply", "Update", "", true),
            ("kustomize-controller", "Update", "", true),
            ("kustomize-controller", "Apply", "", false),
            ("kubectl", "Update", "scale", false),
            ("kube-controller-manager", "Update", "status", false),
            ("flux-client-side-apply", "Update", "", false),
        ];
        for (manager, operation, subresource, overridden) in cases {
            let mut entry = entry(manager, operation, json!({}));
            entry["subresource"] = subresource.into();
            assert_eq!(is_overridden(&entry, OURS), overridden, "{manager} {operation} {subresource}");
        }
    }

    #[test]
    fn the_fields_of_kubectl_become_ours() {
        let live = object(
            json!({"resourceVersion": "7", "managedFields": [
                entry("kustomize-controller", "Apply", json!({"f:spec": {"f:replicas": {}, "f:template": {}}})),
                entry("hpa", "Update", json!({"f:spec": {"f:x": {}}})),
                entry("kubectl-edit", "Update", json!({"f:spec": {"f:paused": {}, "f:template": {"f:a": {}}}})),
            ]}),
            json!({}),
        );
        let ours = json!({"f:spec": {"f:replicas": {}, "f:template": {"f:a": {}, ".": {}}, "f:paused": {}}});
        assert_eq!(
            take_over(&live, OURS).unwrap(),
            json!([
                {"op": "replace", "path": "/metadata/managedFields", "value": [
                    entry("hpa", "Update", json!({"f:spec": {"f:x": {}}})),
                    entry("kustomize-controller", "Apply", ours),
                ]},
                {"op": "replace", "path": "/metadata/resourceVersion", "value": "7"},
            ])
        );
    }

    #[test]
    fn an_object_that_kubectl_made_is_renamed_to_ours() {
        let live = object(
            json!({"annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}"}, "managedFields": [
                entry("kubectl-client-side-apply", "Update", json!({"f:spec": {"f:replicas": {}}})),
                entry("kubectl-edit", "Update", json!({"f:spec": {"f:paused": {}}})),
            ]}),
            json!({}),
        );
        let ours =
            entry("kustomize-controller", "Apply", json!({"f:spec": {"f:replicas": {}, "f:paused": {}}}));
        assert_eq!(
            take_over(&live, OURS).unwrap(),
            json!([
                {"op": "remove", "path": "/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration"},
                {"op": "replace", "path": "/metadata/managedFields", "value": [ours]},
            ])
        );
    }

    #[test]
    fn what_is_only_ours_is_left_alone() {
        let ours = entry("kustomize-controller", "Apply", json!({"f:spec": {}}));
        let status =
            json!({"manager": "kubectl", "operation": "Update", "subresource": "status", "fieldsV1": {}});
        assert_eq!(take_over(&object(json!({"managedFields": [ours, status]}), json!({})), OURS), None);
        assert_eq!(take_over(&object(json!({}), json!({})), OURS), None);
        let managed = json!([entry("kubectl-edit", "Update", json!({"f:spec": {}}))]);
        let merge = json!({"managedFields": managed, "labels": {keys::SSA: "merge"}});
        assert_eq!(take_over(&object(merge, json!({})), OURS), None);
        assert!(take_over(&object(json!({"managedFields": managed}), json!({})), OURS).is_some());
    }

    #[test]
    fn fields_that_git_does_not_set_are_told() {
        let containers =
            json!({"k:{\"name\":\"web\"}": {".": {}, "f:image": {}, "f:tty": {}}, "k:{\"name\":\"x\"}": {}});
        let ports = json!({"k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {"f:hostPort": {}}});
        let edited = json!({
            "f:metadata": {"f:annotations": {"f:e.io/a": {}, "f:kubectl.kubernetes.io/last-applied-configuration": {}},
                           "f:finalizers": {"v:\"kept\"": {}, "v:\"added\"": {}}},
            "f:spec": {"f:paused": {}, "f:containers": containers, "f:ports": ports},
            "f:status": {"f:x": {}},
        });
        let managed = json!([
            entry("kustomize-controller", "Apply", json!({})),
            entry("kubectl-edit", "Update", edited)
        ]);
        let desired = object(
            json!({"finalizers": ["kept"], "annotations": {}}),
            json!({"containers": [{"name": "web", "image": "i"}], "ports": [{"containerPort": 80}]}),
        );
        let found: Vec<String> =
            foreign_fields(&object(json!({"managedFields": managed}), json!({})), &desired, OURS)
                .iter()
                .map(ToString::to_string)
                .collect();
        assert_eq!(
            found,
            [
                "metadata.annotations[e.io/a]: set by kubectl-edit → (removed)",
                "metadata.finalizers[\"added\"]: set by kubectl-edit → (removed)",
                "spec.paused: set by kubectl-edit → (removed)",
                "spec.containers[name=web].tty: set by kubectl-edit → (removed)",
                "spec.containers[name=x]: set by kubectl-edit → (removed)",
                "spec.ports[containerPort=80,protocol=TCP].hostPort: set by kubectl-edit → (removed)",
            ]
        );
    }
}
