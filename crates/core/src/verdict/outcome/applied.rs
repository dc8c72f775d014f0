//! The outcomes that only a reconcile of a Kustomization has.

use std::fmt;
use std::time::Duration;

use super::{Ending, Outcome};
use crate::api::InventoryEntry;
use lockgate_base::model::{Digest, ObjectId};

/// How many fields of one object a message names.
const FIELDS_NAMED: usize = 5;

/// The outcomes that only a reconcile of a Kustomization has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applied {
    /// Everything is applied, pruning is complete, and all objects with a health check are healthy.
    Ready(Done),
    /// The build and its inputs are unchanged and nothing has drifted, so the run did nothing.
    Unchanged,
    /// Everything is applied, but not everything is healthy.
    Unhealthy {
        /// The result of applying so far.
        done: Done,
        /// Why the wait ended.
        end: WaitEnd,
        /// How long the wait took.
        waited: Duration,
    },
    /// Definitions were applied and are not served yet, so the next stage was not begun.
    NotEstablished {
        /// The result of applying so far.
        done: Done,
        /// Why the wait ended.
        end: WaitEnd,
        /// How long the wait took.
        waited: Duration,
    },
    /// Newer work came in while the run waited for health. The applied objects stay.
    Cancelled {
        /// The result of applying so far.
        done: Done,
    },
    /// The API server refuses objects. Nothing of their stage was written.
    Refused {
        /// The refused objects, at least one.
        refusals: Vec<Refused>,
        /// The managed objects: those from before and those that earlier stages wrote.
        inventory: Vec<InventoryEntry>,
    },
    /// Everything is applied, but some objects to prune still exist.
    PruneFailed {
        /// The result of applying, and the objects that could not be deleted.
        done: Done,
        /// A line for each object.
        failures: Vec<String>,
    },
    /// The build is suddenly empty, and nobody has confirmed that.
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
        /// The file or object, and the reason.
        message: String,
    },
    /// The build succeeded, but its variables could not be substituted.
    Unsubstituted {
        /// The variables, objects and files.
        message: String,
    },
}

impl From<Applied> for Outcome<Applied> {
    fn from(applied: Applied) -> Self {
        Self::Own(applied)
    }
}

impl Outcome<Applied> {
    /// The applied objects, if the outcome has any.
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

/// The result of applying.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Done {
    /// The managed objects.
    pub inventory: Vec<InventoryEntry>,
    /// The digest of the build.
    pub digest: Option<Digest>,
    /// The changed objects.
    pub changes: Vec<ChangedObject>,
    /// Warnings, which stop nothing.
    pub warnings: Vec<String>,
    /// A line for each object whose drift is not corrected.
    pub drifted: Vec<String>,
    /// How long the health check took; `None` if there was none.
    pub health: Option<Duration>,
}

/// An object that was changed. Its text is Flux's line: `Service/default/podinfo configured (spec.ports)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedObject {
    /// The object.
    pub id: ObjectId,
    /// The change.
    pub deed: Deed,
    /// The paths of the corrected fields; their values are not shown.
    pub fields: Vec<String>,
}

/// How an object was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// It did not exist.
    Created,
    /// It was deleted and recreated.
    Recreated,
    /// It existed and was updated.
    Configured,
    /// It was pruned.
    Deleted,
}

impl fmt::Display for ChangedObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let deed = match self.deed {
            Deed::Created => "created",
            Deed::Recreated => "recreated",
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

/// The first few of many names, and the number of the others.
pub(crate) fn some_of(paths: &[String]) -> String {
    let more = paths.len().saturating_sub(FIELDS_NAMED);
    let first = paths.iter().take(FIELDS_NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    if more > 0 { format!("{first} and {more} more") } else { first }
}

/// Why a wait for health ended without success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WaitEnd {
    /// Objects have failed.
    Stalled(Vec<Ill>),
    /// The time limit was reached.
    TimedOut(Vec<Ill>),
    /// The health could not be read.
    Unknown(String),
}

/// An object that is not healthy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ill {
    /// `Deployment/namespace/name`.
    pub subject: String,
    /// `InProgress`, `Failed`, ...
    pub status: String,
    /// The cause, as far as it is known.
    pub cause: String,
}

/// An object that the API server refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The whole message: object, reason and cure.
    pub message: String,
    /// Whether the refusal may pass without a change in Git: a namespace that is still to come, a webhook
    /// that is down.
    pub transient: bool,
    /// Whether the server may only not have seen a change yet: a definition, a right, a policy.
    pub soon: bool,
    /// Whether a right is missing.
    pub forbidden: bool,
}
