//! YAML as sigs.k8s.io/yaml reads it: YAML 1.1 whose numbers are all floats.

use lockgate_base::model::yaml::{Dialect, YamlError, first_document};
use serde_json::Value as Json;

use super::json_read::mismatch;
use crate::helm::context::RenderContext;
use crate::helm::error::Error;
use crate::helm::value::{List, Map, MapType, Value};

/// The value, and the error in sigs.k8s.io/yaml's words.
type Read = (Value, Option<String>);

/// `yaml.Unmarshal` into a map.
pub fn decode_map(context: &mut RenderContext<'_>, text: &[u8]) -> Result<(Map, Option<String>), Error> {
    let (value, error) = decode(context, text)?;
    Ok(match value {
        Value::Map(map) => (map, error),
        Value::Nil => (Map::new(MapType::Any), error),
        other => (Map::new(MapType::Any), Some(unfit(&other, "map[string]interface {}"))),
    })
}

/// `yaml.Unmarshal` into a slice.
pub fn decode_list(context: &mut RenderContext<'_>, text: &[u8]) -> Result<(List, Option<String>), Error> {
    let (value, error) = decode(context, text)?;
    Ok(match value {
        Value::List(list) => (list, error),
        Value::Nil => (List::from_iter([]), error),
        other => (List::from_iter([]), Some(unfit(&other, "[]interface {}"))),
    })
}

fn unfit(value: &Value, wanted: &str) -> String {
    format!("error unmarshaling JSON: while decoding JSON: {}", mismatch(value, wanted))
}

fn decode(context: &mut RenderContext<'_>, text: &[u8]) -> Result<Read, Error> {
    let refused = |message: &str| (Value::Nil, Some(format!("error converting YAML to JSON: {message}")));
    context.spend(text.len() / 8)?;
    // Events, nodes and values take several times the memory of the text.
    context.memory(text.len().saturating_mul(8))?;
    let Ok(text) = std::str::from_utf8(text) else { return Ok(refused("yaml: invalid leading UTF-8 octet")) };
    if begins_with_tab(text) {
        return Ok(refused("yaml: found character that cannot start any token"));
    }
    match first_document(text, Dialect::V2) {
        Ok(document) => Ok((value_of(context, &document.value)?, None)),
        Err(error) => Ok(refused(&told(text, &error))),
    }
}

/// Whether the first line with content is indented with a tab, which goyaml refuses.
fn begins_with_tab(text: &str) -> bool {
    let first = text.lines().find(|line| !line.trim_matches(' ').is_empty());
    first.is_some_and(|line| line.trim_start_matches(' ').starts_with('\t'))
}

/// The part of goyaml that finds a mistake. The scanner counts lines from 1 and the parser from 0, and
/// neither reports line 0.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Finder {
    Scanner,
    Parser,
    /// Reports no line.
    Composer,
}

/// The beginnings of our reader's messages, goyaml's words for them, and the part that finds them.
const MESSAGES: [(&str, &str, Finder); 10] = [
    ("a merge key needs", "map merge requires map or sequence of maps as the value", Finder::Composer),
    ("unclosed quote", "found unexpected end of stream", Finder::Scanner),
    ("unclosed bracket '{'", "did not find expected ',' or '}'", Finder::Parser),
    ("unclosed bracket '['", "did not find expected ',' or ']'", Finder::Parser),
    ("unexpected character", "found character that cannot start any token", Finder::Scanner),
    ("misplaced bracket", "did not find expected node content", Finder::Parser),
    ("invalid trailing content", "did not find expected key", Finder::Parser),
    ("did not find expected hexadecimal number", "did not find expected hexdecimal number", Finder::Scanner),
    ("control character", "control characters are not allowed", Finder::Composer),
    ("mapping values", "mapping values are not allowed in this context", Finder::Scanner),
];

/// A mistake in goyaml's words if they are known; otherwise in our reader's.
fn told(text: &str, error: &YamlError) -> String {
    if error.message.starts_with("infinity and not-a-number") {
        return "json: unsupported value: +Inf".into();
    }
    let message = match error.message.strip_prefix("while ").and_then(|message| message.split_once(", ")) {
        Some((_, what)) => what,
        None => &error.message,
    };
    if message == "found unknown anchor" {
        return format!("yaml: unknown anchor '{}' referenced", anchor_at(text, error));
    }
    let line = text.lines().nth(error.line.saturating_sub(1)).unwrap_or_default();
    let is_directive = line.starts_with('%') && !line.starts_with("%YAML") && !line.starts_with("%TAG");
    let message = if is_directive { "found unknown directive name" } else { message };
    let known = MESSAGES.iter().find(|(ours, ..)| message.starts_with(ours));
    let (message, finder) = match known {
        Some((_, theirs, finder)) => (*theirs, *finder),
        None if message.starts_with("found") => (message, Finder::Scanner),
        None => (message, Finder::Parser),
    };
    // goyaml finds an open bracket at the end of the text.
    let line =
        if message.starts_with("did not find expected ','") { text.lines().count() } else { error.line - 1 };
    match finder {
        Finder::Scanner if line > 0 => format!("yaml: line {}: {message}", line + 1),
        Finder::Parser if line > 0 => format!("yaml: line {line}: {message}"),
        _ => format!("yaml: {message}"),
    }
}

/// The name in the alias at the place of an error.
fn anchor_at(text: &str, error: &YamlError) -> String {
    let line = text.lines().nth(error.line.saturating_sub(1)).unwrap_or_default();
    let alias: String = line.chars().skip(error.column.saturating_sub(1)).skip_while(|c| *c != '*').collect();
    let is_name = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    alias.chars().skip(1).take_while(is_name).collect()
}

/// A value of JSON with each number as a float.
pub fn value_of(context: &mut RenderContext<'_>, json: &Json) -> Result<Value, Error> {
    context.spend(1)?;
    Ok(match json {
        Json::Null => Value::Nil,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => Value::Float(number.as_f64().unwrap_or_default()),
        Json::String(text) => Value::str(text.as_str()),
        Json::Array(items) => {
            context.room_for_items(items.len())?;
            let items: Result<Vec<Value>, Error> = items.iter().map(|item| value_of(context, item)).collect();
            Value::list(items?)
        }
        Json::Object(map) => {
            context.room_for_items(map.len().saturating_mul(2))?;
            let values = Map::new(MapType::Any);
            for (key, value) in map {
                values.insert(key.as_str().into(), value_of(context, value)?)?;
            }
            Value::Map(values)
        }
    })
}
