//! What only a run of a HelmRelease can end in.

use std::time::Duration;

use super::{Common, Ending, Outcome};
use crate::api::HelmReleaseStatus;
use crate::release::{ReleaseDeed, ReleaseStatus};

/// What only a run of a HelmRelease can end in.
#[derive(Debug, Clone, PartialEq)]
pub struct Released {
    /// The status with what the run has taken note of; its conditions are those from before.
    pub status: HelmReleaseStatus,
    /// The actions that came to an end, in order.
    pub done: Vec<ActionEnd>,
    /// How the run ended.
    pub end: ReleaseEnd,
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
            ReleaseEnd::Broken(_) => "cut off",
        };
        format!("{end}, {} actions", self.done.len())
    }
}
