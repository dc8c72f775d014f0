//! Judges the outcomes that a run of any kind can have.

use std::time::Duration;

use crate::queue::Next;
use crate::verdict::context::{Schedule, VerdictContext};
use crate::verdict::face::Face;
use crate::verdict::judgement::{Failure, Judgement, Severity};
use crate::verdict::outcome::Common;
use crate::verdict::reason::Reason;
use crate::verdict::texts;

/// The wait until the agent looks again for remaining dependents. Their deletion also wakes the object.
const WATCHED: Duration = Duration::from_secs(10);
/// The wait before a quarantined object is tried again.
pub const QUARANTINE: Duration = Duration::from_hours(1);

pub(in crate::verdict) fn judge<F: Face>(common: &Common, context: &VerdictContext<'_, F>) -> Judgement {
    let Schedule { interval, retry, .. } = context.schedule;
    let text = String::clone;
    Judgement::Failure(match common {
        Common::Removed { deleted, note } => {
            return gone(Severity::Info, texts::removed(*deleted, note.as_deref()));
        }
        Common::Abandoned { account, deleted, left } => {
            return gone(Severity::Error, texts::abandoned(account, *deleted, left));
        }
        Common::Suspended => return Judgement::Unsaid(Next::Changed),
        // The lease may only be late: an agent that has lost it stops before the next try.
        Common::Fenced => return Judgement::Unsaid(Next::Backoff),
        // A Ready object still is as it was applied; an unreachable server is no news about it.
        Common::Unreachable { .. } if context.is_ready() => return Judgement::Unsaid(Next::Backoff),
        Common::Unreachable { message } => {
            Failure::applying(Reason::ReconciliationFailed, text(message), Next::Backoff)
        }
        // A right may be granted any moment, and an API server that has just started denies requests that it
        // will soon allow.
        Common::AccessDenied { message } => {
            Failure::applying(Reason::AccessDenied, text(message), Next::BackoffTo(retry))
        }
        Common::Malformed { message } => {
            Failure::fetching(Reason::InvalidSpec, text(message), Next::Changed).stalled()
        }
        Common::Panicked { message } => {
            let (reason, next) = F::fault(context);
            Failure::applying(reason, format!("internal error: {message}"), next).stalled()
        }
        Common::Quarantined { times } => {
            let (reason, _) = F::fault(context);
            let message = texts::quarantined(context.key.kind, *times);
            Failure::building(reason, message, Next::After(QUARANTINE)).stalled()
        }
        Common::Blocked(blocker) => {
            let next = Next::Unblocked(interval);
            Failure::fetching(Reason::DependencyNotReady, texts::blocked(blocker), next).expected()
        }
        Common::Cyclic(cycle) => {
            let next = Next::Unblocked(interval);
            Failure::fetching(Reason::DependencyNotReady, texts::cyclic(cycle), next).stalled()
        }
        Common::SourceMissing { source } => no_source(texts::source_missing(source)).expected(),
        Common::SourceNotReady { source, message } => {
            no_source(texts::source_not_ready(source, message.as_deref())).expected()
        }
        Common::SourceRefused { message } => no_source(text(message)).stalled(),
        Common::SourceForbidden { message } => {
            Failure::fetching(Reason::AccessDenied, text(message), Next::Changed).stalled()
        }
        Common::InputMissing { message } => {
            Failure::building(Reason::BuildFailed, text(message), Next::Backoff)
        }
        Common::RemovalWaits { dependents, limit } => {
            let next = Next::Unblocked((*limit).min(WATCHED));
            Failure::applying(Reason::DependencyNotReady, texts::removal_waits(dependents), next).expected()
        }
        Common::RemovalFailed { failures } => not_removed(failures, context.schedule),
    })
}

const fn gone(severity: Severity, message: String) -> Judgement {
    Judgement::Gone { severity, message }
}

/// A deletion must complete, even if the spec disables the retry timer.
fn not_removed(failures: &[String], schedule: Schedule) -> Failure {
    let Schedule { retry, timeout, .. } = schedule;
    let limit = if retry.is_zero() { timeout } else { retry.min(timeout) };
    Failure::applying(Reason::PruneFailed, texts::not_deleted(failures), Next::BackoffTo(limit))
}

const fn no_source(message: String) -> Failure {
    Failure::fetching(Reason::ArtifactFailed, message, Next::Changed)
}
