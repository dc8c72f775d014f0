//! lockgate brings a Kubernetes platform up from Git and keeps it so.
//!
//! ```text
//!  fetch      gather     render        observe      plan      apply     settle     verdict
//!  Snapshot → Inputs  →  ResourceSet → Observed  →  Plan  →  Accepted → Health  →  Verdict
//!  (I/O)      (I/O)      (pure)        (I/O)        (pure)    (I/O)     (I/O)      (pure)
//! ```
//!
//! The modules stand in the order of their dependencies: each uses only those above it.

mod clock;
mod cluster;
mod remote;
mod web;
mod source;
mod preview;
mod agent;
mod bootstrap;
mod cli;

pub use cli::main;

/// What the integration tests need of the modules, which are the program's own.
#[doc(hidden)]
pub mod tested {
    pub use crate::agent::{AgentError, Config as AgentConfig, run as run_agent};
    pub use crate::bootstrap::hosts::SshUrl;
    pub use crate::bootstrap::key::identity_of;
    pub use crate::bootstrap::ssh::{SshError, branches, scan};
    pub use crate::cluster::{Client, Cluster, ClusterTarget, HeldChange};
    pub use crate::source::Sources;

    /// The objects of an installation.
    pub mod manifests {
        pub use crate::bootstrap::manifests::{Installation, agent, crds, namespace};
    }

    /// What is asked of a cluster before it is changed.
    pub mod preflight {
        pub use crate::cluster::flux::flux_controllers;
        pub use crate::cluster::preflight::{Right, missing_rights, version};
    }
}
