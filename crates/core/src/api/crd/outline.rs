//! Builds the schemas of kinds whose fields have no types here, from an outline with one line for each field:
//!
//! ```text
//! spec:
//!   interval!: duration
//!   verify:
//!     provider!: cosign | notation = "cosign"
//!   valuesFiles[]: string
//! ```
//!
//! `!` marks a required field, `[]` a list and `{}` a map; the lines of inner fields are indented by two
//! spaces. Behind the colon come the form of a value and its default. A form is `string`, `bool`, `int`,
//! `time`, `duration`, `short-duration` (no hours), `digest`, `reference` (a name), `conditions`,
//! `chart-source` and `event-source` (kinds), `any`, a pattern between slashes, or the allowed values;
//! `1..253` behind a string limits its length.

use serde_json::{Map, Value, json};

use super::fields;
use crate::api::reference::{CHART_SOURCES, EVENT_SOURCES};

const DURATION: &str = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$";
const SHORT_DURATION: &str = r"^([0-9]+(\.[0-9]+)?(ms|s|m))+$";
const DIGEST: &str = "^[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[a-zA-Z0-9=_-]+$";

/// The top-level fields of an outline, each with its schema. Outlines are constants, and a test reads each
/// line of them.
pub(super) fn fields_of(outline: &str) -> Map<String, Value> {
    let lines: Vec<Line> = outline.lines().filter(|line| !line.is_empty()).map(Line::of).collect();
    object(&lines).0
}

/// One field.
struct Line<'o> {
    depth: usize,
    name: &'o str,
    is_required: bool,
    /// `[]` and `{}`, the outermost first.
    containers: &'o str,
    form: &'o str,
    default: Option<Value>,
}

impl<'o> Line<'o> {
    fn of(line: &'o str) -> Self {
        let field = line.trim_start();
        let depth = (line.len() - field.len()) / 2;
        let (head, rest) = field.split_once(':').unwrap_or((field, "any"));
        let end = head.find(['[', '{']).unwrap_or(head.len());
        let (name, containers) = head.split_at(end);
        let (form, default) = rest.split_once(" = ").unwrap_or((rest, ""));
        Self {
            depth,
            name: name.trim_end_matches('!'),
            is_required: name.ends_with('!'),
            containers,
            form: form.trim(),
            default: serde_json::from_str(default).ok(),
        }
    }
}

/// The fields of the lines, and the names of those that are required. All lines are as deep as the first, or
/// deeper.
fn object(lines: &[Line]) -> (Map<String, Value>, Vec<String>) {
    let (mut fields, mut required) = (Map::new(), Vec::new());
    let mut rest = lines;
    while let [line, after @ ..] = rest {
        let end = after.iter().position(|next| next.depth <= line.depth).unwrap_or(after.len());
        let (below, others) = after.split_at(end);
        let mut schema = if below.is_empty() { scalar(line.form) } else { nested(below) };
        let mut containers = line.containers;
        while let Some(outer) = containers.strip_suffix("[]").or_else(|| containers.strip_suffix("{}")) {
            let is_list = containers.ends_with("[]");
            schema = if is_list {
                json!({"type": "array", "items": schema})
            } else {
                json!({"type": "object", "additionalProperties": schema})
            };
            containers = outer;
        }
        if let Some(default) = &line.default {
            schema["default"] = default.clone();
        }
        fields.insert(line.name.into(), schema);
        if line.is_required {
            required.push(line.name.into());
        }
        rest = others;
    }
    (fields, required)
}

fn nested(lines: &[Line]) -> Value {
    let (fields, required) = object(lines);
    let mut schema = json!({"type": "object", "properties": fields});
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

fn scalar(form: &str) -> Value {
    let pattern = |pattern: &str| json!({"type": "string", "pattern": pattern});
    match form {
        "bool" => json!({"type": "boolean"}),
        "int" => json!({"type": "integer", "format": "int64"}),
        "time" => json!({"type": "string", "format": "date-time"}),
        "duration" => pattern(DURATION),
        "short-duration" => pattern(SHORT_DURATION),
        "digest" => pattern(DIGEST),
        "any" => json!({"x-kubernetes-preserve-unknown-fields": true}),
        "reference" => nested(&[Line::of("name!: string")]),
        "conditions" => fields::conditions(),
        "chart-source" => json!({"type": "string", "enum": CHART_SOURCES}),
        "event-source" => json!({"type": "string", "enum": EVENT_SOURCES}),
        _ if form.starts_with("string") || form.starts_with('/') => text(form),
        _ => {
            let values: Vec<&str> = form.split(" | ").map(|value| value.trim_matches('"')).collect();
            json!({"type": "string", "enum": values})
        }
    }
}

fn text(form: &str) -> Value {
    let mut schema = json!({"type": "string"});
    let (form, limits) = match form.rsplit_once(' ') {
        Some((form, limits)) if limits.contains("..") => (form, limits),
        _ => (form, ".."),
    };
    if let Some(pattern) = form.strip_prefix('/').and_then(|form| form.strip_suffix('/')) {
        schema["pattern"] = pattern.into();
    }
    let (least, most) = limits.split_once("..").unwrap_or_default();
    for (key, limit) in [("minLength", least), ("maxLength", most)] {
        if let Ok(limit @ 1..) = limit.parse::<u32>() {
            schema[key] = limit.into();
        }
    }
    schema
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_outlines_is_read() {
        let outlines: Vec<&str> = crate::api::KINDS.iter().filter_map(|info| info.outline).collect();
        assert!(outlines.len() > 11);
        for text in outlines.iter().flat_map(|outline| outline.lines()).filter(|text| !text.is_empty()) {
            let (line, is_indented) = (Line::of(text), text.starts_with(' '));
            assert!(text.contains(':') && (line.depth > 0) == is_indented, "{text}");
            assert_eq!(line.default.is_some(), text.contains(" = "), "{text}");
            assert!(line.name.chars().all(char::is_alphanumeric), "{text}");
            let is_word = !line.form.contains([' ', '/', '"']);
            let known = ["bool", "int", "time", "duration", "short-duration", "digest", "any", "reference"];
            let more = ["", "string", "conditions", "chart-source", "event-source"];
            let is_known = known.contains(&line.form) || more.contains(&line.form);
            // Only a field with a single allowed value may look like an unknown form.
            assert!(!is_word || is_known || line.default.is_some(), "{text}");
        }
    }

    #[test]
    fn each_line_is_a_field_with_its_form() {
        let outline = "\
spec:
  url!: /^https://.*$/ 1..250
  verify![]:
    mode: HEAD | Tag = \"HEAD\"
    names{}: string ..63
  paths[]: string
status: = {\"observedGeneration\": -1}
  conditions: conditions
";
        let fields = Value::Object(fields_of(outline));
        let verify = json!({
            "type": "array",
            "items": {"type": "object", "properties": {
                "mode": {"type": "string", "enum": ["HEAD", "Tag"], "default": "HEAD"},
                "names": {"type": "object", "additionalProperties": {"type": "string", "maxLength": 63}},
            }},
        });
        for (pointer, expected) in [
            ("/spec/required", json!(["url", "verify"])),
            (
                "/spec/properties/url",
                json!({"type": "string", "pattern": "^https://.*$", "minLength": 1, "maxLength": 250}),
            ),
            ("/spec/properties/verify", verify),
            ("/spec/properties/paths", json!({"type": "array", "items": {"type": "string"}})),
            ("/status/default", json!({"observedGeneration": -1})),
            ("/status/properties/conditions/type", json!("array")),
        ] {
            assert_eq!(fields.pointer(pointer), Some(&expected), "{pointer}");
        }
    }
}
