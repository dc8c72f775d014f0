//! The field managers of an object: edits made with kubectl are handed to us before the object's step is
//! decided, so that the dry run shows them undone.
//!
//! A server-side apply removes a field only from the manager that applies. What `kubectl edit` adds belongs
//! to kubectl and would stay for ever, beside what Git sets; therefore its entries in
//! `metadata.managedFields` are merged into ours first, as Flux does. Flux merges them after the dry run, and
//! all that they hold.

use serde_json::{Value, json};

use super::drift::{Drift, FieldDrift, join};
use super::fields::{self, Fields, difference, follow, intersection, parted, present, strip, union};
use super::guarded::{is_guarded, is_scaled};
use super::policy::{Apply, apply_policy};
use super::requests::is_request;
use super::scale;
use crate::api::Ownership;
use lockgate_base::model::Object;

/// Managers whose edits are undone, besides our own updates: a prefix of the name, and the operation.
const OVERRIDDEN: [(&str, &str); 2] = [("kubectl", "Apply"), ("kubectl", "Update")];

/// The name under which the API server records all fields of an object whose managers were lost. The fields
/// that Git does not set may belong to anybody.
const BEFORE_FIRST_APPLY: &str = "before-first-apply";

/// Annotations and labels that other ways of applying leave behind.
pub(super) const LEFTOVERS: [(&str, &str); 4] = [
    ("annotations", "kubectl.kubernetes.io/last-applied-configuration"),
    ("annotations", "kustomize.toolkit.fluxcd.io/checksum"),
    ("annotations", "fluxcd.io/sync-checksum"),
    ("labels", "fluxcd.io/sync-gc-mark"),
];

/// Whether an object has fields to hand to us: edits of people and of other ways of applying, without
/// requests and without fields that the control plane depends on. Its metadata suffices.
pub fn is_edited(live: &Object, ownership: &Ownership) -> bool {
    let of_git = own(live, ownership).and_then(fields::of);
    entries(live).iter().any(|entry| !halves(entry, live, of_git, ownership).1.is_empty())
}

/// A JSON 6902 patch that moves the fields of overridden managers to lockgate's entry, removes leftovers of
/// other tools, and gives up a replica count that Git no longer sets; `None` if there is nothing to do. If
/// one of the objects has `ssa: Merge`, the fields of others stay theirs. `wanted` is the result of the dry
/// run, if the server has returned one.
pub fn take_over(
    live: &Object,
    desired: &Object,
    wanted: Option<&Object>,
    ownership: &Ownership,
) -> Option<Value> {
    let mut operations = Vec::new();
    let mut entries = None;
    if ![live, desired].into_iter().any(|object| apply_policy(object) == Apply::Merge) {
        operations = leftovers(live);
        entries = merged_entries(live, wanted, ownership);
    }
    let there = entries.as_deref().unwrap_or_else(|| self::entries(live));
    if scale::lets_go(live, desired, there, ownership) {
        entries = Some(scale::hand_over(there, ownership));
    }
    operations.extend(entries.map(|entries| replacement(&entries)));
    patch(live, operations)
}

/// The operations that remove leftovers of other ways of applying.
fn leftovers(live: &Object) -> Vec<Value> {
    let is_there = |(map, key): &(&str, &str)| {
        if *map == "labels" { live.label(key).is_some() } else { live.annotation(key).is_some() }
    };
    let remove = |(map, key): (&str, &str)| json!({"op": "remove", "path": format!("/metadata/{map}/{}", key.replace('/', "~1"))});
    LEFTOVERS.into_iter().filter(is_there).map(remove).collect()
}

/// The operation that replaces the entries of `metadata.managedFields`.
pub(super) fn replacement(entries: &[Value]) -> Value {
    json!({"op": "add", "path": "/metadata/managedFields", "value": entries})
}

/// The patch of an observed object; `None` if there is nothing to do.
pub(super) fn patch(live: &Object, mut operations: Vec<Value>) -> Option<Value> {
    if operations.is_empty() {
        return None;
    }
    if let Some(version) = live.text("/metadata/resourceVersion") {
        // The server refuses the patch with a conflict if the object has changed since it was read.
        operations.push(json!({"op": "replace", "path": "/metadata/resourceVersion", "value": version}));
    }
    Some(operations.into())
}

