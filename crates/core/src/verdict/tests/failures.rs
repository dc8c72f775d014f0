//! Every outcome that is a failure: its reason, its message, and when it is tried again.

use super::*;
use crate::graph::Cycle;

/// An outcome, its reason, the message or its beginning, whether it stalls, and when it is tried again.
type Row = (Outcome<Applied>, &'static str, &'static str, bool, Next);

const RETRY: Next = Next::After(Std::from_mins(1));
const GRANTED: Next = Next::BackoffTo(Std::from_mins(1));
const UNBLOCKED: Next = Next::Unblocked(Std::from_mins(10));

fn block(reason: BlockReason) -> Outcome<Applied> {
    Outcome::Common(Common::Blocked(Blocker { dependency: key("kube-network"), reason }))
}

pub(super) fn failures() -> Vec<Row> {
    [of_dependencies(), of_the_source(), of_the_build(), of_applying(), of_deleting(), of_health()].concat()
}

fn of_dependencies() -> Vec<Row> {
    vec![
        (
            block(BlockReason::Missing),
            "DependencyNotReady",
            "dependency 'flux-system/kube-network' not found",
            false,
            UNBLOCKED,
        ),
        (
            block(BlockReason::Outdated),
            "DependencyNotReady",
            "dependency 'flux-system/kube-network' revision is not up to date",
            false,
            UNBLOCKED,
        ),
        (
            block(BlockReason::NotReady {
                chain: vec![key("kube-network"), key("kube-security")],
                message: Some("webhook is down".into()),
            }),
            "DependencyNotReady",
            "dependency 'flux-system/kube-network' is not ready: blocked by kube-network -> kube-security: webhook is \
             down",
            false,
            UNBLOCKED,
        ),
        (
            block(BlockReason::NotReady { chain: vec![], message: None }),
            "DependencyNotReady",
            "dependency 'flux-system/kube-network' is not ready",
            false,
            UNBLOCKED,
        ),
        (
            Outcome::Common(Common::Cyclic(Cycle(vec![key("a"), key("b"), key("c")]))),
            "DependencyNotReady",
            "dependency cycle: a -> b -> c -> a; remove one of these from spec.dependsOn",
            true,
            UNBLOCKED,
        ),
    ]
}

fn of_the_source() -> Vec<Row> {
    vec![
        (
            Outcome::Common(Common::SourceMissing { source: "GitRepository/flux-system/x".into() }),
            "ArtifactFailed",
            "Source 'GitRepository/flux-system/x' not found",
            false,
            Next::Changed,
        ),
        (
            Outcome::Common(Common::SourceNotReady {
                source: "GitRepository/flux-system/x".into(),
                message: Some("timed out".into()),
            }),
            "ArtifactFailed",
            "Source is not ready, artifact not found: GitRepository/flux-system/x: timed out",
            false,
            Next::Changed,
        ),
        (
            Outcome::Common(Common::SourceForbidden { message: "can't access 'GitRepository/n/x'".into() }),
            "AccessDenied",
            "can't access 'GitRepository/n/x'",
            true,
            Next::Changed,
        ),
        (
            Outcome::Common(Common::SourceRefused { message: "Bucket is not served".into() }),
            "ArtifactFailed",
            "Bucket is not served",
            true,
            Next::Changed,
        ),
        (
            Outcome::Common(Common::Malformed { message: "spec.interval".into() }),
            "InvalidSpec",
            "spec.interval",
            true,
            Next::Changed,
        ),
    ]
}

fn of_the_build() -> Vec<Row> {
    vec![
        (
            Outcome::Own(Applied::PathMissing { path: "gone".into() }),
            "ArtifactFailed",
            "kustomization path not found: stat gone: no such file or directory",
            false,
            RETRY,
        ),
        (
            Outcome::Own(Applied::Unrenderable { message: "a.yaml: line 2: x".into() }),
            "BuildFailed",
            "kustomize build failed: a.yaml: line 2: x",
            false,
            RETRY,
        ),
        (
            Applied::Unsubstituted { message: "${x} in a.yaml".into() }.into(),
            "BuildFailed",
            "post build failed: ${x} in a.yaml",
            false,
            RETRY,
        ),
        (
            Outcome::Common(Common::InputMissing {
                message: "substitute from 'ConfigMap/x' error: not found".into(),
            }),
            "BuildFailed",
            "substitute from 'ConfigMap/x' error: not found",
            false,
            Next::Backoff,
        ),
    ]
}

