//! What the main loop is told by the watches, and by whatever else has something for the queue.

use lockgate_core::queue::Signal;

/// What the main loop is told.
#[derive(Debug)]
pub(super) enum LoopMessage {
    /// Something for the queue.
    Queue(Box<Signal>),
    /// The first list of a kind is complete.
    Listed(&'static str),
    /// These controllers of Flux run and do what lockgate does; beside them nothing is to be written.
    Flux(String),
    /// Whether the API server answers this watch.
    Reachable {
        kind: &'static str,
        /// What went wrong, where it does not.
        problem: Option<String>,
    },
}
