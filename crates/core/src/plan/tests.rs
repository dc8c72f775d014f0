//! Observations in, steps out.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::*;
use crate::api::{self, Kustomization, Ownership};
use lockgate_base::keys;
use lockgate_base::model::{Gvk, KindId, Object, ObjectId, Ref};

const HELM_RELEASE: KindId = KindId { group: "helm.toolkit.fluxcd.io", kind: "HelmRelease" };

fn object(mut value: Value) -> Object {
    value["apiVersion"] = value.get("apiVersion").cloned().unwrap_or_else(|| "v1".into());
    value["kind"] = value.get("kind").cloned().unwrap_or_else(|| "ConfigMap".into());
    value["metadata"]["name"] = "a".into();
    value["metadata"]["namespace"] = "n".into();
    Object::parse(value).unwrap()
}

fn annotated(key: &str, value: &str) -> Object {
    object(json!({"metadata": {"annotations": {key: value}}}))
}

fn live(value: Value) -> Object {
    let mut value = value;
    value["metadata"]["uid"] = "u".into();
    object(value)
}

fn immutable(id: ObjectId) -> Refusal {
    let message = "ConfigMap \"a\" is invalid: data: Invalid value: \"hunter2\": field is immutable";
    let answer = Answer { code: 422, reason: "Invalid".into(), message: message.into(), ..Answer::default() };
    Refusal::of_answer(id, Phase::DryRun, answer)
}

fn ungated(entries: Vec<Object>) -> Stage<Object> {
    Stage { entries, gate: Gate::None }
}

fn decide(
    desired: &Object,
    live: Option<Object>,
    dry_run: Result<Object, Refusal>,
    options: &PlanOptions,
) -> Entry {
    let observed = [(desired.id(), Observation::new(live, dry_run))].into_iter().collect();
    plan_stage(ungated(vec![desired.clone()]), &observed, options).entries.remove(0)
}

#[test]
fn the_step_follows_from_what_is_there() {
    let desired = object(json!({"data": {"k": "v"}}));
    let with = |value: &str| live(json!({"data": {"k": value}}));
    let options = PlanOptions::default();
    assert_eq!(decide(&desired, None, Ok(with("v")), &options).step, Step::Create);
    assert_eq!(decide(&desired, Some(with("v")), Ok(with("v")), &options).step, Step::Keep);
    let Step::Configure { drift, take_over } =
        decide(&desired, Some(with("old")), Ok(with("v")), &options).step
    else {
        panic!("it differs");
    };
    assert_eq!((drift[0].to_string().as_str(), take_over), ("data.k: old → v", None));
}

#[test]
fn an_edit_with_kubectl_is_undone_though_nothing_differs() {
    let managed = json!([
        {"manager": "kustomize-controller", "operation": "Apply", "fieldsV1": {"f:data": {"f:k": {}}}},
        {"manager": "kubectl-edit", "operation": "Update", "fieldsV1": {"f:data": {"f:extra": {}}}},
    ]);
    let there = live(json!({"data": {"k": "v", "extra": "x"}, "metadata": {"managedFields": managed}}));
    let decide_for = |desired: Object| {
        decide(&desired, Some(there.clone()), Ok(there.clone()), &PlanOptions::default()).step
    };
    let Step::Configure { drift, take_over } = decide_for(object(json!({"data": {"k": "v"}}))) else {
        panic!("kubectl has added a field");
    };
    assert_eq!(drift[0].to_string(), "data.extra: set by kubectl-edit → (removed)");
    assert!(take_over.is_some());
    let merge = object(json!({"data": {"k": "v"}, "metadata": {"labels": {keys::SSA: "merge"}}}));
    assert_eq!(decide_for(merge), Step::Keep);
}