fn of_applying() -> Vec<Row> {
    vec![
        (
            Outcome::Own(Applied::Refused {
                refusals: vec![refused("X/n dry-run failed", false, false)],
                inventory: vec![],
            }),
            "ReconciliationFailed",
            "X/n dry-run failed",
            false,
            RETRY,
        ),
        (
            Outcome::Own(Applied::Refused {
                refusals: vec![refused("one", false, false), refused("two", true, false)],
                inventory: vec![],
            }),
            "ReconciliationFailed",
            "2 objects are refused: one\n- two",
            false,
            Next::Backoff,
        ),
        (
            Outcome::Own(Applied::Refused {
                refusals: vec![refused("may not", false, true)],
                inventory: vec![],
            }),
            "AccessDenied",
            "may not",
            false,
            GRANTED,
        ),
        (
            Outcome::Common(Common::AccessDenied { message: "may not".into() }),
            "AccessDenied",
            "may not",
            false,
            GRANTED,
        ),
        (
            Outcome::Common(Common::Panicked { message: "index".into() }),
            "ReconciliationFailed",
            "internal error: index",
            true,
            RETRY,
        ),
        (
            Outcome::Common(Common::Quarantined { times: 2 }),
            "ReconciliationFailed",
            "the agent ended 2 times while it was building this object and no other new one; the object is \
             left alone until its spec or its folder changes, a reconcile is requested, or an hour has passed",
            true,
            Next::After(Std::from_hours(1)),
        ),
    ]
}

fn of_deleting() -> Vec<Row> {
    vec![
        (
            Outcome::Own(Applied::PruneFailed {
                done: done(),
                failures: vec!["ConfigMap/n/c: denied".into()],
            }),
            "PruneFailed",
            "delete failed, errors: ConfigMap/n/c: denied",
            false,
            RETRY,
        ),
        (
            Outcome::Own(Applied::PruneRefused { count: 11 }),
            "PruneFailed",
            "the build has become empty, which would delete all 11 objects",
            true,
            RETRY,
        ),
        (
            Outcome::Common(Common::RemovalWaits {
                dependents: vec![Kustomization::named("flux-system", "b")],
                limit: Std::from_secs(5),
            }),
            "DependencyNotReady",
            "deletion waits for its dependents, which are being deleted too: flux-system/b",
            false,
            Next::Unblocked(Std::from_secs(5)),
        ),
        (
            Outcome::Common(Common::RemovalFailed { failures: vec!["A/b: denied".into()] }),
            "PruneFailed",
            "delete failed, errors: A/b: denied",
            false,
            GRANTED,
        ),
    ]
}

fn of_health() -> Vec<Row> {
    let ill = Ill {
        subject: "Deployment/n/d".into(),
        status: "InProgress".into(),
        cause: "0 of 1 available".into(),
    };
    vec![
        (
            Outcome::Own(Applied::Unhealthy {
                done: done(),
                end: WaitEnd::TimedOut(vec![ill.clone()]),
                waited: Std::from_millis(570_010),
            }),
            "HealthCheckFailed",
            "health check failed after 9m30.01s: timeout waiting for: [Deployment/n/d status: 'InProgress']\n\
             Deployment/n/d: 0 of 1 available",
            false,
            RETRY,
        ),
        (
            Outcome::Own(Applied::Unhealthy {
                done: done(),
                end: WaitEnd::Stalled(vec![Ill {
                    status: "Failed".into(),
                    cause: String::new(),
                    ..ill.clone()
                }]),
                waited: Std::from_secs(1),
            }),
            "HealthCheckFailed",
            "health check failed after 1s: failed early due to stalled resources: [Deployment/n/d status: 'Failed']",
            false,
            RETRY,
        ),
        (
            Outcome::Own(Applied::NotEstablished {
                done: done(),
                end: WaitEnd::TimedOut(vec![ill]),
                waited: Std::from_millis(60_004),
            }),
            "ReconciliationFailed",
            "definitions are not established after 1m0.004s: timeout waiting for: [Deployment/n/d status: 'InProgress']",
            false,
            Next::Backoff,
        ),
    ]
}

#[test]
fn every_failure_has_its_reason_and_its_next_try() {
    for (outcome, reason, message, stalled, next) in failures() {
        let before = ready();
        let verdict = judge(&outcome, &before);
        let (status, found_reason, found) = condition(&verdict.status, "Ready").unwrap();
        assert_eq!((status, found_reason.as_str()), (ConditionStatus::False, reason), "{outcome:?}");
        assert!(found.starts_with(message), "{outcome:?}: {found}");
        assert_eq!(condition(&verdict.status, "Stalled").is_some(), stalled, "{outcome:?}");
        let reconciling = condition(&verdict.status, "Reconciling").map(|c| c.1);
        assert_eq!(reconciling.as_deref(), (!stalled).then_some("ProgressingWithRetry"), "{outcome:?}");
        assert_eq!(verdict.next, next, "{outcome:?}");
        assert!(!Verdict::Say(verdict.clone()).is_ready());
        assert_eq!(verdict.status.last_applied_revision, before.last_applied_revision, "{outcome:?}");
        // On each commit some wait for others for a while, and nothing is wrong then.
        let waits = matches!(
            outcome,
            Outcome::Common(
                Common::Blocked(_)
                    | Common::RemovalWaits { .. }
                    | Common::SourceMissing { .. }
                    | Common::SourceNotReady { .. }
            )
        );
        assert_eq!(verdict.notices[0].warning, !waits, "{outcome:?}");
        let again = judge(&outcome, &verdict.status);
        assert_eq!(again.notices, [], "said once: {outcome:?}");
        assert_eq!(again.status, verdict.status, "a repetition writes nothing: {outcome:?}");
    }
}

