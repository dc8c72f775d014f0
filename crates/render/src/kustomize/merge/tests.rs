//! Small merges. `tests/oracle` compares some hundred patches with the real kustomize.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{MergeError, MergeOutcome, MergeTarget, Nodes, Written};
use crate::kustomize::json6902;
use crate::kustomize::schema::Schema;
use lockgate_base::model::yaml::Styles;

fn deployment(containers: &Value) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"},
           "spec": {"template": {"spec": {"containers": containers}}}})
}

fn merge(target: &mut Value, patch: &Value) -> Result<MergeOutcome, MergeError> {
    let mut target = MergeTarget { value: target, texts: &mut Vec::new(), styles: &mut Styles::Told };
    let written = Written { texts: &[], styles: &Styles::Told };
    super::strategic_merge(&mut target, patch, written, Schema::built_in(), &mut Nodes::default())
}

fn merged(target: &Value, patch: &Value) -> (Value, MergeOutcome) {
    let (mut target, patch) = (deployment(target), deployment(patch));
    let outcome = merge(&mut target, &patch).unwrap();
    (target["spec"]["template"]["spec"]["containers"].take(), outcome)
}

#[test]
fn elements_of_the_patch_come_first() {
    let (list, _) = merged(
        &json!([{"name": "1", "image": "x"}, {"name": "2"}, {"name": "3"}]),
        &json!([{"name": "9"}, {"name": "2", "image": "y"}, {"name": "8"}]),
    );
    let expected = json!([{"name": "9"}, {"name": "2", "image": "y"}, {"name": "8"}, {"name": "1", "image": "x"}, {"name": "3"}]);
    assert_eq!(list, expected);
}

#[test]
fn a_port_that_is_lost_is_warned_of() {
    let (list, outcome) = merged(
        &json!([{"name": "c", "ports": [{"containerPort": 80}, {"containerPort": 81, "protocol": "UDP"}]}]),
        &json!([{"name": "c", "ports": [{"containerPort": 80, "protocol": "TCP", "name": "http"}]}]),
    );
    assert!(!list.to_string().contains("http"), "{list}");
    assert_eq!(
        outcome.warnings,
        ["spec.template.spec.containers.ports: the patch's element {containerPort: 80, protocol: \
             \"TCP\"} is lost, because only the object or only the patch sets protocol; set it in both"]
    );
}

#[test]
fn what_cannot_be_merged_is_named_with_its_path() {
    let named = json!([{"name": "c"}]);
    let cases = [
        (
            &named,
            json!({"name": "c"}),
            "spec.template.spec.containers: the object has a list here, the patch has a mapping",
        ),
        (
            &json!(["x"]),
            named.clone(),
            "spec.template.spec.containers: expected a mapping with 'name' in this list, found a scalar",
        ),
        (
            &named,
            json!([{"name": "c", "$patch": "drop"}]),
            "spec.template.spec.containers: unknown directive '$patch: drop'; it is one of delete, replace and merge",
        ),
    ];
    for (target, patch, message) in cases {
        let mut target = deployment(target);
        let error = merge(&mut target, &deployment(&patch)).unwrap_err();
        assert_eq!(error.to_string(), message);
    }
}

#[test]
fn the_top_of_a_patch_deletes_or_is_in_vain() {
    let patch = |directive: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "$patch": directive, "data": {"b": "c"}});
    let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "b"}});
    let mut target = object.clone();
    assert!(merge(&mut target, &patch("delete")).unwrap().deleted);
    let outcome = merge(&mut target, &patch("replace")).unwrap();
    assert_eq!((target, outcome.deleted, outcome.warnings.len()), (object, false, 1));
}

fn any_value() -> impl Strategy<Value = Value> {
    let key = || {
        prop::sample::select(vec![
            "name",
            "ports",
            "containerPort",
            "protocol",
            "env",
            "$patch",
            "finalizers",
            "a",
        ])
    };
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (0..90i64).prop_map(Value::from),
        prop::sample::select(vec!["", "a", "80", "TCP", "delete", "replace", "merge", "yes"])
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(key(), inner, 0..4)
                .prop_map(|map| map.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()),
        ]
    })
}

proptest! {
    #[test]
    fn no_patch_makes_the_engines_panic(target in any_value(), patch in any_value(), operations in any_operations()) {
        for (target, patch) in [(target.clone(), patch.clone()), (deployment(&target), deployment(&patch))] {
            let mut merged = target;
            let _ = merge(&mut merged, &patch);
        }
        let mut patched = target;
        if let Ok(patch) = json6902::parse(&operations) {
            let _ = json6902::apply(&patch, &mut patched, &crate::Budget::default());
        }
    }
}

fn any_operations() -> impl Strategy<Value = String> {
    let path = || {
        prop::sample::select(vec![
            "",
            "/",
            "/a",
            "/a/0",
            "/a/-",
            "/a/-1",
            "/name/a",
            "/~1~0",
            "a/b",
            "/ports/7/9",
        ])
    };
    let op = prop::sample::select(vec!["add", "remove", "replace", "move", "copy", "test", "x"]);
    let operation = (op, path(), path(), any_value())
        .prop_map(|(op, path, from, value)| json!({"op": op, "path": path, "from": from, "value": value}));
    prop::collection::vec(operation, 0..6).prop_map(|operations| Value::from(operations).to_string())
}
