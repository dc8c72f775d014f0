//! Observations in, steps out.

use serde_json::json;

use super::*;

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

fn decide(
    desired: &Object,
    live: Option<Object>,
    dry_run: Result<Object, Refusal>,
    options: &Options,
) -> Entry {
    let observed = [(desired.id(), Observation { live, dry_run })].into_iter().collect();
    plan_stage(vec![desired.clone()], &observed, options).entries.remove(0)
}

#[test]
fn the_step_follows_from_what_is_there() {
    let desired = object(json!({"data": {"k": "v"}}));
    let with = |value: &str| live(json!({"data": {"k": value}}));
    let options = Options::default();
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
    let decide_for =
        |desired: Object| decide(&desired, Some(there.clone()), Ok(there.clone()), &Options::default()).step;
    let Step::Configure { drift, take_over } = decide_for(object(json!({"data": {"k": "v"}}))) else {
        panic!("kubectl has added a field");
    };
    assert_eq!(drift[0].to_string(), "data.extra: set by kubectl-edit → (removed)");
    assert!(take_over.is_some());
    let merge = object(json!({"data": {"k": "v"}, "metadata": {"labels": {keys::SSA: "merge"}}}));
    assert_eq!(decide_for(merge), Step::Keep);
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
        // Who is there does not decide this one.
        (object(json!({})), Some(live_with(keys::SSA, "IfNotPresent")), None),
        (flux_definition(), None, Some(Skip::Replaced)),
    ];
    for (desired, live, skip) in cases {
        // What is left alone is not refused either.
        let entry = decide(&desired, live, refused(), &Options::default());
        match skip {
            Some(skip) => assert_eq!(entry.step, Step::Skip(skip), "{desired:?}"),
            None => assert!(matches!(entry.step, Step::Refuse(_)), "{desired:?}"),
        }
    }
    let unseen = plan_stage(
        vec![annotated(keys::SSA, "Ignore"), object(json!({}))],
        &Observed::default(),
        &Options::default(),
    );
    assert_eq!(unseen.entries[0].step, Step::Skip(Skip::Ignored));
    assert!(matches!(unseen.entries[1].step, Step::Refuse(_)));
}

#[test]
fn only_force_makes_an_object_anew() {
    let forced = Options { force: true, ..Options::default() };
    let plain = Options::default();
    let live_forced = live(json!({"metadata": {"annotations": {keys::FORCE: "enabled"}}}));
    let cases = [
        (object(json!({})), Some(live(json!({}))), &plain, false),
        (object(json!({})), Some(live(json!({}))), &forced, true),
        (annotated(keys::FORCE, "Enabled"), Some(live(json!({}))), &plain, true),
        (object(json!({})), Some(live_forced), &plain, true),
        // It is not there, so the server's text means something else.
        (object(json!({})), None, &forced, false),
    ];
    for (desired, live, options, recreated) in cases {
        let step = decide(&desired, live, Err(immutable(desired.id())), options).step;
        match step {
            Step::Recreate { uid, .. } => assert!(recreated && uid == "u"),
            Step::Refuse(refusal) => assert!(!recreated && refusal.cause == Cause::Immutable),
            other => panic!("{other:?}"),
        }
    }
    let invalid = Refusal::new(object(json!({})).id(), Phase::DryRun, Cause::Invalid, "wrong");
    let step = decide(&object(json!({})), Some(live(json!({}))), Err(invalid), &forced).step;
    assert!(matches!(step, Step::Refuse(_)), "force is no cure for a wrong value");
}

#[test]
fn secret_values_are_in_no_step() {
    let secret = |value: &str| live(json!({"kind": "Secret", "data": {"k": value}}));
    let plain = |value: &str| live(json!({"data": {"k": value}}));
    let marked = Options { sensitive: HashSet::from([plain("").id()]), force: true, ..Options::default() };
    let cases = [
        (secret("hunter2"), secret("hunter3"), Options::default(), true),
        (plain("hunter2"), plain("hunter3"), marked.clone(), true),
        (plain("hunter2"), plain("hunter3"), Options::default(), false),
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
        let options = Options { owner: Some(Key::new("flux-system", name)), ..Options::default() };
        decide(&object(json!({})), Some(there.clone()), Ok(there.clone()), &options).also_owned_by
    };
    assert_eq!(owned_by("app"), Some(Key::new("flux-system", "other")));
    assert_eq!(owned_by("other"), None);
}

#[test]
fn a_plan_has_every_stage_and_every_refusal() {
    let namespace =
        Object::parse(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}})).unwrap();
    let deployment = object(json!({"apiVersion": "apps/v1", "kind": "Deployment"}));
    let build = vec![deployment.clone(), object(json!({})), namespace.clone()];
    let refusal = |object: &Object| Observation { live: None, dry_run: Err(immutable(object.id())) };
    let observed = [
        (namespace.id(), Observation { live: None, dry_run: Ok(namespace.clone()) }),
        (deployment.id(), refusal(&deployment)),
        (object(json!({})).id(), refusal(&object(json!({})))),
    ];
    let plan = plan(build, &observed.into_iter().collect(), &Options::default());
    let words: Vec<String> = plan
        .entries()
        .map(|entry| format!("{} {}", entry.object.id().subject(), entry.step.word()))
        .collect();
    assert_eq!(words, ["Namespace/n created", "ConfigMap/n/a refused", "Deployment/n/a refused"]);
    assert_eq!(plan.stages.iter().map(|stage| stage.refusals().count()).collect::<Vec<_>>(), [0, 2]);
    assert_eq!(plan.stages.iter().map(Stage::writes).collect::<Vec<_>>(), [true, false]);
}