/// The server may refuse the edit together with Git's fields.
#[test]
fn an_edit_beside_which_git_is_refused_is_handed_over_first() {
    let managed = json!([
        {"manager": "kustomize-controller", "operation": "Apply", "fieldsV1": {"f:data": {"f:k": {}}}},
        {"manager": "kubectl-edit", "operation": "Update", "fieldsV1": {"f:data": {"f:extra": {}}}},
    ]);
    let edited = live(json!({"data": {"k": "v", "extra": "x"}, "metadata": {"managedFields": managed}}));
    let cases = [
        (Cause::Invalid, true),
        (Cause::Denied, true),
        (Cause::WebhookDenied("w".into()), true),
        (Cause::Other { server_fault: true }, true),
        (Cause::Immutable { loss: None }, false),
        (Cause::Unavailable, false),
        (Cause::TooLarge, false),
    ];
    let desired = object(json!({"data": {"k": "v"}}));
    for (cause, is_handed_over) in cases {
        let refusal = Refusal::new(desired.id(), Phase::DryRun, cause.clone(), "no");
        for (live, expected) in [(edited.clone(), is_handed_over), (live(json!({"data": {"k": "v"}})), false)]
        {
            let step = decide(&desired, Some(live), Err(refusal.clone()), &PlanOptions::default()).step;
            assert_eq!(matches!(step, Step::Configure { take_over: Some(_), .. }), expected, "{cause:?}");
            assert_eq!(matches!(step, Step::Refuse(_)), !expected, "{cause:?}");
        }
    }
}

