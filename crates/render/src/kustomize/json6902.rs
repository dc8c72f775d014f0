//! JSON patches (RFC 6902) as kustomize 5.8.1 applies them, through evanphx/json-patch v4.
//!
//! This code departs from the RFC where the library does: `replace` of a missing key adds it, `copy` of a
//! missing key copies null, a negative index counts from the end, an absent `value` is null, and the text
//! before the first `/` of a path is ignored.

use std::fmt;

use serde_json::{Map, Value};

use crate::budget::{Budget, DEPTH_LIMIT, Spent};
use lockgate_base::model::yaml::{Dialect, YamlError, first_document};

/// A parsed patch. Its operations are checked when they are applied, as in the library.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct JsonPatch(Vec<Value>);

/// Why a text is not a patch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ParseError {
    /// The text is empty.
    #[error("the JSON patch is empty")]
    Empty,
    /// A text that starts with `[` must be JSON.
    #[error("a JSON patch that starts with '[' is read as JSON, not as YAML: {0}")]
    Json(String),
    /// The text is no YAML.
    #[error("{0}")]
    Yaml(#[from] YamlError),
    /// The value is no list of mappings.
    #[error("a JSON patch is a list of operations, each a mapping with op, path and value; found {0}")]
    Shape(&'static str),
}

/// Why an operation does not apply.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("operation {number} of the JSON patch ({operation}): {reason}")]
pub(crate) struct PatchError {
    /// From 1.
    number: usize,
    /// Its `op` and `path`.
    operation: String,
    reason: Reason,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Reason {
    UnknownOperation,
    MissingField(&'static str),
    MissingPath(String),
    MissingKey(String),
    NotAnIndex(String),
    OutOfRange { index: String, length: usize },
    TestFailed,
    RootIsNoCollection,
    Spent(Spent),
}

impl JsonPatch {
    /// Whether there is nothing to apply.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Reads a patch from JSON or YAML text.
pub(crate) fn parse(text: &str) -> Result<JsonPatch, ParseError> {
    let value = if text.is_empty() {
        return Err(ParseError::Empty);
    } else if text.starts_with('[') {
        serde_json::from_str(text).map_err(|error| ParseError::Json(error.to_string()))?
    } else {
        first_document(text, Dialect::V2)?.value
    };
    let operations = match value {
        Value::Null => Vec::new(),
        Value::Array(operations) => operations,
        other => return Err(ParseError::Shape(lockgate_base::model::type_name(&other))),
    };
    match operations.iter().find(|operation| !operation.is_object() && !operation.is_null()) {
        Some(other) => Err(ParseError::Shape(lockgate_base::model::type_name(other))),
        None => Ok(JsonPatch(operations)),
    }
}

/// Applies all operations. After an error the value has the changes of the operations before it.
pub(crate) fn apply(patch: &JsonPatch, value: &mut Value, budget: &Budget) -> Result<(), PatchError> {
    for (at, operation) in patch.0.iter().enumerate() {
        apply_one(operation, value, budget).map_err(|reason| {
            let text = |field: &str| operation.get(field).and_then(Value::as_str).unwrap_or("?");
            PatchError { number: at + 1, operation: format!("{} {}", text("op"), text("path")), reason }
        })?;
    }
    through_floats(value);
    Ok(())
}

fn apply_one(operation: &Value, root: &mut Value, budget: &Budget) -> Result<(), Reason> {
    let text = |field: &'static str| match operation.get(field) {
        Some(Value::String(text)) => Ok(text.as_str()),
        _ => Err(Reason::MissingField(field)),
    };
    let value = || {
        let value = operation.get("value").unwrap_or(&Value::Null);
        budget.copy(value)?;
        Ok::<_, Reason>(value.clone())
    };
    match operation.get("op").and_then(Value::as_str) {
        Some("add") => add(root, text("path")?, value()?),
        Some("remove") => remove(root, text("path")?).map(drop),
        Some("replace") => replace(root, text("path")?, value()?),
        Some("move") => {
            let moved = remove(root, text("from")?)?;
            add(root, text("path")?, moved)
        }
        Some("copy") => {
            let value = get(root, text("from")?)?.unwrap_or(&Value::Null);
            budget.copy(value)?;
            let value = value.clone();
            add(root, text("path")?, value)
        }
        Some("test") => {
            let path = text("path")?;
            let found = if path.is_empty() { Some(&*root) } else { get(root, path)? };
            let wanted = operation.get("value").unwrap_or(&Value::Null);
            if found.unwrap_or(&Value::Null) == wanted { Ok(()) } else { Err(Reason::TestFailed) }
        }
        _ => Err(Reason::UnknownOperation),
    }
}

fn add(root: &mut Value, path: &str, value: Value) -> Result<(), Reason> {
    let (container, key) = find(root, path)?;
    if path.matches('/').count() + height(&value) > DEPTH_LIMIT {
        return Err(Spent::Depth.into());
    }
    match container {
        Container::Map(map) => {
            map.insert(key, value);
        }
        Container::List(items) if key == "-" => items.push(value),
        Container::List(items) => {
            // A negative index counts from the end of the list with the added element.
            let at = index(&key, items.len() + 1)?;
            items.insert(at, value);
        }
    }
    Ok(())
}

fn remove(root: &mut Value, path: &str) -> Result<Value, Reason> {
    let (container, key) = find(root, path)?;
    match container {
        Container::Map(map) => map.shift_remove(&key).ok_or_else(|| Reason::MissingKey(path.into())),
        Container::List(items) => {
            let at = index(&key, items.len())?;
            Ok(items.remove(at))
        }
    }
}

fn replace(root: &mut Value, path: &str, value: Value) -> Result<(), Reason> {
    if path.is_empty() {
        if !value.is_object() && !value.is_array() {
            return Err(Reason::RootIsNoCollection);
        }
        *root = value;
        return Ok(());
    }
    let (container, key) = find(root, path)?;
    match container {
        Container::Map(map) => {
            map.insert(key, value);
        }
        Container::List(items) => {
            let at = index(&key, items.len())?;
            items[at] = value;
        }
    }
    Ok(())
}

/// The value at a path; `None` if a mapping does not have the key.
fn get<'v>(root: &'v mut Value, path: &str) -> Result<Option<&'v Value>, Reason> {
    let (container, key) = find(root, path)?;
    match container {
        Container::Map(map) => Ok(map.get(&key)),
        Container::List(items) => {
            let at = index(&key, items.len())?;
            Ok(items.get(at))
        }
    }
}

enum Container<'v> {
    Map(&'v mut Map<String, Value>),
    List(&'v mut Vec<Value>),
}

/// The mapping or list that holds the last part of a path, and that part.
fn find<'v>(root: &'v mut Value, path: &str) -> Result<(Container<'v>, String), Reason> {
    let missing = || Reason::MissingPath(path.into());
    let (_, path_from_root) = path.split_once('/').ok_or_else(missing)?;
    let mut parts = path_from_root.split('/').map(|part| part.replace("~1", "/").replace("~0", "~"));
    let last = parts.next_back().ok_or_else(missing)?;
    let mut at = root;
    for part in parts {
        at = match at {
            Value::Object(map) => map.get_mut(&part).ok_or_else(missing)?,
            Value::Array(items) => {
                let index = index(&part, items.len()).map_err(|_| missing())?;
                &mut items[index]
            }
            _ => return Err(missing()),
        };
    }
    match at {
        Value::Object(map) => Ok((Container::Map(map), last)),
        Value::Array(items) => Ok((Container::List(items), last)),
        _ => Err(missing()),
    }
}

/// The index in a text, for a list of `length` elements.
fn index(text: &str, length: usize) -> Result<usize, Reason> {
    let index: i64 = text.parse().map_err(|_| Reason::NotAnIndex(text.into()))?;
    let from_start = if index < 0 { i64::try_from(length).unwrap_or(i64::MAX) + index } else { index };
    match usize::try_from(from_start) {
        Ok(at) if at < length => Ok(at),
        _ => Err(Reason::OutOfRange { index: text.into(), length }),
    }
}

fn height(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(height).max().unwrap_or_default(),
        Value::Object(map) => 1 + map.values().map(height).max().unwrap_or_default(),
        _ => 0,
    }
}

