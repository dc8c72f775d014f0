//! The chain: what is read from a cluster, decided, written and waited for, through ports that the adapters
//! implement.
//!
//! ```text
//! build      fetch → gather → render                                  (Lookup)
//! preview    … → observe → plan                                       (Reads)
//! reconcile  … → apply → prune → settle                               (Writes, Settle)
//! remove     inventory → prune                                        (Writes, Settle)
//! ```
//!
//! `reconcile` and `remove` never fail: they end in an outcome, and `verdict` says what that means. Before
//! the first object is written, the union of what is managed and what will be is recorded in the [`Journal`],
//! so that a process killed at any point leaves nothing behind that the next one does not know of.

pub mod clock;
pub mod ports;
pub mod workers;
mod slot;
mod dress;
mod overlay;
mod origins;
mod gather;
mod build;
mod tenancy;
mod decide;
mod hands;
mod migrate;
mod lag;
mod memo;
mod claims;
mod apply;
mod prune;
mod sweep;
mod room;
mod idle;
mod reconcile;
mod preview;
mod remove;
pub mod offline;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::sync::watch;

use crate::api::InventoryEntry;
use crate::health::HealthRules;
use crate::plan::DriftPolicy;
use crate::verdict::{Applied, Ill, Outcome, Redactor};
use lockgate_base::model::ObjectId;
use lockgate_base::tree::Snapshot;

pub use build::{Build, Supported, build, supported};
pub use claims::{
    Candidate, Claim, Claims, Hold, Holder, Holdings, held, holders, may_hold, needs, recorded, recorded_of,
};
pub use clock::Clock;
pub use gather::{ByHand, GatherError, Gathered, gather};
pub use idle::news as idle_news;
pub use memo::Memo;
pub use preview::{Announced, Dropped, Preview, PreviewInput, preview};
pub use prune::Fate;
pub use reconcile::reconcile;
pub use remove::remove;
pub use slot::{Slot, aside};
pub use tenancy::Tenancy;
pub use workers::Workers;

/// One reconcile.
#[derive(Debug)]
pub struct Job<'a> {
    /// What to reconcile.
    pub kustomization: Supported<'a>,
    /// The source as it was fetched.
    pub snapshot: &'a Snapshot,
    /// What the last successful reconcile found, where this process made it.
    pub memo: Option<&'a Memo>,
    /// Whether to look at every object even if nothing says that it has changed.
    pub thorough: bool,
    /// What is done about drift, where the Kustomization says nothing of it.
    pub drift: DriftPolicy,
    /// Objects that were seen to drift.
    pub drifted: BTreeSet<ObjectId>,
    /// How long health checks may take.
    pub timeout: Duration,
    /// How much of the timeout earlier reconciles of this Kustomization spent before they were cut off.
    pub waited: Duration,
    /// After how long a wait tells what it is for.
    pub told_after: Duration,
    /// By which rules health is judged, and what nothing acts on.
    pub rules: &'a HealthRules,
    /// Tells the time, and lets time pass.
    pub clock: &'a dyn Clock,
    /// Builds.
    pub workers: &'a dyn Workers,
    /// Becomes true when the build or the wait for health is to end because there is newer work.
    pub cancel: watch::Receiver<bool>,
}

/// How a reconcile ended, and what it leaves.
#[derive(Debug)]
pub struct Finish {
    /// How it ended.
    pub outcome: Outcome<Applied>,
    /// For the next one; `None` when that has to look at everything.
    pub memo: Option<Memo>,
    /// The secret values that were handled.
    pub redactor: Redactor,
}

/// Keeps what must survive the process, and hears how far a reconcile is.
pub trait Journal: Slot + Claims {
    /// Records what will be managed, before it is written. An error stops the reconcile before its first
    /// write.
    fn begin(&self, inventory: Vec<InventoryEntry>) -> impl Future<Output = Result<(), JournalError>> + Send;

    /// Tells people, whatever the reconcile ends in.
    fn tell(&self, news: &News);

    /// Everything is written; from here on health alone is waited for.
    fn written(&self);

    /// These are waited for, for some time already.
    fn pending(&self, objects: Vec<Ill>) -> impl Future<Output = ()> + Send;
}

/// What people are told of on the way. No line holds a value of a Secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// Nothing acts on these objects, which were applied. Told once for each set of them.
    Idle(Vec<ObjectId>),
    /// Objects were deleted to be created anew: a line for each.
    Recreated(Vec<String>),
    /// Objects that Git has dropped stay, though they are the owner's: a line for each.
    Kept(Vec<String>),
}

/// Why a record could not be kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// The lease is not held.
    #[error("the lease is not held")]
    Fenced,
    /// The Kustomization has gone.
    #[error("the Kustomization has gone")]
    Gone,
    /// The server could not be asked, or said no.
    #[error("{0}")]
    Unavailable(String),
}
