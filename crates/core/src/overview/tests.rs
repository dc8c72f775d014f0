//! The states of a chain, from objects as the agent leaves them.

use serde_json::{Value, json};

use super::*;
use crate::api::GitRepository;

fn kustomization(name: &str, depends_on: &[&str], ready: (&str, &str, &str)) -> Object {
    let (status, reason, message) = ready;
    let depends_on: Vec<Value> = depends_on.iter().map(|name| json!({"name": name})).collect();
    let value = json!({
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
        "kind": "Kustomization",
        "metadata": {"name": name, "namespace": "flux-system", "generation": 1},
        "spec": {
            "interval": "1m", "prune": true, "dependsOn": depends_on,
            "sourceRef": {"kind": "GitRepository", "name": "x"},
        },
        "status": {
            "observedGeneration": 1,
            "lastAppliedRevision": "main@sha1:9ab3c2100000",
            "lastAttemptedRevision": "main@sha1:09507f100000",
            "inventory": {"entries": [{"id": "_a__Namespace", "v": "v1"}]},
            "conditions": [{
                "type": "Ready", "status": status, "reason": reason, "message": message,
                "lastTransitionTime": "2024-01-01T00:00:00Z",
            }],
        },
    });
    Object::parse(value).unwrap()
}

const READY: (&str, &str, &str) = ("True", "ReconciliationSucceeded", "Applied revision: main@sha1:9ab3c21");
const BLOCKED: (&str, &str, &str) = ("False", "DependencyNotReady", "dependency is not ready");
const FAILING: (&str, &str, &str) = ("False", "HealthCheckFailed", "Deployment/a/b status: 'Failed'");

fn keys(names: &[&str]) -> Vec<Ref> {
    names.iter().map(|name| Kustomization::named("flux-system", *name)).collect()
}

#[test]
fn what_fails_stands_first_and_what_it_blocks_names_the_chain() {
    let overview = Overview::of(
        &[],
        &[
            kustomization("crds", &[], READY),
            kustomization("foobar", &["kube-network"], BLOCKED),
            kustomization("kube-network", &["crds", "kube-security"], BLOCKED),
            kustomization("kube-security", &["crds"], FAILING),
        ],
    );
    let states: Vec<(&str, &State)> =
        overview.kustomizations.iter().map(|row| (row.key.name.as_str(), &row.state)).collect();
    assert_eq!(
        states,
        [
            ("kube-security", &State::Failing),
            ("kube-network", &State::Blocked(keys(&["kube-security"]))),
            ("foobar", &State::Blocked(keys(&["kube-network", "kube-security"]))),
            ("crds", &State::Ready),
        ]
    );
    assert_eq!(overview.root_causes, keys(&["kube-security"]));
    assert!(!overview.is_ready());
    let failing = &overview.kustomizations[0];
    assert_eq!((failing.revision.as_deref(), failing.objects), (Some("09507f1"), 1));
    assert_eq!(failing.what, "Deployment/a/b status: 'Failed'");
    assert_eq!(overview.kustomizations[1].revision.as_deref(), Some("9ab3c21"));
    let levels = [keys(&["crds"]), keys(&["kube-security"]), keys(&["kube-network"]), keys(&["foobar"])];
    assert_eq!(overview.levels(), levels);
}

#[test]
fn a_cycle_and_a_missing_dependency_are_causes_too() {
    let overview = Overview::of(
        &[],
        &[
            kustomization("a", &["b"], BLOCKED),
            kustomization("b", &["a"], BLOCKED),
            kustomization("c", &["gone"], BLOCKED),
        ],
    );
    let chain =
        |name: &str| overview.kustomizations.iter().find(|row| row.key.name == name).unwrap().state.clone();
    assert_eq!(chain("a"), State::Blocked(keys(&["b", "a"])));
    assert_eq!(chain("c"), State::Blocked(keys(&["gone"])));
    assert_eq!(overview.root_causes, keys(&["a", "b", "gone"]));
    assert_eq!(overview.levels(), [keys(&["c"]), keys(&["a", "b"])]);
    let end = |name: &str| overview.kustomizations.iter().find(|row| row.key.name == name).unwrap().end;
    assert_eq!([end("a"), end("b"), end("c")], [ChainEnd::Cycle, ChainEnd::Cycle, ChainEnd::Missing]);
}

#[test]
fn a_paused_dependency_that_is_ready_blocks_nothing() {
    let paused = kustomization("paused", &[], READY).edit(|value| value["spec"]["suspend"] = true.into());
    let overview = Overview::of(
        &[],
        &[
            paused.unwrap(),
            kustomization("slow", &[], ("Unknown", "Progressing", "m")),
            kustomization("a", &["paused", "slow"], BLOCKED),
            kustomization("b", &["paused"], BLOCKED),
        ],
    );
    let state =
        |name: &str| overview.kustomizations.iter().find(|row| row.key.name == name).unwrap().state.clone();
    assert_eq!(state("a"), State::Blocked(keys(&["slow"])));
    assert_eq!(state("b"), State::Blocked(Vec::new()));
    assert!(overview.root_causes.is_empty());
}

