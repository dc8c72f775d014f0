//! Replacements inside a text that is itself YAML or JSON, such as a file in a `ConfigMap`.

use serde_json::Value;

use super::fieldpath::{self, Shape};
use super::replacements::{Found, typed_as};
use super::res::text_of;
use crate::model::yaml::{self, Edit, New};
use crate::render::error::Fault;

/// Puts a value into the text at the beginning of a path, at what the rest of the path leads to inside it. Fails where
/// there is no such text or place, and changes nothing then.
pub(crate) fn put(
    object: &mut Value,
    path: &[String],
    found: &Found,
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
    let is_json = text.trim_start().starts_with(['{', '[']);
    let mut edit = if is_json { None } else { Edit::new(&text) };
    for place in &matches {
        let Some(field) = fieldpath::at(&mut content, &place.hops) else { continue };
        let part = found.text.as_str();
        let is_scalar = !field.is_object() && !field.is_array();
        let new = match (is_scalar, place.made) {
            (true, true) => New::Untyped(part),
            (true, false) => New::Text(part),
            (false, _) => New::Value(&found.value),
        };
        edit = edit.and_then(|mut edit| edit.set(&place.hops, new).map(|()| edit));
        *field = match is_scalar {
            false => found.value.clone(),
            // A type that the text does not have cannot be written as JSON; as YAML it gets a tag.
            true if is_json => typed_as(field, place.made, part)?,
            true => typed_as(field, place.made, part).unwrap_or_else(|_| fieldpath::plain(part)),
        };
    }
    let written = edit.map_or_else(|| write(&content, &text), |edit| edit.to_string().trim().to_owned());
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
            let found = Found { value: json!("new"), text: "new".into(), untyped: false };
            put(&mut object, &path, &found, None).unwrap();
            assert_eq!(object["data"]["f.yaml"], expected);
        }
    }
}
