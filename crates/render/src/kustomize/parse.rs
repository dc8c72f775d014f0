//! Reads the resources of a file: documents, lists of objects, and the fields that every object must have.

use std::borrow::Cow;
use std::collections::VecDeque;

use serde_json::Value;

use super::id::{annotations_in, text_of};
use super::texts;
use crate::budget::Budget;
use crate::error::{Fault, RenderError, Result};
use lockgate_base::model::field;
use lockgate_base::model::yaml::{self, Dialect, PathStep, Styles, WrittenAs, YamlError};

/// The deepest nesting of lists of lists of objects.
const LIST_DEPTH: usize = 32;

/// An object and the line at which its document begins.
pub(crate) struct ParsedObject {
    /// The object.
    pub(crate) value: Value,
    /// From 1.
    pub(crate) line: usize,
    /// The notation of scalars whose values do not show it.
    pub(crate) texts: Vec<WrittenAs>,
    /// The styles of strings whose texts do not show them.
    pub(crate) styles: Styles,
    /// Annotations that were not read as strings, with their texts.
    pub(crate) untyped: Vec<(String, String)>,
}

/// Reads the objects of a text. All documents that are no objects are reported.
pub(crate) fn objects(text: &str, file: &str, budget: &Budget) -> Result<Vec<ParsedObject>> {
    read(text, file, budget, |text, left| yaml::documents_within(text, Dialect::V3, left))
}

/// Reads strategic merge patches, in which a key may occur twice.
pub(crate) fn patches(text: &str, file: &str, budget: &Budget) -> Result<Vec<ParsedObject>> {
    read(text, file, budget, yaml::documents_with_first_keys)
}

fn read(
    text: &str,
    file: &str,
    budget: &Budget,
    documents_of: impl Fn(&str, &mut usize) -> Result<Vec<yaml::Document>, YamlError>,
) -> Result<Vec<ParsedObject>> {
    let mut documents = Vec::new();
    let unix =
        if text.contains("\r\n") { Cow::Owned(text.replace("\r\n", "\n")) } else { Cow::Borrowed(text) };
    let chunks = split(&unix).map_err(|fault| fault.in_file(file))?;
    let single = chunks.len() == 1;
    for chunk in &chunks {
        let read = budget.reading(|left| documents_of(chunk.text, left));
        let read = read.map_err(|spent| Fault::from(spent).in_file(file))?.map_err(|error| {
            let message = format!("column {}: {}", error.column, error.message);
            Fault::new(message).in_file(file).at_line(error.line + chunk.line)
        })?;
        let Some(document) = read.into_iter().next() else { continue };
        let yaml::Document { value, line, texts, styles } = document;
        documents.push(ParsedObject { value, line: line + chunk.line, texts, styles, untyped: Vec::new() });
    }
    if single && documents.first().is_some_and(is_wrapped) {
        documents = documents.pop().map(unwrap).unwrap_or_default();
    }
    let mut objects = validate(expand(documents, file)?, file)?;
    for object in &mut objects {
        object.untyped = texts::restore(&mut object.value, &object.texts, false);
        // Annotations have their own texts from here on.
        let annotations = annotations_in(&object.value);
        if let Some(styles) = annotations.and_then(|way| object.styles.at_mut(&way)) {
            styles.unfold();
        }
    }
    Ok(objects)
}

struct Chunk<'a> {
    text: &'a str,
    /// The number of lines before it.
    line: usize,
}

/// Splits a text at lines that begin with `---`, as kustomize does before it reads YAML.
fn split(text: &str) -> Result<Vec<Chunk<'_>>, Fault> {
    let mut chunks = Vec::new();
    if !text.contains("\n---") {
        return Ok(vec![Chunk { text, line: 0 }]);
    }
    let (mut start, mut start_line) = (0, 0);
    let mut at = 0;
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let begin = at;
        at += line.len();
        // The first line is no separator, and neither is a last one without a line feed.
        if begin == start || !line.ends_with('\n') {
            continue;
        }
        let Some(rest) = line.strip_prefix("---") else { continue };
        let rest = rest.trim();
        if !rest.is_empty() && !rest.starts_with('#') {
            let message = format!("'{}': a document must begin on the line after ---", line.trim());
            return Err(Fault::new(message).at_line(number + 1));
        }
        chunks.push(Chunk { text: &text[start..begin], line: start_line });
        start = at;
        start_line = number + 1;
    }
    chunks.push(Chunk { text: &text[start..], line: start_line });
    Ok(chunks)
}

/// Whether the only document of a file is a list that is replaced by its items.
fn is_wrapped(document: &ParsedObject) -> bool {
    let kind = field(&document.value, "kind").and_then(Value::as_str);
    let has_content = ["items", "functionConfig"].iter().any(|name| field(&document.value, name).is_some());
    matches!(kind, Some("List" | "ResourceList")) && has_content
}

