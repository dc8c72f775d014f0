//! Replacements inside a text that is itself YAML or JSON, such as a file in a `ConfigMap`.

use serde_json::Value;

use super::fieldpath::{self, Shape};
use super::res::text_of;
use super::splice::{indents, splice};
use crate::model::yaml;
use crate::render::error::Fault;

/// Puts a value into the text at the beginning of a path, at what the rest of the path leads to inside it. Fails where
/// there is no such text or place, and changes nothing then.
pub(crate) fn put(
    object: &mut Value,
    path: &[String],
    value: &Value,
    create: Option<Shape>,
) -> Result<(), Fault> {
    let (outer, inner) = split(object, path)?;
    let text = match fieldpath::lookup(object, outer)? {
        Some(text) => text_of(text).into_owned(),
        None => return Err(Fault::new("there is no text")),
    };
    let mut content = fieldpath::parse_text(&text)?;
    let matches = fieldpath::find(&mut content, inner, create)?;
    if matches.is_empty() {
        return Err(Fault::new("there is no such place in the text"));
    }
    let mut edited = Some(text.trim().to_owned());
    for place in &matches {
        let Some(field) = fieldpath::at(&mut content, &place.hops) else { continue };
        if field.is_object() || field.is_array() {
            field.clone_from(value);
        } else if field.is_string() {
            *field = text_of(value).into_owned().into();
        } else {
            *field = fieldpath::plain(&text_of(value));
        }
        let is_scalar = !field.is_object() && !field.is_array();
        edited = edited.filter(|_| is_scalar).and_then(|text| splice(&text, &place.hops, &text_of(value)));
    }
    let written =
        edited.filter(|edited| is_faithful(edited, &content)).unwrap_or_else(|| write(&content, &text));
    // The way to the text was walked once already, so that it is there.
    if let Some(field) = literal_field(object, outer) {
        *field = written.into();
    }
    Ok(())
}

/// Where the first scalar on a path ends the way through the object.
fn split<'p>(object: &Value, path: &'p [String]) -> Result<(&'p [String], &'p [String]), Fault> {
    for length in 1..path.len() {
        let (outer, inner) = path.split_at(length);
        let Ok(Some(field)) = fieldpath::lookup(object, outer) else { continue };
        let is_scalar = !field.is_object() && !field.is_array();
        if is_scalar && fieldpath::parse_text(&text_of(field)).is_ok() {
            return Ok((outer, inner));
        }
    }
    Err(Fault::new("there is no text on the path"))
}

/// The same field that a lookup finds, to be changed.
fn literal_field<'v>(object: &'v mut Value, path: &[String]) -> Option<&'v mut Value> {
    let mut at = object;
    for part in path.iter().map(|part| part.trim()).filter(|part| !part.is_empty()) {
        at = if let Ok(index) = part.parse::<usize>() {
            at.as_array_mut()?.get_mut(index)?
        } else if part == "-" {
            at.as_array_mut()?.last_mut()?
        } else if let Some(condition) = part.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            let (field, wanted) = condition.split_once('=')?;
            at.as_array_mut()?.iter_mut().find(|item| {
                let value = if field.is_empty() { Some(&**item) } else { item.get(field) };
                value.is_some_and(|value| text_of(value) == wanted)
            })?
        } else {
            at.as_object_mut()?.get_mut(part)?
        };
    }
    Some(at)
}

/// Whether a text that was changed in place says what it should, and stands as kustomize would write it anew.
fn is_faithful(edited: &str, content: &Value) -> bool {
    let is_json = edited.starts_with(['{', '[']);
    !is_json
        && fieldpath::parse_text(edited).is_ok_and(|read| read == *content)
        && indents(edited) == indents(&yaml::to_string(content))
}

/// Writes the content in the format that the text had.
fn write(content: &Value, before: &str) -> String {
    let is_json = before.trim_start().starts_with(['{', '[']);
    if !is_json {
        return yaml::to_string(content).trim().to_owned();
    }
    let sorted = super::hash::sorted(content.clone());
    let is_pretty = before.contains('\n') && before.contains("  ");
    if let (true, Ok(pretty)) = (is_pretty, serde_json::to_string_pretty(&sorted)) {
        return super::hash::escape_html(&pretty);
    }
    super::hash::escape_html(&sorted.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_value_is_put_into_json_and_yaml() {
        let cases = [
            (r#"{"b": 1, "a": {"c": "x"}}"#, r#"{"a":{"c":"new"},"b":1}"#),
            ("{\n  \"a\": {\n    \"c\": \"x\"\n  }\n}", "{\n  \"a\": {\n    \"c\": \"new\"\n  }\n}"),
            ("a:\n  c: x\n", "a:\n  c: new"),
        ];
        for (text, expected) in cases {
            let mut object = json!({"data": {"f.yaml": text}});
            let path = fieldpath::split(r"data.f\.yaml.a.c");
            put(&mut object, &path, &json!("new"), None).unwrap();
            assert_eq!(object["data"]["f.yaml"], expected);
        }
    }
}
