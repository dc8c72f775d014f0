//! Entries of `metadata.managedFields` that use another version of a custom resource than Git does.
//!
//! The API server checks a live object in the version of each entry, one after the other. If a later version
//! has a field that an earlier one lacks, even only by default, the server refuses each apply with
//! `field not declared in schema`.

use serde_json::Value;

use super::fields::{self, present};
use super::groups::is_built_in;
use super::managed_fields::{entries, patch, replacement, with_fields};
use lockgate_base::model::Object;

/// A JSON 6902 patch that moves all entries of a custom resource to the version in which it will be applied,
/// with the fields that exist in that version; `None` if there is nothing to change. `live` is the object in
/// that version.
pub(super) fn raise(live: &Object) -> Option<Value> {
    let version = live.api_version();
    let is_other = |entry: &Value| entry["apiVersion"] != version;
    if is_built_in(live.group()) || !entries(live).iter().any(is_other) {
        return None;
    }
    let raised = entries(live).iter().map(|entry| {
        if !is_other(entry) {
            return entry.clone();
        }
        let there = fields::of(entry).map(|fields| present(fields, live.value())).unwrap_or_default();
        let mut raised = with_fields(entry, there);
        raised["apiVersion"] = version.into();
        raised
    });
    let raised: Vec<Value> = raised.filter(|entry| fields::of(entry).is_some()).collect();
    patch(live, vec![replacement(&raised)])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn entries_of_a_custom_resource_speak_of_the_version_asked_for() {
        let entry =
            |version: &str, fields: Value| json!({"manager": "m", "apiVersion": version, "fieldsV1": fields});
        let live = |version: &str, entries: Value| {
            let metadata = json!({"name": "a", "managedFields": entries});
            let object = json!({"apiVersion": version, "kind": "A", "metadata": metadata, "spec": {"a": 1}});
            Object::parse(object).unwrap()
        };
        let old = entry("x.io/v1", json!({"f:spec": {"f:a": {}, "f:gone": {}}}));
        let empty = entry("x.io/v1", json!({"f:spec": {"f:gone": {}}}));
        let new = entry("x.io/v2", json!({"f:spec": {"f:b": {}}}));
        let patch = raise(&live("x.io/v2", json!([old, empty, new]))).unwrap();
        assert_eq!(patch[0]["value"], json!([entry("x.io/v2", json!({"f:spec": {"f:a": {}}})), new]));
        assert_eq!(raise(&live("x.io/v2", json!([new]))), None);
        let built_in = entry("autoscaling/v1", json!({"f:spec": {"f:a": {}}}));
        assert_eq!(raise(&live("autoscaling/v2", json!([built_in]))), None);
    }
}
