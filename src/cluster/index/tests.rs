//! The index with sightings and writes in every order.

use super::*;
use lockgate_core::api::Kustomization;
use lockgate_core::pipeline::ports::Denied;

fn kind() -> GroupKind {
    (String::new(), "ConfigMap".into())
}

fn owner(name: &str) -> Ref {
    Kustomization::named("flux-system", name)
}

fn sighting(resource_version: u64, fingerprint: u64) -> Sighting {
    Sighting {
        namespace: "n".into(),
        name: "a".into(),
        uid: "u".into(),
        resource_version,
        owner: Some(owner("apps")),
        fingerprint,
        overridden: false,
        policy: None,
        by: Some("kubectl-edit".into()),
        health: Health::Current,
    }
}

fn id() -> ObjectId {
    identify(&kind(), "n", "a")
}

fn held() -> Index {
    let mut index = Index::default();
    index.open(&kind());
    assert_eq!(index.hold(&kind(), sighting(10, 7), None, false), None);
    index.set_watching(&kind(), Watching::Live);
    index
}

fn gone(policy: Option<DriftPolicy>) -> HeldChange {
    HeldChange::Gone { id: id(), owner: owner("apps"), policy }
}

fn drifted(change: Option<&HeldChange>) -> bool {
    matches!(change, Some(HeldChange::Drifted { .. }))
}

#[test]
fn only_a_change_of_what_we_applied_is_drift() {
    let changed: [(&str, Sighting, bool); 6] = [
        ("another manager set a field of its own", sighting(11, 7), false),
        ("one of our fields was taken", sighting(11, 8), true),
        ("kubectl wrote", Sighting { overridden: true, ..sighting(11, 7) }, true),
        ("the owner label names another", Sighting { owner: Some(owner("other")), ..sighting(11, 7) }, true),
        ("the owner label is gone", Sighting { owner: None, ..sighting(11, 7) }, true),
        ("an event from before our write", sighting(9, 8), false),
    ];
    for (what, seen, expected) in changed {
        let mut index = held();
        assert_eq!(drifted(index.seen(&kind(), seen).as_ref()), expected, "{what}");
        assert_eq!(index.intact(&id()), !expected, "{what}");
    }
}

/// `commonMetadata` may set the owner labels, even to those of another owner.
#[test]
fn drift_is_told_to_who_applied_the_object_whomever_its_labels_name() {
    let mut index = Index::default();
    index.open(&kind());
    let holder = owner("mine");
    assert_eq!(index.hold(&kind(), sighting(10, 7), Some(&holder), false), None);
    index.set_watching(&kind(), Watching::Live);
    assert!(index.intact(&id()), "its labels are as they were applied");
    let Some(HeldChange::Drifted { owner: told, .. }) = index.seen(&kind(), sighting(11, 8)) else {
        panic!("one of our fields was taken");
    };
    assert_eq!(told, holder);
    index.release(&id(), Some(&owner("apps")));
    let gone = index.left(&kind(), "n", "a", 12);
    assert_eq!(
        gone,
        Some(HeldChange::Gone { id: id(), owner: holder, policy: None }),
        "another cannot let it go"
    );
}

#[test]
fn drift_is_told_once_until_it_is_put_back() {
    let mut index = held();
    assert!(drifted(index.seen(&kind(), sighting(11, 8)).as_ref()));
    assert_eq!(index.seen(&kind(), sighting(12, 8)), None);
    index.begin(&id());
    assert_eq!(index.hold(&kind(), sighting(13, 7), None, true), None);
    assert!(drifted(index.seen(&kind(), sighting(14, 8)).as_ref()));
}

/// The receiver decides, since an object may have another policy than its owner.
#[test]
fn what_an_object_says_of_its_drift_is_told_with_it() {
    for policy in [None, Some(DriftPolicy::Watch), Some(DriftPolicy::Interval)] {
        let mut index = held();
        let seen = index.seen(&kind(), Sighting { policy, ..sighting(11, 8) });
        let Some(HeldChange::Drifted { policy: told, .. }) = seen else { panic!("{seen:?}") };
        assert_eq!(told, policy);
        assert_eq!(index.left(&kind(), "n", "a", 12), Some(gone(policy)));
    }
}

#[test]
fn our_own_write_is_not_drift_whichever_news_comes_first() {
    let mut index = held();
    index.begin(&id());
    assert_eq!(index.seen(&kind(), sighting(11, 8)), None, "the watch was faster than the answer");
    assert_eq!(index.hold(&kind(), sighting(11, 8), None, true), None);
    assert!(index.intact(&id()));
    index.begin(&id());
    assert_eq!(index.seen(&kind(), sighting(13, 5)), None, "written by someone else after our write");
    assert!(drifted(index.hold(&kind(), sighting(12, 9), None, true).as_ref()));
}

