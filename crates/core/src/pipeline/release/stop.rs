//! Why a run of a HelmRelease stops, and what that comes to.

use super::super::JournalError;
use super::super::ports::ApiFailure;
use super::ReleaseMemo;
use crate::plan::{Cause, Refusal};
use crate::release::{ReleaseTooLarge, ReleaseUnread};
use crate::verdict::{Common, ReleaseEnd};

/// Why a run ends without having tried what it was about.
#[derive(Debug)]
pub(super) enum ReleaseStop {
    /// As a run of any kind may.
    Common(Common),
    /// What is stored, or is to be, cannot be used.
    Storage(String),
    /// Newer work came in while it waited.
    Cancelled,
    /// The action failed, and how.
    Failed(String),
}

impl From<ApiFailure> for ReleaseStop {
    fn from(failure: ApiFailure) -> Self {
        let message = failure.to_string();
        match failure {
            ApiFailure::Fenced(_) => Self::Common(Common::Fenced),
            ApiFailure::Forbidden(_) => Self::Common(Common::AccessDenied { message }),
            // Where another has written it since it was read, it is looked at anew.
            ApiFailure::Unavailable { .. } | ApiFailure::Answered { code: 409, .. } => {
                Self::Common(Common::Unreachable { message })
            }
            ApiFailure::UnknownKind { .. } | ApiFailure::Answered { .. } => Self::Storage(message),
        }
    }
}

impl ReleaseStop {
    /// What it means that objects are refused.
    pub(super) fn refused(refusals: &[Refusal]) -> Self {
        if let Some(lost) = refusals.iter().find(|refusal| refusal.cause == Cause::Unavailable) {
            return Self::Common(Common::Unreachable { message: lost.to_string() });
        }
        let lines: Vec<String> = refusals.iter().map(ToString::to_string).collect();
        Self::Failed(lines.join("\n"))
    }
}

impl From<ReleaseUnread> for ReleaseStop {
    fn from(error: ReleaseUnread) -> Self {
        Self::Storage(error.to_string())
    }
}

impl From<ReleaseTooLarge> for ReleaseStop {
    fn from(error: ReleaseTooLarge) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<JournalError> for ReleaseStop {
    fn from(error: JournalError) -> Self {
        Self::Common(match error {
            JournalError::Fenced | JournalError::Gone => Common::Fenced,
            JournalError::Unavailable(message) => Common::Unreachable { message },
        })
    }
}

/// How a run comes to its end.
pub(super) enum EarlyEnd {
    Own(ReleaseEnd, Option<ReleaseMemo>),
    Common(Common),
}

impl From<ReleaseStop> for EarlyEnd {
    fn from(stop: ReleaseStop) -> Self {
        match stop {
            ReleaseStop::Common(common) => Self::Common(common),
            ReleaseStop::Storage(message) => Self::Own(ReleaseEnd::State { message }, None),
            ReleaseStop::Cancelled => Self::Own(ReleaseEnd::Cancelled, None),
            ReleaseStop::Failed(_) => Self::Own(ReleaseEnd::Failed, None),
        }
    }
}
