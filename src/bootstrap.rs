//! Sets a cluster up: from nothing to an agent that reads a repository, in steps that may be repeated.
//!
//! ```text
//! preflight → host keys → secret → deploy key → agent → source → sync
//! ```
//!
//! Everything that is wrong with the surroundings is found by the first step, before anything is changed. The Secret is
//! written before its public key is registered, so that a run which is killed in between finds the key again.

pub mod key;
pub mod hosts;
pub mod ssh;
pub mod github;
pub mod problem;
pub mod put;
pub mod manifests;
pub mod progress;
pub mod wait;
pub mod secret;
pub mod preflight;
pub mod steps;
pub mod uninstall;
