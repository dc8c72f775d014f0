//! What the queue is told.

use std::time::Duration;

use super::edges::{Edge, Why};
use lockgate_base::model::{ObjectId, Ref};

/// Counts runs; a later run has a larger number.
pub type RunId = u64;

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Signal {
    /// The first lists of all kinds are complete: before, a missing source may only be one not yet listed.
    Synced,
    /// An object is there, perhaps changed.
    Seen(Ref, Facts),
    /// An object has gone from the cluster.
    Gone(Ref),
    /// A run has done its work for now and only waits: its slot is free for another.
    Waits(RunId),
    /// A run has waited and has more to do: it asks for a slot again.
    Resumes {
        /// The object.
        key: Ref,
        /// The run.
        run: RunId,
    },
    /// A run ended.
    Finished {
        /// The object.
        key: Ref,
        /// The run.
        run: RunId,
        /// How.
        end: RunEnd,
    },
    /// A managed object is no longer as it was applied.
    Drifted {
        /// Whose it is.
        owner: Ref,
        /// The object.
        object: ObjectId,
        /// The field manager that changed it, where that is known.
        by: Option<String>,
    },
    /// A ConfigMap or Secret that asks to be watched has changed.
    InputChanged(Ref),
    /// The API server answers again, or the lease is ours again: what failed for want of it may succeed now.
    Recovered,
    /// Time passed.
    Tick,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunEnd {
    /// Whether the object is Ready.
    pub ready: bool,
    /// Whether it says something else of itself than before, which others then repeat: those that it blocks,
    /// and those that lack what it should hold.
    pub news: bool,
    /// What a source holds now, if anything: the revision, and whatever else tells it from another state of
    /// the source.
    pub revision: Option<String>,
    /// What was put back of objects that others have changed.
    pub corrected: Vec<Correction>,
    /// When to run again.
    pub next: Next,
}

impl RunEnd {
    /// An end that tells nobody anything.
    pub const fn silent(next: Next) -> Self {
        Self { ready: false, news: false, revision: None, corrected: Vec::new(), next }
    }
}

/// What a run put back of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Correction {
    /// The object.
    pub object: ObjectId,
    /// The paths of the fields.
    pub fields: Vec<String>,
    /// Whether the object had gone.
    pub deleted: bool,
}

/// When to run again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// At once.
    Now,
    /// After the interval, give or take 5 %. A zero interval disables the timer.
    Interval(Duration),
    /// After exactly this long. A zero duration disables the timer.
    After(Duration),
    /// Soon: 1, 2, 4 ... 30 s, as it fails again and again for a cause that passes by itself.
    Backoff,
    /// With backoff up to this long, for a cause that may pass by itself, or not. A zero duration disables
    /// the timer.
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

/// What the queue needs to know of an object.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Facts {
    /// Tells the object from another of the same name, of which nothing is known.
    pub uid: String,
    /// Changes whenever a change of the object must lead to a run.
    pub version: String,
    /// The `requestedAt` annotation.
    pub requested_at: Option<String>,
    /// Whether it is paused.
    pub suspended: bool,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// The objects of which it is told, each once for each reason.
    pub edges: Vec<Edge>,
    /// Its interval.
    pub interval: Duration,
}

impl Facts {
    /// The objects to which edges of one kind lead.
    pub fn to(&self, why: Why) -> impl Iterator<Item = &Ref> {
        self.edges.iter().filter(move |edge| edge.why == why).map(|edge| &edge.to)
    }
}

/// How much may go on at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Reconciles that build or write. Those that wait for health are not counted.
    pub reconciles: usize,
    /// Fetches.
    pub fetches: usize,
}