/// kustomize reads the patched object back with Go's JSON, where every number is a float, so an integer
/// beyond 2^53 loses digits.
#[expect(clippy::cast_precision_loss, reason = "the loss is what is to be the same")]
fn through_floats(value: &mut Value) {
    const EXACT: u64 = 1 << 53;
    match value {
        Value::Array(items) => items.iter_mut().for_each(through_floats),
        Value::Object(map) => map.values_mut().for_each(through_floats),
        Value::Number(number) => {
            let float = match (number.as_i64(), number.as_u64()) {
                (Some(int), _) if int.unsigned_abs() > EXACT => int as f64,
                (None, Some(int)) => int as f64,
                _ => return,
            };
            // The shortest digits of the float, filled up with zeros.
            let digits = float.to_string();
            *value = digits
                .parse::<i64>()
                .map(Value::from)
                .or_else(|_| digits.parse::<u64>().map(Value::from))
                .unwrap_or_else(|_| Value::from(float));
        }
        _ => {}
    }
}

impl From<Spent> for Reason {
    fn from(spent: Spent) -> Self {
        Self::Spent(spent)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownOperation => f.write_str("op is one of add, remove, replace, move, copy and test"),
            Self::MissingField(field) => write!(f, "'{field}' is missing or not a string"),
            Self::MissingPath(path) => write!(f, "the parent of '{path}' does not exist"),
            Self::MissingKey(path) => write!(f, "there is no '{path}'"),
            Self::NotAnIndex(text) => write!(f, "'{text}' is not an index of a list"),
            Self::OutOfRange { index, length } => {
                write!(f, "index {index} is outside the list, which has {length} places")
            }
            Self::TestFailed => f.write_str("the value differs"),
            Self::RootIsNoCollection => f.write_str("only a mapping can replace the whole object"),
            Self::Spent(spent) => spent.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn patched(patch: &str) -> Result<Value, String> {
        let mut value = json!({"a": {"x/y": 1, "m~n": 2}, "l": [1, 2, 3], "n": null});
        let patch = parse(patch).map_err(|error| error.to_string())?;
        apply(&patch, &mut value, &Budget::default()).map(|()| value).map_err(|error| error.to_string())
    }

    #[test]
    fn operations_apply_as_in_the_library() {
        let cases = [
            ("- {op: replace, path: /new, value: 1}", "/new", json!(1)),
            ("- {op: copy, from: /missing, path: /new}", "/new", json!(null)),
            ("- {op: add, path: /a/x~1y, value: 5}", "/a/x~1y", json!(5)),
            ("- {op: add, path: /l/-, value: 4}", "/l", json!([1, 2, 3, 4])),
            ("- {op: add, path: /l/-1, value: 4}", "/l", json!([1, 2, 3, 4])),
            ("- {op: remove, path: /l/-1}", "/l", json!([1, 2])),
            ("- {op: add, path: /new}", "/new", json!(null)),
            ("- {op: move, from: /l/0, path: /l/-}", "/l", json!([2, 3, 1])),
            (
                "- {op: test, path: /n, value: null}\n- {op: add, path: ignored/new, value: 1}",
                "/new",
                json!(1),
            ),
            (
                r#"[{"op": "add", "path": "/l/1", "value": 9007199254740993}]"#,
                "/l/1",
                json!(9_007_199_254_740_992_i64),
            ),
        ];
        for (patch, pointer, expected) in cases {
            assert_eq!(patched(patch).unwrap().pointer(pointer), Some(&expected), "{patch}");
        }
    }

    #[test]
    fn what_does_not_apply_is_named() {
        let cases = [
            (
                "- {op: remove, path: /l/3}",
                "operation 1 of the JSON patch (remove /l/3): index 3 is outside the list, which has 3 places",
            ),
            (
                "- {op: add, path: /x/y, value: 1}",
                "operation 1 of the JSON patch (add /x/y): the parent of '/x/y' does not exist",
            ),
            (
                "- {op: add, path: /x, value: 1}\n- {op: remove, path: /y}",
                "operation 2 of the JSON patch (remove /y): there is no '/y'",
            ),
            (
                "- {op: test, path: /l/0, value: 2}",
                "operation 1 of the JSON patch (test /l/0): the value differs",
            ),
            (
                "- {op: jump, path: /l}",
                "operation 1 of the JSON patch (jump /l): op is one of add, remove, replace, move, copy and test",
            ),
            (
                "op: add",
                "a JSON patch is a list of operations, each a mapping with op, path and value; found a mapping",
            ),
            ("", "the JSON patch is empty"),
        ];
        for (patch, message) in cases {
            assert_eq!(patched(patch).unwrap_err(), message);
        }
        assert!(patched("[{op: add}]").unwrap_err().starts_with("a JSON patch that starts with '['"));
    }

    #[test]
    fn copies_that_double_an_object_come_to_an_end() {
        let mut value = json!({"a": ["x"]});
        let operation = json!({"op": "copy", "from": "/a", "path": "/a/-"});
        let error =
            apply(&JsonPatch(vec![operation; 100]), &mut value, &Budget::default()).unwrap_err().to_string();
        assert!(error.contains("more than"), "{error}");
    }
}
