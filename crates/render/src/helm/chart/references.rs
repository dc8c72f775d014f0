//! The documents at other places that the schemas of a chart refer to. They are fetched with the chart, by a
//! caller that may do I/O. A document that cannot be fetched allows every value.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;
use url::Url;

use super::Chart;

/// The URL of a chart's own schema.
pub(super) const OWN: &str = "file:///values.schema.json";
/// The most documents that the schemas of a chart may refer to.
const COUNT_LIMIT: usize = 64;
/// The largest size of all documents together, in bytes.
pub const BYTES_LIMIT: usize = 8 * 1024 * 1024;

/// Documents that schemas refer to, by their URLs without a fragment, and the reasons why others are missing.
#[derive(Debug, Clone, Default)]
pub struct Documents {
    found: BTreeMap<String, Json>,
    missing: BTreeMap<String, String>,
    bytes: usize,
}

impl Documents {
    /// The URLs that the schemas of a chart and the present documents refer to, and that have no answer yet.
    /// Only `https` is requested: a chart must not read files of this machine, or be changed on its way.
    pub fn wanted(&mut self, chart: &Chart) -> Vec<String> {
        let mut urls = BTreeSet::new();
        collect(chart, &mut urls);
        for (url, document) in &self.found {
            if let Ok(base) = Url::parse(url) {
                urls.extend(references(document, &base));
            }
        }
        let mut wanted = Vec::new();
        for url in urls {
            if self.found.contains_key(&url) || self.missing.contains_key(&url) {
                continue;
            }
            if !url.starts_with("https://") {
                self.missing.insert(url, "only https is fetched".into());
            } else if self.found.len() + self.missing.len() + wanted.len() >= COUNT_LIMIT {
                self.missing.insert(url, format!("a chart may have {COUNT_LIMIT} such documents"));
            } else {
                wanted.push(url);
            }
        }
        wanted
    }

    /// Stores the answer for a URL of [`Documents::wanted`], or the reason why there is none.
    pub fn add(&mut self, url: String, answer: Result<Vec<u8>, String>) {
        let read = answer.and_then(|text| {
            self.bytes = self.bytes.saturating_add(text.len());
            if self.bytes > BYTES_LIMIT {
                return Err(format!("such documents may have {} MiB together", BYTES_LIMIT >> 20));
            }
            serde_json::from_slice(&text).map_err(|error| format!("it is no JSON: {error}"))
        });
        match read {
            Ok(document) => {
                self.found.insert(url, document);
            }
            Err(reason) => {
                self.missing.insert(url, reason);
            }
        }
    }

    /// A document, without its references to missing documents.
    pub(super) fn get(&self, url: &str) -> Option<Json> {
        let mut document = self.found.get(url)?.clone();
        if let Ok(base) = Url::parse(url) {
            self.cut(&mut document, &base);
        }
        Some(document)
    }

    /// Removes references to missing documents from a chart's own schema. Returns their URLs, each with the
    /// reason.
    pub(super) fn without_missing(&self, schema: &mut Json) -> Vec<String> {
        let Ok(base) = Url::parse(OWN) else { return Vec::new() };
        let cut = self.cut(schema, &base);
        let unknown = cut.into_iter().filter(|url| !self.missing.contains_key(url));
        let told = self.missing.iter().map(|(url, reason)| format!("{url} ({reason})"));
        told.chain(unknown.map(|url| format!("{url} (it was not fetched)"))).collect()
    }

    /// Removes references, and returns the URLs of their documents.
    fn cut(&self, document: &mut Json, base: &Url) -> BTreeSet<String> {
        let own = ids(document, base);
        let is_old = is_old(document);
        let mut cut = BTreeSet::new();
        walk(document, base, true, &mut |schema, base| {
            for word in ["$schema", "$dynamicRef", "$ref"] {
                let Some(url) = schema.get(word).and_then(|url| target(url, base)) else { continue };
                if own.contains(&url) || is_built_in(&url) || self.found.contains_key(&url) {
                    continue;
                }
                cut.insert(url);
                schema.remove(word);
                if word == "$ref" && is_old {
                    // Up to draft 7, keys beside a reference have no meaning.
                    let kept = ["$schema", "$id", "id", "definitions"];
                    schema.retain(|key, _| kept.contains(&key.as_str()));
                }
            }
        });
        cut
    }
}

