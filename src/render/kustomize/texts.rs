//! Annotations as they are written: kustomize takes each for a string, whatever its text would mean elsewhere.

use serde_json::Value;

use crate::model::yaml::{Dialect, plain_value};

/// Gives annotations that were read as numbers, booleans or dates their own text back. `text` is that of the file, and
/// `line` the one at which the object's document begins. With `nulls`, absent values become texts too. What was changed
/// is added to `restored`.
pub(crate) fn restore(
    object: &mut Value,
    text: &str,
    line: usize,
    nulls: bool,
    restored: &mut Vec<(String, String)>,
) {
    let metadata = object.get_mut("metadata");
    let annotations = metadata.and_then(|metadata| metadata.get_mut("annotations"));
    let Some(Value::Object(annotations)) = annotations else { return };
    for (key, value) in annotations {
        let wanted = match value {
            Value::Number(_) | Value::Bool(_) => true,
            Value::Null => nulls,
            // A date without quotes is written out in full when it is read.
            Value::String(text) => is_full_date(text),
            _ => false,
        };
        if wanted {
            let raw = raw(text, line, key, value);
            restored.push((key.clone(), raw.clone()));
            *value = raw.into();
        }
    }
}

fn is_full_date(text: &str) -> bool {
    text.len() >= 20 && text.ends_with('Z') && text.as_bytes().get(10) == Some(&b'T')
}

/// The text of a scalar without quotes that stands behind `key` and means `value`.
fn raw(text: &str, line: usize, key: &str, value: &Value) -> String {
    for line in text.lines().skip(line.saturating_sub(1)) {
        let mut rest = line;
        while let Some(at) = rest.find(key) {
            rest = &rest[at + key.len()..];
            let after = rest.trim_start_matches(['"', '\'']).trim_start();
            let Some(scalar) = after.strip_prefix(':') else { continue };
            let end = scalar.find([',', '}']).unwrap_or(scalar.len());
            let scalar = scalar[..end].split(" #").next().unwrap_or_default().trim();
            if plain_value(scalar, Dialect::V3).as_ref() == Ok(value) {
                return scalar.into();
            }
        }
    }
    super::res::text_of(value).into_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn annotations_keep_their_text() {
        let text = "metadata: {annotations: {a: 1.10, \"b\": 0644}}\nmetadata:\n  annotations:\n    c: True # yes\n    d:\n";
        let mut object =
            json!({"metadata": {"annotations": {"a": 1.1, "b": 420, "c": true, "d": null, "e": "x"}}});
        restore(&mut object, text, 1, true, &mut Vec::new());
        let expected = json!({"a": "1.10", "b": "0644", "c": "True", "d": "", "e": "x"});
        assert_eq!(object["metadata"]["annotations"], expected);
    }
}
