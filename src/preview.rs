//! What the agent would do next, as seen by someone who may only read.

mod sources;
mod others;
mod look;

pub(crate) use look::{Built, Look, Stop, look};
pub(crate) use others::{Known, Platform};
pub(crate) use sources::Snapshots;