#[test]
fn a_write_that_failed_hides_no_drift() {
    let mut index = held();
    index.begin(&id());
    assert_eq!(index.seen(&kind(), sighting(11, 8)), None);
    assert!(drifted(index.abandon(&id()).as_ref()));
}

#[test]
fn an_object_that_left_is_gone_unless_it_was_written_since() {
    let mut index = held();
    assert_eq!(index.left(&kind(), "n", "a", 9), None);
    assert!(index.intact(&id()));
    assert_eq!(index.left(&kind(), "n", "a", 11), Some(gone(None)));
    assert!(!index.intact(&id()));
}

#[test]
fn a_list_tells_what_left_while_the_watch_was_away() {
    let mut index = held();
    assert_eq!(index.listed(&kind(), &HashSet::from([key("n", "a")]), 20), []);
    assert_eq!(index.listed(&kind(), &HashSet::new(), 5), [], "a list from before our write");
    assert_eq!(index.listed(&kind(), &HashSet::new(), 20).len(), 1);
}

#[test]
fn what_was_let_go_is_no_ones_concern() {
    let mut index = held();
    index.release(&id(), Some(&owner("apps")));
    assert_eq!(index.seen(&kind(), sighting(11, 8)), None);
    assert_eq!(index.left(&kind(), "n", "a", 12), None);
}

#[test]
fn nothing_is_intact_while_its_watch_is_broken() {
    let mut index = held();
    let failure = ApiFailure::Fenced("x".into());
    index.set_watching(&kind(), Watching::Broken(failure));
    assert!(!index.intact(&id()));
}

#[test]
fn how_a_watch_stands_is_news_once() {
    let mut index = held();
    let denied = |verb: &str| {
        let verb = verb.to_owned();
        let denied =
            Denied { account: "a".into(), verb, resource: "secrets".into(), namespace: String::new() };
        Watching::Broken(ApiFailure::Forbidden(denied))
    };
    assert!(index.set_watching(&kind(), denied("list")));
    assert!(!index.set_watching(&kind(), denied("list")), "asked again a minute later");
    assert!(index.set_watching(&kind(), denied("watch")));
    assert!(index.set_watching(&kind(), Watching::Live));
    assert!(index.set_watching(&kind(), denied("watch")), "it has worked meanwhile");
    assert!(!index.set_watching(&("apps".into(), "Unknown".into()), Watching::Live));
}

#[test]
fn who_waits_is_woken_for_its_objects_only() {
    let mut index = held();
    let (mine, other) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let ticket = index.wait(&[id()], &mine);
    index.wait(&[identify(&kind(), "n", "b")], &other);
    index.seen(&kind(), sighting(11, 7));
    let woken = |notify: &Notify| futures::FutureExt::now_or_never(notify.notified()).is_some();
    assert!(woken(&mine) && !woken(&other));
    index.leave(&[id()], ticket);
    index.seen(&kind(), sighting(12, 7));
    assert!(!woken(&mine));
}

#[test]
fn what_has_moved_to_another_owner_is_not_let_go_by_the_former() {
    for watching in [Watching::Live, Watching::Starting] {
        let mut index = held();
        let moved = Sighting { owner: Some(owner("other")), ..sighting(11, 7) };
        index.begin(&id());
        assert_eq!(index.hold(&kind(), moved, None, true), None);
        index.set_watching(&kind(), watching.clone());
        index.release(&id(), Some(&owner("apps")));
        index.set_watching(&kind(), Watching::Live);
        assert!(index.intact(&id()), "{watching:?}");
        let edited = Sighting { owner: Some(owner("other")), ..sighting(12, 8) };
        assert!(drifted(index.seen(&kind(), edited).as_ref()), "{watching:?}");
    }
}

#[test]
fn a_job_that_has_ended_may_go_and_one_that_runs_may_not() {
    let jobs: GroupKind = ("batch".into(), "Job".into());
    let run = |health: Health| {
        let mut index = Index::default();
        index.open(&jobs);
        index.hold(
            &jobs,
            Sighting { health: Health::InProgress("runs".into()), ..sighting(10, 7) },
            None,
            false,
        );
        index.set_watching(&jobs, Watching::Live);
        index.seen(&jobs, Sighting { health, ..sighting(11, 7) });
        let change = index.left(&jobs, "n", "a", 12);
        assert!(!index.intact(&identify(&jobs, "n", "a")), "the next look makes it anew");
        change
    };
    assert_eq!(run(Health::Current), None);
    assert_eq!(run(Health::Failed("BackoffLimitExceeded".into())), None);
    assert!(matches!(run(Health::InProgress("1 of 2".into())), Some(HeldChange::Gone { .. })));
}
