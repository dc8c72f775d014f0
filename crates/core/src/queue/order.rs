//! What the queue says is to be done.

use std::collections::BTreeSet;

use super::signal::RunId;
use lockgate_base::model::{ObjectId, Ref};

/// Something to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// Begin a run: a fetch of a source, a reconcile of anything else.
    Start {
        /// The object.
        key: Ref,
        /// The number to report back.
        run: RunId,
        /// Why.
        causes: BTreeSet<RunCause>,
    },
    /// Let a run go on that has asked for a slot again.
    Resume(RunId),
    /// Stop waiting: there is newer work. What is being written is still finished.
    Cancel(RunId),
    /// Say that an object is put back again and again, and that it will be put back less often.
    ReportFight {
        /// Whose it is.
        owner: Ref,
        /// The object.
        object: ObjectId,
        /// Who changes what of it.
        rivalry: Rivalry,
    },
}

/// Why a run begins.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum RunCause {
    /// The agent saw the object for the first time, or its spec changed.
    Spec,
    /// The `requestedAt` annotation changed.
    Requested,
    /// The source has another revision.
    Revision,
    /// A dependency became ready, or the order changed.
    Dependency,
    /// This object has drifted.
    Drift(ObjectId),
    /// A ConfigMap or Secret that it reads has changed.
    Input,
    /// The interval or a retry is due.
    Timer,
}

/// Who keeps changing an object that Git sets otherwise, and what of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rivalry {
    /// Field managers; empty where they are not known.
    pub managers: BTreeSet<String>,
    /// The paths of the fields that were put back.
    pub fields: BTreeSet<String>,
    /// Whether the object had to be made again.
    pub deleted: bool,
}
