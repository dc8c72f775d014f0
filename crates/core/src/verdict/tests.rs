//! Every outcome and its status.

use std::collections::BTreeMap;
use std::time::Duration as Std;

mod failures;
mod sources;
mod standings;

use super::notice::EVENT_LIMIT;
use super::writer::MESSAGE_LIMIT;
use super::*;
use crate::api::{InventoryEntry, Kustomization, KustomizationStatus, Selection, SourceStatus};
use crate::queue::Next;
use crate::queue::Rivalry;
use lockgate_base::model::{ConditionStatus, Digest, Duration, Ref, Timestamp};

const REVISION: &str = "main@sha1:09507f1a";

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix(1_700_000_000 + seconds)
}

fn entry(id: &str) -> InventoryEntry {
    InventoryEntry { id: id.into(), v: "v1".into() }
}

fn key(name: &str) -> Ref {
    Kustomization::named("flux-system", name)
}

fn schedule() -> Schedule {
    Schedule::new(Duration::from_secs(600), Some(Duration::from_secs(60)), None)
}

fn context<'a>(key: &'a Ref, previous: &'a KustomizationStatus) -> VerdictContext<'a, KustomizationStatus> {
    VerdictContext {
        key,
        generation: 3,
        schedule: schedule(),
        requested_at: Some("token"),
        previous,
        revision: Some(REVISION),
        now: at(0),
        took: Std::from_micros(176_432),
        origin: None,
        redactor: &NO_SECRETS,
    }
}

fn judge(outcome: &Outcome<Applied>, previous: &KustomizationStatus) -> Said<KustomizationStatus> {
    say(outcome, &context(&key("apps"), previous))
}

fn say<F: Face + std::fmt::Debug>(outcome: &Outcome<F::Ending>, context: &VerdictContext<'_, F>) -> Said<F> {
    said(verdict(outcome, context))
}

/// The status and the notices of a verdict, if it has any.
fn said<S: std::fmt::Debug>(verdict: Verdict<S>) -> Said<S> {
    let Verdict::Say(said) = verdict else { panic!("{verdict:?}") };
    said
}

fn change(deed: Deed, fields: &[&str]) -> ChangedObject {
    let fields = fields.iter().map(|field| (*field).to_owned()).collect();
    ChangedObject { id: "default_podinfo__Service".parse().unwrap(), deed, fields }
}

fn done() -> Done {
    Done {
        inventory: vec![entry("default_podinfo__Service")],
        digest: Some(Digest::of("built")),
        changes: vec![change(Deed::Created, &[])],
        warnings: Vec::new(),
        drifted: Vec::new(),
        health: Some(Std::from_secs(3)),
    }
}

/// The condition exists as long as drift is left.
#[test]
fn drift_that_is_left_is_shown() {
    let line = "Deployment/n/web (spec.replicas)".to_owned();
    let drifted = Done { drifted: vec![line], ..done() };
    let status = judge(&Applied::Ready(drifted).into(), &ready()).status;
    let (state, reason, message) = condition(&status, "Drifted").unwrap();
    assert_eq!((state, reason.as_str()), (ConditionStatus::True, "DriftReported"));
    assert_eq!(message, "has drifted, and is not corrected: Deployment/n/web (spec.replicas)");
    let same = judge(&Applied::Unchanged.into(), &status).status;
    assert!(condition(&same, "Drifted").is_some(), "nothing was looked at");
    assert!(condition(&judge(&Applied::Ready(done()).into(), &status).status, "Drifted").is_none());
}

#[test]
fn a_change_is_told_as_flux_tells_it() {
    let many = ["a", "b", "c", "d", "e", "f", "g"];
    let cases = [
        (change(Deed::Created, &[]), "Service/default/podinfo created"),
        (change(Deed::Recreated, &[]), "Service/default/podinfo recreated"),
        (change(Deed::Deleted, &[]), "Service/default/podinfo deleted"),
        (change(Deed::Configured, &["spec.ports"]), "Service/default/podinfo configured (spec.ports)"),
        (change(Deed::Configured, &many), "Service/default/podinfo configured (a, b, c, d, e and 2 more)"),
    ];
    for (change, told) in cases {
        assert_eq!(change.to_string(), told);
    }
}

