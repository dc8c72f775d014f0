//! The agent in simulated time: one thread, one seed, one run, replayed exactly.
//!
//! ```text
//! Scenario → people and faults → World (server, Git host, laws) ← Line ← the whole agent
//! ```

mod chance;
mod clock;
pub mod server;
mod platform;
mod laws;
mod world;
mod git;
mod line;
mod people;
mod step;
mod run;
mod shrink;

pub use run::{Outcome, run};
pub use shrink::shrink;
pub use step::Scenario;

#[cfg(test)]
mod tests;
