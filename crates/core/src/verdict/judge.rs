//! What an outcome comes down to, before it is written into a status: one arm an outcome, so that none is judged elsewhere.

use super::{Context, Done, FetchCause, Outcome, Refused, Schedule, listed, texts};
use crate::api::InventoryEntry;
use crate::queue::Next;
use lockgate_base::model::Digest;

/// What an outcome comes down to.
pub(super) enum Judgement {
    /// Ready is True.
    Success(Done),
    /// Ready is False.
    Failure(Failure),
    /// Nothing that the status says has changed, and nothing is written.
    Unsaid(Next),
    /// The finalizer may go.
    Gone { severity: Severity, message: String },
}

/// Whether something is wrong, in the terms of Flux's events.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Severity {
    /// Nothing is: on each commit some wait for others for a while.
    Info,
    /// People should look.
    Error,
}

/// What is said of an outcome that is not a success.
pub(super) struct Failure {
    pub(super) reason: &'static str,
    pub(super) severity: Severity,
    pub(super) message: String,
    /// Nothing but a change of the object or its source helps.
    pub(super) stalled: bool,
    /// What Reconciling says while it is tried again.
    pub(super) stage: &'static str,
    pub(super) next: Next,
    /// What is managed now, where it changed.
    pub(super) inventory: Option<Vec<InventoryEntry>>,
    /// Whether the build was taken up, so that its revision counts as attempted.
    pub(super) attempted: bool,
    /// The wait for health failed.
    pub(super) unhealthy: bool,
    pub(super) digest: Option<Digest>,
}

