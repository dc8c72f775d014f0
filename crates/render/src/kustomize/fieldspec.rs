//! Walks to the fields that a field specification selects.

use serde_json::{Map, Value};

use super::file::FieldSpec;
use super::id::KindRef;
use crate::budget::{DEPTH_LIMIT, Spent};
use crate::error::Fault;
use lockgate_base::model::{entry, entry_mut};

/// The value of an absent field, if the specification says that it is created.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Create {
    /// It is not created.
    Nothing,
    /// An empty string.
    Scalar,
    /// An empty mapping.
    Mapping,
}

/// Splits a path at `delimiter`, unless a backslash escapes it.
pub(crate) fn split_path(path: &str, delimiter: char) -> Vec<String> {
    let path = if path.len() > 1 { path.strip_prefix(delimiter).unwrap_or(path) } else { path };
    let mut parts: Vec<String> = Vec::new();
    for part in path.split(delimiter) {
        match parts.last_mut() {
            Some(last) if last.ends_with('\\') => {
                last.pop();
                last.push(delimiter);
                last.push_str(part);
            }
            _ => parts.push(part.into()),
        }
    }
    parts
}

/// Whether a specification selects objects of this kind.
pub(crate) fn selects(spec: &FieldSpec, gvk: KindRef<'_>) -> bool {
    gvk.is_selected(&spec.group, &spec.version, &spec.kind)
}

/// A specification with its split path, for use on many resources.
pub(crate) struct Field<'s> {
    /// The specification.
    pub(crate) spec: &'s FieldSpec,
    /// The parts of its path.
    pub(crate) path: Vec<String>,
}

impl<'s> Field<'s> {
    /// Prepares a specification.
    pub(crate) fn new(spec: &'s FieldSpec) -> Self {
        Self { spec, path: split_path(&spec.path, '/') }
    }

    /// Prepares several.
    pub(crate) fn all(specs: &'s [FieldSpec]) -> Vec<Self> {
        specs.iter().map(Self::new).collect()
    }
}

/// Runs `set` on every field of an object that the specifications select.
pub(crate) fn visit<'f, 's: 'f>(
    object: &mut Value,
    fields: impl IntoIterator<Item = &'f Field<'s>>,
    create: Create,
    set: &mut dyn FnMut(&mut Value) -> Result<(), Fault>,
) -> Result<(), Fault> {
    // The kind is read once and not for every field, since most fields belong to other kinds.
    let mut kind = kind_of(object);
    let mut gvk = KindRef::new(&kind.0, &kind.1);
    for field in fields {
        if !selects(field.spec, gvk) {
            continue;
        }
        if field.path.len() > DEPTH_LIMIT {
            return Err(Fault::from(Spent::Depth).in_field(&field.spec.path));
        }
        let create = if field.spec.create { create } else { Create::Nothing };
        walk(object, &field.path, create, set).map_err(|fault| fault.in_field(&field.spec.path))?;
        if matches!(field.path[0].as_str(), "apiVersion" | "kind") {
            kind = kind_of(object);
            gvk = KindRef::new(&kind.0, &kind.1);
        }
    }
    Ok(())
}

/// The `apiVersion` and the kind of an object, copied before it changes.
fn kind_of(object: &Value) -> (String, String) {
    let gvk = KindRef::of(object);
    (gvk.api_version().into_owned(), gvk.kind.to_owned())
}

/// Runs `set` on every field below `value` that `path` leads to.
pub(crate) fn walk(
    value: &mut Value,
    path: &[String],
    create: Create,
    set: &mut dyn FnMut(&mut Value) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let Some((part, rest)) = path.split_first() else { return set(value) };
    match value {
        Value::Null => Ok(()),
        Value::Array(items) => items.iter_mut().try_for_each(|item| walk(item, path, create, set)),
        Value::Object(map) => {
            let (name, is_list) = part.strip_suffix("[]").map_or((part.as_str(), false), |name| (name, true));
            match enter(map, name.trim(), is_list, rest.is_empty(), create)? {
                Some(field) => walk(field, rest, create, set),
                None => Ok(()),
            }
        }
        other => {
            let found = lockgate_base::model::type_name(other);
            Err(Fault::new(format!("expected a mapping or a list before '{part}', found {found}")))
        }
    }
}

