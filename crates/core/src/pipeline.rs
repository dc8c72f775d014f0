//! The chain: reads from a cluster, decides, writes and waits, through ports that the adapters implement.
//!
//! ```text
//! build      fetch → gather → render                                  (Lookup)
//! preview    … → observe → plan                                       (Reads)
//! reconcile  … → apply → prune → settle                               (Writes, Settle)
//! remove     inventory → prune                                        (Writes, Settle)
//! release    … → stored release → acts                                (Stores)
//! ```
//!
//! `reconcile` and `remove` never fail: they end in an outcome, and `verdict` says what that means. Before
//! the first object is written, the [`Journal`] records the union of the present and the future managed
//! objects, so that a process killed at any point leaves nothing that the next one does not know.

pub mod clock;
pub mod ports;
pub mod workers;
mod slot;
mod wait;
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
mod release;
pub mod offline;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::sync::watch;

use crate::api::InventoryEntry;
use crate::health::HealthRules;
use crate::plan::DriftPolicy;
use crate::verdict::{Applied, Outcome, Redactor};
use lockgate_base::model::ObjectId;
use lockgate_base::tree::Snapshot;

pub use build::{Build, Supported, build, supported};
pub use claims::{
    Candidate, Claim, Claims, Hold, Holder, Holdings, held, holders, may_claim, may_hold, needs, recorded,
    recorded_of, released,
};
pub use clock::Clock;
pub use gather::{ByHand, GatherError, Gathered, gather};
pub use idle::news as idle_news;
pub use memo::Memo;
pub use preview::{Announced, Dropped, Preview, PreviewInput, preview};
pub use prune::Fate;
pub use reconcile::reconcile;
pub use release::{
    Chance, ReleaseFinish, ReleaseJob, ReleaseJournal, ReleaseMemo, ReleaseRun, RenderedHook,
    reconcile_release, uninstall_release,
};
pub use remove::remove;
pub use slot::{Slot, aside};
pub use tenancy::Tenancy;
pub use wait::Waiter;
pub use workers::Workers;

/// One reconcile.
#[derive(Debug)]
pub struct Job<'a> {
    /// The Kustomization to reconcile.
    pub kustomization: Supported<'a>,
    /// The fetched source.
    pub snapshot: &'a Snapshot,
    /// The record of the last successful reconcile, if this process made it.
    pub memo: Option<&'a Memo>,
    /// Whether to read every object even without a sign of a change.
    pub thorough: bool,
    /// The treatment of drift, if the Kustomization does not set it.
    pub drift: DriftPolicy,
    /// Objects that have drifted.
    pub drifted: BTreeSet<ObjectId>,
    /// The time limit of health checks.
    pub timeout: Duration,
    /// The part of the timeout that earlier, cancelled reconciles of this Kustomization have spent.
    pub waited: Duration,
    /// The time after which a wait reports its reason.
    pub told_after: Duration,
    /// The rules of health, which also tell the kinds without a controller.
    pub rules: &'a HealthRules,
    /// The clock.
    pub clock: &'a dyn Clock,
    /// The threads for builds.
    pub workers: &'a dyn Workers,
    /// Becomes true when newer work must end the build or the wait for health.
    pub cancel: watch::Receiver<bool>,
}

/// The end of a run of an applier, and its record: by default of a Kustomization.
#[derive(Debug)]
pub struct Finish<E = Applied, M = Memo> {
    /// The outcome.
    pub outcome: Outcome<E>,
    /// The record for the next run; `None` if that must read everything.
    pub memo: Option<M>,
    /// The secret values that the run has handled.
    pub redactor: Redactor,
}

impl<E, M> Finish<E, M> {
    /// The end of a run that has handled no secret value and leaves no record.
    pub fn of(outcome: impl Into<Outcome<E>>) -> Self {
        Self { outcome: outcome.into(), memo: None, redactor: Redactor::default() }
    }
}

/// Stores the state that must survive the process, and receives the progress of a reconcile.
pub trait Journal: Slot + Claims + Waiter {
    /// Records what will be managed, before it is written. An error stops the reconcile before its first
    /// write.
    fn begin(&self, inventory: Vec<InventoryEntry>) -> impl Future<Output = Result<(), JournalError>> + Send;

    /// Reports an event at once, whatever the outcome.
    fn tell(&self, news: &News);

    /// Everything is written. From now on the run only waits for health.
    fn written(&self);
}

/// News during a run. No line contains a value of a Secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// No controller acts on these applied objects. Reported once for each set of them.
    Idle(Vec<ObjectId>),
    /// Objects were deleted to be recreated: a line for each.
    Recreated(Vec<String>),
    /// Objects of the owner stay although Git has dropped them: a line for each.
    Kept(Vec<String>),
}

/// Why a record could not be stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// The lease is not held.
    #[error("the lease is not held")]
    Fenced,
    /// The Kustomization was deleted.
    #[error("the Kustomization was deleted")]
    Gone,
    /// The server could not be reached, or refused.
    #[error("{0}")]
    Unavailable(String),
}