impl Failure {
    fn new(reason: &'static str, stage: &'static str, message: String, next: Next) -> Self {
        Self {
            reason,
            severity: Severity::Error,
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

    /// Before the build was taken up.
    fn fetching(reason: &'static str, message: String, next: Next) -> Self {
        Self { attempted: false, ..Self::new(reason, "Fetching manifests", message, next) }
    }

    fn building(reason: &'static str, message: String, next: Next) -> Self {
        Self::new(reason, "Building manifests", message, next)
    }

    fn applying(reason: &'static str, message: String, next: Next) -> Self {
        Self::new(reason, "Detecting drift", message, next)
    }

    /// Definitions are not served yet. Nobody has asked for their health, so nothing is said of it.
    fn establishing(message: String, next: Next) -> Self {
        Self::applying("ReconciliationFailed", message, next)
    }

    /// Everything was applied, but it is not healthy.
    fn waiting(message: String, next: Next) -> Self {
        Self { unhealthy: true, ..Self::new("HealthCheckFailed", "Running health checks", message, next) }
    }

    /// It only waits for another.
    fn expected(self) -> Self {
        Self { severity: Severity::Info, ..self }
    }

    fn stalled(self) -> Self {
        Self { stalled: true, ..self }
    }

    fn managing(self, inventory: &[InventoryEntry]) -> Self {
        Self { inventory: Some(inventory.to_vec()), ..self }
    }

    fn after(self, done: &Done) -> Self {
        Self { digest: done.digest, ..self.managing(&done.inventory) }
    }
}

/// Judges the end of a reconcile.
pub(super) fn judge(outcome: &Outcome, context: &Context<'_>) -> Judgement {
    let Schedule { interval, retry, .. } = context.schedule;
    // A right may be granted any moment, and an API server that has just started denies what it will soon allow.
    let granted = Next::BackoffTo(retry);
    let (soon, retry, unblocked) = (Next::Backoff, Next::After(retry), Next::Unblocked(interval));
    let text = String::clone;
    Judgement::Failure(match outcome {
        Outcome::Ready(done) => return Judgement::Success(done.clone()),
        Outcome::Unchanged => return Judgement::Success(unchanged(context)),
        Outcome::Removed { deleted, note } => {
            return gone(Severity::Info, texts::removed(*deleted, note.as_deref()));
        }
        Outcome::Abandoned { account, deleted, left } => {
            return gone(Severity::Error, texts::abandoned(account, *deleted, left));
        }
        Outcome::Cancelled { .. } => return Judgement::Unsaid(Next::Now),
        Outcome::Suspended => return Judgement::Unsaid(Next::Changed),
        // The lease may only be late: whoever has lost it stops before the next try.
        Outcome::Fenced => return Judgement::Unsaid(soon),
        // What is Ready is still what was applied; that it could not be looked at again is no news of it.
        Outcome::Unreachable { .. } if context.is_ready() => return Judgement::Unsaid(soon),
        Outcome::Unreachable { message } => Failure::applying("ReconciliationFailed", text(message), soon),
        Outcome::Unhealthy { done, end, waited } => {
            Failure::waiting(texts::unhealthy(end, *waited), retry).after(done)
        }
        Outcome::NotEstablished { done, end, waited } => {
            Failure::establishing(texts::not_established(end, *waited), soon).after(done)
        }
        Outcome::Refused { refusals, inventory } => refused(refusals, retry, granted).managing(inventory),
        Outcome::PruneFailed { done, failures } => {
            Failure::applying("PruneFailed", texts::not_deleted(failures), retry).after(done)
        }
        Outcome::PruneRefused { count } => {
            Failure::applying("PruneFailed", texts::prune_refused(*count), retry).stalled()
        }
        Outcome::RemovalFailed { failures } => not_removed(failures, context.schedule),
        Outcome::Blocked(blocker) => {
            Failure::fetching("DependencyNotReady", texts::blocked(blocker), unblocked).expected()
        }
        Outcome::Cyclic { cycle } => {
            Failure::fetching("DependencyNotReady", texts::cyclic(cycle), unblocked).stalled()
        }
        Outcome::SourceMissing { source } => no_source(texts::source_missing(source)).expected(),
        Outcome::SourceNotReady { source, message } => {
            no_source(texts::source_not_ready(source, message.as_deref())).expected()
        }
        Outcome::SourceRefused { message } => no_source(text(message)).stalled(),
        Outcome::SourceForbidden { message } => {
            Failure::fetching("AccessDenied", text(message), Next::Changed).stalled()
        }
        Outcome::PathMissing { path } => {
            Failure::building("ArtifactFailed", texts::path_missing(path), retry)
        }
        Outcome::Unrenderable { message } => {
            Failure::building("BuildFailed", format!("kustomize build failed: {message}"), retry)
        }
        Outcome::Unsubstituted { message } => {
            Failure::building("BuildFailed", format!("post build failed: {message}"), retry)
        }
        Outcome::InputMissing { message } => Failure::building("BuildFailed", text(message), soon),
        Outcome::Malformed { message } => {
            Failure::fetching("InvalidSpec", text(message), Next::Changed).stalled()
        }
        Outcome::AccessDenied { message } => Failure::applying("AccessDenied", text(message), granted),
        Outcome::Panicked { message } => {
            Failure::applying("ReconciliationFailed", format!("internal error: {message}"), retry).stalled()
        }
    })
}

/// A pass that had nothing to do manages what the pass before it managed.
fn unchanged(context: &Context<'_>) -> Done {
    Done {
        inventory: context.previous.inventory.clone().unwrap_or_default().entries,
        digest: None,
        ..Done::default()
    }
}

const fn gone(severity: Severity, message: String) -> Judgement {
    Judgement::Gone { severity, message }
}

/// A deletion must come to its end, also where the spec wants no retry by a timer.
fn not_removed(failures: &[String], schedule: Schedule) -> Failure {
    let Schedule { retry, timeout, .. } = schedule;
    let limit = if retry.is_zero() { timeout } else { retry.min(timeout) };
    Failure::applying("PruneFailed", texts::not_deleted(failures), Next::BackoffTo(limit))
}

fn no_source(message: String) -> Failure {
    Failure::fetching("ArtifactFailed", message, Next::Changed)
}

fn refused(refusals: &[Refused], retry: Next, granted: Next) -> Failure {
    let messages: Vec<String> = refusals.iter().map(|refusal| refusal.message.clone()).collect();
    let reason = if refusals.iter().all(|refusal| refusal.forbidden) {
        "AccessDenied"
    } else {
        "ReconciliationFailed"
    };
    let any = |is: fn(&Refused) -> bool| refusals.iter().any(is);
    let next = match (any(|refusal| refusal.transient), any(|refusal| refusal.forbidden)) {
        (true, _) => Next::Backoff,
        (false, true) => granted,
        (false, false) => retry,
    };
    Failure::applying(reason, listed("objects are refused", &messages), next)
}

/// The reason of a fetch that failed.
pub(super) const fn fetch_reason(cause: FetchCause) -> &'static str {
    match cause {
        FetchCause::Authentication => "AuthenticationFailed",
        FetchCause::Operation => "GitOperationFailed",
        FetchCause::Url => "URLInvalid",
        FetchCause::Empty => "EmptyGitRepository",
        FetchCause::Storage => "StorageOperationFailed",
    }
}
