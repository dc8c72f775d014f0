//! Judges the outcomes that only a reconcile of a Kustomization has.

use crate::api::KustomizationStatus;
use crate::queue::Next;
use crate::verdict::context::{Schedule, VerdictContext};
use crate::verdict::judgement::{Failure, Judgement, RunStage, Success};
use crate::verdict::notice::Notice;
use crate::verdict::outcome::{Applied, Done, Refused};
use crate::verdict::reason::Reason;
use crate::verdict::texts::{self, listed, rounded};
use crate::verdict::writer::Writer;
use lockgate_base::model::Duration;

pub(in crate::verdict) fn judge(
    applied: &Applied,
    context: &VerdictContext<'_, KustomizationStatus>,
) -> Judgement {
    let retry = Next::After(context.schedule.retry);
    Judgement::Failure(match applied {
        Applied::Ready(done) => return success(done, context),
        // A run with nothing to do manages the same objects as the run before it.
        Applied::Unchanged => return success(&Done::default(), context),
        Applied::Cancelled { .. } => return Judgement::Unsaid(Next::Now),
        Applied::Unhealthy { end, waited, .. } => {
            let message = texts::unhealthy(end, *waited);
            Failure::new(Reason::HealthCheckFailed, RunStage::Checking, message, retry)
        }
        // The health of these objects was not requested, so no message mentions it.
        Applied::NotEstablished { end, waited, .. } => {
            let message = texts::not_established(end, *waited);
            Failure::applying(Reason::ReconciliationFailed, message, Next::Backoff)
        }
        Applied::Refused { refusals, .. } => refused(refusals, context.schedule),
        Applied::PruneFailed { failures, .. } => {
            Failure::applying(Reason::PruneFailed, texts::not_deleted(failures), retry)
        }
        Applied::PruneRefused { count } => {
            Failure::applying(Reason::PruneFailed, texts::prune_refused(*count), retry).stalled()
        }
        Applied::PathMissing { path } => {
            Failure::building(Reason::ArtifactFailed, texts::path_missing(path), retry)
        }
        Applied::Unrenderable { message } => {
            Failure::building(Reason::BuildFailed, format!("kustomize build failed: {message}"), retry)
        }
        Applied::Unsubstituted { message } => {
            Failure::building(Reason::BuildFailed, format!("post build failed: {message}"), retry)
        }
    })
}

fn refused(refusals: &[Refused], schedule: Schedule) -> Failure {
    let Schedule { retry, .. } = schedule;
    let messages: Vec<String> = refusals.iter().map(|refusal| refusal.message.clone()).collect();
    let reason = if refusals.iter().all(|refusal| refusal.forbidden) {
        Reason::AccessDenied
    } else {
        Reason::ReconciliationFailed
    };
    let any = |is: fn(&Refused) -> bool| refusals.iter().any(is);
    let next = match (any(|refusal| refusal.transient), any(|refusal| refusal.soon)) {
        (true, _) => Next::Backoff,
        // The cause may pass any moment.
        (false, true) => Next::BackoffTo(retry),
        (false, false) => Next::After(retry),
    };
    Failure::applying(reason, listed("objects are refused", &messages), next)
}

fn success(done: &Done, context: &VerdictContext<'_, KustomizationStatus>) -> Judgement {
    let writer = Writer::new(context);
    let was_ready = context.is_ready();
    let mut notices = Vec::new();
    if !was_ready || !done.changes.is_empty() {
        notices.push(finished(done, was_ready, context));
        // A re-check that found nothing to do would only repeat the same warnings.
        let warnings = done.warnings.iter();
        notices
            .extend(warnings.map(|warning| writer.notice(true, Reason::Warning, warning, context.revision)));
    }
    let message = format!("Applied revision: {}", context.revision.unwrap_or_default());
    Judgement::Success(Success { reason: Reason::ReconciliationSucceeded, message, notices })
}

fn finished(done: &Done, was_ready: bool, context: &VerdictContext<'_, KustomizationStatus>) -> Notice {
    let changes = done.changes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    let message = if was_ready && is_built_again(done, context) {
        format!("Drift corrected:\n{changes}")
    } else {
        let took = Duration::from(rounded(context.took));
        let next = Duration::from(context.schedule.interval);
        format!("Reconciliation finished in {took}, next run in {next}\n{changes}")
    };
    let writer = Writer::new(context);
    writer.notice(false, Reason::ReconciliationSucceeded, message.trim_end(), context.revision)
}

/// Whether this build equals the one that was applied last: then its changes are corrections of drift. Other
/// values of its variables make another build of the same revision.
fn is_built_again(done: &Done, context: &VerdictContext<'_, KustomizationStatus>) -> bool {
    let last = context.previous.history.first().map(|entry| &entry.digest);
    last.is_some() && last == done.digest.map(|digest| digest.to_string()).as_ref()
}