fn flux_definition() -> Object {
    let metadata = json!({"name": "kustomizations.kustomize.toolkit.fluxcd.io"});
    let kind = "CustomResourceDefinition";
    Object::parse(json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": kind, "metadata": metadata}))
        .unwrap()
}

#[test]
fn an_object_may_ask_to_be_left_alone() {
    let plain = || live(json!({}));
    let live_with = |key: &str, value: &str| live(json!({"metadata": {"labels": {key: value}}}));
    let refused = || Err(immutable(object(json!({})).id()));
    let cases = [
        (annotated(keys::RECONCILE, "Disabled"), None, Some(Skip::ReconcileDisabled)),
        (object(json!({})), Some(live_with(keys::RECONCILE, "disabled")), Some(Skip::ReconcileDisabled)),
        (annotated(keys::SSA, "Ignore"), None, Some(Skip::Ignored)),
        (object(json!({})), Some(live_with(keys::SSA, "ignore")), Some(Skip::Ignored)),
        (annotated(keys::SSA, "IfNotPresent"), Some(plain()), Some(Skip::Present)),
        (annotated(keys::SSA, "IfNotPresent"), None, None),
        // The existing objects do not decide this one.
        (object(json!({})), Some(live_with(keys::SSA, "IfNotPresent")), None),
        (flux_definition(), None, Some(Skip::Replaced)),
    ];
    for (desired, live, skip) in cases {
        // An object that is left alone is not refused either.
        let entry = decide(&desired, live, refused(), &PlanOptions::default());
        match skip {
            Some(skip) => assert_eq!(entry.step, Step::Skip(skip), "{desired:?}"),
            None => assert!(matches!(entry.step, Step::Refuse(_)), "{desired:?}"),
        }
    }
    let unseen = plan_stage(
        ungated(vec![annotated(keys::SSA, "Ignore"), object(json!({}))]),
        &Observed::default(),
        &PlanOptions::default(),
    );
    assert_eq!(unseen.entries[0].step, Step::Skip(Skip::Ignored));
    assert!(matches!(unseen.entries[1].step, Step::Refuse(_)));
}

#[test]
fn only_force_makes_an_object_anew() {
    let forced = PlanOptions { force: true, ..PlanOptions::default() };
    let plain = PlanOptions::default();
    let live_forced = live(json!({"metadata": {"annotations": {keys::FORCE: "enabled"}}}));
    let cases = [
        (object(json!({})), Some(live(json!({}))), &plain, false),
        (object(json!({})), Some(live(json!({}))), &forced, true),
        (annotated(keys::FORCE, "Enabled"), Some(live(json!({}))), &plain, true),
        (object(json!({})), Some(live_forced), &plain, true),
        // The object does not exist, so the server's text means something else.
        (object(json!({})), None, &forced, false),
    ];
    for (desired, live, options, recreated) in cases {
        let step = decide(&desired, live, Err(immutable(desired.id())), options).step;
        match step {
            Step::Recreate { uid, .. } => assert!(recreated && uid == "u"),
            Step::Refuse(refusal) => assert!(!recreated && refusal.cause == Cause::Immutable { loss: None }),
            other => panic!("{other:?}"),
        }
    }
    let denied = "admission webhook \"w.x.io\" denied the request: the host is immutable";
    let denied = Answer { code: 403, message: denied.into(), ..Answer::default() };
    let denied = |object: &Object| Err(Refusal::of_answer(object.id(), Phase::DryRun, denied.clone()));
    let by_words = |desired: &Object| decide(desired, Some(live(json!({}))), denied(desired), &forced).step;
    assert!(
        matches!(by_words(&object(json!({}))), Step::Refuse(_)),
        "a webhook may mean anything by its words"
    );
    assert!(matches!(by_words(&annotated(keys::FORCE, "enabled")), Step::Recreate { .. }));
    let invalid = Refusal::new(object(json!({})).id(), Phase::DryRun, Cause::Invalid, "wrong");
    let step = decide(&object(json!({})), Some(live(json!({}))), Err(invalid), &forced).step;
    assert!(matches!(step, Step::Refuse(_)), "force is no cure for a wrong value");
}

#[test]
fn secret_values_are_in_no_step() {
    let secret = |value: &str| live(json!({"kind": "Secret", "data": {"k": value}}));
    let plain = |value: &str| live(json!({"data": {"k": value}}));
    let marked =
        PlanOptions { sensitive: HashSet::from([plain("").id()]), force: true, ..PlanOptions::default() };
    let cases = [
        (secret("hunter2"), secret("hunter3"), PlanOptions::default(), true),
        (plain("hunter2"), plain("hunter3"), marked.clone(), true),
        (plain("hunter2"), plain("hunter3"), PlanOptions::default(), false),
    ];
    for (there, wanted, options, hidden) in cases {
        let shown = |step: &Step| format!("{step:?}").contains("hunter");
        let changed = decide(&wanted, Some(there.clone()), Ok(wanted.clone()), &options).step;
        assert_eq!(shown(&changed), !hidden, "{changed:?}");
        let refused = decide(&wanted, Some(there), Err(immutable(wanted.id())), &options).step;
        assert_eq!(shown(&refused), !hidden, "{refused:?}");
    }
}

#[test]
fn another_owner_is_told_of() {
    let labels = json!({keys::OWNER_NAME: "other", keys::OWNER_NAMESPACE: "flux-system"});
    let there = live(json!({"metadata": {"labels": labels}}));
    let owned_by = |name: &str| {
        let options =
            PlanOptions { owner: Some(Kustomization::named("flux-system", name)), ..PlanOptions::default() };
        decide(&object(json!({})), Some(there.clone()), Ok(there.clone()), &options).also_owned_by
    };
    assert_eq!(owned_by("app"), Some(Kustomization::named("flux-system", "other")));
    assert_eq!(owned_by("other"), None);
}

#[test]
fn a_plan_has_every_stage_and_every_refusal() {
    let namespace =
        Object::parse(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}})).unwrap();
    let deployment = object(json!({"apiVersion": "apps/v1", "kind": "Deployment"}));
    let build = vec![deployment.clone(), object(json!({})), namespace.clone()];
    let refusal = |object: &Object| Observation::new(None, Err(immutable(object.id())));
    let observed = [
        (namespace.id(), Observation::new(None, Ok(namespace.clone()))),
        (deployment.id(), refusal(&deployment)),
        (object(json!({})).id(), refusal(&object(json!({})))),
    ];
    let observed = observed.into_iter().collect();
    let plan: Vec<Stage> = stages(build)
        .into_iter()
        .map(|stage| plan_stage(stage, &observed, &PlanOptions::default()))
        .collect();
    let words: Vec<String> = plan
        .iter()
        .flat_map(|stage| &stage.entries)
        .map(|entry| format!("{} {}", entry.object.id().subject(), entry.step.word()))
        .collect();
    assert_eq!(words, ["Namespace/n created", "ConfigMap/n/a refused", "Deployment/n/a refused"]);
    assert_eq!(plan.iter().map(|stage| stage.refusals().count()).collect::<Vec<_>>(), [0, 2]);
    assert_eq!(plan.iter().map(Stage::writes).collect::<Vec<_>>(), [true, false]);
}

