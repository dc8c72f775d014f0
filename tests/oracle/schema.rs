//! The table of merge keys against the OpenAPI document that is built into kustomize. `UPDATE=1` rewrites the
//! table.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::Oracle;

const HEADING: &str = "\
# What the OpenAPI document of Kubernetes 1.21.2 says about merging lists, as far as kustomize 5.8.1 follows it. A test
# writes it anew. First the kinds, one a line: kind version group scope definition, with - for none.
# Then the definitions, one a line: its number and its fields, each with the number of the definition that it leads to,
# and for a list, in brackets, the keys by which its elements are merged: none for a list that is replaced, * for one of
# scalars that is merged. Last the names that the definitions have in the document.
";

#[test]
fn the_schema_that_is_built_in_is_that_of_kustomize() {
    let mut oracle = Oracle::start();
    let document = oracle.ask("schema", json!({})).expect("kustomize knows its schema").remove(0);
    let theirs = table(&document);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("crates/render/src/kustomize/schema.txt");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &theirs).expect("the table can be written");
    }
    let ours = std::fs::read_to_string(&path).expect("the table is there");
    assert!(ours == theirs, "crates/render/src/kustomize/schema.txt is out of date; write it with UPDATE=1");
}

/// The document in the form of the table.
fn table(document: &Value) -> String {
    // The scope and the definition by kind, version and group.
    let mut kinds: BTreeMap<[&str; 3], (&str, &str)> = BTreeMap::new();
    let mut definitions = BTreeMap::new();
    for (name, definition) in map(&document["definitions"]) {
        for kind in definition["x-kubernetes-group-version-kind"].as_array().into_iter().flatten() {
            let key = ["kind", "version", "group"].map(|part| kind[part].as_str().unwrap_or_default());
            kinds.entry(key).or_insert(("-", "-")).1 = name;
        }
        let number: u32 = name.parse().expect("definitions are numbered");
        definitions.insert(number, map(&definition["properties"]));
    }
    for (api_version, scopes) in map(&document["namespaced"]) {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        for (kind, namespaced) in map(scopes) {
            let scope = if namespaced == true { "namespaced" } else { "cluster" };
            kinds.entry([kind, version, group]).or_insert(("-", "-")).0 = scope;
        }
    }
    let mut text = format!("{HEADING}[kinds]\n");
    for ([kind, version, group], (scope, definition)) in kinds {
        let group = if group.is_empty() { "-" } else { group };
        let _ = writeln!(text, "{kind} {version} {group} {scope} {definition}");
    }
    text.push_str("[definitions]\n");
    for (number, fields) in definitions {
        let fields: BTreeMap<&String, &Value> = fields.iter().collect();
        let _ = write!(text, "{number}");
        for (name, field) in fields {
            let _ = write!(text, " {name}:{}", shape(field));
        }
        text.push('\n');
    }
    text.push_str("[names]\n");
    for (number, name) in document["names"].as_array().into_iter().flatten().enumerate() {
        let _ = writeln!(text, "{} {number}", name.as_str().unwrap_or_default());
    }
    text
}

/// The text behind a field's name: its definition, and its merge keys.
fn shape(field: &Value) -> String {
    let leads = |value: &Value| {
        let path = value["$ref"].as_str().unwrap_or_default();
        path.strip_prefix("#/definitions/").unwrap_or_default().to_owned()
    };
    if field.get("$ref").is_some() {
        return leads(field);
    }
    let strategy = field["x-kubernetes-patch-strategy"].as_str().unwrap_or_default();
    let keys: Vec<&str> = match field["x-kubernetes-list-map-keys"].as_array() {
        Some(keys) => keys.iter().filter_map(Value::as_str).collect(),
        None => field["x-kubernetes-patch-merge-key"].as_str().into_iter().collect(),
    };
    let keys = match (strategy.split(',').any(|part| part == "merge"), keys.is_empty()) {
        (true, true) => "*".into(),
        (true, false) => keys.join(","),
        (false, _) => String::new(),
    };
    format!("[{keys}]{}", leads(&field["items"]))
}

fn map(value: &Value) -> &Map<String, Value> {
    value.as_object().expect("the document has a mapping there")
}
