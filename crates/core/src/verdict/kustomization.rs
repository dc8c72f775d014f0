//! The verdict on a reconcile of a Kustomization.

use std::collections::BTreeMap;

use super::judge::{Failure, Judgement, Severity, judge};
use super::texts::{self, rounded};
use super::{Context, Done, Event, Ill, Outcome, Verdict};
use super::{READY, RECONCILING, STALLED};
use crate::api::{HistoryEntry, InventoryEntry, InventoryStatus, KustomizationStatus};
use crate::overview::WAITING;
use crate::queue::Next;
use lockgate_base::model::{ConditionStatus, Digest, Duration};

const HEALTHY: &str = "Healthy";
/// How many results `status.history` holds.
const HISTORY_LIMIT: usize = 5;

/// The status at the moment at which writing begins: what will be managed, and for a new generation or revision that it
/// is being brought about. A re-check of what is Ready already leaves the conditions as they are.
pub fn progressing(context: &Context<'_>, inventory: Vec<InventoryEntry>) -> KustomizationStatus {
    let mut status = context.previous.clone();
    status.inventory = Some(InventoryStatus { entries: inventory });
    if context.is_new() {
        let writer = context.writer();
        let conditions = &mut status.conditions;
        let message = stage_message("Detecting drift", context);
        conditions.remove(STALLED);
        conditions.remove(HEALTHY);
        writer.set(conditions, RECONCILING, ConditionStatus::True, "Progressing", &message);
        writer.set(conditions, READY, ConditionStatus::Unknown, "Progressing", "Reconciliation in progress");
        status.last_attempted_revision = context.revision.map(Into::into);
    }
    status
}

/// The status while health is waited for: what a new generation or revision waits for. A re-check, and another try of what
/// failed, leave the conditions as they are.
pub fn waiting(context: &Context<'_>, objects: &[Ill]) -> KustomizationStatus {
    let mut status = context.previous.clone();
    let conditions = &mut status.conditions;
    if conditions.get(RECONCILING).is_some_and(|reconciling| reconciling.reason == "Progressing") {
        let writer = context.writer();
        let stage = stage_message("Running health checks", context);
        let message = format!("{stage}{WAITING}{}", texts::pending(objects));
        writer.set(conditions, RECONCILING, ConditionStatus::True, "Progressing", &message);
    }
    status
}

/// Judges an outcome.
pub fn verdict(outcome: &Outcome, context: &Context<'_>) -> Verdict {
    match judge(outcome, context) {
        Judgement::Success(done) => success(&done, context),
        Judgement::Failure(failure) => fail(&failure, context),
        Judgement::Unsaid(next) => Verdict {
            status: context.previous.clone(),
            events: Vec::new(),
            next,
            ready: context.is_ready(),
            release: false,
            silent: true,
        },
        Judgement::Gone { severity, message } => gone(severity, &message, context),
    }
}

fn gone(severity: Severity, message: &str, context: &Context<'_>) -> Verdict {
    let (warning, reason) = match severity {
        Severity::Info => (false, "ReconciliationSucceeded"),
        Severity::Error => (true, "PruneFailed"),
    };
    Verdict {
        status: context.previous.clone(),
        events: vec![context.writer().event(warning, reason, message, context.revision)],
        next: Next::Changed,
        ready: false,
        release: true,
        silent: false,
    }
}

fn success(done: &Done, context: &Context<'_>) -> Verdict {
    let writer = context.writer();
    let was_ready = context.is_ready();
    let mut status = context.previous.clone();
    status.inventory = Some(InventoryStatus { entries: done.inventory.clone() });
    status.last_applied_revision = context.revision.map(Into::into);
    status.last_attempted_revision.clone_from(&status.last_applied_revision);
    handled(&mut status, context);
    status.observed_generation = Some(context.generation);
    let conditions = &mut status.conditions;
    conditions.remove(STALLED);
    conditions.remove(RECONCILING);
    let message = format!("Applied revision: {}", context.revision.unwrap_or_default());
    writer.set(conditions, READY, ConditionStatus::True, "ReconciliationSucceeded", &message);
    if let (Some(took), false) = (done.health, was_ready && conditions.get(HEALTHY).is_some()) {
        let message = format!("Health check passed in {}", Duration::from(rounded(took)));
        writer.set(conditions, HEALTHY, ConditionStatus::True, "Succeeded", &message);
    } else if done.health.is_none() && done.digest.is_some() {
        conditions.remove(HEALTHY);
    }
    remember(&mut status, done.digest, "ReconciliationSucceeded", context);
    let mut events = Vec::new();
    if !was_ready || !done.changes.is_empty() {
        events.push(success_event(done, was_ready, context));
    }
    // A re-check that found nothing to do would only say again what was said.
    if !events.is_empty() {
        let warnings = done.warnings.iter();
        events.extend(warnings.map(|warning| writer.event(true, "Warning", warning, context.revision)));
    }
    Verdict {
        status,
        events,
        next: Next::Interval(context.schedule.interval),
        ready: true,
        release: false,
        silent: false,
    }
}

