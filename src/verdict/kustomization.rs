//! The verdict on a reconcile of a Kustomization.

use std::collections::BTreeMap;

use super::{BlockReason, Blocker, Done, Ill, Outcome, Refused, WaitEnd};
use super::{Context, Event, Schedule, Verdict, Writer, listed, shorten};
use crate::api::{HistoryEntry, InventoryEntry, InventoryStatus, KustomizationStatus};
use crate::model::{ConditionStatus, Digest, Duration, Key};
use crate::queue::Next;

const READY: &str = "Ready";
const HEALTHY: &str = "Healthy";
const RECONCILING: &str = "Reconciling";
const STALLED: &str = "Stalled";
/// How many results `status.history` holds.
const HISTORY_LIMIT: usize = 5;

/// What an outcome comes down to.
enum Judgement {
    /// Ready is True.
    Success(Done),
    /// Ready is False.
    Failure(Failure),
    /// Nothing that the status says has changed.
    Same { next: Next, silent: bool },
    /// The finalizer may go.
    Gone { message: String },
}

struct Failure {
    reason: &'static str,
    message: String,
    /// Nothing but a change of the object or its source helps.
    stalled: bool,
    /// What Reconciling says while it is tried again.
    stage: &'static str,
    next: Next,
    /// What is managed now, where it changed.
    inventory: Option<Vec<InventoryEntry>>,
    /// Whether the build was taken up, so that its revision counts as attempted.
    attempted: bool,
    /// The wait for health failed.
    unhealthy: bool,
    digest: Option<Digest>,
}

impl Failure {
    fn new(reason: &'static str, stage: &'static str, message: String, next: Next) -> Self {
        Self {
            reason,
            message,
            stalled: false,
            stage,
            next,
            inventory: None,
            attempted: true,
            unhealthy: false,
            digest: None,
        }
    }
}