/// The entries of `metadata.managedFields` with the handed fields merged into ours.
fn merged_entries(live: &Object, wanted: Option<&Object>, ownership: &Ownership) -> Option<Vec<Value>> {
    // For an object whose managers were lost, the server names them only in the result of an apply.
    let there = if entries(live).is_empty() { wanted.map_or(&[][..], entries) } else { entries(live) };
    let applied = wanted.and_then(|wanted| own(wanted, ownership));
    let of_git = applied.or_else(|| own(live, ownership)).and_then(fields::of);
    let mut merged = Vec::new();
    let mut taken: Vec<(&Value, Fields)> = Vec::new();
    for entry in there.iter().filter(|entry| !ownership.is_own(entry)) {
        let (stays, goes) = halves(entry, live, of_git, ownership);
        if goes.is_empty() {
            merged.push(entry.clone());
            continue;
        }
        if !stays.is_empty() {
            merged.push(with_fields(entry, stays));
        }
        taken.push((entry, goes));
    }
    let (first, _) = taken.first()?;
    let known = own(live, ownership);
    let mut ours = known.or(applied).unwrap_or(first).clone();
    ours["manager"] = ownership.manager.into();
    ours["operation"] = "Apply".into();
    let held = known.and_then(fields::of).cloned().unwrap_or_default();
    let all_are_of_one_version =
        taken.iter().all(|(entry, _)| entry.get("apiVersion") == ours.get("apiVersion"));
    let mut all = taken.iter().fold(held, |all, (_, fields)| union(all, fields));
    if !all_are_of_one_version {
        // A field may have another path in another version, so only fields that exist in the requested one
        // are held.
        all = present(&all, live.value());
        ours["apiVersion"] = live.api_version().into();
    }
    merged.push(with_fields(&ours, all));
    Some(merged)
}

pub(super) fn with_fields(entry: &Value, fields: Fields) -> Value {
    let mut entry = entry.clone();
    entry["fieldsV1"] = fields.into();
    entry
}

/// The part of an entry that stays, and the part that is handed to us. `of_git` contains the fields that Git
/// sets, as far as they are known.
fn halves(entry: &Value, live: &Object, of_git: Option<&Fields>, ownership: &Ownership) -> (Fields, Fields) {
    let Some(all) = fields::of(entry) else { return Default::default() };
    let shared = |set: &Fields| of_git.map(|of_git| intersection(set, of_git)).unwrap_or_default();
    if is_of(entry, BEFORE_FIRST_APPLY, "Update") {
        let goes = shared(all);
        return (difference(all, &goes), goes);
    }
    if !is_overridden(entry, ownership) {
        return (all.clone(), Fields::new());
    }
    let kind = (live.group(), live.kind());
    let has_scaler = || entries(live).iter().any(|entry| entry["subresource"] == "scale");
    let is_scaled = is_scaled(live.group(), live.kind()) || has_scaler();
    let stays = |path: &[&str]| is_request(entry, path) || is_guarded(kind, path, is_scaled, of_git);
    let (stays, goes) = parted(all, &stays);
    let of_both = shared(&stays);
    (difference(&stays, &of_both), union(goes, &of_both))
}

/// Whether an entry belongs to edits of people, or to other ways of applying.
fn is_overridden(entry: &Value, ownership: &Ownership) -> bool {
    let is = |(prefix, operation)| is_of(entry, prefix, operation);
    let text = |field: &str| entry.get(field).and_then(Value::as_str).unwrap_or_default();
    OVERRIDDEN.into_iter().any(is)
        || (is_of(entry, ownership.manager, "Update") && text("manager") == ownership.manager)
        || (text("subresource").is_empty() && ownership.is_stand_in(text("manager")))
}

/// Whether an entry is about the object itself, by a manager whose name has this prefix.
fn is_of(entry: &Value, prefix: &str, operation: &str) -> bool {
    let text = |field: &str| entry.get(field).and_then(Value::as_str).unwrap_or_default();
    text("subresource").is_empty() && text("manager").starts_with(prefix) && text("operation") == operation
}

pub(super) fn entries(object: &Object) -> &[Value] {
    object.pointer("/metadata/managedFields").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The entry of our own applies.
pub(super) fn own<'o>(object: &'o Object, ownership: &Ownership) -> Option<&'o Value> {
    entries(object).iter().find(|entry| ownership.is_own(entry))
}

