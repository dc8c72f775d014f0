//! Writes the conditions and events of one generation at one moment.

use super::context::VerdictContext;
use super::notice::Notice;
use super::reason::Reason;
use super::redact::Redactor;
use super::texts;
use lockgate_base::model::{Condition, ConditionStatus, Conditions, Timestamp};

pub(super) const READY: &str = "Ready";
pub(super) const RECONCILING: &str = "Reconciling";
pub(super) const STALLED: &str = "Stalled";
/// The longest message of a condition. Kubernetes allows 32768 characters; nobody reads as many.
pub(super) const MESSAGE_LIMIT: usize = 8 * 1024;

/// Writes the conditions of one generation at one moment. Secret values are blotted out before a message is
/// cut, since the rest of a value that was cut would no longer be recognised.
pub(super) struct Writer<'a> {
    generation: i64,
    now: Timestamp,
    redactor: &'a Redactor,
    origin: Option<&'a str>,
}

impl<'a> Writer<'a> {
    pub(super) const fn new<S>(context: &VerdictContext<'a, S>) -> Self {
        Self {
            generation: context.generation,
            now: context.now,
            redactor: context.redactor,
            origin: context.origin,
        }
    }

    /// The text of a message in a condition.
    fn message(&self, text: &str) -> String {
        texts::shorten(&self.redactor.redact(text), MESSAGE_LIMIT)
    }

    pub(super) fn notice(&self, warning: bool, reason: Reason, text: &str, revision: Option<&str>) -> Notice {
        Notice::new(warning, reason, &self.redactor.redact(text), revision).made_from(self.origin)
    }

    /// The message of a failure, and whether it only repeats the conditions of this generation. A repeated
    /// message stays as it is, even if its durations differ.
    pub(super) fn failure(&self, conditions: &Conditions, text: &str) -> (String, bool) {
        let message = self.message(text);
        let said = conditions.get(READY).filter(|ready| {
            ready.status == ConditionStatus::False
                && ready.observed_generation == Some(self.generation)
                && texts::timeless(&ready.message) == texts::timeless(&message)
        });
        (said.map_or(message, |ready| ready.message.clone()), said.is_some())
    }

    pub(super) fn set(
        &self,
        conditions: &mut Conditions,
        kind: &str,
        status: ConditionStatus,
        reason: Reason,
        message: &str,
    ) {
        conditions.set(Condition {
            kind: kind.into(),
            status,
            observed_generation: Some(self.generation),
            last_transition_time: self.now,
            reason: reason.as_str().into(),
            message: self.message(message),
        });
    }
}
