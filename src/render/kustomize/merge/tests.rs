//! What a merge does, in small.

use serde_json::{Value, json};

use super::{Outcome, strategic_merge};
use crate::render::kustomize::schema::Schema;

fn deployment(containers: &Value) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"},
           "spec": {"template": {"spec": {"containers": containers}}}})
}

fn merged(target: &Value, patch: &Value) -> (Value, Outcome) {
    let (mut target, patch) = (deployment(target), deployment(patch));
    let outcome = strategic_merge(&mut target, &patch, Schema::built_in()).unwrap();
    (target["spec"]["template"]["spec"]["containers"].take(), outcome)
}

#[test]
fn elements_of_the_patch_come_first() {
    let (list, _) = merged(
        &json!([{"name": "1", "image": "x"}, {"name": "2"}, {"name": "3"}]),
        &json!([{"name": "9"}, {"name": "2", "image": "y"}, {"name": "8"}]),
    );
    assert_eq!(
        list,
        json!([{"name": "9"}, {"name": "2", "image": "y"}, {"name": "8"}, {"name": "1", "image": "x"}, {"name": "3"}])
    );
}
