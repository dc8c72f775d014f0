//! Field managers: `metadata.managedFields` as the API server keeps it (structured-merge-diff), for applies
//! and for other writes.

use serde_json::{Value, json};

use super::fields::{self, Fields};

/// Who writes, how, and to which part of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Writer {
    pub(crate) manager: String,
    /// `Apply` or `Update`.
    pub(crate) operation: &'static str,
    pub(crate) api_version: String,
    /// Empty for the object itself.
    pub(crate) subresource: String,
}

/// What stands in metadata and belongs to nobody.
const UNOWNED: [&str; 9] = [
    "name",
    "namespace",
    "creationTimestamp",
    "uid",
    "generation",
    "managedFields",
    "resourceVersion",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
];

/// What only a deletion sets, which is recorded as anybody's with all else that nobody manages.
const LEAVING: [&str; 2] = ["deletionTimestamp", "deletionGracePeriodSeconds"];

/// Who is taken for the writer of all that stands in an object that nobody manages, once it is applied.
const BEFORE: &str = "before-first-apply";

struct Entry {
    writer: Writer,
    time: String,
    fields: Fields,
}

fn entries(object: &Value) -> Vec<Entry> {
    let read = |entry: &Value| {
        let text = |field: &str| entry[field].as_str().unwrap_or_default().to_owned();
        let operation = if entry["operation"] == "Apply" { "Apply" } else { "Update" };
        let writer = Writer {
            manager: text("manager"),
            operation,
            api_version: text("apiVersion"),
            subresource: text("subresource"),
        };
        Entry { writer, time: text("time"), fields: Fields::of_json(&entry["fieldsV1"]) }
    };
    object
        .pointer("/metadata/managedFields")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .map(read)
        .collect()
}

fn store(object: &mut Value, mut entries: Vec<Entry>) {
    entries.retain(|entry| !entry.fields.is_empty());
    let key = |entry: &Entry| {
        let Writer { manager, operation, api_version, subresource } = entry.writer.clone();
        (operation, entry.time.clone(), manager, api_version, subresource)
    };
    entries.sort_by_key(key);
    let write = |entry: Entry| {
        let mut value = json!({"manager": entry.writer.manager, "operation": entry.writer.operation,
            "apiVersion": entry.writer.api_version, "fieldsType": "FieldsV1", "fieldsV1": entry.fields.to_json()});
        if !entry.time.is_empty() {
            value["time"] = entry.time.into();
        }
        if !entry.writer.subresource.is_empty() {
            value["subresource"] = entry.writer.subresource.into();
        }
        value
    };
    let entries: Vec<Value> = entries.into_iter().map(write).collect();
    if let Some(metadata) = object["metadata"].as_object_mut() {
        if entries.is_empty() {
            metadata.shift_remove("managedFields");
        } else {
            metadata.insert("managedFields".into(), entries.into());
        }
    }
}

/// Takes out what is nobody's, and what the part that is written leaves as it is.
fn strip(fields: &mut Fields, writer: &Writer, has_status: bool) {
    for path in [&["f:apiVersion"][..], &["f:kind"]] {
        fields.cut(path);
    }
    for name in UNOWNED {
        fields.cut(&["f:metadata", &format!("f:{name}")]);
    }
    if writer.subresource == "status" {
        fields.keep("f:status");
    } else if has_status {
        fields.cut(&["f:status"]);
    }
}

/// The object without what is kept of who wrote it.
fn bare(object: &Value) -> Value {
    let mut bare = object.clone();
    if let Some(metadata) = bare["metadata"].as_object_mut() {
        metadata.shift_remove("managedFields");
    }
    bare
}

/// Records a write that is no apply: `new` replaces `old`, which is an empty object where there was none.
pub(crate) fn update(
    old: &Value,
    new: &mut Value,
    writer: &Writer,
    (builtin, has_status): (bool, bool),
    now: &str,
) {
    let mut all = entries(new);
    // Of an object that nobody manages nothing is recorded before it is applied.
    if all.is_empty() && old["metadata"].is_object() {
        return;
    }
    let (mut set, mut removed) = Fields::changed(old, new, builtin);
    strip(&mut set, writer, has_status);
    strip(&mut removed, writer, has_status);
    for entry in &mut all {
        entry.fields.subtract(&removed);
        if entry.writer != *writer {
            entry.fields.subtract(&set);
        }
    }
    match all.iter_mut().find(|entry| entry.writer == *writer) {
        Some(own) => {
            let before = own.fields.clone();
            own.fields.union(&set);
            if own.fields != before || !removed.is_empty() {
                now.clone_into(&mut own.time);
            }
        }
        None => all.push(Entry { writer: writer.clone(), time: now.to_owned(), fields: set }),
    }
    store(new, all);
}

