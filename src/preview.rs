//! What the agent would do next, as seen by someone who may only read.

mod agents;
mod sources;
mod others;
mod look;

pub(crate) use agents::{AgentRules, Agents};
pub(crate) use look::{BuiltFor, Look, LookStop, look, turned_away};
pub(crate) use others::{ClusterPlatform, KnownKustomizations};
pub(crate) use sources::Snapshots;