fn collect(chart: &Chart, urls: &mut BTreeSet<String>) {
    let schema = chart.schema.as_deref().and_then(|text| serde_json::from_slice(text).ok());
    if let (Some(schema), Ok(base)) = (schema, Url::parse(OWN)) {
        urls.extend(references(&schema, &base));
    }
    chart.dependencies.iter().for_each(|part| collect(part, urls));
}

/// The documents that a document refers to and does not contain.
fn references(document: &Json, base: &Url) -> BTreeSet<String> {
    let mut document = document.clone();
    let own = ids(&mut document, base);
    let mut found = BTreeSet::new();
    walk(&mut document, base, true, &mut |schema, base| {
        for word in ["$schema", "$ref", "$dynamicRef"] {
            found.extend(schema.get(word).and_then(|url| target(url, base)));
        }
    });
    found.retain(|url| !own.contains(url) && !is_built_in(url));
    found
}

/// The URLs under which a document holds schemas.
fn ids(document: &mut Json, base: &Url) -> BTreeSet<String> {
    let mut ids = BTreeSet::from([without_fragment(base.clone())]);
    walk(document, base, true, &mut |_, base| {
        ids.insert(without_fragment(base.clone()));
    });
    ids
}

fn target(url: &Json, base: &Url) -> Option<String> {
    base.join(url.as_str()?).ok().map(without_fragment)
}

fn without_fragment(mut url: Url) -> String {
    url.set_fragment(None);
    url.into()
}

/// Whether a document defines JSON Schema itself, and so need not be fetched.
fn is_built_in(url: &str) -> bool {
    let url = url.trim_start_matches("https://").trim_start_matches("http://");
    let drafts = ["draft-04/", "draft-06/", "draft-07/", "draft/2019-09/", "draft/2020-12/"];
    url.strip_prefix("json-schema.org/")
        .is_some_and(|rest| drafts.iter().any(|draft| rest.starts_with(draft)))
        || url == "json-schema.org/schema"
}

fn is_old(document: &Json) -> bool {
    let schema = document["$schema"].as_str().unwrap_or_default();
    ["draft-04", "draft-06", "draft-07"].iter().any(|draft| schema.contains(draft))
}

type Visit<'v> = dyn FnMut(&mut serde_json::Map<String, Json>, &Url) + 'v;

