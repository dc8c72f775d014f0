//! The decisions of lockgate: the served kinds, the objects to apply and their order, and the statuses.
//!
//! Nothing here touches a disk, a network, a clock or randomness; the chain in `pipeline` reaches them
//! through its ports. The modules are in the order of their dependencies: each uses only those above it.

pub mod api;
pub mod plan;
pub mod release;
pub mod health;
pub mod graph;
pub mod queue;
pub mod verdict;
pub mod overview;
pub mod pipeline;
pub mod quarantine;