/// The status at the moment at which writing begins: what will be managed, and for a new generation or revision that it
/// is being brought about. A re-check of what is Ready already leaves the conditions as they are.
pub fn progressing(context: &Context<'_>, inventory: Vec<InventoryEntry>) -> KustomizationStatus {
    let mut status = context.previous.clone();
    status.inventory = Some(InventoryStatus { entries: inventory });
    if is_new(context) {
        let writer = Writer { generation: context.generation, now: context.now };
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

/// Judges an outcome.
pub fn verdict(outcome: &Outcome, context: &Context<'_>) -> Verdict {
    match judge(outcome, context) {
        Judgement::Success(done) => success(&done, context),
        Judgement::Failure(failure) => fail(&failure, context),
        Judgement::Same { next, silent } => {
            let mut status = context.previous.clone();
            if !silent {
                status.last_handled_reconcile_at = context.requested_at.map(Into::into);
            }
            Verdict { ready: is_ready(context), status, events: Vec::new(), next, release: false, silent }
        }
        Judgement::Gone { message } => Verdict {
            status: context.previous.clone(),
            events: vec![Event::new(false, "ReconciliationSucceeded", &message, context.revision)],
            next: Next::Changed,
            ready: false,
            release: true,
            silent: false,
        },
    }
}

#[expect(clippy::too_many_lines, reason = "a table: one arm an outcome, so that none is judged elsewhere")]
fn judge(outcome: &Outcome, context: &Context<'_>) -> Judgement {
    let Schedule { interval, retry, timeout } = context.schedule;
    let retry = Next::After(retry);
    let failure = match outcome {
        Outcome::Ready(done) => return Judgement::Success(done.clone()),
        Outcome::Unchanged => return Judgement::Success(unchanged(context)),
        Outcome::Cancelled { .. } => {
            return Judgement::Same { next: Next::After(std::time::Duration::ZERO), silent: true };
        }
        Outcome::Unreachable { .. } => return Judgement::Same { next: Next::Backoff, silent: true },
        Outcome::Fenced | Outcome::Suspended => {
            return Judgement::Same { next: Next::Changed, silent: true };
        }
        Outcome::Removed { deleted, note } => {
            return Judgement::Gone { message: removed(*deleted, note.as_deref()) };
        }
        Outcome::Unhealthy { done, end, waited } => Failure {
            inventory: Some(done.inventory.clone()),
            digest: done.digest,
            unhealthy: true,
            ..Failure::new(
                "HealthCheckFailed",
                "Running health checks",
                unhealthy(end, Duration::from(*waited)),
                retry,
            )
        },
        Outcome::Refused { refusals, inventory } => {
            Failure { inventory: Some(inventory.clone()), ..refused(refusals, retry) }
        }
        Outcome::PruneFailed { done, failures } => Failure {
            inventory: Some(done.inventory.clone()),
            digest: done.digest,
            ..Failure::new("PruneFailed", "Detecting drift", prune_failed(failures), retry)
        },
        Outcome::PruneRefused { count } => Failure {
            stalled: true,
            ..Failure::new("PruneFailed", "Detecting drift", prune_refused(*count), retry)
        },
        Outcome::Blocked(blocker) => Failure {
            attempted: false,
            ..Failure::new(
                "DependencyNotReady",
                "Fetching manifests",
                blocked(blocker),
                Next::Unblocked(interval),
            )
        },
        Outcome::Cyclic { cycle } => Failure {
            attempted: false,
            stalled: true,
            ..Failure::new(
                "DependencyNotReady",
                "Fetching manifests",
                cyclic(cycle),
                Next::Unblocked(interval),
            )
        },
        Outcome::SourceMissing { source } => no_source(format!(
            "Source '{source}' not found: create it, or correct spec.sourceRef; it is picked up as soon as it is there"
        )),
        Outcome::SourceNotReady { source, message } => {
            no_source(source_not_ready(source, message.as_deref()))
        }
        Outcome::SourceRefused { message } => Failure { stalled: true, ..no_source(message.clone()) },
        Outcome::PathMissing { path } => {
            Failure::new("ArtifactFailed", "Building manifests", path_missing(path), retry)
        }
        Outcome::Unrenderable { message } => Failure::new(
            "BuildFailed",
            "Building manifests",
            format!("kustomize build failed: {message}"),
            retry,
        ),
        Outcome::Unsubstituted { message } => {
            Failure::new("BuildFailed", "Building manifests", format!("post build failed: {message}"), retry)
        }
        Outcome::InputMissing { message } => {
            Failure::new("BuildFailed", "Building manifests", message.clone(), Next::Backoff)
        }
        Outcome::Malformed { message } => Failure {
            stalled: true,
            attempted: false,
            ..Failure::new("InvalidSpec", "Fetching manifests", message.clone(), Next::Changed)
        },
        Outcome::AccessDenied { message } => {
            Failure::new("AccessDenied", "Detecting drift", message.clone(), retry)
        }
        Outcome::Panicked { message } => Failure {
            stalled: true,
            ..Failure::new(
                "ReconciliationFailed",
                "Detecting drift",
                format!("internal error: {message}"),
                retry,
            )
        },
        Outcome::RemovalFailed { failures } => Failure::new(
            "PruneFailed",
            "Detecting drift",
            format!("delete failed, errors: {}", listed("objects could not be deleted", failures)),
            Next::After(context.schedule.retry.min(timeout)),
        ),
    };
    Judgement::Failure(failure)
}

/// A pass that had nothing to do manages what the pass before it managed.
fn unchanged(context: &Context<'_>) -> Done {
    Done {
        inventory: context.previous.inventory.clone().unwrap_or_default().entries,
        digest: None,
        ..Done::default()
    }
}

fn success(done: &Done, context: &Context<'_>) -> Verdict {
    let writer = Writer { generation: context.generation, now: context.now };
    let was_ready = is_ready(context);
    let mut status = context.previous.clone();
    status.inventory = Some(InventoryStatus { entries: done.inventory.clone() });
    status.last_applied_revision = context.revision.map(Into::into);
    status.last_attempted_revision.clone_from(&status.last_applied_revision);
    status.last_handled_reconcile_at = context.requested_at.map(Into::into);
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
        events.extend(warnings.map(|warning| Event::new(true, "Warning", warning, context.revision)));
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
    let changes = done.changes.join("\n");
    let message = if was_ready {
        format!("Drift corrected:\n{changes}")
    } else {
        let took = Duration::from(rounded(context.took));
        let next = Duration::from(context.schedule.interval);
        format!("Reconciliation finished in {took}, next run in {next}\n{changes}")
    };
    Event::new(false, "ReconciliationSucceeded", message.trim_end(), context.revision)
}

fn fail(failure: &Failure, context: &Context<'_>) -> Verdict {
    let writer = Writer { generation: context.generation, now: context.now };
    let mut status = context.previous.clone();
    if let Some(inventory) = &failure.inventory {
        status.inventory = Some(InventoryStatus { entries: inventory.clone() });
    }
    if failure.attempted && context.revision.is_some() {
        status.last_attempted_revision = context.revision.map(Into::into);
    }
    status.last_handled_reconcile_at = context.requested_at.map(Into::into);
    let repeated = status.conditions.get(READY).is_some_and(|ready| {
        ready.status == ConditionStatus::False
            && ready.message == shorten(&failure.message, super::MESSAGE_LIMIT)
            && ready.observed_generation == Some(context.generation)
    });
    let conditions = &mut status.conditions;
    if failure.stalled {
        status.observed_generation = Some(context.generation);
        conditions.remove(RECONCILING);
        writer.set(conditions, STALLED, ConditionStatus::True, failure.reason, &failure.message);
    } else {
        conditions.remove(STALLED);
        let message = stage_message(failure.stage, context);
        writer.set(conditions, RECONCILING, ConditionStatus::True, "ProgressingWithRetry", &message);
    }
    writer.set(conditions, READY, ConditionStatus::False, failure.reason, &failure.message);
    if failure.unhealthy {
        writer.set(conditions, HEALTHY, ConditionStatus::False, failure.reason, &failure.message);
    }
    if !repeated {
        remember(&mut status, failure.digest, failure.reason, context);
    }
    let event = Event::new(true, failure.reason, &failure.message, context.revision);
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

/// Whether the status is Ready at this generation and revision already.
fn is_ready(context: &Context<'_>) -> bool {
    let ready = context.previous.conditions.get(READY);
    let applied = context.previous.last_applied_revision.as_deref();
    ready.is_some_and(|ready| {
        ready.status == ConditionStatus::True && ready.observed_generation == Some(context.generation)
    }) && (context.revision.is_none() || applied == context.revision)
}

/// Whether this generation and revision are worked on for the first time.
fn is_new(context: &Context<'_>) -> bool {
    let ready = context.previous.conditions.get(READY);
    ready.is_none_or(|ready| ready.observed_generation != Some(context.generation))
        || context.previous.last_attempted_revision.as_deref() != context.revision
}

fn stage_message(stage: &str, context: &Context<'_>) -> String {
    let timeout = Duration::from(context.schedule.timeout);
    match context.revision {
        Some(revision) => format!("{stage} for revision {revision} with a timeout of {timeout}"),
        None => format!("{stage} with a timeout of {timeout}"),
    }
}

/// Durations in messages have the precision of a millisecond.
fn rounded(duration: std::time::Duration) -> std::time::Duration {
    std::time::Duration::from_millis(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

fn no_source(message: String) -> Failure {
    let next = Next::Changed;
    Failure { attempted: false, ..Failure::new("ArtifactFailed", "Fetching manifests", message, next) }
}

fn source_not_ready(source: &str, message: Option<&str>) -> String {
    let known = message.map(|message| format!(": {message}")).unwrap_or_default();
    format!("Source is not ready, artifact not found: {source}{known}")
}

fn path_missing(path: &str) -> String {
    format!(
        "kustomization path not found: stat {path}: no such file or directory; what was applied before is left as it is. \
         Correct spec.path, or delete the Kustomization to remove its objects"
    )
}

fn blocked(blocker: &Blocker) -> String {
    let dependency = &blocker.dependency;
    match &blocker.reason {
        BlockReason::Missing => {
            format!("dependency '{dependency}' not found: create it, or correct spec.dependsOn")
        }
        BlockReason::Outdated => format!("dependency '{dependency}' revision is not up to date"),
        BlockReason::Expression => format!(
            "dependency '{dependency}' is not ready according to readyExpr eval: CEL expressions are not supported yet; \
             remove spec.dependsOn[].readyExpr"
        ),
        BlockReason::NotReady { chain, message } => {
            let mut text = format!("dependency '{dependency}' is not ready");
            if chain.len() > 1 {
                let names: Vec<&str> = chain.iter().map(|key| key.name.as_str()).collect();
                text = format!("{text}: blocked by {}", names.join(" -> "));
            }
            match message {
                Some(message) => format!("{text}: {message}"),
                None => text,
            }
        }
    }
}

fn cyclic(cycle: &[Key]) -> String {
    let first = cycle.first().map(|key| key.namespace.as_str()).unwrap_or_default();
    let one_namespace = cycle.iter().all(|key| key.namespace == first);
    let print = |key: &Key| if one_namespace { key.name.clone() } else { key.to_string() };
    let names: Vec<String> = cycle.iter().chain(cycle.first()).map(print).collect();
    format!("dependency cycle: {}; remove one of these from spec.dependsOn", names.join(" -> "))
}

fn unhealthy(end: &WaitEnd, waited: Duration) -> String {
    let waited = Duration::from(rounded(waited.std()));
    let list = |objects: &[Ill]| {
        let texts: Vec<String> =
            objects.iter().map(|ill| format!("{} status: '{}'", ill.subject, ill.status)).collect();
        let causes = objects
            .iter()
            .filter(|ill| !ill.cause.is_empty())
            .fold(String::new(), |text, ill| format!("{text}\n{}: {}", ill.subject, ill.cause));
        format!("[{}]{causes}", texts.join(", "))
    };
    match end {
        WaitEnd::TimedOut(ill) => {
            format!("health check failed after {waited}: timeout waiting for: {}", list(ill))
        }
        WaitEnd::Stalled(ill) => {
            format!(
                "health check failed after {waited}: failed early due to stalled resources: {}",
                list(ill)
            )
        }
        WaitEnd::Unknown(message) => {
            format!("health check failed after {waited}: can't determine status: {message}")
        }
    }
}

fn refused(refusals: &[Refused], retry: Next) -> Failure {
    let messages: Vec<String> = refusals.iter().map(|refusal| refusal.message.clone()).collect();
    let reason = if refusals.iter().all(|refusal| refusal.forbidden) {
        "AccessDenied"
    } else {
        "ReconciliationFailed"
    };
    let next = if refusals.iter().any(|refusal| refusal.transient) { Next::Backoff } else { retry };
    Failure::new(reason, "Detecting drift", listed("objects are refused", &messages), next)
}

fn prune_failed(failures: &[String]) -> String {
    format!("delete failed, errors: {}", listed("objects could not be deleted", failures))
}

fn prune_refused(count: usize) -> String {
    format!(
        "the build has become empty, which would delete all {count} objects, so nothing was done. If that is meant, \
         annotate the Kustomization with {}: allowed",
        crate::api::keys::PRUNE_ALL
    )
}

fn removed(deleted: usize, note: Option<&str>) -> String {
    let note = note.map(|note| format!("; {note}")).unwrap_or_default();
    format!("garbage collection completed: {deleted} objects deleted{note}")
}
