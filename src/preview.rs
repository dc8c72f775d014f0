//! The agent's next changes, computed with read access only.

mod agents;
mod fetchers;
mod archives;
mod charts;
mod sources;
mod others;
mod look;

pub(crate) use agents::{AgentRules, Agents};
pub(crate) use charts::ChartSources;
pub(crate) use fetchers::Fetchers;
pub(crate) use look::{BuiltFor, Look, LookStop, look, turned_away};
pub(crate) use others::{ClusterPlatform, KnownKustomizations};
pub(crate) use sources::Snapshots;