/// The fields that overridden managers have set and Git does not. If we have never applied the object, the
/// result is empty: another tool created it, and owns all defaults of the server.
pub(super) fn foreign_fields(live: &Object, desired: &Object, ownership: &Ownership) -> Vec<Drift> {
    let Some(own) = own(live, ownership) else { return Vec::new() };
    let of_git = fields::of(own);
    let mut found = Vec::new();
    for entry in entries(live).iter().filter(|entry| is_overridden(entry, ownership)) {
        let manager = entry.get("manager").and_then(Value::as_str).unwrap_or_default();
        absent(&halves(entry, live, of_git, ownership).1, desired.value(), "", &mut |path, _| {
            found.push(Drift { path, change: FieldDrift::SetBy(manager.into()) });
        });
    }
    found
}

/// The fields that another tool, such as Helm, has left on an object that lockgate has not applied before:
/// labels, annotations, entries of data, and items of lists that Git does not set. They stay, since they may
/// belong to somebody. Other fields may be defaults of the server.
pub(super) fn left_by_others(live: &Object, desired: &Object, ownership: &Ownership) -> Vec<Drift> {
    if own(live, ownership).is_some() {
        return Vec::new();
    }
    let mut found = Vec::new();
    for entry in entries(live) {
        let text = |field: &str| entry.get(field).and_then(Value::as_str).unwrap_or_default();
        let is_known = is_overridden(entry, ownership) || is_of(entry, BEFORE_FIRST_APPLY, "Update");
        let Some(all) = fields::of(entry).filter(|_| text("subresource").is_empty() && !is_known) else {
            continue;
        };
        // The manager that applies an object sets the fields that Git sets; a controller sets its own.
        if !all.keys().any(|field| field != "f:metadata" && follow(field, desired.value()).is_some()) {
            continue;
        }
        absent(all, desired.value(), "", &mut |path, below| {
            let mut names = path.rsplit('.');
            let is_map = [names.next(), names.next()].into_iter().flatten().any(|name| APART.contains(&name));
            let items =
                below.as_object().is_some_and(|below| below.keys().any(|step| step.starts_with("k:")));
            if is_map || items || path.ends_with(']') {
                let change = FieldDrift::SetBy(text("manager").to_owned());
                found.push(Drift { path, change });
            }
        });
    }
    found
}

/// The maps whose entries the server adds none to.
const APART: [&str; 4] = ["annotations", "binaryData", "data", "labels"];

/// The result of an apply after the fields of overridden managers are taken over: `wanted`, the result of an
/// earlier dry run, without the fields that they have set and Git does not, and with a replica count that is
/// given up.
pub fn after_take_over(wanted: Object, live: &Object, desired: &Object, ownership: &Ownership) -> Object {
    let Some(own) = own(live, ownership) else { return wanted };
    let of_git = fields::of(own);
    let edited = wanted.clone().edit(|value| {
        for entry in entries(live).iter().filter(|entry| is_overridden(entry, ownership)) {
            strip(&halves(entry, live, of_git, ownership).1, desired.value(), value);
        }
    });
    let edited = edited.unwrap_or(wanted);
    let keeps_count = scale::lets_go(live, desired, entries(live), ownership);
    let kept = if keeps_count { scale::keeping_count(&edited, live) } else { None };
    kept.unwrap_or(edited)
}

/// Reports the fields under a node of `fieldsV1` that `desired` does not have, each with the fields below it.
fn absent(node: &Fields, desired: &Value, path: &str, tell: &mut dyn FnMut(String, &Value)) {
    for (step, child) in node {
        let Some((kind, name)) = step.split_once(':') else { continue };
        let is_status = path.is_empty() && name == "status";
        if is_status || LEFTOVERS.iter().any(|(_, leftover)| *leftover == name) {
            continue;
        }
        let path = match kind {
            "f" => join(path, name),
            "k" => format!("{path}[{}]", keys_of(name)),
            "v" => format!("{path}[{name}]"),
            // A place in an atomic list, which is reported as a whole.
            _ => continue,
        };
        match (follow(step, desired), child) {
            (None, below) => tell(path, below),
            (Some(desired), Value::Object(child)) => absent(child, desired, &path, tell),
            (Some(_), _) => {}
        }
    }
}

/// `name=web` for the keys `{"name":"web"}` of an item.
fn keys_of(item: &str) -> String {
    let keys: Fields = serde_json::from_str(item).unwrap_or_default();
    let plain = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let shown: Vec<String> = keys.iter().map(|(key, value)| format!("{key}={}", plain(value))).collect();
    shown.join(",")
}

#[cfg(test)]
mod tests;
