//! The judgement of an outcome, in terms that all kinds share, before it is written into a status.

use super::notice::Notice;
use super::reason::Reason;
use crate::queue::Next;
use lockgate_base::model::ConditionStatus;

/// The judgement of an outcome.
pub enum Judgement {
    /// Ready is True.
    Success(Success),
    /// Ready is False.
    Failure(Failure),
    /// The status still holds, so nothing is written.
    Unsaid(Next),
    /// The finalizer may be removed.
    Gone { severity: Severity, message: String },
}

/// Whether there is a problem, in the terms of Flux's events.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// There is none: on each commit some objects wait for others for a while.
    Info,
    /// People should look.
    Error,
}

/// The last stage of a run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum RunStage {
    /// The inputs of the build were read, and the build was not begun.
    Fetching,
    /// The build was begun.
    Building,
    /// Applying was begun.
    Applying,
    /// Everything is applied, and its health is checked.
    Checking,
}

/// The message of a success.
pub struct Success {
    pub reason: Reason,
    pub message: String,
    pub notices: Vec<Notice>,
}

/// The message of an outcome that is no success.
pub struct Failure {
    pub reason: Reason,
    pub severity: Severity,
    pub message: String,
    /// Only a change of the object or its source helps.
    pub stalled: bool,
    /// The stage in which it is retried.
    pub stage: RunStage,
    pub next: Next,
}

/// The facts that the fields and conditions of one kind repeat.
#[derive(Clone, Copy)]
pub struct Told {
    /// Whether Ready is True.
    pub success: bool,
    pub reason: Reason,
    /// The last stage; a success has none.
    pub stage: Option<RunStage>,
    /// Whether the status said the same before.
    pub repeated: bool,
}

/// The change of a condition that only some kinds have.
pub enum Mark {
    /// It is removed.
    Gone(&'static str),
    /// It has this status, and Ready's reason and message.
    AsReady(&'static str, ConditionStatus),
    /// It is True, for a reason of its own.
    True(&'static str, Reason, String),
    /// It is False, for a reason of its own.
    False(&'static str, Reason, String),
}

impl Failure {
    pub const fn new(reason: Reason, stage: RunStage, message: String, next: Next) -> Self {
        Self { reason, severity: Severity::Error, message, stalled: false, stage, next }
    }

    /// A failure before the build was begun.
    pub const fn fetching(reason: Reason, message: String, next: Next) -> Self {
        Self::new(reason, RunStage::Fetching, message, next)
    }

    pub const fn building(reason: Reason, message: String, next: Next) -> Self {
        Self::new(reason, RunStage::Building, message, next)
    }

    pub const fn applying(reason: Reason, message: String, next: Next) -> Self {
        Self::new(reason, RunStage::Applying, message, next)
    }

    /// The object only waits for another.
    pub fn expected(self) -> Self {
        Self { severity: Severity::Info, ..self }
    }

    pub fn stalled(self) -> Self {
        Self { stalled: true, ..self }
    }
}
