//! Writes: create, replace, patch, apply and delete, with what the API server keeps of each.

use std::sync::Arc;

use lockgate_core::api::acted_on;
use serde_json::{Map, Value, json};

use super::Server;
use super::kinds::Kind;
use super::managers::{self, Writer};
use super::route::Route;
use super::status::{Refused, details};
use super::store::Key;

/// The HTTP status of a success, and its body.
pub(crate) type Done = Result<(u16, Arc<Value>), Refused>;

/// One write that is under way.
pub(crate) struct Write<'w> {
    pub(crate) kind: &'w Kind,
    pub(crate) route: &'w Route,
    pub(crate) key: Key,
    /// This moment as timestamps write it.
    pub(crate) now: &'w str,
}

impl Write<'_> {
    fn writer(&self, operation: &'static str) -> Writer {
        Writer {
            manager: self.route.asks("fieldManager").unwrap_or("unknown").into(),
            operation,
            api_version: self.kind.api_version(),
            subresource: self.route.subresource.clone(),
        }
    }
}

impl Server {
    pub(crate) fn create(&mut self, mut write: Write<'_>, mut object: Value) -> Done {
        write.key.name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        if let Some(known) = self.store.get(&write.key) {
            let is_leaving = known["metadata"].get("deletionTimestamp").is_some();
            return Err(Refused::exists(write.kind, &write.key.name, is_leaving));
        }
        self.begin(&write, &mut object)?;
        // What is filled in belongs to who creates; what is filled in beside what is applied belongs to
        // nobody.
        default(write.kind, &mut object);
        managers::update(
            &json!({"metadata": null}),
            &mut object,
            &write.writer("Update"),
            write.kind.flags(),
            write.now,
        );
        self.commit(&write, None, object).map(|object| (201, object))
    }

    pub(crate) fn replace(&mut self, write: &Write<'_>, object: Value) -> Done {
        let Some(old) = self.store.get(&write.key).cloned() else {
            return Err(Refused::not_found(write.kind, &write.key.name));
        };
        self.update(write, &old, object)
    }

    pub(crate) fn patch(&mut self, write: &Write<'_>, content_type: &str, body: &Value) -> Done {
        let old = self.store.get(&write.key).cloned();
        if content_type.starts_with("application/apply-patch") {
            return self.apply(write, old, body);
        }
        let Some(old) = old else { return Err(Refused::not_found(write.kind, &write.key.name)) };
        let mut new = Value::clone(&old);
        if content_type.starts_with("application/json-patch") {
            // The definitions of the agent's kinds give each object a status, which is there as soon as it is
            // read.
            let is_of_the_agent = acted_on()
                .any(|info| (info.id.group, info.id.kind) == (&*write.kind.group, &*write.kind.kind));
            if is_of_the_agent && new.get("status").is_none() {
                new["status"] = json!({"observedGeneration": -1});
            }
            json_patch(&mut new, body)?;
        } else {
            json_patch::merge(&mut new, body);
        }
        self.update(write, &old, new)
    }

    fn update(&mut self, write: &Write<'_>, old: &Arc<Value>, mut new: Value) -> Done {
        check_identity(write, old, &new)?;
        keep_unwritable(write, old, &mut new);
        if new["metadata"].get("managedFields").is_none()
            && let Some(fields) = old["metadata"].get("managedFields")
        {
            new["metadata"]["managedFields"] = fields.clone();
        }
        // One empty entry is how they are cleared.
        if new["metadata"]["managedFields"] == json!([{}]) {
            set(&mut new["metadata"], "managedFields", None);
        }
        default(write.kind, &mut new);
        managers::update(old, &mut new, &write.writer("Update"), write.kind.flags(), write.now);
        self.commit(write, Some(old), new).map(|object| (200, object))
    }