#[test]
fn a_wait_that_fails_again_is_told_again_only_where_more_than_its_time_is_another() {
    let ill = |cause: &str| Ill {
        subject: "Deployment/n/d".into(),
        status: "InProgress".into(),
        cause: cause.into(),
    };
    let end = |cause: &str| WaitEnd::TimedOut(vec![ill(cause)]);
    let unhealthy = |cause, millis| {
        Outcome::Own(Applied::Unhealthy { done: done(), end: end(cause), waited: Std::from_millis(millis) })
    };
    let pending = |cause, millis| {
        Outcome::Own(Applied::NotEstablished {
            done: done(),
            end: end(cause),
            waited: Std::from_millis(millis),
        })
    };
    for outcome in [&unhealthy as &dyn Fn(&'static str, u64) -> Outcome<Applied>, &pending] {
        let first = judge(&outcome("0 of 1 available", 300_003), &ready());
        let again = judge(&outcome("0 of 1 available", 300_417), &first.status);
        assert_eq!((again.status, again.notices), (first.status.clone(), vec![]));
        let other = judge(&outcome("image pull: 403", 300_417), &first.status);
        assert_eq!(other.notices.len(), 1, "{}", condition(&other.status, "Ready").unwrap().2);
    }
}

#[test]
fn definitions_that_are_not_served_are_no_question_of_health() {
    let outcome = Outcome::Own(Applied::NotEstablished {
        done: done(),
        end: WaitEnd::TimedOut(Vec::new()),
        waited: Std::from_mins(1),
    });
    let status = judge(&outcome, &KustomizationStatus::default()).status;
    assert_eq!(condition(&status, "Healthy"), None);
    assert_eq!(status.inventory.as_ref().unwrap().entries, done().inventory, "what was written is managed");
    assert_eq!(status.history[0].last_reconciled_status, "ReconciliationFailed");
}

#[test]
fn a_source_that_may_not_be_taken_is_not_attempted() {
    let (key, before) = (key("apps"), ready());
    let context = VerdictContext { revision: Some("main@sha1:of-another"), ..context(&key, &before) };
    let forbidden = say(&Common::SourceForbidden { message: "can't access it".into() }.into(), &context);
    assert_eq!(condition(&forbidden.status, "Stalled").unwrap().1, "AccessDenied");
    assert_eq!(forbidden.status.last_attempted_revision, before.last_attempted_revision);
    let denied = say(&Common::AccessDenied { message: "may not".into() }.into(), &context);
    assert_eq!(denied.status.last_attempted_revision.as_deref(), Some("main@sha1:of-another"));
}

/// A failed request is reported only if it is news: for content that was not applied yet.
#[test]
fn a_server_that_cannot_be_asked_is_no_progress() {
    let message = "the API server cannot be reached: connection refused";
    let outcome = Outcome::Common(Common::Unreachable { message: message.into() });
    let key = key("apps");
    let waiting = applying(&context(&key, &KustomizationStatus::default()), vec![entry("a_b__ConfigMap")]);
    let verdict = judge(&outcome, &waiting);
    assert_eq!(
        condition(&verdict.status, "Ready").unwrap(),
        (ConditionStatus::False, "ReconciliationFailed".into(), message.into())
    );
    assert_eq!(condition(&verdict.status, "Reconciling").unwrap().1, "ProgressingWithRetry");
    assert_eq!(verdict.status.inventory, waiting.inventory, "what may have been written is managed");
    assert_eq!((verdict.next, verdict.notices.len()), (Next::Backoff, 1));
    let healed = judge(&Outcome::Own(Applied::Ready(done())), &verdict.status);
    assert!(condition(&healed.status, "Reconciling").is_none() && Verdict::Say(healed).is_ready());
}

#[test]
fn what_is_managed_is_kept_where_nothing_was_applied() {
    let before = ready();
    for (outcome, ..) in failures() {
        let kept = judge(&outcome, &before).status.inventory == before.inventory;
        let applied = matches!(
            outcome,
            Outcome::Own(
                Applied::Unhealthy { .. }
                    | Applied::NotEstablished { .. }
                    | Applied::Refused { .. }
                    | Applied::PruneFailed { .. }
            )
        );
        assert!(kept || applied, "{outcome:?}");
    }
}

#[test]
fn a_deletion_that_failed_is_tried_again_though_the_spec_wants_no_timer() {
    let (key, previous) = (key("apps"), KustomizationStatus::default());
    let schedule = Schedule { interval: Std::ZERO, retry: Std::ZERO, timeout: Std::from_secs(30) };
    let context = VerdictContext { schedule, ..context(&key, &previous) };
    let failed = Outcome::Common(Common::RemovalFailed { failures: vec!["A/b: denied".into()] });
    assert_eq!(say(&failed, &context).next, Next::BackoffTo(Std::from_secs(30)));
}
