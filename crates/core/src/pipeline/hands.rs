//! What the steps of one run have in common.

use std::time::Duration;

use super::clock::Clock;

/// What a run writes and waits with.
#[derive(Debug)]
pub(super) struct Hands<'a, C, S> {
    /// What it acts on.
    pub(super) cluster: &'a C,
    /// Given back while it waits.
    pub(super) slot: &'a S,
    /// Tells how long it waits.
    pub(super) clock: &'a dyn Clock,
    /// How long the objects of a stage may take to be healthy, or complete, where the next stage waits for
    /// that.
    pub(super) limit: Duration,
}
