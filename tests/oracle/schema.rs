//! The table of merge keys against the OpenAPI document that kustomize has built in. `UPDATE=1` writes it anew.

use std::path::Path;

use serde_json::{Value, json};

use super::Oracle;

#[test]
fn the_schema_that_is_built_in_is_that_of_kustomize() {
    let Some(mut oracle) = Oracle::start() else { return };
    let mut theirs = oracle.ask("schema", json!({})).expect("kustomize knows its schema").remove(0);
    theirs.sort_all_objects();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/render/kustomize/schema.json");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, format!("{theirs}\n")).expect("the table can be written");
    }
    let ours: Value =
        serde_json::from_str(&std::fs::read_to_string(&path).expect("the table is there")).expect("JSON");
    assert!(ours == theirs, "src/render/kustomize/schema.json is out of date; write it with UPDATE=1");
}
