//! Scenarios of the pipeline against a cluster in memory.

mod claims;
mod machine;
mod fake;
mod diary;
mod fields;
mod gates;
mod idle;
mod lag;
mod migrate;
mod room;
mod preview;
mod release;
mod sweep;

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;

use super::clock::Watch;
use super::*;
use crate::api::{Kustomization, decode};
use crate::plan;
use crate::verdict::{Common, WaitEnd};
use diary::Diary;
use fake::Fake;
use lockgate_base::keys;
use lockgate_base::model::{Object, Revision};
use lockgate_base::tree::Tree;
use machine::{Broken, Here, Never};

fn kustomization(spec: &Value, inventory: &[&str]) -> Kustomization {
    let mut all = json!({"interval": "10m", "prune": true, "path": "apps",
                         "sourceRef": {"kind": "GitRepository", "name": "repo"}});
    json_patch::merge(&mut all, spec);
    let entries: Vec<Value> = inventory.iter().map(|id| json!({"id": id, "v": "v1"})).collect();
    let object = json!({
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization", "spec": all,
        "metadata": {"name": "apps", "namespace": "flux-system", "generation": 1},
        "status": {"inventory": {"entries": entries}},
    });
    decode(&Object::parse(object).unwrap()).unwrap()
}

fn config_map(name: &str) -> (String, String) {
    let text = format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, namespace: n}}\n");
    (format!("apps/{name}.yaml"), text)
}

fn snapshot(names: &[&str]) -> Snapshot {
    let files = names.iter().map(|name| config_map(name));
    Snapshot {
        revision: Revision::git(Some("main"), "aa"),
        tree: Tree::in_memory(files.chain([("other".into(), "x".into())])),
        origin: None,
    }
}

static RULES: HealthRules = HealthRules::BUILT_IN;

/// A reconcile that waits for a second, without an earlier state.
fn job<'a>(
    kustomization: &'a Kustomization,
    snapshot: &'a Snapshot,
    cancel: watch::Receiver<bool>,
) -> Job<'a> {
    Job {
        kustomization: supported(kustomization).unwrap(),
        snapshot,
        memo: None,
        thorough: false,
        drift: plan::DriftPolicy::Watch,
        drifted: BTreeSet::new(),
        timeout: Duration::from_secs(1),
        waited: Duration::ZERO,
        told_after: Duration::from_mins(1),
        rules: &RULES,
        clock: &Watch,
        workers: &Here,
        cancel,
    }
}

async fn run(
    fake: &Fake,
    diary: &Diary,
    kustomization: &Kustomization,
    names: &[&str],
    memo: Option<&Memo>,
) -> Finish {
    let (_sender, cancel) = watch::channel(false);
    let snapshot = snapshot(names);
    let job = Job { memo, ..job(kustomization, &snapshot, cancel) };
    reconcile(fake, fake, &job, diary).await
}

fn inventory_of(outcome: &Outcome<Applied>) -> Vec<String> {
    let entries = match outcome {
        Outcome::Own(
            Applied::Ready(done) | Applied::PruneFailed { done, .. } | Applied::Unhealthy { done, .. },
        ) => &done.inventory,
        Outcome::Own(Applied::Refused { inventory, .. }) => inventory,
        other => panic!("{other:?}"),
    };
    entries.iter().map(|entry| entry.id.clone()).collect()
}

#[tokio::test]
async fn the_union_is_recorded_before_the_first_write_and_shrinks_after() {
    let (fake, diary) = (Fake::with(&["old"]), Diary::default());
    let finish =
        run(&fake, &diary, &kustomization(&json!({}), &["n_old__ConfigMap"]), &["a", "b"], None).await;
    assert_eq!(inventory_of(&finish.outcome), ["n_a__ConfigMap", "n_b__ConfigMap"]);
    assert_eq!(diary.recorded(), ["n_a__ConfigMap", "n_b__ConfigMap", "n_old__ConfigMap"]);
    assert_eq!(fake.log(), ["apply a", "apply b", "delete old"]);
}

