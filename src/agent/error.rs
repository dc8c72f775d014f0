//! Why the agent ends by itself.

use std::net::SocketAddr;

/// Why the agent ended other than by being told to.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The address is taken, or not ours.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// Signals cannot be heard.
    #[error("signals: {0}")]
    Signals(std::io::Error),
}
