//! An object as the rules read it: numbers, texts and conditions, with defaults where something is absent or
//! malformed.

use serde_json::Value;

use super::state::Health;
use lockgate_base::model::Object;

/// The object whose health is judged.
#[derive(Clone, Copy)]
pub(super) struct JudgedObject<'a>(&'a Object);

/// One of `status.conditions`.
#[derive(Clone, Copy)]
pub(super) struct StatusCondition<'a>(&'a Value);

impl<'a> JudgedObject<'a> {
    pub(super) const fn of(object: &'a Object) -> Self {
        Self(object)
    }

    /// A whole number; `None` if there is none.
    pub(super) fn number(self, pointer: &str) -> Option<i64> {
        self.0.pointer(pointer).and_then(Value::as_i64)
    }

    /// A count; 0 if there is none.
    pub(super) fn count(self, pointer: &str) -> i64 {
        self.number(pointer).unwrap_or(0)
    }

    /// A text; empty if there is none.
    pub(super) fn text(self, pointer: &str) -> &'a str {
        self.0.text(pointer).unwrap_or_default()
    }

    /// A list; empty if there is none.
    pub(super) fn list(self, pointer: &str) -> &'a [Value] {
        self.0.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    /// `status.conditions`.
    pub(super) fn conditions(self) -> impl Iterator<Item = StatusCondition<'a>> {
        self.list("/status/conditions").iter().map(StatusCondition)
    }

    /// The condition of a type.
    pub(super) fn condition(self, kind: &str) -> Option<StatusCondition<'a>> {
        self.conditions().find(|condition| condition.kind() == kind)
    }

    /// The condition of a type, if its status is `True`.
    pub(super) fn true_condition(self, kind: &str) -> Option<StatusCondition<'a>> {
        self.condition(kind).filter(|condition| condition.is_true())
    }
}

impl<'a> StatusCondition<'a> {
    pub(super) fn kind(self) -> &'a str {
        self.field("type")
    }

    pub(super) fn is_true(self) -> bool {
        self.field("status") == "True"
    }

    pub(super) fn is_false(self) -> bool {
        self.field("status") == "False"
    }

    /// Whether the condition is about a generation.
    pub(super) fn is_about(self, generation: i64) -> bool {
        self.0.get("observedGeneration").and_then(Value::as_i64) == Some(generation)
    }

    pub(super) fn reason(self) -> &'a str {
        self.field("reason")
    }

    /// The message, or the reason if there is no message.
    pub(super) fn message(self) -> String {
        match (self.field("message"), self.reason()) {
            ("", "") => format!("condition {} is {}", self.kind(), self.field("status")),
            ("", reason) => reason.to_owned(),
            (message, _) => message.to_owned(),
        }
    }

    fn field(self, name: &str) -> &'a str {
        self.0.get(name).and_then(Value::as_str).unwrap_or_default()
    }
}

/// The health of an object that is changing.
pub(super) fn in_progress(message: impl Into<String>) -> Health {
    Health::InProgress(message.into())
}

/// The health of a workload of which only `so_many` of `all` replicas are `what`.
pub(super) fn replicas(so_many: i64, all: i64, what: &str) -> Health {
    let (noun, verb) = if all == 1 { ("replica", "is") } else { ("replicas", "are") };
    Health::InProgress(format!("{so_many} of {all} {noun} {verb} {what}"))
}

/// The health of a workload that has all wanted replicas, and still has old ones to remove.
pub(super) fn surplus(count: i64) -> Health {
    let (noun, verb) = if count == 1 { ("replica", "is") } else { ("replicas", "are") };
    Health::InProgress(format!("{count} old {noun} {verb} not terminated yet"))
}

/// This health with the message of the condition appended.
pub(super) fn with_cause(health: Health, condition: Option<StatusCondition<'_>>) -> Health {
    match (health, condition) {
        (Health::InProgress(message), Some(condition)) => {
            Health::InProgress(format!("{message}: {}", condition.message()))
        }
        (health, _) => health,
    }
}
