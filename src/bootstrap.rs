//! Sets a cluster up: from nothing to an agent that reads a repository, in steps that may be repeated.
//!
//! ```text
//! preflight → host keys → secret → deploy key → agent → source → sync
//! ```
//!
//! Everything that is wrong with the surroundings is found by the first step, before anything is changed. The
//! Secret is written before its public key is registered, so that a run which is killed in between finds the
//! key again.

pub(crate) mod moment;
pub(crate) mod key;
pub(crate) mod hosts;
pub(crate) mod branches;
pub(crate) mod ssh;
pub(crate) mod title;
pub(crate) mod github;
pub(crate) mod leftovers;
pub(crate) mod problem;
pub(crate) mod hub;
pub(crate) mod put;
pub(crate) mod pod;
pub(crate) mod manifests;
pub(crate) mod progress;
pub(crate) mod made;
pub(crate) mod held;
pub(crate) mod wait;
pub(crate) mod rollout;
pub(crate) mod namespace;
pub(crate) mod entry;
pub(crate) mod key_host;
pub(crate) mod secret;
pub(crate) mod tag;
pub(crate) mod preflight;
pub(crate) mod deploy_key;
pub(crate) mod pinning;
pub(crate) mod keyring;
pub(crate) mod rotation;
pub(crate) mod admission;
pub(crate) mod login;
pub(crate) mod memory;
pub(crate) mod yielding;
pub(crate) mod equipment;
pub(crate) mod steps;
pub(crate) mod uninstall;

#[cfg(test)]
mod tests;