#[test]
fn a_fight_names_who_and_what() {
    let rivalry = |managers: &[&str], changes: &[ChangedObject]| {
        let mut rivalry = Rivalry::default();
        rivalry.managers.extend(managers.iter().map(|manager| (*manager).to_owned()));
        for change in changes {
            rivalry.deleted |= change.deed == Deed::Created;
            rivalry.fields.extend(change.fields.iter().cloned());
        }
        rivalry
    };
    let fields = change(Deed::Configured, &["spec.replicas", "spec.paused"]);
    let cases = [
        (
            rivalry(&["kubectl-edit"], &[fields.clone(), fields]),
            "kubectl-edit keeps changing spec.paused, spec.replicas, which Git sets to other values; from \
             now on the drift is corrected less often, at least every 10m0s. Take these fields out of Git, ",
        ),
        (rivalry(&["a", "b"], &[]), "a, b keeps changing it, although Git sets other values; "),
        (rivalry(&[], &[change(Deed::Created, &[])]), "someone keeps deleting it, although it is in Git; "),
    ];
    for (rivalry, told) in cases {
        let notice = Notice::fight("Deployment/n/d", &rivalry, Std::from_mins(10));
        assert!(notice.message.starts_with(&format!("Deployment/n/d: {told}")), "{}", notice.message);
        assert!(notice.warning && notice.reason() == "DriftFight");
    }
}

/// The status after a success.
fn ready() -> KustomizationStatus {
    judge(&Applied::Ready(done()).into(), &KustomizationStatus::default()).status.into_inner()
}

fn condition(status: &KustomizationStatus, kind: &str) -> Option<(ConditionStatus, String, String)> {
    status.conditions.get(kind).map(|c| (c.status, c.reason.clone(), c.message.clone()))
}

fn refused(message: &str, transient: bool, forbidden: bool) -> Refused {
    Refused { message: message.into(), transient, soon: forbidden, forbidden }
}

#[test]
fn a_success_says_what_flux_says() {
    let verdict = judge(&Applied::Ready(done()).into(), &KustomizationStatus::default());
    let status = &verdict.status;
    assert_eq!(
        condition(status, "Ready").unwrap(),
        (ConditionStatus::True, "ReconciliationSucceeded".into(), format!("Applied revision: {REVISION}"))
    );
    assert_eq!(condition(status, "Healthy").unwrap().2, "Health check passed in 3s");
    assert_eq!((condition(status, "Reconciling"), condition(status, "Stalled")), (None, None));
    assert_eq!(status.observed_generation, Some(3));
    assert_eq!(status.last_applied_revision.as_deref(), Some(REVISION));
    assert_eq!(status.last_handled_reconcile_at.as_deref(), Some("token"));
    assert_eq!(status.inventory.as_ref().unwrap().entries, done().inventory);
    assert_eq!(status.history.len(), 1);
    let event = &verdict.notices[0];
    assert_eq!(
        event.message,
        "Reconciliation finished in 176ms, next run in 10m0s\nService/default/podinfo created"
    );
    assert_eq!((event.warning, event.revision.as_deref()), (false, Some(REVISION)));
    assert_eq!((verdict.next, Verdict::Say(verdict).is_ready()), (Next::Interval(Std::from_mins(10)), true));
}

#[test]
fn a_recheck_of_what_is_ready_changes_nothing_but_the_token() {
    let before = ready();
    let key = key("apps");
    let again = VerdictContext { requested_at: Some("next"), now: at(60), ..context(&key, &before) };
    let after = say(&Applied::Unchanged.into(), &again);
    let expected = KustomizationStatus { last_handled_reconcile_at: Some("next".into()), ..before.clone() };
    assert_eq!(*after.status, expected);
    assert_eq!(after.notices, []);
    let writing = applying(&again, before.inventory.clone().unwrap().entries);
    assert_eq!(*writing, before, "Ready stays True while it is checked again");
}

#[test]
fn another_revision_or_generation_is_progress_until_it_is_applied() {
    let before = ready();
    let key = key("apps");
    let revised = VerdictContext { revision: Some("main@sha1:bb"), ..context(&key, &before) };
    let edited = VerdictContext { generation: 4, ..context(&key, &before) };
    for context in [revised, edited] {
        let status = applying(&context, vec![entry("a_b__ConfigMap")]);
        assert_eq!(
            condition(&status, "Ready").unwrap(),
            (ConditionStatus::Unknown, "Progressing".into(), "Reconciliation in progress".into())
        );
        let (_, reason, message) = condition(&status, "Reconciling").unwrap();
        assert_eq!(reason, "Progressing");
        assert!(message.contains("with a timeout of 9m30s"), "{message}");
        assert_eq!(status.last_applied_revision.as_deref(), Some(REVISION), "not applied yet");
        assert_eq!(status.into_inner().inventory.unwrap().entries.len(), 1);
    }
}

