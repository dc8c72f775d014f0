//! One fixture a kind: objects as users of Flux write them, which together set every field of the kind's
//! schema.

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::crd::schema_of;
use super::*;
use lockgate_base::model::yaml::{Dialect, documents};
use lockgate_base::model::{Duration, Object, ObjectId, Revision};

/// The fixtures, by plural.
const FIXTURES: &[(&str, &str)] = &[
    ("alerts", include_str!("fixtures/alert.yaml")),
    ("buckets", include_str!("fixtures/bucket.yaml")),
    ("externalartifacts", include_str!("fixtures/external_artifact.yaml")),
    ("gitrepositories", include_str!("fixtures/git_repository.yaml")),
    ("helmcharts", include_str!("fixtures/helm_chart.yaml")),
    ("helmreleases", include_str!("fixtures/helm_release.yaml")),
    ("helmrepositories", include_str!("fixtures/helm_repository.yaml")),
    ("imagepolicies", include_str!("fixtures/image_policy.yaml")),
    ("imagerepositories", include_str!("fixtures/image_repository.yaml")),
    ("imageupdateautomations", include_str!("fixtures/image_update_automation.yaml")),
    ("kustomizations", include_str!("fixtures/kustomization.yaml")),
    ("ocirepositories", include_str!("fixtures/oci_repository.yaml")),
    ("providers", include_str!("fixtures/provider.yaml")),
    ("receivers", include_str!("fixtures/receiver.yaml")),
];

/// The objects of a kind's fixture.
pub(crate) fn objects(info: &KindInfo) -> Vec<Object> {
    let (_, text) = FIXTURES.iter().find(|(plural, _)| *plural == info.plural).expect(info.plural);
    let documents = documents(text, Dialect::V3).unwrap();
    documents.into_iter().map(|document| Object::parse(document.value).unwrap()).collect()
}

/// The paths of all fields of a kind's `spec` and `status`, with `[]` for the items of a list and `{}` for
/// the values of a map: `spec.dependsOn[].name`.
pub(crate) fn fields(info: &KindInfo) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let schema = schema_of(info);
    for part in ["spec", "status"] {
        visit(part, &schema["properties"][part], &mut found);
    }
    found
}

fn visit(path: &str, schema: &Value, found: &mut BTreeSet<String>) {
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        visit(&path, field, found);
        found.insert(path);
    }
    for (key, sign) in [("items", "[]"), ("additionalProperties", "{}")] {
        if let Some(inner) = schema.get(key) {
            visit(&format!("{path}{sign}"), inner, found);
        }
    }
}

/// Collects the fields that a value sets, and its violations of the schema. The API server checks the
/// patterns.
fn check(path: &str, value: &Value, schema: &Value, set: &mut BTreeSet<String>, wrong: &mut Vec<String>) {
    let is_open = schema["x-kubernetes-preserve-unknown-fields"] == true;
    let form = match value {
        Value::Object(_) => "object",
        Value::Array(_) => "array",
        Value::String(_) => "string",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "integer",
        Value::Null => "null",
    };
    if schema.get("type").is_some_and(|wanted| wanted != form) {
        wrong.push(format!("{path} is of the form {form}"));
    }
    if schema["enum"].as_array().is_some_and(|allowed| !allowed.contains(value)) {
        wrong.push(format!("{path} may not be {value}"));
    }
    for item in value.as_array().into_iter().flatten() {
        check(&format!("{path}[]"), item, &schema["items"], set, wrong);
    }
    for (name, field) in value.as_object().into_iter().flatten() {
        let path_of = format!("{path}.{name}");
        if let Some(known) = schema["properties"].get(name) {
            set.insert(path_of.clone());
            check(&path_of, field, known, set, wrong);
        } else if let Some(values) = schema.get("additionalProperties") {
            check(&format!("{path}{{}}"), field, values, set, wrong);
        } else if !is_open {
            wrong.push(format!("{path_of} is not in the schema"));
        }
    }
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if value.get(name).is_none() {
            wrong.push(format!("{path}.{name} is missing"));
        }
    }
}

#[test]
fn each_kind_has_a_fixture_that_sets_every_field_of_its_schema() {
    let plurals: BTreeSet<&str> = KINDS.iter().map(|info| info.plural).collect();
    assert_eq!(FIXTURES.iter().map(|(plural, _)| *plural).collect::<BTreeSet<_>>(), plurals);
    for info in KINDS {
        let schema = schema_of(info);
        let (mut set, mut wrong) = (BTreeSet::new(), Vec::new());
        for object in objects(info) {
            assert_eq!((object.api_version(), object.kind()), (info.api_version().as_str(), info.id.kind));
            for part in ["spec", "status"] {
                if let Some(value) = object.pointer(&format!("/{part}")) {
                    check(part, value, &schema["properties"][part], &mut set, &mut wrong);
                }
            }
        }
        assert_eq!(wrong, Vec::<String>::new(), "{}", info.plural);
        let missing: Vec<String> = fields(info).difference(&set).cloned().collect();
        assert_eq!(missing, Vec::<String>::new(), "{}", info.plural);
    }
}

