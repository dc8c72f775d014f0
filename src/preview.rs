//! What the agent would do next, as seen by someone who may only read.

mod sources;
mod others;
mod look;

pub(crate) use look::{BuiltFor, Look, LookStop, look};
pub(crate) use others::{ClusterPlatform, KnownKustomizations};
pub(crate) use sources::Snapshots;