#[tokio::test]
async fn without_a_record_nothing_is_written() {
    let (fake, diary) = (Fake::default(), Diary::failing());
    let finish = run(&fake, &diary, &kustomization(&json!({}), &[]), &["a"], None).await;
    assert!(matches!(finish.outcome, Outcome::Common(Common::Unreachable { .. })), "{:?}", finish.outcome);
    assert_eq!(fake.log(), [] as [&str; 0]);
}

#[tokio::test]
async fn a_refusal_stops_the_stage_and_keeps_what_is_managed() {
    let (fake, diary) = (Fake::with(&["old"]).refusing("b"), Diary::default());
    let finish =
        run(&fake, &diary, &kustomization(&json!({}), &["n_old__ConfigMap"]), &["a", "b"], None).await;
    assert_eq!(inventory_of(&finish.outcome), ["n_old__ConfigMap"]);
    assert_eq!(fake.log(), [] as [&str; 0], "nothing is written, nothing is deleted");
    assert!(finish.memo.is_none());
}

/// The inventory of an interrupted pass may name an object with a namespace although its kind is
/// cluster-scoped.
#[tokio::test]
async fn what_is_built_is_not_deleted_under_another_name() {
    let (fake, diary) = (Fake::with(&["a"]), Diary::default());
    let finish = run(&fake, &diary, &kustomization(&json!({}), &["other_a__ConfigMap"]), &["a"], None).await;
    assert_eq!(inventory_of(&finish.outcome), ["n_a__ConfigMap"]);
    assert!(!fake.log().iter().any(|write| write.starts_with("delete")), "{:?}", fake.log());
}

#[tokio::test]
async fn what_cannot_be_deleted_stays_in_the_inventory() {
    let (fake, diary) = (Fake::with(&["old"]).undeletable("old"), Diary::default());
    let finish = run(&fake, &diary, &kustomization(&json!({}), &["n_old__ConfigMap"]), &["a"], None).await;
    assert!(matches!(finish.outcome, Outcome::Own(Applied::PruneFailed { .. })), "{:?}", finish.outcome);
    assert_eq!(inventory_of(&finish.outcome), ["n_a__ConfigMap", "n_old__ConfigMap"]);
}

/// Such an object has our labels still, by which it would be deleted once it is no longer built.
#[tokio::test]
async fn what_is_to_be_left_alone_is_managed_no_more_and_not_deleted() {
    for (annotation, is_managed) in [
        ("kustomize.toolkit.fluxcd.io/ssa: Ignore", false),
        ("kustomize.toolkit.fluxcd.io/reconcile: disabled", false),
        ("kustomize.toolkit.fluxcd.io/ssa: IfNotPresent", true),
    ] {
        let (fake, diary) = (Fake::with(&["x"]), Diary::default());
        let text = format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: x, namespace: n, annotations: {{{annotation}}}}}\n"
        );
        let mut snapshot = snapshot(&[]);
        snapshot.tree = Tree::in_memory([("apps/x.yaml".to_owned(), text)]);
        let (_sender, cancel) = watch::channel(false);
        let kustomization = kustomization(&json!({}), &["n_x__ConfigMap"]);
        let finish = reconcile(&fake, &fake, &job(&kustomization, &snapshot, cancel), &diary).await;
        assert_eq!(inventory_of(&finish.outcome).len(), usize::from(is_managed), "{annotation}");
        assert_eq!(fake.log(), [] as [&str; 0], "{annotation}");
    }
}

#[tokio::test]
async fn a_server_that_is_lost_for_one_object_alone_is_told() {
    for (lost, told) in
        [(&[("b", 1)][..], "ready"), (&[("b", 9)], "refused"), (&[("a", 9), ("b", 9)], "unreachable")]
    {
        let mut fake = Fake::default();
        for (name, times) in lost {
            fake = fake.losing(name, *times);
        }
        let finish = run(&fake, &Diary::default(), &kustomization(&json!({}), &[]), &["a", "b"], None).await;
        let found = match finish.outcome {
            Outcome::Own(Applied::Ready(_)) => "ready",
            Outcome::Own(Applied::Refused { .. }) => "refused",
            Outcome::Common(Common::Unreachable { .. }) => "unreachable",
            other => panic!("{other:?}"),
        };
        assert_eq!(found, told, "{lost:?}");
    }
}

