//! Values from files: YAML as sigs.k8s.io/yaml reads it, in one or more documents, laid over each other.

use lockgate_base::model::yaml::{Dialect, first_document};
use serde_json::Value as Json;

use crate::helm::error::Error;
use crate::helm::value::{Map, MapType, Value};

/// A JSON value as Go's decoder passes it to templates: each number is a `float64`.
pub(in crate::helm) fn value_of(json: &Json) -> Value {
    match json {
        Json::Null => Value::Nil,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
        Json::String(text) => Value::from(&**text),
        Json::Array(items) => Value::list(items.iter().map(value_of).collect()),
        Json::Object(entries) => Value::map(entries.iter().map(|(key, value)| (&**key, value_of(value)))),
    }
}

/// Reads values: all documents of a file, with later ones laid over earlier ones.
pub(in crate::helm) fn load_values(text: &[u8]) -> Result<Map, Error> {
    let mut values = Map::new(MapType::Any);
    for document in documents(text)? {
        let document = std::str::from_utf8(&document).map_err(|_| {
            Error::new("cannot unmarshal yaml document: error converting YAML to JSON: yaml: invalid leading UTF-8 octet")
        })?;
        let read = first_document(document, Dialect::V2).map_err(|error| {
            Error::new(format!(
                "cannot unmarshal yaml document: error converting YAML to JSON: yaml: {error}"
            ))
        })?;
        let over = match value_of(&read.value) {
            Value::Nil => Map::new(MapType::Any),
            Value::Map(map) => map,
            other => {
                let got = match other {
                    Value::Bool(_) => "bool",
                    Value::Float(_) => "number",
                    Value::Str(_) => "string",
                    _ => "array",
                };
                return Err(Error::new(format!(
                    "cannot unmarshal yaml document: error unmarshaling JSON: while decoding JSON: json: cannot \
                     unmarshal {got} into Go value of type map[string]interface {{}}"
                )));
            }
        };
        values = merge_maps(&values, &over)?;
    }
    Ok(values)
}

/// The documents of a stream, as Kubernetes cuts it: at lines that begin with `---`.
fn documents(text: &[u8]) -> Result<Vec<Vec<u8>>, Error> {
    let mut documents = Vec::new();
    let mut document = Vec::new();
    let mut lines: Vec<&[u8]> = text.split(|byte| *byte == b'\n').collect();
    // The text behind the last line feed is only a line if it is not empty.
    if lines.last().is_some_and(|line| line.is_empty()) {
        lines.pop();
    }
    for line in lines {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if let Some(rest) = line.strip_prefix(b"---") {
            let rest = String::from_utf8_lossy(rest);
            let rest = rest.trim();
            if !rest.is_empty() && !rest.starts_with('#') {
                return Err(Error::new(format!(
                    "error reading yaml document: invalid Yaml document separator: {rest}"
                )));
            }
            if !document.is_empty() {
                documents.push(std::mem::take(&mut document));
                continue;
            }
        }
        document.extend_from_slice(line);
        document.push(b'\n');
    }
    if !document.is_empty() {
        documents.push(document);
    }
    Ok(documents)
}

/// A merged map, in which the second one wins; maps inside both are merged.
pub(in crate::helm) fn merge_maps(a: &Map, b: &Map) -> Result<Map, Error> {
    let out = Map::new(MapType::Any);
    for (key, value) in a.entries() {
        out.insert(key, value)?;
    }
    for (key, value) in b.entries() {
        let merged = match (out.get(&key), &value) {
            (Some(Value::Map(below)), Value::Map(over)) => Value::Map(merge_maps(&below, over)?),
            _ => value,
        };
        out.insert(key, merged)?;
    }
    Ok(out)
}

/// A copy that shares no map with the original.
pub(in crate::helm) fn deep_copy(value: &Value) -> Value {
    match value {
        Value::Map(map) => Value::Map(deep_copy_map(map)),
        Value::List(list) if !list.items().is_empty() => {
            let items = list.items().iter().map(deep_copy).collect();
            Value::List(crate::helm::value::List::new(list.of(), items))
        }
        other => other.clone(),
    }
}

/// A copy of a map that shares no map with the original.
pub(in crate::helm) fn deep_copy_map(map: &Map) -> Map {
    let entries = map.borrow().iter().map(|(key, value)| (key.clone(), deep_copy(value))).collect();
    Map::from_entries(map.of(), entries)
}

pub(in crate::helm) fn json_type(value: &Json) -> &'static str {
    match value {
        Json::Null => "null",
        Json::Bool(_) => "bool",
        Json::Number(_) => "number",
        Json::String(_) => "string",
        Json::Array(_) => "array",
        Json::Object(_) => "object",
    }
}
