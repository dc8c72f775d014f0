//! How a reconcile or a fetch ended, as data.

use std::fmt;
use std::time::Duration;

use crate::api::InventoryEntry;
use lockgate_base::model::{Digest, Key, ObjectId};

/// How many fields of one object are named.
const FIELDS_NAMED: usize = 5;

/// How a reconcile of a Kustomization ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
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
    /// A dependency is not ready.
    Blocked(Blocker),
    /// The dependencies go round in a circle.
    Cyclic {
        /// From this Kustomization back to it, each name once.
        cycle: Vec<Key>,
    },
    /// The source does not exist, or not yet.
    SourceMissing {
        /// `GitRepository/namespace/name`.
        source: String,
    },
    /// The source has not been fetched yet.
    SourceNotReady {
        /// `GitRepository/namespace/name`.
        source: String,
        /// What its own Ready condition says.
        message: Option<String>,
    },
    /// The source's kind is not served.
    SourceRefused {
        /// Why, and what to do.
        message: String,
    },
    /// The source is in a namespace from which it may not be taken.
    SourceForbidden {
        /// Why, and what to do.
        message: String,
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
    /// A ConfigMap or Secret that the build needs is missing.
    InputMissing {
        /// Which, and why.
        message: String,
    },
    /// The object itself is not of its kind's form, or asks for what is not supported.
    Malformed {
        /// Which field, and why.
        message: String,
    },
    /// A right is missing.
    AccessDenied {
        /// Who may not do what to what.
        message: String,
    },
    /// The API server could not be asked.
    Unreachable {
        /// What happened.
        message: String,
    },
    /// The lease is no longer held, so nothing may be written.
    Fenced,
    /// The agent has a fault.
    Panicked {
        /// Where in the code it is; what it said may quote anything.
        message: String,
    },
    /// It is paused.
    Suspended,
    /// It was being deleted, and its objects were deleted, orphaned or handed over as its policy says.
    Removed {
        /// How many objects were deleted.
        deleted: usize,
        /// Something that people should know, for example objects that are still being finalized.
        note: Option<String>,
    },
    /// It was being deleted, and the account that it acts as has gone, without which its objects cannot be deleted.
    Abandoned {
        /// The ServiceAccount's name.
        account: String,
        /// How many objects were deleted all the same.
        deleted: usize,
        /// Which were left: `ConfigMap/namespace/name`.
        left: Vec<String>,
    },
    /// It is being deleted, but some of its objects could not be.
    RemovalFailed {
        /// A line for each object.
        failures: Vec<String>,
    },
}

impl Outcome {
    /// What was applied, where it was not refused.
    pub const fn done(&self) -> Option<&Done> {
        match self {
            Self::Ready(done)
            | Self::Unhealthy { done, .. }
            | Self::NotEstablished { done, .. }
            | Self::Cancelled { done }
            | Self::PruneFailed { done, .. } => Some(done),
            _ => None,
        }
    }

    /// In a few words, for a log. What the status says in full stands there.
    pub fn summary(&self) -> String {
        match self {
            Self::Ready(done) => {
                format!("ready, {} objects, {} changed", done.inventory.len(), done.changes.len())
            }
            Self::Unchanged => "unchanged".into(),
            Self::Unhealthy { .. } => "unhealthy".into(),
            Self::NotEstablished { .. } => "not established".into(),
            Self::Cancelled { .. } => "cancelled".into(),
            Self::Refused { refusals, .. } => format!("{} refused", refusals.len()),
            Self::PruneFailed { failures, .. } | Self::RemovalFailed { failures } => {
                format!("{} not deleted", failures.len())
            }
            Self::PruneRefused { count } => format!("deletion of {count} refused"),
            Self::Blocked(_) => "blocked".into(),
            Self::Cyclic { .. } => "cyclic".into(),
            Self::SourceMissing { .. }
            | Self::SourceNotReady { .. }
            | Self::SourceRefused { .. }
            | Self::SourceForbidden { .. } => "no source".into(),
            Self::PathMissing { .. } => "path missing".into(),
            Self::Unrenderable { .. } | Self::Unsubstituted { .. } | Self::InputMissing { .. } => {
                "not built".into()
            }
            Self::Malformed { .. } => "malformed".into(),
            Self::AccessDenied { .. } => "access denied".into(),
            Self::Unreachable { message } => format!("unreachable: {message}"),
            Self::Fenced => "the lease is not held".into(),
            Self::Panicked { .. } => "internal error".into(),
            Self::Suspended => "suspended".into(),
            Self::Removed { deleted, .. } => format!("removed, {deleted} objects deleted"),
            Self::Abandoned { left, .. } => format!("removed, {} objects left", left.len()),
        }
    }
}

/// What a reconcile applied.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Done {
    /// What is managed now.
    pub inventory: Vec<InventoryEntry>,
    /// Digest of what was built.
    pub digest: Option<Digest>,
    /// The objects that were changed.
    pub changes: Vec<Change>,
    /// What people should know though it stops nothing.
    pub warnings: Vec<String>,
    /// How long the health check took; `None` when none was asked for.
    pub health: Option<Duration>,
}

/// An object that was changed. Its text is Flux's line: `Service/default/podinfo configured (spec.ports)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
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

impl fmt::Display for Change {
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

/// The first few of many paths, and how many there are beside them.
pub(super) fn some_of(paths: &[String]) -> String {
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
    /// Whether it may pass without a change in Git: a namespace that is still to come, a webhook that is down.
    pub transient: bool,
    /// Whether a right is missing.
    pub forbidden: bool,
}

/// The dependency that a Kustomization waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blocker {
    /// The direct dependency.
    pub dependency: Key,
    /// What is wrong with it.
    pub reason: BlockReason,
}

/// What is wrong with a dependency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BlockReason {
    /// It does not exist.
    Missing,
    /// It is not ready.
    NotReady {
        /// From the direct dependency to the one at the root of it; empty where they are the same.
        chain: Vec<Key>,
        /// What the one at the root says.
        message: Option<String>,
    },
    /// It is ready, at another revision of the same source.
    Outdated,
}

/// How a fetch of a GitRepository ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FetchOutcome {
    /// A revision is held that was not held before.
    Fetched {
        /// `main@sha1:...`.
        revision: String,
        /// Digest of the tree.
        digest: String,
        /// The commit's subject, where known.
        subject: Option<String>,
        /// The commit that was held before, when the new one does not descend from it.
        rewritten: Option<String>,
    },
    /// The revision that is held is still the one that is wanted.
    Unchanged {
        /// `main@sha1:...`.
        revision: String,
    },
    /// The repository could not be fetched.
    Failed {
        /// What kept it from being fetched.
        cause: FetchCause,
        /// What happened, and the cure.
        message: String,
        /// Whether nothing but a change of the object helps.
        terminal: bool,
    },
    /// The object is not of its kind's form, or asks for what is not supported.
    Malformed {
        /// Which field, and why.
        message: String,
    },
    /// The agent has a fault.
    Panicked {
        /// Where in the code it is; what it said may quote anything.
        message: String,
    },
}

/// What kept a repository from being fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FetchCause {
    /// The host is not the one expected, or does not let the credentials in; or there are none.
    Authentication,
    /// The host, the network, or what was asked of them.
    Operation,
    /// `spec.url` can never work.
    Url,
    /// The repository has no commits.
    Empty,
    /// The local object store.
    Storage,
}