#[test]
fn a_source_that_fails_is_the_cause_of_what_lacks_it() {
    let source = |ready: &str| {
        let condition = json!({
            "type": "Ready", "status": ready, "reason": "x", "message": "m", "lastTransitionTime": "2024-01-01T00:00:00Z",
        });
        let value = json!({
            "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository",
            "metadata": {"name": "x", "namespace": "flux-system"}, "spec": {"url": "ssh://git@h/r", "interval": "1m"},
            "status": {"conditions": [condition]},
        });
        Object::parse(value).unwrap()
    };
    let lacking = ("False", "ArtifactFailed", "Source is not ready");
    let objects = [
        kustomization("a", &[], lacking),
        kustomization("b", &["a"], BLOCKED),
        kustomization("c", &[], FAILING),
    ];
    let causes = |ready: &str| Overview::of(&[source(ready)], &objects).root_causes;
    assert_eq!(causes("False"), keys(&["c"]));
    assert_eq!(causes("True"), keys(&["a", "c"]));
    let overview = Overview::of(&[source("False")], &objects);
    let broken: Vec<&Ref> = overview.broken_sources().collect();
    assert_eq!(broken, [&GitRepository::named("flux-system", "x")]);
    // A wrong path is the Kustomization's own fault, whether or not the source can be fetched.
    let lost =
        ("False", "ArtifactFailed", "kustomization path not found: stat gone: no such file or directory");
    let lost = Overview::of(&[source("False")], &[kustomization("d", &[], lost)]);
    assert_eq!(lost.root_causes, keys(&["d"]));
}

#[test]
fn one_namespace_is_shown_with_what_blocks_it_from_another() {
    let elsewhere = |name: &str| {
        kustomization(name, &[], FAILING)
            .edit(|value| value["metadata"]["namespace"] = "infra".into())
            .unwrap()
    };
    let depending = kustomization("a", &[], BLOCKED)
        .edit(|value| value["spec"]["dependsOn"] = json!([{"name": "base", "namespace": "infra"}]))
        .unwrap();
    let overview =
        Overview::of(&[], &[elsewhere("base"), elsewhere("other"), depending]).within("flux-system");
    assert_eq!(overview.kustomizations.len(), 1);
    let base = Kustomization::named("infra", "base");
    assert_eq!(overview.kustomizations[0].state, State::Blocked(vec![base.clone()]));
    assert_eq!(overview.kustomizations[0].end, ChainEnd::Open);
    assert_eq!(overview.root_causes, [base]);
}

#[test]
fn a_malformed_object_is_a_row_of_its_own() {
    let good = kustomization("good", &[], READY);
    let bad = kustomization("bad", &[], READY).edit(|value| value["spec"]["interval"] = 5.into()).unwrap();
    let overview = Overview::of(&[], &[good, bad]);
    let row = &overview.kustomizations[0];
    assert_eq!((row.key.name.as_str(), &row.state), ("bad", &State::Failing));
    assert!(row.what.starts_with("Kustomization/flux-system/bad is malformed"), "{}", row.what);
    assert_eq!(overview.kustomizations[1].state, State::Ready);
}

#[test]
fn states_follow_conditions_and_generation() {
    let with = |edit: fn(&mut Value)| {
        let object = kustomization("a", &[], READY).edit(edit).unwrap();
        Overview::of(&[], &[object]).kustomizations[0].clone()
    };
    assert_eq!(with(|_| {}).state, State::Ready);
    assert_eq!(with(|value| value["metadata"]["generation"] = 2.into()).state, State::Progressing);
    assert_eq!(with(|value| value["spec"]["suspend"] = true.into()).state, State::Suspended);
    let untouched = with(|value| value["status"] = json!({"observedGeneration": -1}));
    assert_eq!(
        (untouched.state, untouched.what.as_str()),
        (State::Progressing, "the agent has not reconciled it yet")
    );
    let waiting = with(|value| {
        let message =
            "Running health checks for revision main@sha1:aa with a timeout of 5m0s: waiting for Pod/n/p: no";
        value["status"] = json!({"conditions": [
            {"type": "Ready", "status": "Unknown", "reason": "Progressing", "message": "m",
             "lastTransitionTime": "2026-01-02T03:04:05Z"},
            {"type": "Reconciling", "status": "True", "reason": "Progressing", "message": message,
             "lastTransitionTime": "2026-01-02T03:04:05Z"},
        ]});
    });
    assert_eq!((waiting.state, waiting.what.as_str()), (State::Progressing, "waiting for Pod/n/p: no"));
}

#[test]
fn a_source_says_what_was_fetched_and_when() {
    let value = json!({
        "apiVersion": "source.toolkit.fluxcd.io/v1",
        "kind": "GitRepository",
        "metadata": {"name": "x", "namespace": "flux-system"},
        "spec": {"url": "ssh://git@h/r", "interval": "1m"},
        "status": {
            "artifact": {
                "path": "p", "url": "u", "revision": "main@sha1:09507f1000000000",
                "lastUpdateTime": "2024-01-01T00:00:00Z",
            },
            "conditions": [{
                "type": "Ready", "status": "True", "reason": "Succeeded", "message": "stored artifact",
                "lastTransitionTime": "2024-01-01T00:00:00Z",
            }],
        },
    });
    let overview = Overview::of(&[Object::parse(value).unwrap()], &[]);
    assert_eq!(overview.sources[0].revision.as_deref(), Some("main@sha1:09507f1"));
    assert_eq!(overview.sources[0].fetched.unwrap().to_string(), "2024-01-01T00:00:00Z");
    assert!(overview.is_ready());
}
