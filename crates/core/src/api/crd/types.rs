//! Turns the JSON Schema that schemars makes of a type into the structural subset that Kubernetes accepts.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

/// The structural schema of a type.
pub(super) fn of<T: JsonSchema>() -> Value {
    let mut settings = SchemaSettings::draft2020_12();
    settings.inline_subschemas = true;
    settings.meta_schema = None;
    structural(settings.into_generator().into_root_schema_for::<T>().to_value())
}

/// Lays the entries of `change` over the schema of a field. `pointer` names the fields on the way to it, with
/// `[]` for the items of a list: `spec/dependsOn/[]/name`. A field that the types do not have is created.
pub(super) fn merge(schema: &mut Value, pointer: &str, change: &Value) {
    let mut at = schema;
    for part in pointer.split('/') {
        at = if part == "[]" { &mut at["items"] } else { &mut at["properties"][part] };
    }
    let Some(change) = change.as_object() else { return };
    if change.contains_key("type") {
        // `change` is the whole schema of the field; only the description of the old one is kept.
        let description = at.get("description").cloned();
        *at = Value::Object(Map::new());
        if let Some(description) = description {
            at["description"] = description;
        }
    }
    for (key, value) in change {
        at[key] = value.clone();
    }
}

/// Rewrites one schema and all below it.
fn structural(schema: Value) -> Value {
    let Value::Object(mut map) = schema else {
        // `true`: anything goes.
        return json!({"x-kubernetes-preserve-unknown-fields": true});
    };
    for key in ["$schema", "title", "default"] {
        map.shift_remove(key);
    }
    drop_null(&mut map);
    unite_constants(&mut map);
    let is_value = map.keys().all(|key| key == "description");
    if is_value {
        map.insert("x-kubernetes-preserve-unknown-fields".into(), true.into());
    }
    if let Some(Value::Object(properties)) = map.get_mut("properties") {
        for (_, property) in properties.iter_mut() {
            *property = structural(property.take());
        }
    }
    for key in ["items", "additionalProperties"] {
        if let Some(inner) = map.get_mut(key) {
            *inner = structural(inner.take());
        }
    }
    Value::Object(map)
}

/// Removes `null` from the schema of an optional field. The API server takes `null` for absent where it
/// matters, and Flux's schemas do not mention it either.
fn drop_null(map: &mut Map<String, Value>) {
    if let Some(Value::Array(types)) = map.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            map.insert("type".into(), only);
        }
    }
    if let Some(Value::Array(values)) = map.get_mut("enum") {
        values.retain(|value| !value.is_null());
    }
    let Some(Value::Array(choices)) = map.get("anyOf") else { return };
    let mut choices: Vec<Value> =
        choices.iter().filter(|choice| choice.get("type") != Some(&"null".into())).cloned().collect();
    if let (1, Some(Value::Object(only))) = (choices.len(), choices.pop()) {
        map.shift_remove("anyOf");
        for (key, value) in only {
            // The field's own description wins over that of its type.
            map.entry(key).or_insert(value);
        }
    }
}

/// An enum whose variants have descriptions arrives as a choice between constants; it becomes one list of
/// values.
fn unite_constants(map: &mut Map<String, Value>) {
    let Some(Value::Array(choices)) = map.get("oneOf") else { return };
    let constants: Option<Vec<Value>> = choices.iter().map(|choice| choice.get("const").cloned()).collect();
    if let Some(constants) = constants {
        map.shift_remove("oneOf");
        map.insert("type".into(), "string".into());
        map.insert("enum".into(), constants.into());
    }
}
