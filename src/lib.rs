//! lockgate brings a Kubernetes platform up from Git and keeps it so.
//!
//! ```text
//!  fetch      gather     render        observe      plan      apply     settle     verdict
//!  Snapshot → Inputs  →  ResourceSet → Observed  →  Plan  →   Applied → Health  →  Verdict
//!  (I/O)      (I/O)      (pure)        (I/O)        (pure)    (I/O)     (I/O)      (pure)
//! ```
//!
//! The modules stand in the order of their dependencies: each uses only those above it.

pub mod cluster;
pub mod web;
pub mod agent;
pub mod bootstrap;
pub mod cli;
