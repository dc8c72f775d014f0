//! Reads the state of an object back from its status, as written by the verdict or by Flux's controllers.

use super::reason::Reason;
use super::texts::{PATH_MISSING, WAITING};
use super::writer::{READY, RECONCILING, STALLED};
use crate::api::Status;
use crate::graph::{self, DependencyView};
use lockgate_base::model::{Condition, ConditionStatus, Conditions, Timestamp};

/// The state of an object in its status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The summary.
    pub stance: Stance,
    /// The status of the Ready condition, of any generation; Unknown if there is none.
    pub ready: ConditionStatus,
    /// The message of the Ready condition.
    pub message: String,
    /// Since when the Ready condition has its status.
    pub since: Option<Timestamp>,
    /// Whether only a change of the object or its source helps.
    pub stalled: bool,
}

/// The summary of a status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stance {
    /// Ready is True for the current generation.
    Ready,
    /// The object is being worked on, or will be.
    Progressing(Progress),
    /// It fails because of a dependency.
    Blocked,
    /// It fails because of its source.
    Sourceless,
    /// It fails by its own fault.
    Failing,
}

/// The progress of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// No controller has observed it yet.
    Unseen,
    /// The present work.
    Working(String),
    /// The awaited objects, each with its problem.
    Waiting(String),
}

impl Standing {
    /// Reads the status of an object whose current generation is `generation`.
    pub fn of(generation: i64, status: &impl Status) -> Self {
        let conditions = status.conditions();
        let ready = conditions.get(READY);
        let view = DependencyView {
            generation,
            observed_generation: status.observed_generation(),
            ready: ready.map(|ready| ready.status),
            last_applied_revision: None,
        };
        let stance = match ready {
            _ if graph::ready(Some(&view), "", false).is_ok() => Stance::Ready,
            Some(ready) if ready.status == ConditionStatus::False => failure(ready),
            _ => Stance::Progressing(progress(conditions)),
        };
        Self {
            stance,
            ready: ready.map_or(ConditionStatus::Unknown, |ready| ready.status),
            message: ready.map(|ready| ready.message.clone()).unwrap_or_default(),
            since: ready.map(|ready| ready.last_transition_time),
            stalled: conditions.get(STALLED).is_some_and(|stalled| stalled.status == ConditionStatus::True),
        }
    }
}

fn failure(ready: &Condition) -> Stance {
    let is = |reason: Reason| ready.reason == reason.as_str();
    if is(Reason::DependencyNotReady) {
        Stance::Blocked
    } else if is(Reason::SourceNotReady)
        || is(Reason::ArtifactFailed) && !ready.message.starts_with(PATH_MISSING)
    {
        Stance::Sourceless
    } else {
        Stance::Failing
    }
}

fn progress(conditions: &Conditions) -> Progress {
    let message = |kind: &str| conditions.get(kind).map(|condition| condition.message.as_str());
    match (message(RECONCILING), message(READY)) {
        (Some(message), _) => match message.split_once(WAITING) {
            Some((_, objects)) => Progress::Waiting(objects.into()),
            None => Progress::Working(message.into()),
        },
        (None, Some(message)) => Progress::Working(message.into()),
        (None, None) => Progress::Unseen,
    }
}
