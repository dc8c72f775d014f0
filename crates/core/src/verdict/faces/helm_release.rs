//! What a HelmRelease's status has beside what all have: history, failures, digests, inventory, and the
//! conditions Released, Remediated and Drifted.

use crate::api::HelmReleaseStatus;
use crate::queue::Next;
use crate::release::{ReleaseDeed, ReleaseLedger};
use crate::verdict::conditions::begin;
use crate::verdict::context::VerdictContext;
use crate::verdict::face::{Base, Face};
use crate::verdict::judged::Judged;
use crate::verdict::judgement::{Judgement, Mark, RunStage, Told};
use crate::verdict::judges::released::{self, DRIFTED, RELEASED, word_of};
use crate::verdict::outcome::{ActionEnd, ActionKind, DriftEnd, Outcome, ReleaseEnd, Released};
use crate::verdict::reason::Reason;
use crate::verdict::texts;
use crate::verdict::writer::STALLED;
use lockgate_base::model::Duration;

const REMEDIATED: &str = "Remediated";

impl Face for HelmReleaseStatus {
    type Ending = Released;

    fn base(&mut self) -> Base<'_> {
        Base {
            conditions: &mut self.conditions,
            observed_generation: &mut self.observed_generation,
            handled: &mut self.last_handled_reconcile_at,
        }
    }

    fn is_at(&self, revision: &str) -> bool {
        self.last_attempted_revision.as_deref() == Some(revision)
    }

    fn fault(context: &VerdictContext<'_, Self>) -> (Reason, Next) {
        (Reason::ReconciliationFailed, Next::After(context.schedule.retry))
    }

    fn stage(stage: RunStage, context: &VerdictContext<'_, Self>) -> String {
        match stage {
            RunStage::Fetching | RunStage::Building => "Fulfilling prerequisites".into(),
            RunStage::Applying | RunStage::Checking => {
                let deed = context.previous.last_attempted_release_action.as_deref();
                running(deed.unwrap_or("install"), context.schedule.timeout.into())
            }
        }
    }

    fn judge(ending: &Released, context: &VerdictContext<'_, Self>) -> Judgement {
        released::judge(ending, context)
    }

    fn marks(outcome: &Outcome<Released>, _: Told, _: &VerdictContext<'_, Self>) -> Vec<Mark> {
        let Outcome::Own(released) = outcome else { return Vec::new() };
        let mut marks: Vec<Mark> = released.done.iter().flat_map(marks_of).collect();
        marks.extend(match &released.drift {
            DriftEnd::NotLooked => None,
            // The server did not let it be seen.
            DriftEnd::Looked(found) if found.lines.is_empty() && found.corrected.is_some() => None,
            DriftEnd::NotAsked => Some(Mark::Gone(DRIFTED)),
            DriftEnd::Looked(found) if found.stays() => {
                Some(Mark::True(DRIFTED, Reason::DriftDetected, texts::drifted(found)))
            }
            DriftEnd::Looked(_) => {
                Some(Mark::False(DRIFTED, Reason::NoDriftDetected, texts::NO_DRIFT.into()))
            }
        });
        if let ReleaseEnd::Stalled { deed, attempts } = &released.end {
            let text = texts::stalled(*deed, *attempts);
            marks.push(Mark::True(STALLED, Reason::RetriesExceeded, text));
        }
        marks
    }

    fn write(&mut self, outcome: &Outcome<Released>, _: Told, _: &VerdictContext<'_, Self>) {
        let Outcome::Own(released) = outcome else { return };
        *self = Self {
            conditions: std::mem::take(&mut self.conditions),
            observed_generation: self.observed_generation,
            last_handled_reconcile_at: self.last_handled_reconcile_at.take(),
            ..released.status.clone()
        };
    }
}

/// What the end of an action says in conditions of its own.
fn marks_of(end: &ActionEnd) -> Vec<Mark> {
    let (reason, message) = word_of(end);
    let mark = |kind| match end.failure {
        None => Mark::True(kind, reason, message.clone()),
        Some(_) => Mark::False(kind, reason, message.clone()),
    };
    match end.kind {
        ActionKind::Unlock(_) => Vec::new(),
        ActionKind::Deed(ReleaseDeed::Install | ReleaseDeed::Upgrade) => {
            vec![Mark::Gone(REMEDIATED), mark(RELEASED)]
        }
        ActionKind::Deed(ReleaseDeed::Rollback | ReleaseDeed::UninstallRemediation) => vec![mark(REMEDIATED)],
        // Another release takes its place.
        ActionKind::Deed(ReleaseDeed::Uninstall) => vec![Mark::Gone(REMEDIATED), Mark::Gone(RELEASED)],
    }
}

fn running(deed: &str, limit: Duration) -> String {
    format!("Running '{deed}' action with timeout of {limit}")
}

/// The status at the moment at which an action begins: what will be managed, and what is being done.
pub fn releasing(
    context: &VerdictContext<'_, HelmReleaseStatus>,
    ledger: &ReleaseLedger,
    deed: ReleaseDeed,
    limit: Duration,
) -> Judged<HelmReleaseStatus> {
    let mut status = HelmReleaseStatus {
        conditions: context.previous.conditions.clone(),
        observed_generation: context.previous.observed_generation,
        last_handled_reconcile_at: context.previous.last_handled_reconcile_at.clone(),
        ..ledger.status().clone()
    };
    let stage = running(deed.as_str(), limit);
    begin(&mut status, &stage, Some(&stage), context);
    Judged::new(status)
}
