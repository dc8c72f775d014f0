//! Sets a cluster up: from nothing to an agent that reads a repository, in steps that may be repeated.

pub mod github;
pub mod hosts;
pub mod key;
pub mod manifests;
pub mod ssh;
