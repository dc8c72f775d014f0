//! Each fixture is an object and the health it has.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::*;

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
        assert_eq!(health(&object, &Rules::BUILT_IN).to_string(), expected, "{name}");
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
            .map(|(_, object)| health(object, &Rules::BUILT_IN).is_current())
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
        let words = (health(&object, &Rules::BUILT_IN), completion(&object, &Rules::BUILT_IN));
        assert_eq!((words.0.word(), words.1.word()), (well, done), "{object:?}");
    }
}

#[test]
fn an_object_of_a_kind_that_nothing_acts_on_is_well_until_somebody_does() {
    let of = |api_version: &str, kind: &str, status: serde_json::Value| {
        let metadata = serde_json::json!({"name": "x", "namespace": "n", "generation": 1});
        let object = serde_json::json!({"apiVersion": api_version, "kind": kind, "metadata": metadata, "status": status});
        health(&Object::parse(object).unwrap(), &Rules::BUILT_IN)
    };
    let unseen = serde_json::json!({"observedGeneration": -1});
    let release = "helm.toolkit.fluxcd.io/v2";
    assert_eq!(of(release, "HelmRelease", unseen.clone()), Health::Current);
    let failed = serde_json::json!({"observedGeneration": 1, "conditions": [
        {"type": "Ready", "status": "False", "reason": "InstallFailed", "message": "no"}]});
    assert_ne!(of(release, "HelmRelease", failed), Health::Current, "its controller has looked at it");
    let ours = of("kustomize.toolkit.fluxcd.io/v1", "Kustomization", unseen);
    assert_ne!(ours, Health::Current, "the agent is still to look at it");
}