fn definition(group: &str, kind: &str) -> Object {
    let spec = json!({"group": group, "names": {"kind": kind}});
    Object::parse(json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
                         "metadata": {"name": format!("{kind}.{group}")}, "spec": spec}))
    .unwrap()
}

#[test]
fn a_stage_waits_for_the_definitions_that_it_writes() {
    let namespace = object(json!({"kind": "Namespace"}));
    let cases = [
        ("a new one", definition("x.io", "Thing"), None, Gate::Served, Gate::Served),
        ("one that is there", definition("x.io", "Thing"), Some(()), Gate::Served, Gate::None),
        ("none", namespace, None, Gate::None, Gate::None),
    ];
    for (what, object, is_there, asked, planned) in cases {
        let stage = stages(vec![object.clone()]).remove(0);
        assert_eq!(stage.gate, asked, "{what}");
        let live = is_there.map(|()| object.clone());
        let observed = [(object.id(), Observation::new(live, Ok(object)))].into_iter().collect();
        assert_eq!(plan_stage(stage, &observed, &PlanOptions::default()).gate, planned, "{what}");
    }
}

#[test]
fn a_gate_that_is_asked_for_stays() {
    for gate in [Gate::Healthy, Gate::Completed] {
        let stage = Stage { entries: vec![object(json!({}))], gate };
        assert_eq!(plan_stage(stage, &Observed::default(), &PlanOptions::default()).gate, gate);
    }
}

#[test]
fn what_earlier_stages_bring_is_created() {
    let namespace =
        Object::parse(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "new"}})).unwrap();
    let create = |object: &Object| Entry {
        object: object.clone(),
        step: Step::Create,
        drifted: Vec::new(),
        left: Vec::new(),
        also_owned_by: None,
    };
    let first =
        Stage { entries: vec![create(&namespace), create(&definition("x.io", "Thing"))], gate: Gate::Served };
    let mut foreseen = Foreseen::default();
    foreseen.learn(&first);
    let kind = |group: &str| {
        Cause::UnknownKind(Gvk { group: group.into(), version: "v1".into(), kind: "Thing".into() })
    };
    let cases = [
        (kind("x.io"), true),
        (kind("y.io"), false),
        (Cause::NamespaceMissing("new".into()), true),
        (Cause::NamespaceMissing("other".into()), false),
        (Cause::Invalid, false),
    ];
    for (cause, comes) in cases {
        let refusal = Refusal::new(object(json!({})).id(), Phase::DryRun, cause.clone(), "no");
        let refused = Entry {
            object: object(json!({})),
            step: Step::Refuse(refusal),
            drifted: Vec::new(),
            left: Vec::new(),
            also_owned_by: None,
        };
        let mut stage = Stage { entries: vec![refused], gate: Gate::None };
        foreseen.admit(&mut stage);
        assert_eq!(stage.entries[0].step == Step::Create, comes, "{cause:?}");
    }
    // The server has checked existing objects already.
    let kept = Entry { step: Step::Keep, ..create(&namespace) };
    let mut foreseen = Foreseen::default();
    foreseen.learn(&Stage { entries: vec![kept], gate: Gate::None });
    let refusal =
        Refusal::new(object(json!({})).id(), Phase::DryRun, Cause::NamespaceMissing("new".into()), "no");
    let refused = Entry {
        object: object(json!({})),
        step: Step::Refuse(refusal),
        drifted: Vec::new(),
        left: Vec::new(),
        also_owned_by: None,
    };
    let mut stage = Stage { entries: vec![refused], gate: Gate::None };
    foreseen.admit(&mut stage);
    assert_eq!(stage.refusals().count(), 1);
}