/// The field of a mapping, created if the specification says so.
fn enter<'m>(
    map: &'m mut Map<String, Value>,
    name: &str,
    is_list: bool,
    at_end: bool,
    create: Create,
) -> Result<Option<&'m mut Value>, Fault> {
    if name.is_empty() {
        return Err(Fault::new("the path has an empty part"));
    }
    if name == "-" || name == "*" || name.parse::<i64>().is_ok() || name.starts_with('[') {
        return Err(Fault::new(format!("the path part '{name}' is not the name of a field")));
    }
    let fresh = match (create, is_list, at_end) {
        (_, true, _) => Some(Value::Array(Vec::new())),
        (Create::Nothing, false, _) => None,
        (Create::Scalar, false, true) => Some(Value::String(String::new())),
        (Create::Mapping, false, true) | (_, false, false) => Some(Value::Object(Map::new())),
    };
    match (entry(map, name), fresh) {
        // Kustomize turns a null into the value that the path expects there.
        (Some(Value::Null), Some(fresh)) => {
            map.insert(name.into(), fresh);
        }
        (None, Some(fresh)) if !is_list => {
            map.insert(name.into(), fresh);
        }
        (None, _) => return Ok(None),
        (Some(_), _) => {}
    }
    Ok(entry_mut(map, name))
}

/// Sets a key of a mapping, as for labels; a null stays.
pub(crate) fn set_entry(value: &mut Value, key: &str, entry: &str) -> Result<(), Fault> {
    match value {
        Value::Object(map) => {
            map.insert(key.into(), entry.into());
            Ok(())
        }
        Value::Null => Ok(()),
        other => {
            Err(Fault::new(format!("expected a mapping, found {}", lockgate_base::model::type_name(other))))
        }
    }
}

/// Sets a scalar; any other type is refused.
pub(crate) fn set_scalar(value: &mut Value, scalar: Value) -> Result<(), Fault> {
    match value {
        Value::Array(_) | Value::Object(_) => {
            Err(Fault::new(format!("expected a scalar, found {}", lockgate_base::model::type_name(value))))
        }
        _ => {
            *value = scalar;
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_path_is_split_at_slashes_that_no_backslash_keeps() {
        for (path, parts) in [
            ("metadata/name", vec!["metadata", "name"]),
            ("/a/b", vec!["a", "b"]),
            (r"metadata/annotations/x.io\/y", vec!["metadata", "annotations", "x.io/y"]),
            ("", vec![""]),
        ] {
            assert_eq!(split_path(path, '/'), parts);
        }
    }

    #[test]
    fn a_walk_goes_through_lists_and_makes_what_is_absent() {
        let cases = [
            (json!({"a": [{"b": {}}, {}]}), "a/b/c", json!({"a": [{"b": {"c": "x"}}, {"b": {"c": "x"}}]})),
            (json!({"a": null}), "a/b", json!({"a": {"b": "x"}})),
            (json!({}), "a[]/b", json!({})),
            (json!({"a": null}), "a[]/b", json!({"a": []})),
            (json!({"a": [null, {}]}), "a[]/b", json!({"a": [null, {"b": "x"}]})),
        ];
        for (mut value, path, expected) in cases {
            let path = split_path(path, '/');
            walk(&mut value, &path, Create::Scalar, &mut |field| set_scalar(field, "x".into())).unwrap();
            assert_eq!(value, expected);
        }
    }

    #[test]
    fn a_scalar_on_the_way_is_refused() {
        let path = split_path("a/b", '/');
        let error = walk(&mut json!({"a": 1}), &path, Create::Scalar, &mut |_| Ok(())).unwrap_err();
        assert_eq!(error.to_string(), "expected a mapping or a list before 'b', found a number");
    }
}
