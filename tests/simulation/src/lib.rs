//! The agent in simulated time: one thread, one seed, one run, replayed exactly.
//!
//! ```text
//! Scenario → people and faults → World (server, Git host, laws) ← Line ← the whole agent
//! ```

mod chance;
mod moment;
pub mod server;
mod platform;
mod subject;
mod laws;
mod world;
mod clock;
mod people;
mod git;
mod registry;
mod notes;
mod line;
mod step;
mod run;
mod shrink;
mod many;

pub use many::many;
pub use run::{Outcome, replay, run};
pub use shrink::shrink;
pub use step::Scenario;

/// The program's own, and a quarter faster here than the C library's.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

#[cfg(test)]
mod tests;
