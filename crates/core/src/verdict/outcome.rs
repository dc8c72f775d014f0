//! How a run ended, as data: what runs of all kinds can end in, and beside it what only some can.

mod applied;
mod fetched;
mod released;

pub(crate) use applied::some_of;
pub use applied::{Applied, ChangedObject, Deed, Done, Ill, Refused, WaitEnd};
pub use fetched::{Content, FetchCause, Fetched, PackedChart};
pub use released::{ActionEnd, ActionKind, ReleaseEnd, Released};

use std::time::Duration;

use crate::graph::Cycle;
use lockgate_base::model::Ref;

/// How a run ended. `E` is what only runs of its kind can end in: [`Applied`] for a Kustomization,
/// [`Fetched`] for a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome<E> {
    /// As a run of any kind may.
    Common(Common),
    /// As only a run of its kind may.
    Own(E),
}

/// What only the runs of some kinds can end in.
pub trait Ending {
    /// Whether the run did all that it was for.
    fn is_success(&self) -> bool;
    /// The end in a few words, for a log. The status says it in full.
    fn summary(&self) -> String;
}

impl<E: Ending> Outcome<E> {
    /// Whether the run did all that it was for.
    pub fn is_success(&self) -> bool {
        match self {
            Self::Common(common) => matches!(common, Common::Removed { .. }),
            Self::Own(ending) => ending.is_success(),
        }
    }

    /// The outcome in a few words, for a log. The status says it in full.
    pub fn summary(&self) -> String {
        match self {
            Self::Common(common) => common.summary(),
            Self::Own(ending) => ending.summary(),
        }
    }
}

impl<E> From<Common> for Outcome<E> {
    fn from(common: Common) -> Self {
        Self::Common(common)
    }
}

/// What a run of any kind can end in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Common {
    /// The object is paused.
    Suspended,
    /// The lease is no longer held, so nothing may be written.
    Fenced,
    /// The API server could not be asked.
    Unreachable {
        /// What happened.
        message: String,
    },
    /// A right is missing.
    AccessDenied {
        /// Who may not do what to what.
        message: String,
    },
    /// The object itself is not of its kind's form, or asks for what is not supported.
    Malformed {
        /// Which field, and why.
        message: String,
    },
    /// The agent has a fault.
    Panicked {
        /// Where in the code it is; what it said may quote anything.
        message: String,
    },
    /// The agent ended again and again while it built or fetched this, so that it is left alone.
    Quarantined {
        /// How often it ended while nothing else was new.
        times: u32,
    },
    /// A dependency is not ready.
    Blocked(Blocker),
    /// The dependencies go round in a circle, which the object is a member of.
    Cyclic(Cycle),
    /// The source does not exist, or not yet.
    SourceMissing {
        /// `Kind/namespace/name`.
        source: String,
    },
    /// The source has not been fetched yet.
    SourceNotReady {
        /// `Kind/namespace/name`.
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
    /// A ConfigMap or Secret that the run needs is missing.
    InputMissing {
        /// Which, and why.
        message: String,
    },
    /// The object was being deleted, and its objects were deleted, orphaned or handed over as its policy
    /// says.
    Removed {
        /// How many objects were deleted.
        deleted: usize,
        /// Something that people should know, for example objects that are still being finalized.
        note: Option<String>,
    },
    /// The object was being deleted, and the account that it acts as has gone, without which its objects
    /// cannot be deleted.
    Abandoned {
        /// The ServiceAccount's name.
        account: String,
        /// How many objects were deleted all the same.
        deleted: usize,
        /// Which were left: `ConfigMap/namespace/name`.
        left: Vec<String>,
    },
    /// The object is being deleted, and so are others that depend on it, which are to go first.
    RemovalWaits {
        /// The dependents that are still there.
        dependents: Vec<Ref>,
        /// How long they are waited for at most.
        limit: Duration,
    },
    /// The object is being deleted, but some of its objects could not be.
    RemovalFailed {
        /// A line for each object.
        failures: Vec<String>,
    },
}

impl Common {
    fn summary(&self) -> String {
        match self {
            Self::Suspended => "suspended".into(),
            Self::Fenced => "the lease is not held".into(),
            Self::Unreachable { message } => format!("unreachable: {message}"),
            Self::AccessDenied { .. } => "access denied".into(),
            Self::Malformed { .. } => "malformed".into(),
            Self::Panicked { .. } => "internal error".into(),
            Self::Quarantined { .. } => "left alone".into(),
            Self::Blocked(_) => "blocked".into(),
            Self::Cyclic(_) => "cyclic".into(),
            Self::SourceMissing { .. }
            | Self::SourceNotReady { .. }
            | Self::SourceRefused { .. }
            | Self::SourceForbidden { .. } => "no source".into(),
            Self::InputMissing { .. } => "not built".into(),
            Self::Removed { deleted, .. } => format!("removed, {deleted} objects deleted"),
            Self::Abandoned { left, .. } => format!("removed, {} objects left", left.len()),
            Self::RemovalWaits { dependents, .. } => {
                format!("waits for {} dependents to go", dependents.len())
            }
            Self::RemovalFailed { failures } => format!("{} not deleted", failures.len()),
        }
    }
}

/// The dependency that an object waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blocker {
    /// The direct dependency.
    pub dependency: Ref,
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
        chain: Vec<Ref>,
        /// What the one at the root says.
        message: Option<String>,
    },
    /// It is ready, at another revision of the same source.
    Outdated,
}
