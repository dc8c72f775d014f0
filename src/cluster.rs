//! The adapter to an API server: reads, writes and waits, for the whole agent over one set of connections.
//!
//! [`Cluster`] implements the ports of the chain. Copies made by [`Cluster::acting_for`] share connections,
//! discovery and watches, and act for one applier, in the name of a ServiceAccount where it names one.

mod path;
mod failure;
mod client;
mod impersonate;
pub(crate) mod flux;
pub(crate) mod preflight;
mod gather;
mod runners;
mod discovery;
mod index;
mod judge;
mod follow;
mod watch;
mod feed;
mod handle;
mod direct;
mod reach;
mod feeder;
mod awaited;
mod cause;
mod settle;
mod apply;
mod observe;
pub(crate) mod objects;
mod ports;
mod reader;

pub use client::{Client, ClusterTarget};
pub(crate) use direct::{Direct, KnownKind, PatchedPart};
pub(crate) use failure::is_unserved_path;
pub(crate) use follow::{Query, QueryEvent};
pub use handle::Cluster;
pub(crate) use handle::WriteGuard;
pub use index::HeldChange;
pub(crate) use judge::version_number;
pub(crate) use reader::Reader;

#[cfg(test)]
mod tests;
