//! The tools that the steps of one run share.

use std::time::Duration;

use super::clock::Clock;

/// The tools with which a run writes and waits.
#[derive(Debug)]
pub(super) struct Hands<'a, C, S> {
    /// The cluster that the run writes to.
    pub(super) cluster: &'a C,
    /// The slot that the run gives back while it waits.
    pub(super) slot: &'a S,
    /// The clock for its waits.
    pub(super) clock: &'a dyn Clock,
    /// The time limit for the objects of a stage to become healthy, or complete, if the next stage waits for
    /// that.
    pub(super) limit: Duration,
}