    fn apply(&mut self, write: &Write<'_>, old: Option<Arc<Value>>, body: &Value) -> Done {
        if body.pointer("/metadata/managedFields").is_some_and(|fields| !fields.is_null()) {
            return Err(Refused::bad("metadata.managedFields must be nil"));
        }
        let force = write.route.asks("force") == Some("true");
        let flags = write.kind.flags();
        let refused = |conflicts: managers::Conflicts| {
            let message = format!("Apply failed with {} conflicts", conflicts.len());
            Refused::new(409, "Conflict", &message, Value::Null)
        };
        let writer = write.writer("Apply");
        let Some(old) = old else {
            let mut made = body.clone();
            self.begin(write, &mut made)?;
            let empty = json!({"metadata": {}});
            let applied = managers::apply(&empty, body, &writer, flags, force, write.now).map_err(refused)?;
            let mut applied = applied.unwrap_or(empty);
            for (name, value) in made["metadata"].as_object().into_iter().flatten() {
                if applied["metadata"].get(name).is_none() {
                    applied["metadata"][name] = value.clone();
                }
            }
            return self.commit(write, None, applied).map(|object| (201, object));
        };
        check_identity(write, &old, body)?;
        let applied = managers::apply(&old, body, &writer, flags, force, write.now).map_err(refused)?;
        let Some(mut new) = applied else { return Ok((200, old)) };
        keep_unwritable(write, &old, &mut new);
        self.commit(write, Some(&old), new).map(|object| (200, object))
    }

    /// What a new object gets, and what it needs.
    fn begin(&mut self, write: &Write<'_>, object: &mut Value) -> Result<(), Refused> {
        let (kind, key) = (write.kind, &write.key);
        if kind.namespaced {
            let namespace = self.store.get(&Key::new("", "namespaces", "", &key.namespace));
            match namespace {
                None => return Err(Refused::no_namespace(&key.namespace)),
                Some(namespace) if namespace["metadata"].get("deletionTimestamp").is_some() => {
                    return Err(Refused::terminating(kind, &key.name, &key.namespace));
                }
                Some(_) => object["metadata"]["namespace"] = key.namespace.clone().into(),
            }
        }
        object["metadata"]["uid"] =
            if write.route.is_dry_run() { "dry-run".into() } else { self.store.uid().into() };
        object["metadata"]["creationTimestamp"] = write.now.into();
        if kind.counts {
            object["metadata"]["generation"] = 1.into();
        }
        if kind.has_status
            && let Some(object) = object.as_object_mut()
        {
            object.shift_remove("status");
        }
        Ok(())
    }

    /// The end of every write: what the object must be like, and whether there is anything to store.
    fn commit(
        &mut self,
        write: &Write<'_>,
        old: Option<&Arc<Value>>,
        mut new: Value,
    ) -> Result<Arc<Value>, Refused> {
        default(write.kind, &mut new);
        if write.kind.kind == "Namespace" {
            // These belong to nobody, whoever writes.
            new["spec"] = json!({"finalizers": ["kubernetes"]});
            if new.get("status").is_none() {
                new["status"] = json!({"phase": "Active"});
            }
        }
        if write.route.subresource.is_empty() {
            self.admit(write, old.map(|old| &**old), &new)?;
        }
        if let Some(old) = old {
            if write.kind.counts && differ_in_spec(old, &new) {
                let generation = old["metadata"]["generation"].as_u64().unwrap_or(1);
                new["metadata"]["generation"] = (generation + 1).into();
            }
            new["metadata"]["resourceVersion"] = old["metadata"]["resourceVersion"].clone();
            if **old == new {
                return Ok(Arc::clone(old));
            }
        }
        if write.route.is_dry_run() {
            return Ok(Arc::new(new));
        }
        let is_leaving = new["metadata"].get("deletionTimestamp").is_some();
        if is_leaving && new["metadata"].get("finalizers").is_none() && write.key.plural != "namespaces" {
            return Ok(self.store.remove_as(&write.key, new));
        }
        Ok(self.store.put(&write.key, new))
    }