#[tokio::test]
async fn a_deletion_that_does_not_reach_the_server_is_tried_again_soon() {
    let (fake, diary) = (Fake::with(&["old"]).losing("old", 1), Diary::default());
    let finish = run(&fake, &diary, &kustomization(&json!({}), &["n_old__ConfigMap"]), &["a"], None).await;
    assert!(matches!(finish.outcome, Outcome::Common(Common::Unreachable { .. })), "{:?}", finish.outcome);
    assert_eq!(diary.recorded(), ["n_a__ConfigMap", "n_old__ConfigMap"], "it stays managed");
}

/// Until it is applied, an object that moves here has the labels of its previous owner.
#[tokio::test]
async fn only_an_object_that_was_taken_away_is_told_to_have_two_owners() {
    for (managed, is_told) in [(&[][..], false), (&["n_a__ConfigMap"], true)] {
        let fake = Fake::default().foreign("a");
        let finish = run(&fake, &Diary::default(), &kustomization(&json!({}), managed), &["a"], None).await;
        let Outcome::Own(Applied::Ready(done)) = finish.outcome else { panic!("{:?}", finish.outcome) };
        assert_eq!(done.warnings.len(), usize::from(is_told), "{:?}", done.warnings);
    }
}

/// Between the check of an object and its deletion it may get another owner, or be marked to stay.
#[tokio::test]
async fn what_changes_before_it_is_deleted_is_judged_anew() {
    let cases = [
        (json!({"labels": {keys::OWNER_NAME: "another"}}), 1, 0),
        (json!({"annotations": {keys::PRUNE: "disabled"}}), 1, 0),
        (json!({"uid": "of another", "labels": {keys::OWNER_NAME: null}}), 1, 0),
        (json!({"uid": "of its successor"}), 1, 1),
        // The status of some moves all the time.
        (json!({"generation": 1}), 2, 1),
        (json!({"generation": 1}), 100, 1),
    ];
    for (metadata, times, deleted) in cases {
        let fake = Fake::with(&["old"]).meddling(metadata.clone(), times);
        let kustomization = kustomization(&json!({}), &["n_old__ConfigMap"]);
        let finish = run(&fake, &Diary::default(), &kustomization, &["a"], None).await;
        assert_eq!(inventory_of(&finish.outcome), ["n_a__ConfigMap"], "{metadata}");
        let deletions = fake.log().iter().filter(|write| write.starts_with("delete")).count();
        assert_eq!(deletions, deleted, "{metadata} {times}");
    }
}

#[tokio::test]
async fn nothing_is_deleted_without_prune_or_for_a_missing_path() {
    let (fake, diary) = (Fake::with(&["old"]), Diary::default());
    let kept = kustomization(&json!({"prune": false}), &["n_old__ConfigMap"]);
    run(&fake, &diary, &kept, &["a"], None).await;
    assert_eq!(fake.log(), ["apply a"]);
    let elsewhere = kustomization(&json!({"path": "gone"}), &["n_old__ConfigMap"]);
    let finish = run(&fake, &diary, &elsewhere, &["a"], None).await;
    assert!(matches!(finish.outcome, Outcome::Own(Applied::PathMissing { .. })), "{:?}", finish.outcome);
    assert_eq!(fake.log(), ["apply a"]);
}

#[test]
fn a_path_begins_at_the_root_of_the_source() {
    let tree = snapshot(&["a"]).tree;
    let built = |path: &str| build(&kustomization(&json!({"path": path}), &[]), &tree, Gathered::none());
    // As in Flux, a path that climbs above the root ends there.
    for path in ["apps", "./apps", "/apps", "//apps/", "/", "/./", "/apps/../apps", "../apps", "/../apps"] {
        assert_eq!(built(path).map(|built| built.resources.len()), Ok(1), "{path}");
    }
}