#[test]
fn a_new_revision_says_what_it_waits_for_and_nothing_else_does() {
    let (before, key) = (ready(), key("apps"));
    let ill = |name: &str, cause: &str| Ill {
        subject: format!("Deployment/n/{name}"),
        status: "InProgress".into(),
        cause: cause.into(),
    };
    let objects = [ill("a", "0 of 1 available"), ill("b", "")];
    let revised = VerdictContext { revision: Some("main@sha1:bb"), ..context(&key, &before) };
    let writing = applying(&revised, vec![entry("a_b__ConfigMap")]).into_inner();
    let status = waiting(&VerdictContext { previous: &writing, ..revised }, &objects);
    let (_, reason, message) = condition(&status, "Reconciling").unwrap();
    assert_eq!(reason, "Progressing");
    assert_eq!(
        message,
        "Running health checks for revision main@sha1:bb with a timeout of 9m30s: waiting for Deployment/n/a: \
         0 of 1 available; Deployment/n/b: InProgress"
    );
    assert_eq!(condition(&status, "Ready"), condition(&writing, "Ready"));
    let many: Vec<Ill> = (0..7).map(|number| ill(&number.to_string(), "no")).collect();
    let status = waiting(&VerdictContext { previous: &writing, ..revised }, &many);
    assert!(condition(&status, "Reconciling").unwrap().2.ends_with("Deployment/n/4: no; and 2 more"));

    assert_eq!(*waiting(&context(&key, &before), &objects), before, "a re-check");
    let end = WaitEnd::TimedOut(objects.to_vec());
    let failed =
        judge(&Outcome::Own(Applied::Unhealthy { done: done(), end, waited: Std::ZERO }), &before).status;
    assert_eq!(waiting(&context(&key, &failed), &objects), failed, "another try");
}

#[test]
fn a_revision_that_builds_the_same_is_applied_without_work() {
    let before = ready();
    let key = key("apps");
    let revised = VerdictContext { revision: Some("main@sha1:bb"), ..context(&key, &before) };
    let verdict = say(&Applied::Unchanged.into(), &revised);
    assert_eq!(verdict.status.last_applied_revision.as_deref(), Some("main@sha1:bb"));
    assert_eq!(condition(&verdict.status, "Ready").unwrap().2, "Applied revision: main@sha1:bb");
    assert_eq!(verdict.status.inventory, before.inventory);
}

#[test]
fn drift_is_what_changed_though_the_build_did_not() {
    let corrected = Done { changes: vec![change(Deed::Configured, &["spec.ports"])], ..done() };
    let told = |done: Done, before: &KustomizationStatus| {
        judge(&Outcome::Own(Applied::Ready(done)), before).notices[0].message.clone()
    };
    let configured = "Service/default/podinfo configured (spec.ports)";
    assert_eq!(told(corrected.clone(), &ready()), format!("Drift corrected:\n{configured}"));
    // The revision is the same, but a variable has another value.
    let substituted = Done { digest: Some(Digest::of("built otherwise")), ..corrected.clone() };
    let finished = format!("Reconciliation finished in 176ms, next run in 10m0s\n{configured}");
    assert_eq!(told(substituted, &ready()), finished);
    let unknown = KustomizationStatus { history: Vec::new(), ..ready() };
    assert_eq!(told(corrected, &unknown), finished, "as Flux before 2.7 leaves it");
}

#[test]
fn the_answer_to_a_request_stays_when_its_annotation_goes() {
    let (key, before) = (key("apps"), ready());
    let gone = VerdictContext { requested_at: None, ..context(&key, &before) };
    for outcome in [
        Outcome::Own(Applied::Ready(done())),
        Outcome::Own(Applied::Unrenderable { message: "a.yaml".into() }),
    ] {
        let status = say(&outcome, &gone).status;
        assert_eq!(status.last_handled_reconcile_at.as_deref(), Some("token"), "{outcome:?}");
    }
    let handled = SourceStatus { last_handled_reconcile_at: Some("token".into()), ..SourceStatus::default() };
    let unchanged = Fetched::Unchanged {
        revision: REVISION.into(),
        url: String::new(),
        selection: Selection::default(),
        content: Content::Files,
        is_verified: false,
    };
    let status = sources::fetch(&unchanged.into(), &handled).status;
    assert_eq!(status.last_handled_reconcile_at.as_deref(), Some("token"));
}

#[test]
fn some_outcomes_leave_no_trace() {
    let before = ready();
    let cases = [
        (Outcome::Own(Applied::Cancelled { done: done() }), Next::Now),
        // It was applied, whether or not it can be read again.
        (Outcome::Common(Common::Unreachable { message: "refused".into() }), Next::Backoff),
        (Outcome::Common(Common::Fenced), Next::Backoff),
        (Outcome::Common(Common::Suspended), Next::Changed),
    ];
    for (outcome, next) in cases {
        let verdict = verdict(&outcome, &context(&key("apps"), &before));
        assert_eq!(verdict, Verdict::Keep { ready: true, next });
        assert_eq!(verdict.notices(), []);
    }
}

