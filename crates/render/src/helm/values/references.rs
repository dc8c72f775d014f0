//! `spec.values` and `spec.valuesFrom` of a HelmRelease, combined by the algorithm of Flux's chartutil.
//!
//! A reference with a target path writes into maps that the inline values may share with the result, and the
//! winner depends on that sharing. So this code shares the same maps as Flux's code, and is no simpler than
//! that.

use std::collections::BTreeMap;

use super::origin::Origins;
use super::read::{merge_maps, value_of};
use super::set::{Changed, ValueKind, set_telling};
use crate::helm::error::Error;
use crate::helm::value::{List, Map, MapType, Value};
use lockgate_base::model::yaml::{Dialect, first_document};
use serde_json::Value as Json;

/// An entry of `spec.valuesFrom`.
#[derive(Debug, Clone, Default)]
pub struct ValuesReference {
    /// `ConfigMap` or `Secret`.
    pub kind: String,
    /// The object's name.
    pub name: String,
    /// The key in the object; `values.yaml` by default.
    pub key: Option<String>,
    /// The path of a single value in the notation of `--set`; empty if the key holds a values file.
    pub target_path: String,
    /// Whether the object or its key may be missing.
    pub optional: bool,
    /// Whether the value is a literal text.
    pub literal: bool,
}

/// Finds the data of a `ConfigMap` or `Secret` by its kind and name.
pub type Find<'f> = dyn Fn(&str, &str) -> Option<BTreeMap<String, Vec<u8>>> + 'f;

/// The values of a HelmRelease. `namespace` is the namespace of the referenced objects. `origins` receives
/// the origin of each value.
pub(super) fn resolve(
    inline: &Json,
    references: &[ValuesReference],
    namespace: &str,
    find: &Find<'_>,
    origins: &mut Origins,
) -> Result<Map, Error> {
    let values = match value_of(inline) {
        Value::Map(values) => values,
        _ => Map::new(MapType::Any),
    };
    let mut result = Map::new(MapType::Any);
    for (at, reference) in references.iter().enumerate() {
        let Some(data) = reference.data(namespace, find)? else { continue };
        let ValuesReference { kind, name, .. } = reference;
        let origin = format!("spec.valuesFrom[{at}]: {kind} {namespace}/{name}, key {}", reference.key());
        if reference.target_path.is_empty() {
            let read = read_values(&data).map_err(|error| reference.failed(namespace, &error.text()))?;
            origins.add(origin, &read);
            result = merge_maps(&result, &read)?;
            continue;
        }
        result = merge_maps(&result, &values)?;
        let changed =
            reference.write(&result, &data).map_err(|error| reference.failed(namespace, &error.text()))?;
        let alone = Map::new(MapType::Any);
        if reference.write(&alone, &data).is_ok() {
            origins.add(origin, &alone);
        }
        // A list that was changed in place also changes for the inline values.
        replace(&values, &changed)?;
    }
    origins.add("spec.values", &values);
    merge_maps(&result, &values)
}

impl ValuesReference {
    fn key(&self) -> &str {
        self.key.as_deref().filter(|key| !key.is_empty()).unwrap_or("values.yaml")
    }

    fn failed(&self, namespace: &str, reason: &str) -> Error {
        let optional = if self.optional { " optional" } else { "" };
        let (kind, name, key) = (&self.kind, &self.name, self.key());
        Error::new(format!(
            "could not resolve{optional} {kind} chart values reference '{namespace}/{name}' with key '{key}': {reason}"
        ))
    }

    /// The value of the key; `None` if it is missing and optional.
    fn data(&self, namespace: &str, find: &Find<'_>) -> Result<Option<Vec<u8>>, Error> {
        let resource = match &*self.kind {
            "ConfigMap" => "configmaps",
            "Secret" => "secrets",
            _ => return Err(self.failed(namespace, "unsupported values reference kind")),
        };
        let Some(mut data) = find(&self.kind, &self.name) else {
            if self.optional {
                return Ok(None);
            }
            return Err(self.failed(namespace, &format!("{resource} \"{}\" not found", self.name)));
        };
        match data.remove(self.key()) {
            Some(value) => Ok(Some(value)),
            None if self.optional => Ok(None),
            None => Err(self.failed(namespace, "key not found")),
        }
    }

    /// Writes a value to the target path.
    fn write(&self, result: &Map, data: &[u8]) -> Result<Changed, Error> {
        let text = String::from_utf8_lossy(data);
        let path = &self.target_path;
        if self.literal {
            let mut escaped = String::new();
            for character in text.chars() {
                if matches!(character, '\\' | ',' | '[' | ']' | '{' | '}') {
                    escaped.push('\\');
                }
                escaped.push(character);
            }
            return set_telling(&format!("{path}={escaped}"), result, ValueKind::Text);
        }
        let is_quoted = |quote: char| text.starts_with(quote) && text.ends_with(quote);
        if is_quoted('\'') || is_quoted('"') {
            let inner = text.trim_matches(['\'', '"']);
            return set_telling(&format!("{path}={inner}"), result, ValueKind::Text);
        }
        set_telling(&format!("{path}={text}"), result, ValueKind::Typed)
    }
}

/// The first document of a values file.
fn read_values(data: &[u8]) -> Result<Map, Error> {
    let text = std::str::from_utf8(data)
        .map_err(|_| Error::new("error converting YAML to JSON: yaml: invalid leading UTF-8 octet"))?;
    let read = first_document(text, Dialect::V2)
        .map_err(|error| Error::new(format!("error converting YAML to JSON: yaml: {error}")))?;
    match value_of(&read.value) {
        Value::Nil => Ok(Map::new(MapType::Any)),
        Value::Map(map) => Ok(map),
        _ => {
            let got = super::read::json_type(&read.value);
            Err(Error::new(format!(
                "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {got} into Go value of type \
                 common.Values"
            )))
        }
    }
}

/// Replaces old lists by new ones.
fn replace(map: &Map, changed: &Changed) -> Result<(), Error> {
    if changed.is_empty() {
        return Ok(());
    }
    for (key, value) in map.entries() {
        match value {
            Value::Map(inner) => replace(&inner, changed)?,
            Value::List(list) => {
                if let Some(new) = renewed(&list, changed) {
                    map.insert(key, Value::List(new))?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn renewed(list: &List, changed: &Changed) -> Option<List> {
    let mut current = list.clone();
    let mut is_new = false;
    // One line may change a list more than once.
    for (old, new) in changed {
        if current.is_same(old) {
            current = new.clone();
            is_new = true;
        }
    }
    is_new.then_some(current)
}

#[cfg(test)]
mod tests;
