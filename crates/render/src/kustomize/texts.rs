//! Scalars in their original notation. Kustomize takes each annotation for a string, even if its text would
//! be a number elsewhere, and copies the text where it copies a value.

use serde_json::Value;

use super::fieldpath;
use super::fieldspec::{self, Create, Field};
use super::id::text_of;
use super::res::Res;
use lockgate_base::model::yaml::{Dialect, PathStep, WrittenAs, plain_value, reprinted};

/// Gives annotations that were read as numbers, booleans or dates their own text back, and returns them.
/// `texts` holds the notation of the object's scalars. With `nulls`, absent values become texts too.
pub(crate) fn restore(object: &mut Value, texts: &[WrittenAs], nulls: bool) -> Vec<(String, String)> {
    let metadata = object.get_mut("metadata");
    let annotations = metadata.and_then(|metadata| metadata.get_mut("annotations"));
    let Some(Value::Object(annotations)) = annotations else { return Vec::new() };
    let mut restored = Vec::new();
    for (key, value) in annotations {
        let written = texts.iter().find(|written| is_annotation(&written.way, key));
        let written = written.and_then(WrittenAs::text);
        let text = match (&*value, written) {
            (Value::Null, _) if !nulls => continue,
            (Value::Number(_) | Value::Bool(_) | Value::Null | Value::String(_), Some(written)) => {
                written.to_owned()
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

fn is_annotation(way: &[PathStep], key: &str) -> bool {
    let is = |step: &PathStep, name: &str| matches!(step, PathStep::Key(key) if key == name);
    matches!(way, [first, second, last] if is(first, "metadata") && is(second, "annotations") && is(last, key))
}

impl Res {
    /// The text of a scalar in the resource, in its notation if that is still known.
    pub(crate) fn text_in(&self, scalar: &Value) -> String {
        if scalar.is_null() {
            return String::new();
        }
        let is_it = |written: &WrittenAs| {
            fieldpath::get(&self.value, &written.way).is_some_and(|found| std::ptr::eq(found, scalar))
        };
        let means =
            |text: &str| plain_value(text, Dialect::V3).as_ref() == Ok(scalar) || *scalar == *reprinted(text);
        let mut texts = self.texts.iter().filter(|written| is_it(written)).filter_map(WrittenAs::text);
        texts.find(|text| means(text)).map_or_else(|| text_of(scalar).into_owned(), ToOwned::to_owned)
    }

    /// Replaces the scalars of a field by their texts, since its values will become a part of others.
    pub(crate) fn write_as_read(&mut self, field: &Field<'_>) {
        for written in &self.texts {
            let keys = written.way.iter().filter_map(|step| match step {
                PathStep::Key(key) => Some(key),
                PathStep::Index(_) => None,
            });
            if keys.eq(&field.path)
                && let Some(value) = fieldpath::at(&mut self.value, &written.way)
                && let Some(text) = written.text()
                && plain_value(text, Dialect::V3).as_ref() == Ok(&*value)
            {
                *value = text.into();
            }
        }
        // Without a known notation the word stays; the writer of the field reports other mistakes.
        let _ = fieldspec::walk(&mut self.value, &field.path, Create::Nothing, &mut |value| {
            if value.is_null() {
                *value = "null".into();
            }
            Ok(())
        });
    }

    /// Gives annotations that were not read as strings their values back, and prints folded ones.
    pub(crate) fn retype_annotations(&mut self) {
        let untyped = std::mem::take(&mut self.untyped);
        let Some(Value::Object(annotations)) = self.value.pointer_mut("/metadata/annotations") else {
            return;
        };
        for (key, value) in annotations.iter_mut() {
            let mut folded = self.texts.iter().filter(|written| is_annotation(&written.way, key));
            if folded.any(|written| written.text().is_some_and(|text| *value == *text)) {
                *value = reprinted(&text_of(value)).into();
            }
        }
        for (key, text) in untyped {
            if let Some(value) = annotations.get_mut(&key).filter(|value| **value == text.as_str()) {
                *value = plain_value(&text, Dialect::V3).unwrap_or_else(|_| text.into());
            }
        }
    }

    /// Turns all annotations into strings, and a null into a word.
    pub(crate) fn write_annotations(&mut self) {
        if let Some(Value::Object(annotations)) = self.value.pointer_mut("/metadata/annotations") {
            for value in annotations.values_mut().filter(|value| !value.is_string()) {
                *value = if value.is_null() { "null".into() } else { text_of(value).into_owned().into() };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use lockgate_base::model::yaml::documents;

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