fn success_event(done: &Done, was_ready: bool, context: &Context<'_>) -> Event {
    let changes = done.changes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    let message = if was_ready && is_built_again(done, context) {
        format!("Drift corrected:\n{changes}")
    } else {
        let took = Duration::from(rounded(context.took));
        let next = Duration::from(context.schedule.interval);
        format!("Reconciliation finished in {took}, next run in {next}\n{changes}")
    };
    context.writer().event(false, "ReconciliationSucceeded", message.trim_end(), context.revision)
}

/// Whether the build is the one that was applied last: what it changed now has drifted. Other values of its variables make
/// another build of the same revision.
fn is_built_again(done: &Done, context: &Context<'_>) -> bool {
    let last = context.previous.history.first().map(|entry| &entry.digest);
    last.is_some() && last == done.digest.map(|digest| digest.to_string()).as_ref()
}

/// Answers the request of an annotation. The answer stays when the annotation goes, so that the same request is known again.
fn handled(status: &mut KustomizationStatus, context: &Context<'_>) {
    if let Some(requested_at) = context.requested_at {
        status.last_handled_reconcile_at = Some(requested_at.into());
    }
}

fn fail(failure: &Failure, context: &Context<'_>) -> Verdict {
    let writer = context.writer();
    let mut status = context.previous.clone();
    if let Some(inventory) = &failure.inventory {
        status.inventory = Some(InventoryStatus { entries: inventory.clone() });
    }
    if failure.attempted && context.revision.is_some() {
        status.last_attempted_revision = context.revision.map(Into::into);
    }
    handled(&mut status, context);
    let (message, repeated) = writer.failure(&status.conditions, &failure.message);
    let conditions = &mut status.conditions;
    if failure.stalled {
        status.observed_generation = Some(context.generation);
        conditions.remove(RECONCILING);
        writer.set(conditions, STALLED, ConditionStatus::True, failure.reason, &message);
    } else {
        conditions.remove(STALLED);
        let stage = stage_message(failure.stage, context);
        writer.set(conditions, RECONCILING, ConditionStatus::True, "ProgressingWithRetry", &stage);
    }
    writer.set(conditions, READY, ConditionStatus::False, failure.reason, &message);
    if failure.unhealthy {
        writer.set(conditions, HEALTHY, ConditionStatus::False, failure.reason, &message);
    }
    if !repeated {
        remember(&mut status, failure.digest, failure.reason, context);
    }
    let warning = failure.severity == Severity::Error;
    let event = writer.event(warning, failure.reason, &failure.message, context.revision);
    Verdict {
        status,
        events: if repeated { Vec::new() } else { vec![event] },
        next: failure.next,
        ready: false,
        release: false,
        silent: false,
    }
}

/// Adds a result to the history, or counts it once more where the newest entry of its digest has the same reason.
fn remember(status: &mut KustomizationStatus, digest: Option<Digest>, reason: &str, context: &Context<'_>) {
    let Some(digest) = digest.map(|digest| digest.to_string()) else { return };
    let took = Duration::from(rounded(context.took));
    let found = status
        .history
        .iter()
        .position(|entry| entry.digest == digest && entry.last_reconciled_status == reason)
        .map(|index| status.history.remove(index));
    let mut entry = found.unwrap_or_else(|| HistoryEntry {
        digest,
        first_reconciled: context.now,
        last_reconciled: context.now,
        last_reconciled_duration: took,
        last_reconciled_status: reason.into(),
        total_reconciliations: 0,
        metadata: BTreeMap::new(),
    });
    entry.last_reconciled = context.now;
    entry.last_reconciled_duration = took;
    entry.total_reconciliations += 1;
    if let Some(revision) = context.revision {
        entry.metadata.insert("revision".into(), revision.into());
    }
    status.history.insert(0, entry);
    status.history.truncate(HISTORY_LIMIT);
}

fn stage_message(stage: &str, context: &Context<'_>) -> String {
    let timeout = Duration::from(context.schedule.timeout);
    match context.revision {
        Some(revision) => format!("{stage} for revision {revision} with a timeout of {timeout}"),
        None => format!("{stage} with a timeout of {timeout}"),
    }
}
