//! Reads a status back: how an object stands, as the verdict wrote it or as Flux's controllers did.

use super::reason::Reason;
use super::texts::{PATH_MISSING, WAITING};
use super::writer::{READY, RECONCILING, STALLED};
use crate::api::Status;
use crate::graph::{self, DependencyView};
use lockgate_base::model::{Condition, ConditionStatus, Conditions, Timestamp};

/// How an object stands, as its status says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// What it comes down to.
    pub stance: Stance,
    /// The status of the Ready condition, of whichever generation; Unknown where there is none.
    pub ready: ConditionStatus,
    /// The message of the Ready condition.
    pub message: String,
    /// Since when the Ready condition has its status.
    pub since: Option<Timestamp>,
    /// Whether nothing but a change of the object or its source helps.
    pub stalled: bool,
}

/// What a status comes down to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stance {
    /// Ready is True of the present generation.
    Ready,
    /// It is being worked on, or is still to be.
    Progressing(Progress),
    /// It fails for want of a dependency.
    Blocked,
    /// It fails for want of its source.
    Sourceless,
    /// It fails by its own fault.
    Failing,
}

/// What is going on with an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// Nobody has looked at it yet.
    Unseen,
    /// What is being done.
    Working(String),
    /// Which objects are waited for, each with what is the matter with it.
    Waiting(String),
}

impl Standing {
    /// Reads the status of an object of which `generation` is the present one.
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