    /// What is refused by rules of the kind, and by the admission that a scenario has set up.
    fn admit(&self, write: &Write<'_>, old: Option<&Value>, new: &Value) -> Result<(), Refused> {
        let (kind, name) = (write.kind, &write.key.name);
        if self.denied.contains(name) && old.is_none_or(|old| differ_in_spec(old, new)) {
            return Err(Refused::denied("deny.simulation.dev", "it is not wanted"));
        }
        let Some(old) = old else { return Ok(()) };
        let fixed = |pointer: &str| old.pointer(pointer) != new.pointer(pointer);
        if old.get("immutable") == Some(&Value::Bool(true)) && fixed("/data") {
            return Err(Refused::invalid(
                kind,
                name,
                "data",
                "Forbidden: field is immutable when `immutable` is set",
            ));
        }
        let Some(field) = &kind.fixed else { return Ok(()) };
        // A rule about the value before holds where there was one.
        let has_both = old.pointer(field).is_some() && new.pointer(field).is_some();
        if fixed(field) && (kind.builtin || has_both) {
            let dotted = field.trim_start_matches('/').replace('/', ".");
            let what = if kind.builtin { "field" } else { "value" };
            return Err(Refused::invalid(
                kind,
                name,
                &dotted,
                &format!("Invalid value: {what} is immutable"),
            ));
        }
        Ok(())
    }