/// Helm's controller marks the objects that it applies with labels and a manager of its own.
#[test]
fn another_kind_of_appliers_has_its_own_marks() {
    let release = |name: &str| Ref::new(HELM_RELEASE, "flux-system", name);
    let helm = api::info(HELM_RELEASE).unwrap().ownership().unwrap();
    let options = |owner: Ref, ownership: &'static Ownership| PlanOptions {
        owner: Some(owner),
        ownership,
        ..PlanOptions::default()
    };
    let labels = json!({"helm.toolkit.fluxcd.io/name": "app", "helm.toolkit.fluxcd.io/namespace": "flux-system",
                        keys::OWNER_NAME: "other", keys::OWNER_NAMESPACE: "flux-system"});
    let managed = json!([
        {"manager": "helm-controller", "operation": "Apply", "fieldsV1": {"f:data": {"f:k": {}}}},
        {"manager": "kustomize-controller", "operation": "Update", "fieldsV1": {"f:data": {"f:x": {}}}},
        {"manager": "helm-controller", "operation": "Update", "fieldsV1": {"f:data": {"f:y": {}}}},
    ]);
    let there = live(json!({"data": {"k": "v"}, "metadata": {"labels": labels, "managedFields": managed}}));
    let desired = object(json!({"data": {"k": "v"}}));
    let decide_as = |options: PlanOptions| decide(&desired, Some(there.clone()), Ok(there.clone()), &options);

    let own = decide_as(options(release("app"), helm));
    assert_eq!(own.also_owned_by, None);
    let Step::Configure { drift, take_over: Some(patch) } = own.step else { panic!("{:?}", own.step) };
    let told: Vec<String> = drift.iter().map(ToString::to_string).collect();
    assert_eq!(told, ["data.y: set by helm-controller → (removed)"]);
    assert_eq!(patch[0]["value"][1]["fieldsV1"], json!({"f:data": {"f:k": {}, "f:y": {}}}));
    assert_eq!(decide_as(options(release("former"), helm)).also_owned_by, Some(release("app")));

    let other = Kustomization::named("flux-system", "other");
    let as_kustomization = decide_as(options(other.clone(), Kustomization::OWNERSHIP));
    assert_eq!(as_kustomization.also_owned_by, None);
    let Step::Configure { take_over: Some(patch), .. } = as_kustomization.step else { panic!("it differs") };
    assert_eq!(patch[0]["value"][2]["manager"], "kustomize-controller");

    let needs = HashSet::new();
    let judged = |live: &Object, owner: &Ref, ownership| {
        prune_decision(live, Pruner { owner, ownership, needs: &needs, release: None })
    };
    let deleted = PruneDecision::Delete { uid: "u".into() };
    assert_eq!(judged(&there, &release("app"), helm), deleted);
    assert_eq!(judged(&there, &other, Kustomization::OWNERSHIP), deleted);
    let kept = PruneDecision::Skip(PruneSkip::OwnedBy(release("app")));
    assert_eq!(judged(&there, &release("former"), helm), kept);
    assert_eq!(judged(&live(json!({})), &release("app"), helm), PruneDecision::Skip(PruneSkip::NotOwned));
}
