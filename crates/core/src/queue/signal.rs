//! The signals that the queue receives.

use std::time::Duration;

use super::edges::{Edge, Why};
use lockgate_base::model::{ObjectId, Ref};

/// The number of a run; a later run has a larger number.
pub type RunId = u64;

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Signal {
    /// The first lists of all kinds are complete. Before that, a missing source may only be one that is not
    /// listed yet.
    Synced,
    /// An object exists, perhaps changed.
    Seen(Ref, Facts),
    /// An object is gone from the cluster.
    Gone(Ref),
    /// A run has done its work for now and only waits: its slot is free for another.
    Waits(RunId),
    /// A run has waited and has more to do: it requests a slot again.
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
        /// How it ended.
        end: RunEnd,
    },
    /// A managed object has drifted.
    Drifted {
        /// The owner of the object.
        owner: Ref,
        /// The object.
        object: ObjectId,
        /// The field manager that changed it, if it is known.
        by: Option<String>,
    },
    /// A ConfigMap or Secret that asks to be watched has changed.
    InputChanged(Ref),
    /// The API server answers again, or we hold the lease again: runs that failed without it may succeed now.
    Recovered,
    /// Time has passed.
    Tick,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunEnd {
    /// Whether the object is Ready.
    pub ready: bool,
    /// Whether the object reports something new, which other objects then repeat: those that it blocks, and
    /// those that need its content.
    pub news: bool,
    /// The present content of a source, if any: the revision, and anything else that distinguishes it from
    /// another state of the source.
    pub revision: Option<String>,
    /// The corrections of objects that others have changed.
    pub corrected: Vec<Correction>,
    /// When to run again.
    pub next: Next,
}

impl RunEnd {
    /// An end without news for any object.
    pub const fn silent(next: Next) -> Self {
        Self { ready: false, news: false, revision: None, corrected: Vec::new(), next }
    }
}

/// The correction of one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Correction {
    /// The object.
    pub object: ObjectId,
    /// The paths of the fields.
    pub fields: Vec<String>,
    /// Whether the object had been deleted.
    pub deleted: bool,
}

/// When to run again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// At once.
    Now,
    /// After the interval, plus or minus 5 %. A zero interval disables the timer.
    Interval(Duration),
    /// After exactly this long. A zero duration disables the timer.
    After(Duration),
    /// Soon: after 1, 2, 4 ... 30 s, because the cause of the failure passes without help.
    Backoff,
    /// With backoff up to this duration, because the cause may or may not pass without help. A zero duration
    /// disables the timer.
    BackoffTo(Duration),
    /// When a dependency becomes ready, or at the latest after this duration. A zero duration disables the
    /// timer.
    Unblocked(Duration),
    /// When the object, its source or its inputs change.
    Changed,
}

impl Next {
    /// Whether the wait grows with the number of failures in a row.
    pub const fn is_backoff(self) -> bool {
        matches!(self, Self::Backoff | Self::BackoffTo(_))
    }
}

/// The facts about an object that the queue needs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Facts {
    /// The identity of the object, which tells it from another of the same name.
    pub uid: String,
    /// Changes with every change of the object that must lead to a run.
    pub version: String,
    /// The `requestedAt` annotation.
    pub requested_at: Option<String>,
    /// Whether the object is suspended.
    pub suspended: bool,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// The objects that this one depends on, each once for each reason.
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

/// The limits on concurrent runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Reconciles that build or write. Reconciles that wait for health are not counted.
    pub reconciles: usize,
    /// Fetches.
    pub fetches: usize,
}