#[tokio::test]
async fn what_has_not_changed_is_not_asked_about() {
    let (fake, diary) = (Fake::default(), Diary::default());
    let kustomization = kustomization(&json!({}), &["n_a__ConfigMap"]);
    let memo = run(&fake, &diary, &kustomization, &["a"], None).await.memo.unwrap();
    let asked = fake.asked();
    let again = run(&fake, &diary, &kustomization, &["a"], Some(&memo)).await;
    assert_eq!(again.outcome, Applied::Unchanged.into());
    assert_eq!(fake.asked(), asked, "not one request");
    let changed = run(&fake, &diary, &kustomization, &["a", "b"], Some(&memo)).await;
    assert!(matches!(changed.outcome, Outcome::Own(Applied::Ready(_))));
    fake.break_watch();
    let unwatched = run(&fake, &diary, &kustomization, &["a"], Some(&memo)).await;
    assert!(matches!(unwatched.outcome, Outcome::Own(Applied::Ready(_))), "what is not watched is looked at");
}

#[tokio::test]
async fn what_has_not_changed_is_ready_only_while_it_is_healthy() {
    for (spec, ready) in [(json!({}), true), (json!({"wait": true}), false)] {
        let (fake, diary) = (Fake::default(), Diary::default());
        let kustomization = kustomization(&spec, &["n_a__ConfigMap"]);
        let memo = run(&fake, &diary, &kustomization, &["a"], None).await.memo.unwrap();
        assert_eq!(
            run(&fake, &diary, &kustomization, &["a"], Some(&memo)).await.outcome,
            Applied::Unchanged.into()
        );
        fake.fall_ill();
        let outcome = run(&fake, &diary, &kustomization, &["a"], Some(&memo)).await.outcome;
        assert_eq!(outcome == Applied::Unchanged.into(), ready, "{spec}: {outcome:?}");
        assert_eq!(matches!(outcome, Outcome::Own(Applied::Unhealthy { .. })), !ready, "{spec}: {outcome:?}");
    }
}

#[tokio::test]
async fn a_wait_knows_the_jobs_that_the_cluster_deletes_when_they_have_ended() {
    let check = |name: &str| json!({"apiVersion": "batch/v1", "kind": "Job", "name": name, "namespace": "n"});
    let job_text = |name: &str, spec: &str| {
        let text = format!(
            "apiVersion: batch/v1\nkind: Job\nmetadata: {{name: {name}, namespace: n}}\nspec: {{{spec}}}\n"
        );
        (format!("apps/{name}.yaml"), text)
    };
    let jobs = [job_text("passing", "ttlSecondsAfterFinished: 0"), job_text("staying", "parallelism: 1")];
    let snapshot = Snapshot {
        revision: Revision::git(Some("main"), "aa"),
        tree: Tree::in_memory(jobs.into_iter()),
        origin: None,
    };
    for spec in [json!({"wait": true}), json!({"healthChecks": [check("passing"), check("staying")]})] {
        let (fake, diary) = (Fake::default(), Diary::default());
        let (_sender, cancel) = watch::channel(false);
        let kustomization = kustomization(&spec, &[]);
        let finish = reconcile(&fake, &fake, &job(&kustomization, &snapshot, cancel), &diary).await;
        assert!(matches!(finish.outcome, Outcome::Own(Applied::Ready(_))), "{:?}", finish.outcome);
        let awaited: Vec<_> =
            fake.awaited().into_iter().map(|reference| (reference.id.name, reference.expires)).collect();
        assert_eq!(awaited, [("passing".to_owned(), true), ("staying".to_owned(), false)], "{spec}");
    }
}