/// Calls `visit` for each schema within a value, outer ones first, with the URL that its references are
/// relative to.
fn walk(value: &mut Json, base: &Url, is_schema: bool, visit: &mut Visit<'_>) {
    match value {
        Json::Array(items) => items.iter_mut().for_each(|item| walk(item, base, is_schema, visit)),
        Json::Object(entries) => {
            let mut base = base.clone();
            if is_schema {
                let id = entries.get("$id").or_else(|| entries.get("id")).and_then(Json::as_str);
                if let Some(url) = id.and_then(|id| base.join(id).ok()) {
                    base = url;
                }
                visit(entries, &base);
            }
            for (key, value) in entries {
                // Plain values hold no schemas; the entries of these maps are schemas, whatever their names.
                let is_map = matches!(
                    key.as_str(),
                    "properties"
                        | "patternProperties"
                        | "$defs"
                        | "definitions"
                        | "dependentSchemas"
                        | "dependencies"
                );
                let is_plain = matches!(key.as_str(), "const" | "enum" | "default" | "examples");
                if !(is_schema && is_plain) {
                    walk(value, &base, !(is_schema && is_map), visit);
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::archive::Bounds;
    use super::super::file::File;
    use super::*;

    fn chart(schema: &Json) -> Chart {
        let file = |path: &str, text: String| File { path: path.into(), content: text.into_bytes().into() };
        let files = vec![
            file("Chart.yaml", "{apiVersion: v2, name: demo, version: 1.0.0}".into()),
            file("values.schema.json", schema.to_string()),
        ];
        Chart::load(files, &mut Bounds::default()).unwrap()
    }

    #[test]
    fn what_a_schema_refers_to_at_other_places_is_wanted_once() {
        let chart = chart(&json!({
            "$schema": "http://json-schema.org/draft-07/schema#",
            "properties": {
                "a": {"$ref": "https://example.com/a.json#/definitions/x"},
                "b": {"$ref": "#/definitions/c"},
                "$ref": {"$ref": "https://example.com/a.json"},
                "enum": {"enum": [{"$ref": "https://example.com/no.json"}]},
                "f": {"$ref": "file:///etc/passwd"},
                "g": {"$ref": "other.json"},
                "h": {"$ref": "http://example.com/h.json"},
            },
            "definitions": {"c": {"$id": "https://example.com/deep/c.json", "items": {"$ref": "d.json"}}},
        }));
        let mut documents = Documents::default();
        let wanted = documents.wanted(&chart);
        assert_eq!(wanted, ["https://example.com/a.json", "https://example.com/deep/d.json"]);
        let refused: Vec<&str> = documents.missing.keys().map(String::as_str).collect();
        assert_eq!(refused, ["file:///etc/passwd", "file:///other.json", "http://example.com/h.json"]);
        documents.add(wanted[0].clone(), Ok(br#"{"$ref": "b.json", "not": {"$ref": "a.json"}}"#.to_vec()));
        documents.add(wanted[1].clone(), Err("gone".into()));
        assert_eq!(documents.wanted(&chart), ["https://example.com/b.json"]);
        documents.add("https://example.com/b.json".into(), Ok(b"<html>".to_vec()));
        assert!(documents.wanted(&chart).is_empty());
        assert_eq!(documents.get("https://example.com/a.json"), Some(json!({"not": {"$ref": "a.json"}})));
        let told = documents.without_missing(&mut json!({}));
        assert!(told.contains(&"https://example.com/deep/d.json (gone)".into()), "{told:?}");
        assert!(
            told.iter().any(|told| told.starts_with("https://example.com/b.json (it is no JSON: ")),
            "{told:?}"
        );
    }

    #[test]
    fn what_cannot_be_had_allows_everything() {
        let documents = Documents::default();
        let mut old = json!({
            "$schema": "http://json-schema.org/draft-07/schema#",
            "$ref": "https://example.com/a.json",
            "type": "object",
            "definitions": {"x": {"type": "string"}},
        });
        documents.without_missing(&mut old);
        let kept = json!({"$schema": old["$schema"], "definitions": {"x": {"type": "string"}}});
        assert_eq!(old, kept);
        let mut new = json!({"$ref": "https://example.com/a.json", "type": "object"});
        documents.without_missing(&mut new);
        assert_eq!(new, json!({"type": "object"}));
    }

    #[test]
    fn documents_have_a_bound_in_number_and_in_size() {
        let many: Vec<Json> =
            (0..70).map(|at| json!({"$ref": format!("https://example.com/{at:02}.json")})).collect();
        let chart = chart(&json!({"allOf": many}));
        let mut documents = Documents::default();
        let wanted = documents.wanted(&chart);
        assert_eq!((wanted.len(), documents.missing.len()), (64, 6));
        let large = format!("\"{}\"", "x".repeat(5 << 20)).into_bytes();
        documents.add(wanted[0].clone(), Ok(large.clone()));
        documents.add(wanted[1].clone(), Ok(large));
        assert_eq!(
            (documents.found.len(), &*documents.missing[&wanted[1]]),
            (1, "such documents may have 8 MiB together")
        );
    }
}
