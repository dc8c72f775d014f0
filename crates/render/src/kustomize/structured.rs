//! Replacements inside a text that is itself YAML or JSON, such as a file in a `ConfigMap`.

use serde_json::Value;

use super::carried::{Carried, typed_as};
use super::fieldpath::{self, Shape};
use super::id::text_of;
use crate::error::Fault;
use lockgate_base::model::yaml::{self, Edit, Layout, New};

/// Puts a value into the text at the beginning of a path, at the place that the rest of the path selects
/// inside it. `None` if there is no such text or place; then nothing is changed.
pub(super) fn put(
    object: &mut Value,
    path: &[String],
    found: &Carried,
    create: Option<Shape>,
) -> Option<Result<(), Fault>> {
    let (outer, inner) = split(object, path).ok()?;
    let text = fieldpath::lookup(object, outer).ok()?.filter(|field| !field.is_null())?;
    let text = text_of(text).into_owned();
    let written = changed(&text, inner, found, create).ok()?;
    // The path to the text was walked once already, so it exists.
    let field = literal_field(object, outer)?;
    if written.is_empty() && !field.is_string() {
        let found = lockgate_base::model::type_name(field);
        return Some(Err(Fault::new(format!(
            "the field is {found}, and the change would leave nothing of it"
        ))));
    }
    if *text_of(field) != written {
        *field = written.into();
    }
    Some(Ok(()))
}

/// The text with the value at the place of the path.
fn changed(text: &str, path: &[String], found: &Carried, create: Option<Shape>) -> Result<String, Fault> {
    let mut content = fieldpath::parse_text(text)?;
    let matches = fieldpath::find(&mut content, path, create, &[])?;
    if matches.is_empty() {
        return Err(Fault::new("there is no such place in the text"));
    }
    let is_json = text.trim_start().starts_with(['{', '[']);
    let mut edit = if is_json { None } else { Edit::new(text) };
    // A scalar that was the whole content may have been emptied, and no value is put into it.
    let mut detached = matches.iter().filter(|place| place.detached && place.made).peekable();
    if detached.peek().is_some() && fieldpath::parse_text(text)? != content {
        edit = None;
    }
    let emptied = detached.any(|place| place.hops.is_empty());
    for place in matches.iter().filter(|place| !place.detached) {
        let Some(field) = fieldpath::at(&mut content, &place.hops) else { continue };
        let part = found.text.as_str();
        let is_scalar = !field.is_object() && !field.is_array();
        // A value without a type of its own takes the type of a scalar that it replaces.
        let is_untyped = if is_scalar { place.made } else { found.untyped };
        let new = match (is_scalar, is_untyped) {
            (_, true) => New::Untyped(part),
            (true, false) => New::Text(part),
            (false, false) => New::Value(&found.value),
        };
        edit = edit.and_then(|mut edit| edit.set(&place.hops, new).map(|()| edit));
        *field = match (is_scalar, is_untyped) {
            (false, false) => found.value.clone(),
            (_, true) => fieldpath::plain(part),
            // JSON cannot hold a type that the text does not have; in YAML it gets a tag.
            (true, false) if is_json => typed_as(field, part)?,
            (true, false) => typed_as(field, part).unwrap_or_else(|_| fieldpath::plain(part)),
        };
    }
    Ok(match edit {
        _ if content.is_null() && emptied => emptied_text(text).to_owned(),
        Some(edit) => edit.to_string().trim().to_owned(),
        None => write(&content, text),
    })
}

/// Splits a path at the first scalar on its way through the object.
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

/// The remains of a text that is one scalar: its quotes.
fn emptied_text(before: &str) -> &'static str {
    match before.trim_start().as_bytes().first() {
        Some(b'"') => "\"\"",
        Some(b'\'') => "''",
        _ => "",
    }
}

/// The field that a lookup finds, mutable.
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

/// Writes the content in the format of the old text.
fn write(content: &Value, before: &str) -> String {
    let is_json = before.trim_start().starts_with(['{', '[']);
    if !is_json {
        return yaml::print(content, Layout::V3.with_compact_lists().unsorted()).trim().to_owned();
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
            let found = Carried::loose("new", false);
            put(&mut object, &path, &found, None).unwrap().unwrap();
            assert_eq!(object["data"]["f.yaml"], expected);
        }
    }
}
