//! Sets a cluster up: from nothing to an agent that reads a repository, in steps that may be repeated.

pub mod manifests;
