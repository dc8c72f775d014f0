//! What the queue is told, and what it says.

use std::collections::BTreeSet;
use std::time::Duration;

use lockgate_base::model::{ObjectId, Ref};

/// Counts runs; a later run has a larger number.
pub type RunId = u64;

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The first lists of all kinds are complete: before, a missing source may only be one not yet listed.
    Synced,
    /// A Kustomization is there, perhaps changed.
    Seen(Ref, Facts),
    /// A Kustomization has gone from the cluster.
    Gone(Ref),
    /// A source is there, perhaps changed.
    SourceSeen(Ref, SourceFacts),
    /// A source has gone from the cluster.
    SourceGone(Ref),
    /// A fetch ended.
    Fetched {
        /// The source.
        source: Ref,
        /// The fetch.
        run: RunId,
        /// What is now held, if anything: the revision, and whatever else tells it from another state of the source.
        revision: Option<String>,
        /// Whether the source says something else of itself than before, which those that lack it then repeat.
        news: bool,
        /// When to fetch again.
        next: Next,
    },
    /// A reconcile has applied everything and only waits for health from here on.
    Waits(RunId),
    /// A reconcile ended.
    Finished {
        /// The Kustomization.
        key: Ref,
        /// The reconcile.
        run: RunId,
        /// Whether the Kustomization is Ready.
        ready: bool,
        /// Whether it says something else of itself than before, which those that it blocks then repeat.
        news: bool,
        /// When to reconcile again.
        next: Next,
    },
    /// A managed object is no longer as it was applied.
    Drifted(Ref, ObjectId),
    /// A ConfigMap or Secret that asks to be watched has changed.
    InputChanged(Ref),
    /// The API server answers again, or the lease is ours again: what failed for want of it may succeed now.
    Recovered,
    /// Time passed.
    Tick,
}

/// Something to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Begin a reconcile.
    Reconcile {
        /// The Kustomization.
        key: Ref,
        /// The number to report back.
        run: RunId,
        /// Why.
        causes: BTreeSet<Cause>,
    },
    /// Stop waiting for health: there is newer work. What is being written is still finished.
    Cancel(RunId),
    /// Begin a fetch.
    Fetch {
        /// The source.
        source: Ref,
        /// The number to report back.
        run: RunId,
    },
    /// Say that this object is put back again and again, and that it will be put back less often.
    ReportFight(Ref, ObjectId),
}

/// Why a reconcile begins.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
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

/// When to run again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// At once.
    Now,
    /// After the interval, give or take 5 %. An interval of nothing asks for no timer.
    Interval(Duration),
    /// After exactly this long. Nothing asks for no timer.
    After(Duration),
    /// Soon: 1, 2, 4 ... 30 s, as it fails again and again for a cause that passes by itself.
    Backoff,
    /// The same up to this long, for a cause that may pass by itself, or not. Nothing asks for no timer.
    BackoffTo(Duration),
    /// When a dependency becomes ready; at the latest after this long, if it is anything.
    Unblocked(Duration),
    /// When the object, its source or its inputs change.
    Changed,
}

impl Next {
    /// Whether it comes sooner the fewer failures there were in a row.
    pub const fn is_backoff(self) -> bool {
        matches!(self, Self::Backoff | Self::BackoffTo(_))
    }
}

/// What the queue needs to know of a Kustomization.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Facts {
    /// Changes whenever a change of the object must lead to a reconcile.
    pub version: String,
    /// The `requestedAt` annotation.
    pub requested_at: Option<String>,
    /// Whether it is paused.
    pub suspended: bool,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// The GitRepository it builds from; `None` where it names none that could be fetched.
    pub source: Option<Ref>,
    /// The Kustomizations that come first.
    pub depends_on: Vec<Ref>,
    /// What it reads besides the source.
    pub inputs: Vec<Ref>,
    /// Its interval.
    pub interval: Duration,
}

/// What the queue needs to know of a source.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SourceFacts {
    /// Tells the object from another of the same name, of which nothing is held.
    pub uid: String,
    /// Changes whenever a change of the object must lead to a fetch.
    pub version: String,
    /// The `requestedAt` annotation.
    pub requested_at: Option<String>,
    /// Whether it is paused.
    pub suspended: bool,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// What it reads: its Secret.
    pub inputs: Vec<Ref>,
}

/// How much may go on at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Reconciles that build or write. Those that wait for health are not counted.
    pub reconciles: usize,
    /// Fetches.
    pub fetches: usize,
}
