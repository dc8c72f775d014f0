//! The orders that the queue gives.

use std::collections::BTreeSet;

use super::signal::RunId;
use lockgate_base::model::{ObjectId, Ref};

/// An order to the agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// Begin a run: a fetch of a source, a reconcile of any other object.
    Start {
        /// The object.
        key: Ref,
        /// The number that the report of the run must carry.
        run: RunId,
        /// The reasons for the run.
        causes: BTreeSet<RunCause>,
    },
    /// Continue a run that has requested a slot again.
    Resume(RunId),
    /// Stop waiting: there is newer work. A write that has begun is still finished.
    Cancel(RunId),
    /// Report that an object is corrected again and again, and that it will be corrected less often.
    ReportFight {
        /// The owner of the object.
        owner: Ref,
        /// The object.
        object: ObjectId,
        /// The fight: who changes which fields.
        rivalry: Rivalry,
    },
}

/// The reason for a run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum RunCause {
    /// The agent saw the object for the first time, or its spec changed.
    Spec,
    /// The `requestedAt` annotation changed.
    Requested,
    /// The source has a new revision.
    Revision,
    /// A dependency became ready, or the order of Kustomizations changed.
    Dependency,
    /// This object has drifted.
    Drift(ObjectId),
    /// A ConfigMap or Secret that the object reads has changed.
    Input,
    /// The interval or a retry is due.
    Timer,
}

/// The other side of a fight: who keeps changing an object that Git sets otherwise, and which fields.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rivalry {
    /// Field managers; empty if they are unknown.
    pub managers: BTreeSet<String>,
    /// The paths of the corrected fields.
    pub fields: BTreeSet<String>,
    /// Whether the object had to be recreated.
    pub deleted: bool,
}
