//! The adapter to an API server: reads, writes and waits, for the whole agent over one set of connections.
//!
//! [`Cluster`] implements the ports of the chain. Copies made by [`Cluster::acting_for`] share connections, discovery and
//! watches, and act for one applier, in the name of a ServiceAccount where it names one.

mod path;
mod failure;
mod client;
mod impersonate;
pub mod preflight;
mod gather;
mod discovery;
mod index;
mod judge;
mod follow;
mod watch;
mod handle;
mod direct;
mod reach;
mod feed;
mod settle;
mod apply;
mod observe;
pub mod objects;
mod ports;

pub use client::{Client, ConnectError, Target};
pub use direct::{Direct, Edit, KnownKind, Part};
pub use failure::is_unserved_path;
pub use follow::{Query, Seen};
pub use handle::{Cluster, Fence};
pub use impersonate::{InvalidAccount, user_of};
pub use index::Change;
pub use judge::version_number;

#[cfg(test)]
mod tests;
