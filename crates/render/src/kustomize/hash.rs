//! The hash at the end of generated names.

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::res::Res;
use super::resmap::ResMap;
use crate::error::{Fault, Result};

/// Appends the hash to every name that needs one.
pub(crate) fn run(map: &mut ResMap) -> Result<()> {
    if !map.items().iter().any(|res| res.needs_hash) {
        return Ok(());
    }
    for res in map.items_mut().iter_mut().filter(|res| res.needs_hash) {
        let hash = of(res)?;
        res.remember();
        let name = format!("{}-{hash}", res.name());
        res.set_name(&name);
    }
    Ok(())
}

/// The hash of a `ConfigMap` or `Secret`. The hashed object has an empty name, since kustomize looks the name
/// up wrongly.
pub(crate) fn of(res: &Res) -> Result<String> {
    let fields: &[&str] = match res.kind() {
        "ConfigMap" => &["binaryData", "data"],
        "Secret" => &["data", "stringData", "type"],
        other => {
            let message = format!("a {other} cannot get a hash; only ConfigMap and Secret can");
            return Err(Fault::new(message).on_object(res.subject()).into());
        }
    };
    let mut hashed = Map::new();
    hashed.insert("kind".into(), res.kind().into());
    hashed.insert("name".into(), "".into());
    for field in fields {
        let value = res.value.get(*field);
        let optional = *field == "binaryData" || *field == "stringData";
        match value {
            Some(Value::Object(map)) => {
                hashed.insert((*field).into(), Value::Object(map.clone()));
            }
            _ if optional => {}
            Some(other) => {
                hashed.insert((*field).into(), super::id::text_of(other).into());
            }
            None => {
                hashed.insert((*field).into(), "".into());
            }
        }
    }
    let digest = hex::encode(Sha256::digest(go_json(&sorted(Value::Object(hashed)))));
    Ok(digest.chars().take(10).map(readable).collect())
}

/// Replaces digits and vowels, so that the hash contains no words.
fn readable(digit: char) -> char {
    match digit {
        '0' => 'g',
        '1' => 'h',
        '3' => 'k',
        'a' => 'm',
        'e' => 't',
        other => other,
    }
}

/// A value as Go's JSON encoder writes it.
fn go_json(value: &Value) -> String {
    escape_html(&value.to_string())
}

/// Escapes the characters with a meaning in HTML, as Go's JSON encoder does.
pub(crate) fn escape_html(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '<' => text.push_str("\\u003c"),
            '>' => text.push_str("\\u003e"),
            '&' => text.push_str("\\u0026"),
            '\u{2028}' => text.push_str("\\u2028"),
            '\u{2029}' => text.push_str("\\u2029"),
            other => text.push(other),
        }
    }
    text
}

/// The value with the keys of all mappings sorted.
pub(crate) fn sorted(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<(String, Value)> = map.into_iter().collect();
            entries.sort_by(|a, b| a.0.cmp(&b.0));
            Value::Object(entries.into_iter().map(|(key, value)| (key, sorted(value))).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn hashes_are_those_of_kustomize() {
        let cases = [(json!({"kind": "ConfigMap", "data": {"a": "b"}}), "4h2mbtbbt6")];
        for (value, expected) in cases {
            assert_eq!(of(&Res::new(value, "f")).unwrap(), expected);
        }
    }

    #[test]
    fn html_signs_are_escaped() {
        assert_eq!(
            go_json(&json!({"a": "<&>\u{2028}\n\u{7}"})),
            r#"{"a":"\u003c\u0026\u003e\u2028\n\u0007"}"#
        );
    }
}
