//! Each fixture is an object and the health it has.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::*;
use crate::api;

/// Name of the file without its ending, expected health, and the object.
#[expect(clippy::disallowed_methods, reason = "a test reads its fixtures from the disk")]
fn fixtures() -> BTreeMap<String, (String, Object)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/health/fixtures");
    let read = |path: &Path| {
        let fixture: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let expected = fixture["health"].as_str().unwrap().to_owned();
        (name, (expected, Object::parse(fixture["object"].clone()).unwrap()))
    };
    std::fs::read_dir(folder).unwrap().map(|entry| read(&entry.unwrap().path())).collect()
}

#[test]
fn every_fixture_has_its_health() {
    for (name, (expected, object)) in fixtures() {
        assert_eq!(health(&object, &HealthRules::BUILT_IN).to_string(), expected, "{name}");
    }
}

#[test]
fn every_rule_has_a_fixture_for_well_and_one_for_not() {
    // These are well by definition; the generation is judged before their rule.
    let always_well = ["CronJob"];
    for (group, kind, _) in &kinds::RULES {
        let judged: Vec<bool> = fixtures()
            .values()
            .filter(|(_, object)| object.group() == *group && object.kind() == *kind)
            .map(|(_, object)| health(object, &HealthRules::BUILT_IN).is_current())
            .collect();
        assert!(judged.contains(&true), "{kind} is never well");
        assert!(judged.contains(&false) || always_well.contains(kind), "{kind} is never unwell");
    }
}

#[test]
fn what_does_not_exist_is_not_well() {
    assert_eq!(Health::NotFound.to_string(), "NotFound: it does not exist");
    assert!(!Health::NotFound.is_current());
}

#[test]
fn work_that_has_an_end_is_done_at_its_end() {
    let object = |api_version: &str, kind: &str, status: Value| {
        let metadata = serde_json::json!({"name": "a"});
        Object::parse(serde_json::json!({"apiVersion": api_version, "kind": kind, "metadata": metadata, "status": status}))
            .unwrap()
    };
    let says =
        |kind: &str| serde_json::json!({"conditions": [{"type": kind, "status": "True", "message": "m"}]});
    let pod = |phase: &str| serde_json::json!({"phase": phase, "conditions": [{"type": "Ready", "status": "True"}]});
    let cases = [
        (object("v1", "Pod", pod("Running")), "Current", "InProgress"),
        (object("v1", "Pod", pod("Succeeded")), "Current", "Current"),
        (object("v1", "Pod", pod("Failed")), "Failed", "Failed"),
        (object("batch/v1", "Job", says("Complete")), "Current", "Current"),
        (object("batch/v1", "Job", says("Failed")), "Failed", "Failed"),
        (object("batch/v1", "Job", says("Suspended")), "Current", "InProgress"),
        (object("v1", "ConfigMap", Value::Null), "Current", "Current"),
    ];
    for (object, well, done) in cases {
        let words = (health(&object, &HealthRules::BUILT_IN), completion(&object, &HealthRules::BUILT_IN));
        assert_eq!((words.0.word(), words.1.word()), (well, done), "{object:?}");
    }
}

#[test]
fn an_object_of_a_kind_that_nothing_acts_on_is_well_whatever_it_says() {
    let object = |(api_version, kind): (&str, &str), status: &Value, is_leaving: bool| {
        let mut metadata = serde_json::json!({"name": "x", "namespace": "n", "generation": 1});
        if is_leaving {
            metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
        }
        let object = serde_json::json!({"apiVersion": api_version, "kind": kind, "metadata": metadata, "status": status});
        Object::parse(object).unwrap()
    };
    let update = ("image.toolkit.fluxcd.io/v1", "ImageUpdateAutomation");
    let alert = ("notification.toolkit.fluxcd.io/v1beta3", "Alert");
    let ours = ("kustomize.toolkit.fluxcd.io/v1", "Kustomization");
    let unseen = serde_json::json!({"observedGeneration": -1});
    let ready = |status: &str| {
        serde_json::json!({"observedGeneration": 1, "conditions": [
        {"type": "Ready", "status": status, "reason": "GitOperationFailed", "message": "no"}]})
    };
    let none = HealthRules::beside(api::Actors::default().idle_kinds());
    let flux =
        HealthRules::beside(api::Actors::new([("flux-system", "image-automation-controller")]).idle_kinds());
    let cases = [
        (&none, update, &unseen, "Current"),
        (&none, update, &ready("False"), "Current"),
        (&flux, update, &unseen, "InProgress"),
        (&flux, update, &ready("False"), "InProgress"),
        (&flux, update, &ready("True"), "Current"),
        (&none, alert, &unseen, "Current"),
        (&flux, alert, &ready("False"), "Current"),
        // Its controller writes no status.
        (&HealthRules::BUILT_IN, alert, &unseen, "Current"),
        (&none, ours, &unseen, "InProgress"),
        (&none, ours, &ready("True"), "Current"),
    ];
    for (rules, kind, status, expected) in cases {
        assert_eq!(health(&object(kind, status, false), rules).word(), expected, "{kind:?} {status}");
    }
    assert_eq!(health(&object(update, &unseen, true), &none).word(), "Terminating");
}
