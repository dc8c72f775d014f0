//! The result of rendering a chart: documents in the order in which they are applied, and hooks.

pub mod split;
pub mod order;
pub mod hooks;
pub mod print;

use std::collections::BTreeMap;

use lockgate_base::model::yaml::{Dialect, first_document};
use serde_json::Value as Json;

use super::error::Error;
use super::go::unicode::is_space;
use hooks::{Hook, HookEvent};

/// A document of a rendered chart.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// The template that printed it.
    pub path: String,
    /// Its text, without leading space.
    pub text: String,
    /// Its kind; empty if it has none.
    pub kind: String,
}

impl Manifest {
    /// Its content. It is parsed each time, since the values of a large release take ten times the memory of
    /// its text.
    pub fn value(&self) -> Result<Json, Error> {
        split::value_of(&self.path, &self.text)
    }
}

/// The documents of a release.
#[derive(Debug, Clone, Default)]
pub struct Manifests {
    /// In the order in which they are applied.
    pub plain: Vec<Manifest>,
    /// In the order in which helm prints them.
    pub hooks: Vec<Hook>,
}

/// Cuts the output of templates into documents, sorts them, and separates the hooks.
pub fn sort(files: BTreeMap<String, String>) -> Result<Manifests, Error> {
    let mut found = Manifests::default();
    for (path, text) in files {
        let name = path.rsplit('/').next().unwrap_or(&path);
        if name.starts_with('_') || text.chars().all(is_space) {
            continue;
        }
        for (line, document) in split::documents(&text) {
            add(&mut found, &path, line, document)?;
        }
    }
    found.plain.sort_by(|a, b| order::compare(&a.kind, &b.kind, order::INSTALL));
    found.hooks.sort_by(|a, b| order::compare(&a.kind, &b.kind, order::INSTALL));
    Ok(found)
}

fn add(found: &mut Manifests, path: &str, line: usize, text: &str) -> Result<(), Error> {
    let read = first_document(text, Dialect::V2).map_err(|error| {
        let place = line + error.line - 1;
        Error::new(format!(
            "YAML parse error on {path}: error converting YAML to JSON: yaml: line {}: {} (line {place} of what the \
             template prints)",
            error.line, error.message
        ))
    })?;
    let head = Head::of(&read.value).map_err(|message| {
        Error::new(format!("YAML parse error on {path}: error unmarshaling JSON: {message}"))
    })?;
    let Some(events) = head.annotations.get(hooks::HOOK) else {
        found.plain.push(Manifest { path: path.into(), text: text.into(), kind: head.kind });
        return Ok(());
    };
    let events: Option<Vec<HookEvent>> = events.split(',').map(HookEvent::parse).collect();
    // A hook with an unknown event is dropped.
    if let Some(events) = events {
        let list = |name: &str| hooks::list(head.annotations.get(name).map(String::as_str));
        found.hooks.push(Hook {
            name: head.name,
            path: path.into(),
            text: text.into(),
            events,
            weight: hooks::weight(head.annotations.get(hooks::WEIGHT).map(String::as_str)),
            deletes: list(hooks::DELETE_POLICY),
            logs: list(hooks::LOG_POLICY),
            kind: head.kind,
        });
    }
    Ok(())
}

/// The fields of a document that helm reads.
#[derive(Debug, Default)]
struct Head {
    kind: String,
    name: String,
    annotations: BTreeMap<String, String>,
}

impl Head {
    fn of(value: &Json) -> Result<Self, String> {
        let fields = match value {
            Json::Null => return Ok(Self::default()),
            Json::Object(fields) => fields,
            other => return Err(cannot(other, "Go value of type util.SimpleHead")),
        };
        let get = |name: &str| super::chart::metadata::field(fields, name).filter(|value| !value.is_null());
        let mut head = Self::default();
        if let Some(version) = get("apiVersion") {
            text(version, "apiVersion")?;
        }
        if let Some(kind) = get("kind") {
            head.kind = text(kind, "kind")?;
        }
        let metadata = match get("metadata") {
            None => return Ok(head),
            Some(Json::Object(metadata)) => metadata,
            Some(other) => {
                let of = "Go struct field SimpleHead.metadata of type struct { Name string \"json:\\\"name\\\"\"; \
                          Annotations map[string]string \"json:\\\"annotations\\\"\" }";
                return Err(cannot(other, of));
            }
        };
        let get = |name: &str| super::chart::metadata::field(metadata, name).filter(|value| !value.is_null());
        if let Some(name) = get("name") {
            head.name = text(name, "metadata.name")?;
        }
        match get("annotations") {
            None => {}
            Some(Json::Object(annotations)) => {
                for (key, value) in annotations {
                    let value =
                        if value.is_null() { String::new() } else { text(value, "metadata.annotations")? };
                    head.annotations.insert(key.clone(), value);
                }
            }
            Some(other) => {
                return Err(cannot(other, "Go struct field .metadata.annotations of type map[string]string"));
            }
        }
        Ok(head)
    }
}

fn text(value: &Json, field: &str) -> Result<String, String> {
    let text = super::chart::metadata::as_text(value);
    // Go names the innermost struct, which has no name within `metadata`.
    let of = if field.starts_with("metadata") { "" } else { "SimpleHead" };
    text.ok_or_else(|| cannot(value, &format!("Go struct field {of}.{field} of type string")))
}

fn cannot(value: &Json, into: &str) -> String {
    let got = super::values::read::json_type(value);
    format!("while decoding JSON: json: cannot unmarshal {got} into {into}")
}
