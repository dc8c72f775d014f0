//! The outcome of a run, as data: outcomes that runs of all kinds can have, and outcomes of some kinds only.

mod applied;
mod fetched;
mod released;

pub(crate) use applied::some_of;
pub use applied::{Applied, ChangedObject, Deed, Done, Ill, Refused, WaitEnd};
pub use fetched::{Content, FetchCause, Fetched, PackedChart};
pub use released::{ActionEnd, ActionKind, DriftEnd, DriftFound, ReleaseEnd, Released};

use std::time::Duration;

use crate::graph::Cycle;
use lockgate_base::model::Ref;

/// How a run ended. `E` holds the outcomes that only runs of its kind have: [`Applied`] for a Kustomization,
/// [`Fetched`] for a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome<E> {
    /// An outcome that a run of any kind can have.
    Common(Common),
    /// An outcome that only a run of its kind can have.
    Own(E),
}

/// Outcomes that only runs of some kinds have.
pub trait Ending {
    /// Whether the run was successful.
    fn is_success(&self) -> bool;
    /// The outcome in a few words, for a log. The status has the full message.
    fn summary(&self) -> String;
}

impl<E: Ending> Outcome<E> {
    /// Whether the run was successful.
    pub fn is_success(&self) -> bool {
        match self {
            Self::Common(common) => matches!(common, Common::Removed { .. }),
            Self::Own(ending) => ending.is_success(),
        }
    }

    /// The outcome in a few words, for a log. The status has the full message.
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

/// The outcomes that a run of any kind can have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Common {
    /// The object is suspended.
    Suspended,
    /// The lease is lost, so nothing may be written.
    Fenced,
    /// The API server could not be reached.
    Unreachable {
        /// The error.
        message: String,
    },
    /// A right is missing.
    AccessDenied {
        /// The account and the right.
        message: String,
    },
    /// The object itself is malformed, or has unsupported fields.
    Malformed {
        /// The field, and the reason.
        message: String,
    },
    /// The agent has a fault.
    Panicked {
        /// The place in the code; the panic's message may quote anything.
        message: String,
    },
    /// The agent ended repeatedly while it built or fetched this object, so the object is left alone.
    Quarantined {
        /// How often the agent ended while no other new run was under way.
        times: u32,
    },
    /// A dependency is not ready.
    Blocked(Blocker),
    /// The dependencies form a cycle that contains the object.
    Cyclic(Cycle),
    /// The source does not exist, or does not exist yet.
    SourceMissing {
        /// `Kind/namespace/name`.
        source: String,
    },
    /// The source has not been fetched yet.
    SourceNotReady {
        /// `Kind/namespace/name`.
        source: String,
        /// The message of its own Ready condition.
        message: Option<String>,
    },
    /// The source's kind is not served.
    SourceRefused {
        /// The reason, and the cure.
        message: String,
    },
    /// The source is in a namespace whose sources may not be used.
    SourceForbidden {
        /// The reason, and the cure.
        message: String,
    },
    /// A ConfigMap or Secret that the run needs is missing.
    InputMissing {
        /// The object, and the reason.
        message: String,
    },
    /// The object was being deleted, and its objects were deleted, orphaned or handed over by its policy.
    Removed {
        /// How many objects were deleted.
        deleted: usize,
        /// A note for people, for example about objects with pending finalizers.
        note: Option<String>,
    },
    /// The object was being deleted, and its account is gone, without which its objects cannot be deleted.
    Abandoned {
        /// The ServiceAccount's name.
        account: String,
        /// The number of objects that were deleted all the same.
        deleted: usize,
        /// The remaining objects: `ConfigMap/namespace/name`.
        left: Vec<String>,
    },
    /// The object is being deleted, and so are dependents, which must go first.
    RemovalWaits {
        /// The remaining dependents.
        dependents: Vec<Ref>,
        /// The longest wait for them.
        limit: Duration,
    },
    /// The object is being deleted, but some of its objects could not be deleted.
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
                format!("waits for the deletion of {} dependents", dependents.len())
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
    /// The problem of the dependency.
    pub reason: BlockReason,
}

/// The problem of a dependency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BlockReason {
    /// It does not exist.
    Missing,
    /// It is not ready.
    NotReady {
        /// From the direct dependency to the root cause; empty if they are the same.
        chain: Vec<Ref>,
        /// The message of the root cause.
        message: Option<String>,
    },
    /// It is ready, but at another revision of the same source.
    Outdated,
}