/// No health check is configured, but the objects after a definition cannot be applied before it is served.
#[tokio::test]
async fn a_definition_that_is_not_served_stops_what_comes_after_it() {
    let definition =
        "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: things.n}\n";
    let files = [("apps/crd.yaml".to_owned(), definition.to_owned()), config_map("a")];
    let snapshot =
        Snapshot { revision: Revision::git(Some("main"), "aa"), tree: Tree::in_memory(files), origin: None };
    let (fake, diary) = (Fake::default().failing(), Diary::default());
    let (_sender, cancel) = watch::channel(false);
    let kustomization = kustomization(&json!({}), &[]);
    let outcome = reconcile(&fake, &fake, &job(&kustomization, &snapshot, cancel), &diary).await.outcome;
    assert!(
        matches!(&outcome, Outcome::Own(Applied::NotEstablished { end: WaitEnd::Stalled(_), .. })),
        "{outcome:?}"
    );
    assert_eq!(fake.log(), ["apply things.n"]);
    let managed: Vec<_> = outcome.done().unwrap().inventory.iter().map(|entry| entry.id.clone()).collect();
    assert_eq!(managed, ["_things.n_apiextensions.k8s.io_CustomResourceDefinition"]);
}

#[tokio::test]
async fn a_wait_ends_with_newer_work_and_holds_no_slot() {
    let (fake, diary) = (Fake::default().never_healthy(), Diary::default());
    let (sender, cancel) = watch::channel(false);
    let (kustomization, snapshot) = (kustomization(&json!({"wait": true}), &[]), snapshot(&["a"]));
    let job = Job { timeout: Duration::from_mins(1), ..job(&kustomization, &snapshot, cancel) };
    let work = reconcile(&fake, &fake, &job, &diary);
    let stop = async {
        while !diary.waits() {
            tokio::task::yield_now().await;
        }
        sender.send_replace(true);
    };
    let (finish, ()) = tokio::join!(work, stop);
    assert!(matches!(finish.outcome, Outcome::Own(Applied::Cancelled { .. })), "{:?}", finish.outcome);
}

#[tokio::test]
async fn newer_work_does_not_wait_for_a_build() {
    let (fake, diary) = (Fake::default(), Diary::default());
    let (sender, cancel) = watch::channel(false);
    let (kustomization, snapshot) = (kustomization(&json!({}), &["n_before__ConfigMap"]), snapshot(&["a"]));
    let job = Job { workers: &Never, ..job(&kustomization, &snapshot, cancel) };
    sender.send_replace(true);
    let finish = reconcile(&fake, &fake, &job, &diary).await;
    let Outcome::Own(Applied::Cancelled { done }) = finish.outcome else { panic!("{:?}", finish.outcome) };
    assert_eq!(done.inventory.len(), 1, "what is managed was lost");
    assert!(fake.log().is_empty(), "{:?}", fake.log());
}

#[tokio::test]
async fn a_panic_in_a_build_is_the_end_of_that_reconcile_alone() {
    let (fake, diary) = (Fake::default(), Diary::default());
    let (_sender, cancel) = watch::channel(false);
    let (kustomization, snapshot) = (kustomization(&json!({}), &[]), snapshot(&["a"]));
    let job = Job { workers: &Broken, ..job(&kustomization, &snapshot, cancel) };
    let finish = reconcile(&fake, &fake, &job, &diary).await;
    let expected = Outcome::Common(Common::Panicked { message: "a.rs:1".into() });
    assert_eq!(finish.outcome, expected);
}

#[tokio::test]
async fn a_wait_tells_what_it_is_for() {
    let (sender, cancel) = watch::channel(false);
    let (snapshot, diary) = (snapshot(&["a"]), Diary::default());
    let kustomization = kustomization(&json!({"wait": true}), &[]);
    let job = Job {
        timeout: Duration::from_mins(1),
        told_after: Duration::from_millis(1),
        ..job(&kustomization, &snapshot, cancel)
    };
    let fake = Fake::default().never_healthy();
    let work = reconcile(&fake, &fake, &job, &diary);
    let stop = async {
        while diary.pending().is_empty() {
            tokio::task::yield_now().await;
        }
        sender.send_replace(true);
    };
    let (finish, ()) = tokio::join!(work, stop);
    assert!(matches!(finish.outcome, Outcome::Own(Applied::Cancelled { .. })), "{:?}", finish.outcome);
    assert_eq!(diary.pending(), ["ConfigMap/n/a: not yet"]);
}

