//! A Kubernetes object as data: the one type that flows through the whole chain.

use std::fmt;

use serde_json::{Map, Value};

use super::{Gvk, ObjectId};

/// A Kubernetes object: a JSON map in which `apiVersion`, `kind` and `metadata.name` are present and not
/// empty.
///
/// Only [`Object::parse`] makes one, so no later code needs to check that. `Debug` prints the identity alone,
/// because the content may be a Secret's.
#[derive(Clone, PartialEq)]
pub struct Object(Value);

/// Why a value is not a Kubernetes object. The message is a fragment such as `metadata.name is missing`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAnObject {
    /// The document is a scalar or a list.
    #[error("expected a mapping, found {0}")]
    NotAMapping(&'static str),
    /// A field that every object has is absent, empty or of another type.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// The server is to generate the name, so an apply would create another object each time.
    #[error("metadata.generateName makes a new object with every apply; set metadata.name")]
    GenerateName,
    /// A field is present but not of the type that the API machinery needs, for example a label with a
    /// number.
    #[error("{field}: expected {expected}, found {found}")]
    WrongType {
        /// Dotted path of the field.
        field: String,
        /// The expected type.
        expected: &'static str,
        /// The actual type.
        found: &'static str,
    },
}

/// The JSON type of a value, as messages name it.
pub fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "a mapping",
    }
}

impl Object {
    /// Takes a value that has `apiVersion`, `kind` and `metadata.name`, and string-valued labels and
    /// annotations.
    pub fn parse(value: Value) -> Result<Self, NotAnObject> {
        let Value::Object(map) = &value else {
            return Err(NotAnObject::NotAMapping(type_name(&value)));
        };
        require_text(map.get("apiVersion"), "apiVersion")?;
        require_text(map.get("kind"), "kind")?;
        let metadata = match map.get("metadata") {
            Some(Value::Object(metadata)) => metadata,
            None | Some(Value::Null) => return Err(NotAnObject::Missing("metadata.name")),
            Some(other) => return Err(wrong_type("metadata", "a mapping", other)),
        };
        let generates_name = metadata.get("generateName").is_some_and(|prefix| !prefix.is_null());
        if generates_name && matches!(metadata.get("name"), None | Some(Value::Null)) {
            return Err(NotAnObject::GenerateName);
        }
        require_text(metadata.get("name"), "metadata.name")?;
        match metadata.get("namespace") {
            None | Some(Value::Null | Value::String(_)) => {}
            Some(other) => return Err(wrong_type("metadata.namespace", "a string", other)),
        }
        for field in ["labels", "annotations"] {
            check_string_map(metadata.get(field), field)?;
        }
        Ok(Self(value))
    }

    /// The whole object.
    pub fn value(&self) -> &Value {
        &self.0
    }

    /// The whole object, by value.
    pub fn into_value(self) -> Value {
        self.0
    }

    /// A field by JSON pointer (RFC 6901), for example `/spec/replicas`.
    pub fn pointer(&self, pointer: &str) -> Option<&Value> {
        // Most pointers have no escape and meet no list. For the others serde_json makes two strings of each
        // part.
        let Some(parts) = pointer.strip_prefix('/') else { return self.0.pointer(pointer) };
        let mut value = &self.0;
        for part in parts.split('/') {
            value = match value {
                Value::Object(map) if !part.contains('~') => map.get(part)?,
                Value::Object(_) | Value::Array(_) => return self.0.pointer(pointer),
                _ => return None,
            };
        }
        Some(value)
    }

    /// A string field by JSON pointer (RFC 6901).
    pub fn text(&self, pointer: &str) -> Option<&str> {
        self.pointer(pointer).and_then(Value::as_str)
    }

    /// `apiVersion`, for example `apps/v1`.
    pub fn api_version(&self) -> &str {
        self.text("/apiVersion").unwrap_or_default()
    }

    /// The API group; empty for the core group.
    pub fn group(&self) -> &str {
        self.api_version().split_once('/').map_or("", |(group, _)| group)
    }

    /// The API version without its group, for example `v1`.
    pub fn version(&self) -> &str {
        let api_version = self.api_version();
        api_version.split_once('/').map_or(api_version, |(_, version)| version)
    }

    /// `kind`.
    pub fn kind(&self) -> &str {
        self.text("/kind").unwrap_or_default()
    }

    /// Group, version and kind together.
    pub fn gvk(&self) -> Gvk {
        Gvk { group: self.group().into(), version: self.version().into(), kind: self.kind().into() }
    }

    /// `metadata.name`.
    pub fn name(&self) -> &str {
        self.text("/metadata/name").unwrap_or_default()
    }

    /// `metadata.namespace`; `None` if absent or empty.
    pub fn namespace(&self) -> Option<&str> {
        self.text("/metadata/namespace").filter(|namespace| !namespace.is_empty())
    }

