//! Judges what only a run of a HelmRelease can end in.

use super::common;
use crate::api::HelmReleaseStatus;
use crate::queue::Next;
use crate::release::ReleaseDeed;
use crate::verdict::context::VerdictContext;
use crate::verdict::judgement::{Failure, Judgement, RunStage, Success};
use crate::verdict::notice::Notice;
use crate::verdict::outcome::{ActionEnd, ActionKind, DriftEnd, ReleaseEnd, Released};
use crate::verdict::reason::Reason;
use crate::verdict::texts;
use crate::verdict::writer::{READY, STALLED, Writer};
use lockgate_base::model::ConditionStatus;

pub(in crate::verdict) fn judge(
    released: &Released,
    context: &VerdictContext<'_, HelmReleaseStatus>,
) -> Judgement {
    let interval = context.schedule.interval;
    let (reason, message) = last_word(released, context);
    let failed = |next| Failure::new(reason, RunStage::Applying, message.clone(), next);
    Judgement::Failure(match &released.end {
        ReleaseEnd::Ready | ReleaseEnd::Unchanged => {
            let mut notices = notices(&released.done, context);
            notices.extend(drift_notices(released, context));
            return Judgement::Success(Success { reason, message, notices });
        }
        ReleaseEnd::Cancelled => return Judgement::Unsaid(Next::Now),
        // What was said when it stalled still holds.
        ReleaseEnd::Stalled { .. } if released.done.is_empty() && is_stalled(context) => {
            return Judgement::Unsaid(Next::Changed);
        }
        ReleaseEnd::Stalled { .. } => failed(Next::Changed).stalled(),
        ReleaseEnd::Failed => failed(Next::Interval(interval)),
        ReleaseEnd::Retry(pause) => failed(Next::After(*pause)),
        ReleaseEnd::Again => failed(Next::Now),
        // It is told of as soon as the source is ready, as of a dependency.
        ReleaseEnd::NoChart { message } => {
            Failure::fetching(Reason::SourceNotReady, message.clone(), Next::Unblocked(interval)).expected()
        }
        ReleaseEnd::Chart { message } => {
            let message = format!("Could not load chart: {message}");
            Failure::fetching(Reason::ArtifactFailed, message, Next::Interval(interval))
        }
        ReleaseEnd::Values { message } => {
            Failure::building(Reason::ValuesError, message.clone(), Next::BackoffTo(interval))
        }
        ReleaseEnd::State { message } => {
            Failure::applying(Reason::StateError, message.clone(), Next::BackoffTo(interval))
        }
        ReleaseEnd::Drifted { message } => {
            Failure::applying(Reason::DriftCorrectionFailed, message.clone(), Next::BackoffTo(interval))
        }
        ReleaseEnd::Broken(cause) => return common::judge(cause, context),
    })
}

fn is_stalled(context: &VerdictContext<'_, HelmReleaseStatus>) -> bool {
    let stalled = context.previous.conditions.get(STALLED);
    stalled.is_some_and(|stalled| stalled.observed_generation == Some(context.generation))
}

/// The reason and the message of an action's end.
pub(in crate::verdict) fn word_of(end: &ActionEnd) -> (Reason, String) {
    (reason_of(end), texts::action_ended(end))
}

fn reason_of(end: &ActionEnd) -> Reason {
    match (end.kind, end.failure.is_none()) {
        (ActionKind::Unlock(_), _) => Reason::PendingRelease,
        (ActionKind::Deed(ReleaseDeed::Install), true) => Reason::InstallSucceeded,
        (ActionKind::Deed(ReleaseDeed::Install), false) => Reason::InstallFailed,
        (ActionKind::Deed(ReleaseDeed::Upgrade), true) => Reason::UpgradeSucceeded,
        (ActionKind::Deed(ReleaseDeed::Upgrade), false) => Reason::UpgradeFailed,
        (ActionKind::Deed(ReleaseDeed::Rollback), true) => Reason::RollbackSucceeded,
        (ActionKind::Deed(ReleaseDeed::Rollback), false) => Reason::RollbackFailed,
        (ActionKind::Deed(ReleaseDeed::Uninstall | ReleaseDeed::UninstallRemediation), true) => {
            Reason::UninstallSucceeded
        }
        (ActionKind::Deed(ReleaseDeed::Uninstall | ReleaseDeed::UninstallRemediation), false) => {
            Reason::UninstallFailed
        }
    }
}