/// An object that drifts again and again cuts each wait off, and the time is up all the same.
#[tokio::test]
async fn a_wait_has_what_those_before_it_left_of_its_time() {
    let (_sender, cancel) = watch::channel(false);
    let snapshot = snapshot(&["a"]);
    let kustomization = kustomization(&json!({"wait": true}), &[]);
    let job = Job {
        timeout: Duration::from_hours(1),
        waited: Duration::from_hours(1),
        ..job(&kustomization, &snapshot, cancel)
    };
    let fake = Fake::default().never_healthy();
    let finish = reconcile(&fake, &fake, &job, &Diary::default()).await;
    let Outcome::Own(Applied::Unhealthy { waited, .. }) = finish.outcome else {
        panic!("{:?}", finish.outcome)
    };
    assert!(waited >= Duration::from_hours(1), "{waited:?}");
}

#[tokio::test]
async fn a_removal_needs_no_source_and_asks_the_live_objects() {
    let ids = ["n_mine__ConfigMap", "n_theirs__ConfigMap"];
    let cases = [
        (json!({}), vec!["delete mine"]),
        (json!({"deletionPolicy": "Orphan"}), vec![]),
        (json!({"prune": false}), vec![]),
        (json!({"prune": false, "deletionPolicy": "Delete"}), vec!["delete mine"]),
        (json!({"suspend": true}), vec![]),
        // The objects are on another cluster, and those of the same names on this one are not ours to delete.
        (json!({"kubeConfig": {"secretRef": {"name": "other"}}}), vec![]),
    ];
    for (spec, log) in cases {
        let fake = Fake::with(&["mine"]).foreign("theirs");
        let outcome = remove(Ok(&fake), &fake, &kustomization(&spec, &ids), None, &Diary::default()).await;
        assert!(matches!(outcome, Common::Removed { .. }), "{spec}: {outcome:?}");
        assert_eq!(fake.log(), log, "{spec}");
    }
}

#[tokio::test]
async fn a_removal_ends_though_its_account_is_gone_or_there_is_none() {
    let ids: &[&str] = &["n_mine__ConfigMap"];
    let denied = || Err("no account".to_owned());
    let removed = |outcome: &Common| matches!(outcome, Common::Removed { .. });
    let fake = Fake::with(&["mine"]).undeletable("mine");
    let (some, none) = (kustomization(&json!({}), ids), kustomization(&json!({}), &[]));
    // The account may be the default one of the agent.
    let left = vec!["ConfigMap/n/mine".to_owned()];
    let abandoned = Common::Abandoned { account: "deployer".into(), deleted: 0, left };
    assert_eq!(remove(Ok(&fake), &fake, &some, Some("deployer"), &Diary::default()).await, abandoned);
    let failed = remove(Ok(&fake), &fake, &some, None, &Diary::default()).await;
    assert!(matches!(failed, Common::RemovalFailed { .. }), "{failed:?}");
    assert!(removed(&remove::<Fake, _>(denied(), &fake, &none, None, &Diary::default()).await));
    let refused = remove::<Fake, _>(denied(), &fake, &some, None, &Diary::default()).await;
    assert_eq!(refused, Common::AccessDenied { message: "no account".into() });
}

#[tokio::test]
async fn a_removal_that_waits_says_so() {
    for (policy, expected) in [("Delete", false), ("WaitForTermination", true)] {
        let (fake, diary) = (Fake::with(&["mine"]), Diary::default());
        let kustomization = kustomization(&json!({"deletionPolicy": policy}), &["n_mine__ConfigMap"]);
        remove(Ok(&fake), &fake, &kustomization, None, &diary).await;
        assert_eq!(diary.waits(), expected, "{policy}");
    }
}

#[tokio::test]
async fn owner_labels_are_on_everything_that_is_applied() {
    let (fake, diary) = (Fake::default(), Diary::default());
    run(&fake, &diary, &kustomization(&json!({}), &[]), &["a"], None).await;
    let object = fake.object("a").unwrap();
    assert_eq!(object.label(keys::OWNER_NAME), Some("apps"));
    assert_eq!(object.label(keys::OWNER_NAMESPACE), Some("flux-system"));
}
