//! The waits between stages and between a deletion and its successor, and the slot during such a wait.

use super::*;
use crate::pipeline::apply::{ApplyProgress, Stop, apply};
use crate::pipeline::decide::Terms;
use crate::pipeline::hands::Hands;
use crate::pipeline::ports::Expect;
use crate::plan::{Gate, Stage};

const DEFINITION: &str = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: things.n}\n\
                          spec: {group: n, names: {kind: Thing}}\n";

/// A reconcile of a definition and of the stage after it.
async fn define(fake: &Fake, diary: &Diary) -> Outcome<Applied> {
    let files = [("apps/crd.yaml".to_owned(), DEFINITION.to_owned()), config_map("a")];
    let snapshot =
        Snapshot { revision: Revision::git(Some("main"), "aa"), tree: Tree::in_memory(files), origin: None };
    let (_sender, cancel) = watch::channel(false);
    let kustomization = kustomization(&json!({}), &[]);
    reconcile(fake, fake, &job(&kustomization, &snapshot, cancel), diary).await.outcome
}

#[tokio::test(start_paused = true)]
async fn a_long_wait_for_definitions_holds_no_slot() {
    let quick = ["apply things.n", "apply a"];
    let slow = ["apply things.n", "waits", "resumes", "apply a"];
    for (seconds, log) in [(0, &quick[..]), (10, &slow[..])] {
        let fake = Fake::default().slow(Duration::from_secs(seconds));
        let outcome = define(&fake, &Diary::beside(&fake)).await;
        assert!(matches!(outcome, Outcome::Own(Applied::Ready(_))), "{outcome:?}");
        assert_eq!(fake.log(), log);
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_that_does_not_go_on_takes_no_slot_again() {
    let fake = Fake::default().never_healthy();
    let outcome = define(&fake, &Diary::beside(&fake)).await;
    assert!(
        matches!(outcome, Outcome::Own(Applied::NotEstablished { end: WaitEnd::TimedOut(_), .. })),
        "{outcome:?}"
    );
    assert_eq!(fake.log(), ["apply things.n", "waits"]);
}

/// The stage after the definition waits only for a definition that is new.
#[tokio::test(start_paused = true)]
async fn definitions_that_are_there_are_not_waited_for() {
    let fake = Fake::default();
    define(&fake, &Diary::default()).await;
    let asked = fake.awaited();
    assert_eq!(asked.iter().map(|reference| reference.id.name.as_str()).collect::<Vec<_>>(), ["things.n"]);
    fake.fall_ill();
    let outcome = define(&fake, &Diary::beside(&fake)).await;
    assert!(matches!(outcome, Outcome::Own(Applied::Ready(_))), "{outcome:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_made_anew_is_waited_for_without_the_slot() {
    const TOLD: &str = "forced ConfigMap/n/a is deleted and recreated: refused";
    let cases = [
        (0, &["clear a", "apply b", "apply a", TOLD][..]),
        (10, &["clear a", "apply b", "waits", "resumes", "apply a", TOLD]),
    ];
    for (seconds, log) in cases {
        let fake = Fake::with(&["a"]).freezing("a").slow(Duration::from_secs(seconds));
        let kustomization = kustomization(&json!({"force": true}), &["n_a__ConfigMap"]);
        let outcome = run(&fake, &Diary::beside(&fake), &kustomization, &["a", "b"], None).await.outcome;
        let Outcome::Own(Applied::Ready(done)) = outcome else { panic!("{outcome:?}") };
        assert_eq!(fake.log(), log);
        assert_eq!(done.changes.len(), 2);
        assert!(fake.object("a").is_some());
    }
}

/// Stages such as those of a Helm release: a hook, the objects that it prepares, and nothing after them.
fn acts(first: Gate, second: Gate) -> Vec<Stage<Object>> {
    let object = |kind: &str, name: &str| {
        let metadata = json!({"name": name, "namespace": "n"});
        Object::parse(json!({"apiVersion": "batch/v1", "kind": kind, "metadata": metadata})).unwrap()
    };
    vec![
        Stage { entries: vec![object("Job", "hook")], gate: first },
        Stage { entries: vec![object("Release", "main")], gate: second },
    ]
}

#[tokio::test(start_paused = true)]
async fn a_list_of_acts_waits_for_what_each_of_them_asks() {
    let limit = Duration::from_secs(90);
    let cases = [
        (Gate::None, None),
        (Gate::Healthy, Some(Expect::Healthy)),
        (Gate::Completed, Some(Expect::Completed)),
    ];
    for (gate, expect) in cases {
        let fake = Fake::default().slow(Duration::from_secs(5));
        let diary = Diary::beside(&fake);
        let hands = Hands { cluster: &fake, slot: &diary, clock: &Watch, limit };
        let mut progress = ApplyProgress::default();
        apply(&hands, acts(gate, Gate::None), &Terms::default(), &mut progress).await.unwrap();
        let awaited: Vec<_> = fake.awaited().into_iter().map(|one| (one.id.name, one.expect)).collect();
        assert_eq!(awaited, expect.map(|expect| ("hook".to_owned(), expect)).into_iter().collect::<Vec<_>>());
        let log: &[&str] = match expect {
            None => &["apply hook", "apply main"],
            Some(_) => &["apply hook", "waits", "resumes", "apply main"],
        };
        assert_eq!(fake.log(), log);
        assert_eq!(progress.inventory.len(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_behind_a_gate_that_stays_shut_is_not_begun() {
    let limit = Duration::from_secs(90);
    for gate in [Gate::Healthy, Gate::Completed] {
        let fake = Fake::default().never_healthy();
        let diary = Diary::beside(&fake);
        let hands = Hands { cluster: &fake, slot: &diary, clock: &Watch, limit };
        let mut progress = ApplyProgress::default();
        let stop = apply(&hands, acts(gate, Gate::None), &Terms::default(), &mut progress).await.unwrap_err();
        let Stop::Shut { gate: shut, waited, .. } = stop else { panic!("{stop:?}") };
        assert_eq!((shut, waited), (gate, limit));
        assert_eq!(fake.log(), ["apply hook", "waits"]);
    }
}

#[tokio::test]
async fn health_alone_is_waited_for_once_all_is_written() {
    for (wait, expected) in [(false, false), (true, true)] {
        let (fake, diary) = (Fake::default(), Diary::default());
        run(&fake, &diary, &kustomization(&json!({"wait": wait}), &[]), &["a"], None).await;
        assert_eq!((diary.written(), diary.waits()), (expected, expected));
    }
}