/// What Ready says: the end of the last action that counts, or what it said before. A release that was
/// uninstalled so that it can be installed again says why.
fn last_word(released: &Released, context: &VerdictContext<'_, HelmReleaseStatus>) -> (Reason, String) {
    let counts = |end: &&ActionEnd| {
        let is_remedied = end.kind == ActionKind::Deed(ReleaseDeed::UninstallRemediation);
        !(matches!(end.kind, ActionKind::Unlock(_)) || is_remedied && end.failure.is_none())
    };
    if let Some(last) = released.done.iter().rev().find(counts) {
        return word_of(last);
    }
    let is_wanted = |status: ConditionStatus| match released.end {
        ReleaseEnd::Ready | ReleaseEnd::Unchanged => status == ConditionStatus::True,
        _ => status == ConditionStatus::False,
    };
    let said = [READY, RELEASED].iter().filter_map(|kind| context.previous.conditions.get(kind));
    let said =
        said.filter(|said| is_wanted(said.status)).find_map(|said| Some((Reason::read(&said.reason)?, said)));
    if let Some((reason, said)) = said {
        return (reason, said.message.clone());
    }
    match (&released.end, released.status.history.first()) {
        (ReleaseEnd::Stalled { deed, attempts }, _) => {
            (Reason::RetriesExceeded, texts::stalled(*deed, *attempts))
        }
        (_, Some(known)) => {
            let deed = if known.version == 1 { ReleaseDeed::Install } else { ReleaseDeed::Upgrade };
            let end = ActionEnd {
                kind: ActionKind::Deed(deed),
                release: format!("{}/{}.v{}", known.namespace, known.name, known.version),
                chart: format!("{}@{}", known.chart_name, known.chart_version),
                failure: None,
            };
            word_of(&end)
        }
        (_, None) => (Reason::Progressing, "the release is still to be worked on".into()),
    }
}

/// The condition that tells whether the release is what was wanted last.
pub(in crate::verdict) const RELEASED: &str = "Released";

/// The condition that tells whether objects of the release were changed by others.
pub(in crate::verdict) const DRIFTED: &str = "Drifted";

/// Events about objects that others have changed. What stays as it was told is not told again.
fn drift_notices(released: &Released, context: &VerdictContext<'_, HelmReleaseStatus>) -> Vec<Notice> {
    let DriftEnd::Looked(found) = &released.drift else { return Vec::new() };
    let said = context.previous.conditions.get(DRIFTED);
    let said = said.filter(|said| said.status == ConditionStatus::True).map(|said| &*said.message);
    let writer = Writer::new(context);
    let drifted = texts::drifted(found);
    let mut notices = Vec::new();
    if !found.lines.is_empty() && said != Some(&*drifted) {
        notices.push(writer.notice(true, Reason::DriftDetected, &drifted, context.revision));
    }
    if !found.lines.is_empty() && found.corrected == Some(Ok(())) {
        let text = texts::drift_corrected(found);
        notices.push(writer.notice(false, Reason::DriftCorrected, &text, context.revision));
    }
    notices
}

/// An event for each action that came to an end.
pub(in crate::verdict) fn notices(
    done: &[ActionEnd],
    context: &VerdictContext<'_, HelmReleaseStatus>,
) -> Vec<Notice> {
    let writer = Writer::new(context);
    let notice = |end: &ActionEnd| {
        let (reason, message) = word_of(end);
        writer.notice(end.failure.is_some(), reason, &message, context.revision)
    };
    done.iter().map(notice).collect()
}