fn unwrap(document: ParsedObject) -> Vec<ParsedObject> {
    let Value::Object(mut map) = document.value else { return Vec::new() };
    let position = map.keys().position(|key| key == "items").unwrap_or_default();
    match map.shift_remove("items") {
        Some(Value::Array(items)) => {
            let texts = |index: usize| {
                let item = [PathStep::Key("items".into()), PathStep::Index(index)];
                let inside = document.texts.iter().filter(|written| {
                    let common = written.way.len().min(item.len());
                    written.way[..common] == item[..common]
                });
                inside
                    .map(|written| WrittenAs {
                        way: written.way.iter().skip(item.len()).cloned().collect(),
                        form: written.form.clone(),
                    })
                    .collect()
            };
            let items = items.into_iter().enumerate();
            items
                .map(|(index, value)| ParsedObject {
                    value,
                    line: document.line,
                    texts: texts(index),
                    styles: document.styles.at(position).at(index).clone(),
                    untyped: Vec::new(),
                })
                .collect()
        }
        _ => Vec::new(),
    }
}

/// Replaces objects whose kind ends with `List` by their items, which come after all other objects.
fn expand(documents: Vec<ParsedObject>, file: &str) -> Result<Vec<ParsedObject>> {
    let mut queue: VecDeque<(ParsedObject, usize)> = VecDeque::new();
    for document in validate(documents, file)? {
        queue.push_back((document, 0));
    }
    let mut objects = Vec::new();
    while let Some((object, depth)) = queue.pop_front() {
        let is_list = text_of(&object.value["kind"]).ends_with("List");
        match field(&object.value, "items") {
            Some(Value::Array(_)) if is_list && depth < LIST_DEPTH => {
                for item in validate(unwrap(object), file)? {
                    queue.push_back((item, depth + 1));
                }
            }
            Some(Value::Null) if is_list => {}
            Some(other) if is_list => {
                let found = lockgate_base::model::type_name(other);
                let message = format!("expected a list, found {found}");
                return Err(Fault::new(message).in_file(file).at_line(object.line).in_field("items").into());
            }
            _ => objects.push(object),
        }
    }
    Ok(objects)
}

/// Drops empty documents, and checks that the others are objects.
fn validate(documents: Vec<ParsedObject>, file: &str) -> Result<Vec<ParsedObject>> {
    let mut faults = Vec::new();
    let mut objects = Vec::with_capacity(documents.len());
    for document in documents {
        let empty = match &document.value {
            Value::Null => true,
            Value::Object(map) => map.is_empty(),
            Value::Array(items) => items.is_empty(),
            _ => false,
        };
        if empty {
            continue;
        }
        match check(&document.value) {
            Ok(()) => objects.push(document),
            Err(fault) => faults.push(fault.in_file(file).at_line(document.line)),
        }
    }
    RenderError::of(faults).map_or(Ok(objects), Err)
}

/// Checks that a value has a kind and a name.
pub(crate) fn check(value: &Value) -> Result<(), Fault> {
    if !value.is_object() {
        let found = lockgate_base::model::type_name(value);
        return Err(Fault::new(format!("expected a Kubernetes object, found {found}")));
    }
    let kind = field(value, "kind").map(text_of).unwrap_or_default();
    let metadata = field(value, "metadata");
    let name = metadata.and_then(|metadata| field(metadata, "name")).map(text_of).unwrap_or_default();
    if kind.is_empty() {
        let fault = Fault::new("kind is missing: not a Kubernetes object");
        return Err(if name.is_empty() { fault } else { fault.on_object(name.into_owned()) });
    }
    if name.is_empty() && !kind.ends_with("List") {
        return Err(Fault::new("metadata.name is missing").on_object(kind.into_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        let name = |parsed: ParsedObject| {
            let name = parsed.value.pointer("/metadata/name").map(text_of).unwrap_or_default();
            format!("{}:{name}", parsed.line)
        };
        objects(text, "f.yaml", &Budget::default()).unwrap().into_iter().map(name).collect()
    }

    #[test]
    fn documents_are_split_and_lists_expanded_behind_the_rest() {
        let a = "kind: A\nmetadata: {name: a}\n";
        let cases = [
            (a.to_owned(), vec!["1:a"]),
            (format!("---\n{a}---\n# comment\n---\n{}", a.replace(": a", ": b")), vec!["2:a", "7:b"]),
            (
                format!("kind: XList\nitems:\n- {{kind: A, metadata: {{name: x}}}}\n---\n{a}"),
                vec!["5:a", "1:x"],
            ),
            ("kind: List\nitems:\n- {kind: A, metadata: {name: x}}\n-\n".into(), vec!["1:x"]),
        ];
        for (text, expected) in cases {
            assert_eq!(names(&text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_object_is_told_with_its_line() {
        let cases = [
            (
                "a: b\n---\nkind: A\n",
                "f.yaml:1: kind is missing: not a Kubernetes object\nf.yaml:3: A: metadata.name is missing",
            ),
            ("- a\n", "f.yaml:1: expected a Kubernetes object, found a list"),
            ("kind: A\n--- b\n", "f.yaml:2: '--- b': a document must begin on the line after ---"),
        ];
        for (text, expected) in cases {
            assert_eq!(objects(text, "f.yaml", &Budget::default()).err().unwrap().to_string(), expected);
        }
    }
}