    pub(crate) fn delete(&mut self, write: &Write<'_>, options: &Value) -> Done {
        let (kind, key) = (write.kind, &write.key);
        let Some(old) = self.store.get(key).cloned() else { return Err(Refused::not_found(kind, &key.name)) };
        let uid = old["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
        if let Some(wanted) = options.pointer("/preconditions/uid").and_then(Value::as_str)
            && wanted != uid
        {
            let why =
                format!("Precondition failed: UID in precondition: {wanted}, UID in object meta: {uid}");
            return Err(Refused::conflict(kind, &key.name, &why));
        }
        let version = old["metadata"]["resourceVersion"].as_str().unwrap_or_default();
        if let Some(wanted) = options.pointer("/preconditions/resourceVersion").and_then(Value::as_str)
            && wanted != version
        {
            let why = format!(
                "Precondition failed: ResourceVersion in precondition: {wanted}, ResourceVersion in object meta: {version}"
            );
            return Err(Refused::conflict(kind, &key.name, &why));
        }
        let is_namespace = key.plural == "namespaces";
        let is_held = old["metadata"].get("finalizers").is_some() || is_namespace;
        if !is_held {
            if !write.route.is_dry_run() {
                self.store.remove(key);
            }
            let mut of = details(kind, &key.name);
            of["uid"] = uid.into();
            let body = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": of});
            return Ok((200, Arc::new(body)));
        }
        if old["metadata"].get("deletionTimestamp").is_some() {
            return Ok((200, old));
        }
        let mut new = Value::clone(&old);
        new["metadata"]["deletionTimestamp"] = write.now.into();
        if is_namespace {
            new["status"] = json!({"phase": "Terminating"});
        } else {
            new["metadata"]["deletionGracePeriodSeconds"] = 0.into();
        }
        if let Some(generation) = new["metadata"]["generation"].as_u64() {
            new["metadata"]["generation"] = (generation + 1).into();
        }
        Ok((200, if write.route.is_dry_run() { Arc::new(new) } else { self.store.put(key, new) }))
    }
}

/// What the API server fills in, as far as something here looks at it.
fn default(kind: &Kind, object: &mut Value) {
    let is_empty = |value: Option<&Value>| value.and_then(Value::as_object).is_some_and(Map::is_empty);
    if kind.builtin && is_empty(object.get("data")) {
        set(object, "data", None);
    }
    if object.pointer("/metadata/finalizers").and_then(Value::as_array).is_some_and(Vec::is_empty) {
        set(&mut object["metadata"], "finalizers", None);
    }
    for field in ["labels", "annotations"] {
        if is_empty(object["metadata"].get(field)) {
            set(&mut object["metadata"], field, None);
        }
    }
    match kind.kind.as_str() {
        "Secret" if object.get("type").is_none() => object["type"] = "Opaque".into(),
        "Namespace" => {
            let name = object["metadata"]["name"].clone();
            object["metadata"]["labels"]["kubernetes.io/metadata.name"] = name;
        }
        _ => {}
    }
}

/// What a write names of an object must be the object.
fn check_identity(write: &Write<'_>, old: &Value, new: &Value) -> Result<(), Refused> {
    let differs = |field: &str| {
        let wanted = new["metadata"].get(field).and_then(Value::as_str).filter(|wanted| !wanted.is_empty());
        wanted.is_some_and(|wanted| old["metadata"][field] != wanted)
    };
    // Of a custom resource's status a patch takes no other metadata than managedFields, so that another uid
    // is not noticed.
    if differs("uid") && (write.kind.builtin || write.route.subresource.is_empty()) {
        return Err(Refused::invalid(
            write.kind,
            &write.key.name,
            "metadata.uid",
            "Invalid value: field is immutable",
        ));
    }
    if differs("resourceVersion") {
        return Err(Refused::modified(write.kind, &write.key.name));
    }
    Ok(())
}

/// What the part that is written may not change stays as it was.
fn keep_unwritable(write: &Write<'_>, old: &Value, new: &mut Value) {
    if write.route.subresource == "status" {
        let mut kept = old.clone();
        set(&mut kept, "status", new.get_mut("status").map(Value::take));
        let fields = new["metadata"].get_mut("managedFields").map(Value::take);
        set(&mut kept["metadata"], "managedFields", fields);
        *new = kept;
    } else if write.kind.has_status {
        set(new, "status", old.get("status").cloned());
    }
    for field in [
        "uid",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "generation",
        "name",
        "namespace",
    ] {
        set(&mut new["metadata"], field, old["metadata"].get(field).cloned());
    }
}

fn set(object: &mut Value, field: &str, value: Option<Value>) {
    match (object.as_object_mut(), value) {
        (Some(map), Some(value)) => drop(map.insert(field.into(), value)),
        (Some(map), None) => drop(map.shift_remove(field)),
        (None, _) => {}
    }
}

/// Whether two objects differ in more than type, metadata and status.
fn differ_in_spec(one: &Value, other: &Value) -> bool {
    let of = |object: &Value, other: &Value| {
        let fields = object.as_object().into_iter().flatten();
        let mut own = fields
            .filter(|(name, _)| !matches!(name.as_str(), "apiVersion" | "kind" | "metadata" | "status"));
        own.any(|(name, value)| other.get(name) != Some(value))
    };
    of(one, other) || of(other, one)
}

/// A value whose maps are sorted, to compare by content.
pub fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().map(|(name, value)| (name.clone(), sorted(value))).collect();
            entries.sort_by(|a, b| a.0.cmp(&b.0));
            Value::Object(entries.into_iter().collect())
        }
        Value::Array(items) => items.iter().map(sorted).collect(),
        other => other.clone(),
    }
}

/// A JSON patch as the API server reads it: what is not there is null to a test.
fn json_patch(object: &mut Value, operations: &Value) -> Result<(), Refused> {
    let refused = || {
        let message = "the server rejected our request due to an error in our request";
        Refused::new(422, "Invalid", message, json!({}))
    };
    for operation in operations.as_array().into_iter().flatten() {
        let path = operation["path"].as_str().unwrap_or_default();
        if operation["op"] == "test" && operation["value"].is_null() && object.pointer(path).is_none() {
            continue;
        }
        let one = serde_json::from_value(json!([operation])).map_err(|_| refused())?;
        let one: json_patch::Patch = one;
        json_patch::patch(object, &one).map_err(|_| refused())?;
    }
    Ok(())
}