/// A conflict of an apply without force: the managers, and the fields.
pub(crate) type Conflicts = Vec<(String, String)>;

/// Applies an object to a live one, which is empty where there is none. Returns the object as it is
/// afterwards; `None` where it stays as it is.
pub(crate) fn apply(
    live: &Value,
    applied: &Value,
    writer: &Writer,
    (builtin, has_status): (bool, bool),
    force: bool,
    now: &str,
) -> Result<Option<Value>, Conflicts> {
    let mut wanted = Fields::of_applied(applied, builtin);
    strip(&mut wanted, writer, has_status);
    let mut all = entries(live);
    if all.is_empty() && live["metadata"].get("uid").is_some() {
        let before = Writer { manager: BEFORE.into(), operation: "Update", ..writer.clone() };
        let (mut fields, _) = Fields::changed(&json!({"metadata": {}}), &bare(live), builtin);
        strip(&mut fields, &before, has_status);
        for leaving in LEAVING.iter().filter(|leaving| live["metadata"].get(**leaving).is_some()) {
            fields.insert(&["f:metadata".into(), format!("f:{leaving}")]);
        }
        all.push(Entry { writer: before, time: now.to_owned(), fields });
    }
    let before = all.iter().find(|entry| entry.writer == *writer).map(|entry| entry.fields.clone());
    let mut merged = live.clone();
    fields::merge(&mut Vec::new(), &mut merged, applied, builtin);
    keep_unowned(live, &mut merged);
    let mut dropped = before.clone().unwrap_or_default();
    dropped.subtract(&wanted);
    for path in dropped.paths().into_iter().rev() {
        let is_held = all.iter().any(|entry| entry.writer != *writer && entry.fields.reaches(&path));
        if !is_held && !wanted.reaches(&path) {
            fields::remove(&mut Vec::new(), &mut merged, &path, builtin);
        }
    }
    let (mut set, mut removed) = Fields::changed(live, &merged, builtin);
    strip(&mut set, writer, has_status);
    strip(&mut removed, writer, has_status);
    let mut conflicts = Conflicts::new();
    for entry in all.iter_mut().filter(|entry| entry.writer != *writer) {
        let paths = if force { Vec::new() } else { set.paths() };
        let taken: Vec<_> = paths.into_iter().filter(|path| entry.fields.contains(path)).collect();
        conflicts.extend(taken.iter().map(|path| (entry.writer.manager.clone(), path.join("."))));
        entry.fields.subtract(&set);
        entry.fields.subtract(&removed);
    }
    if !conflicts.is_empty() && !force {
        return Err(conflicts);
    }
    let is_same = before.as_ref() == Some(&wanted) && set.is_empty() && removed.is_empty();
    if is_same {
        return Ok(None);
    }
    // An apply that changes no field of the object leaves the time of its entry as it is, and a new entry
    // without one.
    let known = all.iter().find(|entry| entry.writer == *writer).map(|entry| entry.time.clone());
    let has_changed = !set.is_empty() || !removed.is_empty();
    let time = if has_changed { now.to_owned() } else { known.unwrap_or_default() };
    all.retain(|entry| entry.writer != *writer);
    all.push(Entry { writer: writer.clone(), time, fields: wanted });
    store(&mut merged, all);
    Ok(Some(merged))
}

/// What stands in metadata and belongs to nobody stays as it was, but for the name of what is made.
fn keep_unowned(live: &Value, merged: &mut Value) {
    let Some(metadata) = merged["metadata"].as_object_mut() else { return };
    for name in UNOWNED {
        match live["metadata"].get(name) {
            Some(value) => drop(metadata.insert(name.to_owned(), value.clone())),
            None if matches!(name, "name" | "namespace") => {}
            None => drop(metadata.shift_remove(name)),
        }
    }
}