/// The parts of `wanted` that are not in `value`.
fn lost(path: &str, wanted: &Value, value: &Value) -> Vec<String> {
    match (wanted, value) {
        (Value::Object(wanted), Value::Object(value)) => {
            let of = |(name, field)| {
                lost(&format!("{path}.{name}"), field, value.get(name).unwrap_or(&Value::Null))
            };
            Map::iter(wanted).flat_map(of).collect()
        }
        (Value::Array(wanted), Value::Array(value)) if wanted.len() == value.len() => wanted
            .iter()
            .zip(value)
            .flat_map(|(wanted, value)| lost(&format!("{path}[]"), wanted, value))
            .collect(),
        _ if wanted == value => Vec::new(),
        _ => vec![path.to_owned()],
    }
}

/// The fields that typed objects lose when they are read.
fn lost_by<K: Kind + serde::Serialize>() -> Vec<String> {
    let objects = objects(K::INFO);
    assert!(!objects.is_empty());
    let lost = objects.iter().flat_map(|object| {
        let read: Resource<K> = decode(object).unwrap();
        let null = Value::Null;
        let part = |name| object.pointer(name).unwrap_or(&null);
        let spec = lost("spec", part("/spec"), &serde_json::to_value(&read.spec).unwrap());
        let status = serde_json::to_value(&read.status).unwrap();
        let status = object.pointer("/status").map(|told| lost("status", told, &status));
        spec.into_iter().chain(status.into_iter().flatten()).collect::<Vec<_>>()
    });
    lost.collect::<BTreeSet<_>>().into_iter().collect()
}

#[test]
fn no_field_of_a_typed_kind_is_lost_but_those_of_a_status_that_others_wrote() {
    assert_eq!(lost_by::<KustomizationSpec>(), ["status.snapshot"]);
    let of_flux = [
        "status.artifact.checksum",
        "status.contentConfigChecksum",
        "status.includedArtifacts",
        "status.observedInclude",
        "status.observedRecurseSubmodules",
        "status.observedSparseCheckout",
        "status.sourceVerificationMode",
        "status.url",
    ];
    assert_eq!(lost_by::<GitRepositorySpec>(), of_flux);
    let of_flux = ["status.contentConfigChecksum", "status.sourceVerificationFingerprint", "status.url"];
    assert_eq!(lost_by::<OciRepositorySpec>(), of_flux);
    assert_eq!(lost_by::<HelmChartSpec>(), ["status.artifact.checksum", "status.url"]);
    assert_eq!(lost_by::<HelmRepositorySpec>(), ["status.artifact.checksum", "status.url"]);
}

/// The pointers to all values of an object.
fn pointers(value: &Value, above: &str, found: &mut Vec<String>) {
    let mut visit = |name: &str, value: &Value| {
        let pointer = format!("{above}/{}", name.replace('~', "~0").replace('/', "~1"));
        pointers(value, &pointer, found);
        found.push(pointer);
    };
    match value {
        Value::Object(map) => map.iter().for_each(|(name, value)| visit(name, value)),
        Value::Array(items) => items.iter().enumerate().for_each(|(at, item)| visit(&at.to_string(), item)),
        _ => {}
    }
}

/// S18: what somebody else may have stored.
fn any_value() -> impl Strategy<Value = Value> {
    let texts = "[-+]?[0-9]{0,30}(\\.[0-9]{0,30})?(ns|us|\u{b5}s|ms|s|m|h|_|@|:|/|\u{e9}){0,3}|.{0,20}";
    prop_oneof![
        texts.prop_map(Value::from),
        prop::sample::select(vec![
            json!(null),
            json!(true),
            json!(-1),
            json!(u64::MAX),
            json!(1e300),
            json!([]),
            json!({}),
            json!([null]),
            json!({"": {}}),
        ]),
    ]
}

proptest! {
    #[test]
    fn no_object_makes_a_reader_panic(at in any::<prop::sample::Index>(), value in any_value()) {
        for (_, text) in FIXTURES {
            let mut object = documents(text, Dialect::V3).unwrap().remove(0).value;
            let mut places = Vec::new();
            pointers(&object, "", &mut places);
            let place: &String = at.get(&places);
            *object.pointer_mut(place).unwrap() = value.clone();
            let Ok(object) = Object::parse(object) else { continue };
            let _ = decode::<KustomizationSpec>(&object);
            let _ = decode::<GitRepositorySpec>(&object);
            let _ = decode::<OciRepositorySpec>(&object);
            let _ = decode::<HelmRepositorySpec>(&object);
            let _ = decode::<HelmChartSpec>(&object);
            let _ = decode::<HelmReleaseSpec>(&object);
        }
        let text = value.as_str().unwrap_or_default();
        let _ = (text.parse::<Duration>(), text.parse::<ObjectId>(), text.parse::<Revision>());
    }
}
