//! What an outcome comes down to, in terms that all kinds share, before it is written into a status.

use super::notice::Notice;
use super::reason::Reason;
use crate::queue::Next;
use lockgate_base::model::ConditionStatus;

/// What an outcome comes down to.
pub enum Judgement {
    /// Ready is True.
    Success(Success),
    /// Ready is False.
    Failure(Failure),
    /// Nothing that the status says has changed, and nothing is written.
    Unsaid(Next),
    /// The finalizer may go.
    Gone { severity: Severity, message: String },
}

/// Whether something is wrong, in the terms of Flux's events.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// Nothing is: on each commit some wait for others for a while.
    Info,
    /// People should look.
    Error,
}

/// How far a run got.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum RunStage {
    /// What is needed for the build was looked up, and no build was taken up.
    Fetching,
    /// It was built.
    Building,
    /// It was applied.
    Applying,
    /// It is applied, and its health is looked at.
    Checking,
}

/// What is said of a success.
pub struct Success {
    pub reason: Reason,
    pub message: String,
    pub notices: Vec<Notice>,
}

/// What is said of an outcome that is not a success.
pub struct Failure {
    pub reason: Reason,
    pub severity: Severity,
    pub message: String,
    /// Nothing but a change of the object or its source helps.
    pub stalled: bool,
    /// Where it is tried again.
    pub stage: RunStage,
    pub next: Next,
}

/// What is said, as far as the fields and conditions of one kind repeat it.
#[derive(Clone, Copy)]
pub struct Told {
    /// Whether Ready is True.
    pub success: bool,
    pub reason: Reason,
    /// How far it got; a success got to the end.
    pub stage: Option<RunStage>,
    /// Whether the status said the same before.
    pub repeated: bool,
}

/// What becomes of a condition that only some kinds have.
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

    /// Before the build was taken up.
    pub const fn fetching(reason: Reason, message: String, next: Next) -> Self {
        Self::new(reason, RunStage::Fetching, message, next)
    }

    pub const fn building(reason: Reason, message: String, next: Next) -> Self {
        Self::new(reason, RunStage::Building, message, next)
    }

    pub const fn applying(reason: Reason, message: String, next: Next) -> Self {
        Self::new(reason, RunStage::Applying, message, next)
    }

    /// It only waits for another.
    pub fn expected(self) -> Self {
        Self { severity: Severity::Info, ..self }
    }

    pub fn stalled(self) -> Self {
        Self { stalled: true, ..self }
    }
}
