//! The part of a status that only one kind has: its conditions, its fields, and its words for a stage.

use super::context::VerdictContext;
use super::judgement::{Judgement, Mark, RunStage, Told};
use super::outcome::{Ending, Outcome};
use super::reason::Reason;
use super::writer::READY;
use crate::api::Status;
use crate::queue::Next;
use lockgate_base::model::{ConditionStatus, Conditions};

/// The status of a kind, as the verdict writes it.
pub trait Face: Status {
    /// The outcomes that only runs of this kind have.
    type Ending: Ending;

    /// The fields that all kinds have.
    fn base(&mut self) -> Base<'_>;

    /// Whether the object already is at a revision.
    fn is_at(&self, revision: &str) -> bool;

    /// The reason of a fault of the agent, and the time of the next try.
    fn fault(context: &VerdictContext<'_, Self>) -> (Reason, Next);

    /// The message of Reconciling for a stage that is under way or retried.
    fn stage(stage: RunStage, context: &VerdictContext<'_, Self>) -> String;

    /// Judges an outcome that only runs of this kind have.
    fn judge(ending: &Self::Ending, context: &VerdictContext<'_, Self>) -> Judgement;

    /// The conditions that only this kind has.
    fn marks(outcome: &Outcome<Self::Ending>, told: Told, context: &VerdictContext<'_, Self>) -> Vec<Mark>;

    /// Writes the fields that only this kind has.
    fn write(&mut self, outcome: &Outcome<Self::Ending>, told: Told, context: &VerdictContext<'_, Self>);
}

/// The fields of a status that all kinds have.
pub struct Base<'a> {
    pub conditions: &'a mut Conditions,
    pub observed_generation: &'a mut Option<i64>,
    /// `lastHandledReconcileAt`.
    pub handled: &'a mut Option<String>,
}

impl<F: Face> VerdictContext<'_, F> {
    /// Whether the status is already Ready at this generation and revision.
    pub(super) fn is_ready(&self) -> bool {
        let ready = self.previous.conditions().get(READY);
        ready.is_some_and(|ready| {
            ready.status == ConditionStatus::True && ready.observed_generation == Some(self.generation)
        }) && self.revision.is_none_or(|revision| self.previous.is_at(revision))
    }
}
