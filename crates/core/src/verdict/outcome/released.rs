//! What only a run of a HelmRelease can end in.

use std::time::Duration;

use super::{ChangedObject, Common, Ending, Outcome};
use crate::api::HelmReleaseStatus;
use crate::release::{ReleaseDeed, ReleaseStatus};

/// What only a run of a HelmRelease can end in.
#[derive(Debug, Clone, PartialEq)]
pub struct Released {
    /// The status with what the run has taken note of; its conditions are those from before.
    pub status: HelmReleaseStatus,
    /// The actions that came to an end, in order.
    pub done: Vec<ActionEnd>,
    /// What is known of drift.
    pub drift: DriftEnd,
    /// How the run ended.
    pub end: ReleaseEnd,
}

/// What a run of a HelmRelease knows of the drift of its objects.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum DriftEnd {
    /// It was not looked for.
    #[default]
    NotLooked,
    /// It is not to be looked for.
    NotAsked,
    /// It was looked for.
    Looked(DriftFound),
}

impl DriftEnd {
    /// The changes by which objects were put back.
    pub fn changes(&self) -> &[ChangedObject] {
        match self {
            Self::Looked(found) => &found.changes,
            Self::NotLooked | Self::NotAsked => &[],
        }
    }
}

/// The objects of a release that are not as its newest version has them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DriftFound {
    /// `namespace/name.vN`
    pub release: String,
    /// A line for each object.
    pub lines: Vec<String>,
    /// Whether they were put back; `None` where that is not wished.
    pub corrected: Option<Result<(), String>>,
    /// The changes by which they were.
    pub changes: Vec<ChangedObject>,
}

impl DriftFound {
    /// Whether objects are still not as they are to be.
    pub fn stays(&self) -> bool {
        !self.lines.is_empty() && self.corrected != Some(Ok(()))
    }
}

/// How a run of a HelmRelease ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReleaseEnd {
    /// The release is what is wanted.
    Ready,
    /// Nothing has changed since the last success, so nothing was looked at.
    Unchanged,
    /// The last action failed before anything of it was stored. It is tried again when something changes.
    Failed,
    /// It was tried as often as it may be.
    Stalled {
        /// What was tried.
        deed: ReleaseDeed,
        /// How often.
        attempts: i64,
    },
    /// It is tried again after a while.
    Retry(Duration),
    /// There is more to do, in another run.
    Again,
    /// Newer work came in while it waited.
    Cancelled,
    /// The source of the chart is not there, or not ready.
    NoChart {
        /// Why.
        message: String,
    },
    /// The source holds no chart that can be used.
    Chart {
        /// Why.
        message: String,
    },
    /// The values cannot be put together.
    Values {
        /// Why.
        message: String,
    },
    /// What is stored of the release cannot be used.
    State {
        /// Why.
        message: String,
    },
    /// Objects that others have changed could not be put back.
    Drifted {
        /// Why.
        message: String,
    },
    /// The run was cut off after it had done something.
    Broken(Box<Common>),
}

/// The end of one action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActionEnd {
    /// What was done.
    pub kind: ActionKind,
    /// `namespace/name.vN`, or without the version where none is stored.
    pub release: String,
    /// `name@version`
    pub chart: String,
    /// Why it failed; `None` where it did not.
    pub failure: Option<String>,
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActionKind {
    /// An action of its own.
    Deed(ReleaseDeed),
    /// A version that another had left in this state was marked as failed.
    Unlock(ReleaseStatus),
}

impl From<Released> for Outcome<Released> {
    fn from(released: Released) -> Self {
        Self::Own(released)
    }
}

impl Ending for Released {
    fn is_success(&self) -> bool {
        matches!(self.end, ReleaseEnd::Ready | ReleaseEnd::Unchanged)
    }

    fn summary(&self) -> String {
        let end = match &self.end {
            ReleaseEnd::Ready => "ready",
            ReleaseEnd::Unchanged => "unchanged",
            ReleaseEnd::Failed => "failed",
            ReleaseEnd::Stalled { .. } => "stalled",
            ReleaseEnd::Retry(_) | ReleaseEnd::Again => "to be tried again",
            ReleaseEnd::Cancelled => "cancelled",
            ReleaseEnd::NoChart { .. } | ReleaseEnd::Chart { .. } => "no chart",
            ReleaseEnd::Values { .. } => "no values",
            ReleaseEnd::State { .. } => "not as stored",
            ReleaseEnd::Drifted { .. } => "drifted",
            ReleaseEnd::Broken(_) => "cut off",
        };
        format!("{end}, {} actions", self.done.len())
    }
}
