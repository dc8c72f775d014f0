//! What only a reconcile of a Kustomization can end in.

use std::fmt;
use std::time::Duration;

use super::{Ending, Outcome};
use crate::api::InventoryEntry;
use lockgate_base::model::{Digest, ObjectId};

/// How many fields of one object are named.
const FIELDS_NAMED: usize = 5;

/// What only a reconcile of a Kustomization can end in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applied {
    /// Everything is applied, what was to go is gone, and what was to be waited for is healthy.
    Ready(Done),
    /// The build and all it depends on are as they were, and nothing has drifted, so nothing was done.
    Unchanged,
    /// Everything is applied, but it is not healthy.
    Unhealthy {
        /// What was applied.
        done: Done,
        /// Why the wait ended.
        end: WaitEnd,
        /// How long it took.
        waited: Duration,
    },
    /// Definitions were applied and are not served yet, so what comes after them was not begun.
    NotEstablished {
        /// What was applied.
        done: Done,
        /// Why the wait ended.
        end: WaitEnd,
        /// How long it took.
        waited: Duration,
    },
    /// Newer work came in while it waited for health. What was applied stays.
    Cancelled {
        /// What was applied.
        done: Done,
    },
    /// The API server refuses objects. Of their stage nothing was written.
    Refused {
        /// One or more.
        refusals: Vec<Refused>,
        /// What is managed now: what was there before and what earlier stages wrote.
        inventory: Vec<InventoryEntry>,
    },
    /// Everything is applied, but some of what was to be deleted is still there.
    PruneFailed {
        /// What was applied, and what could not be deleted.
        done: Done,
        /// A line for each object.
        failures: Vec<String>,
    },
    /// The build is empty all of a sudden, and no one has said that this is meant.
    PruneRefused {
        /// How many objects would be deleted.
        count: usize,
    },
    /// `spec.path` does not exist in the source.
    PathMissing {
        /// The path.
        path: String,
    },
    /// The files cannot be built.
    Unrenderable {
        /// Which file or object, and why.
        message: String,
    },
    /// The build was made, but its variables could not be substituted.
    Unsubstituted {
        /// Which variables, objects and files.
        message: String,
    },
}

impl From<Applied> for Outcome<Applied> {
    fn from(applied: Applied) -> Self {
        Self::Own(applied)
    }
}

impl Outcome<Applied> {
    /// What was applied, where it was not refused.
    pub const fn done(&self) -> Option<&Done> {
        match self {
            Self::Own(
                Applied::Ready(done)
                | Applied::Unhealthy { done, .. }
                | Applied::NotEstablished { done, .. }
                | Applied::Cancelled { done }
                | Applied::PruneFailed { done, .. },
            ) => Some(done),
            _ => None,
        }
    }
}

impl Ending for Applied {
    fn is_success(&self) -> bool {
        matches!(self, Self::Ready(_) | Self::Unchanged)
    }

    fn summary(&self) -> String {
        match self {
            Self::Ready(done) => {
                format!("ready, {} objects, {} changed", done.inventory.len(), done.changes.len())
            }
            Self::Unchanged => "unchanged".into(),
            Self::Unhealthy { .. } => "unhealthy".into(),
            Self::NotEstablished { .. } => "not established".into(),
            Self::Cancelled { .. } => "cancelled".into(),
            Self::Refused { refusals, .. } => format!("{} refused", refusals.len()),
            Self::PruneFailed { failures, .. } => format!("{} not deleted", failures.len()),
            Self::PruneRefused { count } => format!("deletion of {count} refused"),
            Self::PathMissing { .. } => "path missing".into(),
            Self::Unrenderable { .. } | Self::Unsubstituted { .. } => "not built".into(),
        }
    }
}

/// What a reconcile applied.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Done {
    /// What is managed now.
    pub inventory: Vec<InventoryEntry>,
    /// Digest of what was built.
    pub digest: Option<Digest>,
    /// The objects that were changed.
    pub changes: Vec<ChangedObject>,
    /// What people should know though it stops nothing.
    pub warnings: Vec<String>,
    /// A line for each object that has drifted and is left as it is.
    pub drifted: Vec<String>,
    /// How long the health check took; `None` when none was asked for.
    pub health: Option<Duration>,
}

/// An object that was changed. Its text is Flux's line: `Service/default/podinfo configured (spec.ports)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedObject {
    /// Which object.
    pub id: ObjectId,
    /// What was done.
    pub deed: Deed,
    /// The fields that were put right, by their paths; their values stay untold.
    pub fields: Vec<String>,
}

/// What was done to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// It was not there.
    Created,
    /// It was deleted and made anew.
    Recreated,
    /// It was there, and otherwise.
    Configured,
    /// It is no longer built.
    Deleted,
}

impl fmt::Display for ChangedObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let deed = match self.deed {
            Deed::Created => "created",
            Deed::Recreated => "created anew",
            Deed::Configured => "configured",
            Deed::Deleted => "deleted",
        };
        write!(f, "{} {deed}", self.id.subject())?;
        if self.fields.is_empty() {
            return Ok(());
        }
        write!(f, " ({})", some_of(&self.fields))
    }
}

/// The first few of many names, and how many there are beside them.
pub(crate) fn some_of(paths: &[String]) -> String {
    let more = paths.len().saturating_sub(FIELDS_NAMED);
    let first = paths.iter().take(FIELDS_NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    if more > 0 { format!("{first} and {more} more") } else { first }
}

/// Why a wait for health ended without it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WaitEnd {
    /// What is not healthy has failed.
    Stalled(Vec<Ill>),
    /// The time was up.
    TimedOut(Vec<Ill>),
    /// Health could not be looked at.
    Unknown(String),
}

/// An object that is not healthy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ill {
    /// `Deployment/namespace/name`.
    pub subject: String,
    /// `InProgress`, `Failed`, ...
    pub status: String,
    /// What is wrong, as far as is known.
    pub cause: String,
}

/// An object that the API server refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The whole message: object, reason and cure.
    pub message: String,
    /// Whether it may pass without a change in Git: a namespace that is still to come, a webhook that is
    /// down.
    pub transient: bool,
    /// Whether what it was judged by may be on its way: a definition, a right, a policy.
    pub soon: bool,
    /// Whether a right is missing.
    pub forbidden: bool,
}
