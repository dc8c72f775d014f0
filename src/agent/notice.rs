//! The notices to the main loop from the watches and from other senders to the queue.

use lockgate_core::pipeline::ports::ApiFailure;
use lockgate_core::queue::Signal;

/// A message to the main loop.
#[derive(Debug)]
pub(super) enum LoopMessage {
    /// A signal for the queue.
    Queue(Box<Signal>),
    /// The first list of a kind is complete.
    Listed(&'static str),
    /// These controllers of Flux run and do lockgate's work; beside them the agent must not write.
    Flux(String),
    /// Whether the API server answers this watch.
    Reachable {
        kind: &'static str,
        /// What it failed with, if the server does not answer.
        failure: Option<ApiFailure>,
    },
}
