//! Annotations as they are written: kustomize takes each for a string, whatever its text would mean elsewhere.

use serde_json::Value;

use super::res::text_of;
use crate::model::yaml::{Step, WrittenAs};

/// Gives annotations that were read as numbers, booleans or dates their own text back, and returns them. `texts` tells
/// how scalars of the object were written. With `nulls`, absent values become texts too.
pub(crate) fn restore(object: &mut Value, texts: &[WrittenAs], nulls: bool) -> Vec<(String, String)> {
    let metadata = object.get_mut("metadata");
    let annotations = metadata.and_then(|metadata| metadata.get_mut("annotations"));
    let Some(Value::Object(annotations)) = annotations else { return Vec::new() };
    let mut restored = Vec::new();
    for (key, value) in annotations {
        let written = texts.iter().find(|written| is_annotation(&written.way, key));
        let text = match (&*value, written) {
            (Value::Null, _) if !nulls => continue,
            (Value::Number(_) | Value::Bool(_) | Value::Null | Value::String(_), Some(written)) => {
                written.text.clone()
            }
            (Value::Null, None) => "null".into(),
            (Value::Number(_) | Value::Bool(_), None) => text_of(value).into_owned(),
            (Value::String(_) | Value::Array(_) | Value::Object(_), _) => continue,
        };
        *value = text.as_str().into();
        restored.push((key.clone(), text));
    }
    restored
}

fn is_annotation(way: &[Step], key: &str) -> bool {
    let is = |step: &Step, name: &str| matches!(step, Step::Key(key) if key == name);
    matches!(way, [first, second, last] if is(first, "metadata") && is(second, "annotations") && is(last, key))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::yaml::{Dialect, documents};

    #[test]
    fn annotations_keep_their_text() {
        let text = "metadata:\n  annotations:\n    \"a\": 1.10\n    b: 0644\n    c: True # yes\n    d:\n    e: x\n    f: 5\n    g: 2020-01-01\n    h: null\n";
        let mut document = documents(text, Dialect::V3).unwrap().remove(0);
        restore(&mut document.value, &document.texts, true);
        let expected = json!({
            "a": "1.10", "b": "0644", "c": "True", "d": "", "e": "x", "f": "5", "g": "2020-01-01", "h": "null"});
        assert_eq!(document.value["metadata"]["annotations"], expected);
    }
}
