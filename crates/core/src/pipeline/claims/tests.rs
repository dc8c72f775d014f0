//! The relation of an object to other owners than the one that would delete it.

use serde_json::{Value, json};

use super::*;
use crate::api::decode;

fn id(text: &str) -> ObjectId {
    text.parse().unwrap()
}

/// An unreadable object may manage objects.
#[test]
fn an_inventory_that_cannot_be_read_is_not_an_empty_one() {
    let object = |status: Value| {
        let mut object = json!({"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
            "metadata": {"name": "a"}, "spec": {"interval": 5}});
        object["status"] = status;
        recorded_of(&Object::parse(object).unwrap())
    };
    let entries = |entries: Value| object(json!({"inventory": {"entries": entries}}));
    let json = |text: &str| serde_json::from_str(text).unwrap();
    assert_eq!(
        entries(json(r#"[{"id": "n_a__ConfigMap", "v": 1}]"#)),
        Some(HashSet::from([id("n_a__ConfigMap")]))
    );
    assert_eq!(object(json("{}")), Some(HashSet::new()));
    assert_eq!((entries(json(r#""x""#)), entries(json(r#"[{"id": "x"}]"#))), (None, None));
}

fn candidate(text: &str, along: Along) -> Candidate {
    Candidate { id: id(text), along }
}

#[test]
fn what_goes_along_is_held_by_whoever_holds_it() {
    let held = HashSet::from([id("n_a__ConfigMap"), id("n_thing_x.io_Thing"), id("_wide__Node")]);
    let definition = |kind: &str| {
        candidate(
            "_things.x.io_apiextensions.k8s.io_CustomResourceDefinition",
            Along::OfKind("x.io".into(), kind.into()),
        )
        .hold(&held)
    };
    let of = |name: &str, along: Along| candidate(name, along).hold(&held);
    assert_eq!(of("n_a__ConfigMap", Along::Nothing), Some(Hold::Itself));
    assert_eq!(of("m_a__ConfigMap", Along::Nothing), None);
    assert_eq!((definition("Thing"), definition("Other")), (Some(Hold::GoesAlong), None));
    assert_eq!(of("_n__Namespace", Along::Inside), Some(Hold::GoesAlong));
    assert_eq!(of("_m__Namespace", Along::Inside), None);
}

fn kustomization(name: &str, more: &Value) -> Kustomization {
    let mut object = json!({
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
        "metadata": {"name": name, "namespace": "flux-system"},
        "spec": {"interval": "10m", "prune": true, "sourceRef": {"kind": "GitRepository", "name": "repo"}},
    });
    json_patch::merge(&mut object, more);
    decode(&Object::parse(object).unwrap()).unwrap()
}

fn child(name: &str) -> ObjectId {
    id(&format!("flux-system_{name}_kustomize.toolkit.fluxcd.io_Kustomization"))
}

/// A Kustomization that manages other Kustomizations.
fn parent(name: &str, children: &[&str], more: &Value) -> Kustomization {
    let entry = |name: &&str| json!({"id": child(name).to_string(), "v": "v1"});
    let entries: Vec<Value> = children.iter().map(entry).collect();
    let mut all = json!({"status": {"inventory": {"entries": entries}}});
    json_patch::merge(&mut all, more);
    kustomization(name, &all)
}

/// A parent that goes takes its children along, and these theirs, unless it leaves them.
#[test]
fn who_goes_with_all_that_it_holds_keeps_nothing() {
    let going = json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}});
    let orphan = json!({"spec": {"deletionPolicy": "Orphan"}});
    let paused = json!({"spec": {"suspend": true}});
    let none = json!({});
    let cases: [(&[Kustomization], &[&str], &str); 6] = [
        (&[parent("a", &["b"], &none), parent("b", &["c"], &none), parent("c", &[], &none)], &["a"], "a b c"),
        (&[parent("a", &["b"], &going), parent("b", &[], &none), parent("c", &[], &none)], &[], "a b"),
        (&[parent("a", &["b"], &orphan), parent("b", &[], &none)], &["a"], ""),
        (&[parent("a", &["b"], &none), parent("b", &["c"], &paused), parent("c", &[], &none)], &["a"], "a"),
        (&[parent("a", &["b"], &none), parent("b", &["a"], &none)], &["b"], "a b"),
        (&[parent("a", &["b"], &none)], &["elsewhere"], ""),
    ];
    for (all, deleted, expected) in cases {
        let deleted: Vec<ObjectId> = deleted.iter().map(|name| child(name)).collect();
        let found = leaving(deleted.iter(), &all.iter().collect::<Vec<_>>());
        let mut names: Vec<&str> = found.iter().map(|key| key.name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names.join(" "), expected, "{deleted:?}");
    }
}

#[test]
fn what_a_kustomization_cannot_do_without() {
    let own = kustomization(
        "apps",
        &json!({"spec": {"serviceAccountName": "robot",
                         "sourceRef": {"kind": "GitRepository", "name": "repo", "namespace": "sources"},
                         "postBuild": {"substituteFrom": [{"kind": "ConfigMap", "name": "values"},
                                                          {"kind": "Secret", "name": "more"}]}}}),
    );
    let expected = "flux-system_apps_kustomize.toolkit.fluxcd.io_Kustomization \
                    sources_repo_source.toolkit.fluxcd.io_GitRepository flux-system_robot__ServiceAccount \
                    flux-system_values__ConfigMap flux-system_more__Secret _flux-system__Namespace \
                    _sources__Namespace";
    assert_eq!(needs(&own), expected.split_whitespace().map(id).collect());
}

/// The owner that is named if several have a relation to an object.
#[test]
fn who_loses_something_counts_before_who_needs_it() {
    let nothing = HashSet::new();
    let vars = HashSet::from([id("n_vars__ConfigMap")]);
    let candidates = [candidate("n_vars__ConfigMap", Along::Nothing)];
    let met = |all: &[Holdings]| {
        let found = holders(&candidates, all, &[]).remove(0);
        found.map(|holder| (holder.key.name, holder.hold, holder.recorded))
    };
    let of = |name: &str,
              recorded: &HashSet<ObjectId>,
              held: Option<&HashSet<ObjectId>>,
              needs: &HashSet<ObjectId>| {
        let (recorded, needs) = (recorded.clone(), needs.clone());
        Holdings { key: Kustomization::named("n", name), recorded, held: held.cloned().map(Arc::new), needs }
    };
    let (other, needs) =
        (of("a", &nothing, Some(&nothing), &nothing), of("b", &nothing, Some(&nothing), &vars));
    let (will, has) = (of("c", &nothing, Some(&vars), &nothing), of("d", &vars, Some(&vars), &nothing));
    let unknown = of("e", &nothing, None, &nothing);
    assert_eq!(met(std::slice::from_ref(&other)), None);
    assert_eq!(met(&[other, needs.clone()]), Some(("b".into(), Hold::Needed, true)));
    assert_eq!(met(&[needs.clone(), will.clone()]), Some(("c".into(), Hold::Itself, false)));
    assert_eq!(met(&[will, has, needs]), Some(("d".into(), Hold::Itself, true)));
    assert_eq!(met(&[unknown]), Some(("e".into(), Hold::Itself, false)));
}

/// A child that goes keeps no namespace; one that another takes over does.
#[test]
fn a_child_that_moves_keeps_what_it_is_in() {
    let candidates =
        [candidate("_n__Namespace", Along::Inside), Candidate { id: child("app"), along: Along::Nothing }];
    let app = kustomization(
        "app",
        &json!({"status": {"inventory": {"entries": [{"id": "n_a__ConfigMap", "v": "v1"}]}}}),
    );
    let all = [parent("old", &["app"], &json!({})), app];
    let holdings = |name: &str, held: &[ObjectId]| {
        let held: HashSet<ObjectId> = held.iter().cloned().collect();
        let key = Kustomization::named("flux-system", name);
        Holdings { key, recorded: held.clone(), held: Some(Arc::new(held)), needs: HashSet::new() }
    };
    let inside = holdings("app", &[id("n_a__ConfigMap")]);
    let found = |others: &[Holdings]| {
        let found = holders(&candidates, others, &all.iter().collect::<Vec<_>>());
        found.into_iter().map(|holder| holder.map(|holder| holder.key.name)).collect::<Vec<_>>()
    };
    assert_eq!(found(std::slice::from_ref(&inside)), [None, None]);
    let new = holdings("new", &[child("app")]);
    assert_eq!(found(&[inside, new]), [Some("app".to_owned()), Some("new".to_owned())]);
}

/// A HelmRelease holds what its status says, until it goes with a Kustomization that takes it along.
#[test]
fn a_release_holds_what_it_has_made_unless_it_goes_too() {
    let release = Ref::new(HelmRelease::ID, "n", "web");
    let held = || Holdings::by_status(release.clone(), HashSet::from([id("n_a__ConfigMap")]));
    let namespace = || candidate("_n__Namespace", Along::Inside);
    let holder = |hold| Some(Holder { key: release.clone(), recorded: true, hold });
    let found = holders(&[candidate("n_a__ConfigMap", Along::Nothing), namespace()], &[held()], &[]);
    assert_eq!(found, [holder(Hold::Itself), holder(Hold::GoesAlong)]);
    // The labels of the object name the Kustomization for ever, so that is not what is waited for.
    assert!(!Claim::from(found[0].clone().unwrap()).awaited);
    let itself = candidate("n_web_helm.toolkit.fluxcd.io_HelmRelease", Along::Nothing);
    assert_eq!(holders(&[itself, namespace()], &[held()], &[]), [None, None]);
    // It is of a Kustomization that goes.
    let entries = json!([{"id": "n_web_helm.toolkit.fluxcd.io_HelmRelease", "v": "v2"}]);
    let parent = kustomization("parent", &json!({"status": {"inventory": {"entries": entries}}}));
    let going = candidate(&child("parent").to_string(), Along::Nothing);
    assert_eq!(holders(&[going, namespace()], &[held()], &[&parent]), [None, None]);
}

#[test]
fn only_who_has_the_same_rights_or_all_may_claim() {
    let (own, near) = (Ref::new(HelmRelease::ID, "n", "web"), Kustomization::named("n", "web"));
    let far = Kustomization::named("m", "web");
    let cases = [
        ("itself", &own, None, None, false, false),
        ("the agent's own", &far, None, Some("a"), false, true),
        ("the agent's own under lockdown", &far, None, Some("a"), true, false),
        ("the same account", &near, Some("a"), Some("a"), true, true),
        ("the same account of another namespace", &far, Some("a"), Some("a"), true, false),
        ("another account", &near, Some("b"), Some("a"), false, false),
    ];
    for (what, other, theirs, account, lockdown, expected) in cases {
        assert_eq!(may_claim((&own, account), (other, theirs), lockdown), expected, "{what}");
    }
}
