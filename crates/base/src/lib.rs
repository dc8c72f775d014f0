//! The vocabulary of lockgate: plain values with their invariants, the files of a revision, and the keys of
//! the ecosystem.
//!
//! The modules are in the order of their dependencies: each uses only those above it.

pub mod keys;
pub mod model;
pub mod tree;
pub mod archive;
pub mod index;
pub mod shares;
