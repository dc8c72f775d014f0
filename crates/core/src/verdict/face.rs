//! What a kind adds to what is said of all: the conditions and fields that only it has, and its words for a
//! stage.

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
    /// What only runs of this kind can end in.
    type Ending: Ending;

    /// The fields that all kinds have.
    fn base(&mut self) -> Base<'_>;

    /// Whether the object already is at a revision.
    fn is_at(&self, revision: &str) -> bool;

    /// The reason of a fault of the agent, and when the object is tried again.
    fn fault(context: &VerdictContext<'_, Self>) -> (Reason, Next);

    /// What Reconciling says of a stage that is under way or tried again.
    fn stage(stage: RunStage, context: &VerdictContext<'_, Self>) -> String;

    /// Judges what only runs of this kind can end in.
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
    /// Whether the status is Ready at this generation and revision already.
    pub(super) fn is_ready(&self) -> bool {
        let ready = self.previous.conditions().get(READY);
        ready.is_some_and(|ready| {
            ready.status == ConditionStatus::True && ready.observed_generation == Some(self.generation)
        }) && self.revision.is_none_or(|revision| self.previous.is_at(revision))
    }
}