    /// The identity, as the inventory holds it.
    pub fn id(&self) -> ObjectId {
        ObjectId {
            namespace: self.namespace().unwrap_or_default().into(),
            name: self.name().into(),
            group: self.group().into(),
            kind: self.kind().into(),
        }
    }

    /// The value of a label.
    pub fn label(&self, key: &str) -> Option<&str> {
        self.metadata_entry("labels", key)
    }

    /// The value of an annotation.
    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.metadata_entry("annotations", key)
    }

    /// Sets a label, and creates the map if it is absent.
    pub fn set_label(&mut self, key: &str, value: &str) {
        self.set_metadata_entry("labels", key, value);
    }

    /// Sets an annotation, and creates the map if it is absent.
    pub fn set_annotation(&mut self, key: &str, value: &str) {
        self.set_metadata_entry("annotations", key, value);
    }

    /// Sets `metadata.namespace`.
    pub fn set_namespace(&mut self, namespace: &str) {
        if let Some(Value::Object(metadata)) = self.0.get_mut("metadata") {
            metadata.insert("namespace".into(), namespace.into());
        }
    }

    /// Changes the content with `edit`, and checks that the result is still an object.
    pub fn edit(self, edit: impl FnOnce(&mut Value)) -> Result<Self, NotAnObject> {
        let mut value = self.0;
        edit(&mut value);
        Self::parse(value)
    }

    fn metadata_entry(&self, map: &str, key: &str) -> Option<&str> {
        self.0.get("metadata")?.get(map)?.get(key)?.as_str()
    }

    fn set_metadata_entry(&mut self, map: &str, key: &str, value: &str) {
        let Some(Value::Object(metadata)) = self.0.get_mut("metadata") else { return };
        let entries = metadata.entry(map).or_insert(Value::Null);
        if !entries.is_object() {
            *entries = Value::Object(Map::new());
        }
        entries[key] = value.into();
    }
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Object({})", self.id())
    }
}

fn require_text(value: Option<&Value>, field: &'static str) -> Result<(), NotAnObject> {
    match value {
        Some(Value::String(text)) if !text.is_empty() => Ok(()),
        None | Some(Value::Null | Value::String(_)) => Err(NotAnObject::Missing(field)),
        Some(other) => Err(wrong_type(field, "a string", other)),
    }
}

fn check_string_map(value: Option<&Value>, field: &str) -> Result<(), NotAnObject> {
    let entries = match value {
        None | Some(Value::Null) => return Ok(()),
        Some(Value::Object(entries)) => entries,
        Some(other) => return Err(wrong_type(&format!("metadata.{field}"), "a mapping", other)),
    };
    for (key, value) in entries {
        if !matches!(value, Value::String(_) | Value::Null) {
            return Err(wrong_type(&format!("metadata.{field}.{key}"), "a string", value));
        }
    }
    Ok(())
}

fn wrong_type(field: &str, expected: &'static str, found: &Value) -> NotAnObject {
    NotAnObject::WrongType { field: field.into(), expected, found: type_name(found) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_object_needs_version_kind_and_name() {
        let cases = [
            (json!([]), "expected a mapping, found a list"),
            (json!({"kind": "A", "metadata": {"name": "a"}}), "apiVersion is missing"),
            (json!({"apiVersion": "v1", "kind": "", "metadata": {"name": "a"}}), "kind is missing"),
            (json!({"apiVersion": "v1", "kind": "A"}), "metadata.name is missing"),
            (
                json!({"apiVersion": "v1", "kind": "A", "metadata": {"generateName": "a-"}}),
                "metadata.generateName makes a new object with every apply; set metadata.name",
            ),
            (
                json!({"apiVersion": "v1", "kind": "A", "metadata": {"name": 1}}),
                "metadata.name: expected a string, found a number",
            ),
            (
                json!({"apiVersion": "v1", "kind": "A", "metadata": {"name": "a", "labels": {"x": true}}}),
                "metadata.labels.x: expected a string, found a boolean",
            ),
        ];
        for (value, message) in cases {
            assert_eq!(Object::parse(value).unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn debug_hides_the_content() {
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "n"},
                            "stringData": {"password": "hunter2"}});
        let object = Object::parse(secret).unwrap();
        assert_eq!(format!("{object:?}"), "Object(n_s__Secret)");
    }

    #[test]
    fn a_pointer_finds_what_rfc_6901_says() {
        let value = json!({"apiVersion": "v1", "kind": "A", "metadata": {"name": "a"}, "": 1, "x": {"": 2},
                           "a/b": 3, "m~n": {"~1": 4}, "list": [{"a": 5}, null], "text": "t"});
        let object = Object::parse(value.clone()).unwrap();
        let pointers = "/ x /x /x/ /x// /a~1b /m~0n /m~0n/~01 /m~n /list/0/a /list/01 /list/- /list/1/a /text/a \
                        /metadata/name /metadata/none/deeper";
        for pointer in pointers.split(' ').chain([""]) {
            assert_eq!(object.pointer(pointer), value.pointer(pointer), "{pointer}");
        }
    }
}
