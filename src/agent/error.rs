//! The reasons why the agent ends by itself.

use std::net::SocketAddr;

/// Why the agent ended without a request to shut down.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The address is in use, or does not belong to this machine.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's error.
        source: std::io::Error,
    },
    /// Signals cannot be received.
    #[error("signals: {0}")]
    Signals(std::io::Error),
}