#[test]
fn a_removal_lets_the_object_go() {
    let judge = |outcome: Common| {
        let verdict = verdict(&outcome.into(), &context(&key("apps"), &ready()));
        assert_eq!((verdict.next(), verdict.is_ready()), (Next::Changed, false));
        let Verdict::LetGo(notice) = verdict else { panic!("{verdict:?}") };
        notice
    };
    let notice = judge(Common::Removed { deleted: 2, note: None });
    assert_eq!(notice.message, "garbage collection completed: 2 objects deleted");
    assert!(!notice.warning);
    let left = vec!["ConfigMap/n/a".to_owned(), "Service/n/b".to_owned()];
    let notice = judge(Common::Abandoned { account: "deployer".into(), deleted: 0, left });
    assert!(notice.warning);
    assert_eq!(
        notice.message,
        "unable to prune objects: the ServiceAccount deployer does not exist; 0 objects deleted; not deleted: \
         ConfigMap/n/a, Service/n/b"
    );
}

#[test]
fn the_history_counts_equal_results_and_holds_five() {
    let mut status = KustomizationStatus::default();
    for build in ["a", "a", "b", "c", "d", "e", "f"] {
        let done = Done { digest: Some(Digest::of(build)), ..done() };
        status = judge(&Outcome::Own(Applied::Ready(done)), &status).status.into_inner();
    }
    let counts: Vec<i64> = status.history.iter().map(|entry| entry.total_reconciliations).collect();
    assert_eq!(counts, [1, 1, 1, 1, 1]);
    assert_eq!(status.history[0].digest, Digest::of("f").to_string(), "the newest first");
    let twice =
        judge(&Outcome::Own(Applied::Ready(Done { digest: Some(Digest::of("c")), ..done() })), &status)
            .status;
    assert_eq!((twice.history[0].total_reconciliations, twice.history.len()), (2, 5));
}

#[test]
fn secrets_are_blotted_out_of_conditions_and_events() {
    let mut redactor = Redactor::default();
    redactor.add(b"hunter2-canary");
    let key = key("apps");
    let told = |message: &str, previous: &KustomizationStatus| {
        let outcome = Outcome::Own(Applied::Unrenderable { message: message.into() });
        say(&outcome, &VerdictContext { redactor: &redactor, ..context(&key, previous) })
    };
    let first = told("got hunter2-canary", &ready());
    assert!(!format!("{first:?}").contains("hunter2"));
    assert_eq!(condition(&first.status, "Ready").unwrap().2, "kustomize build failed: got ***");
    let again = told("got hunter2-canary", &first.status);
    assert_eq!((again.status, again.notices), (first.status, vec![]), "said once");
    let warning = Done { warnings: vec!["hunter2-canary is short".into()], ..done() };
    let nothing = KustomizationStatus::default();
    let context = VerdictContext { redactor: &redactor, ..context(&key, &nothing) };
    assert_eq!(say(&Applied::Ready(warning).into(), &context).notices[1].message, "*** is short");
    // A value on the line along which a message is cut is not left in part.
    for limit in [EVENT_LIMIT, MESSAGE_LIMIT] {
        for before in limit - 70..limit {
            let verdict = told(&format!("{}hunter2-canary{}", "x".repeat(before), "y".repeat(99)), &ready());
            assert!(!format!("{verdict:?}").contains("hun"), "{before}");
        }
    }
}

#[test]
fn long_messages_are_cut_at_a_character() {
    let message = "é".repeat(20_000);
    let verdict = judge(&Outcome::Own(Applied::Unrenderable { message }), &ready());
    let ready = condition(&verdict.status, "Ready").unwrap().2;
    assert!(ready.len() <= MESSAGE_LIMIT && ready.ends_with("(shortened)"));
    assert!(verdict.notices[0].message.len() <= EVENT_LIMIT);
}

#[test]
fn times_default_as_in_flux() {
    let secs = |s: Schedule| (s.interval.as_secs(), s.retry.as_secs(), s.timeout.as_secs());
    let new = |i, r: Option<u64>, t: Option<u64>| {
        secs(Schedule::new(Duration::from_secs(i), r.map(Duration::from_secs), t.map(Duration::from_secs)))
    };
    assert_eq!(new(600, None, None), (600, 600, 570));
    assert_eq!(new(40, Some(5), None), (40, 5, 30));
    assert_eq!(new(600, None, Some(10)), (600, 600, 30));
}
