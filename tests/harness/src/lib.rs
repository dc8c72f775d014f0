//! The real parts that tests, demo and benchmarks run against.
//!
//! Nothing here knows lockgate: a control plane of real binaries, a real sshd, a stand-in for GitHub that really admits

pub mod controlplane;
mod dirs;
mod eventually;
mod pki;
mod process;
mod serve;

pub use controlplane::{Components, ControlPlane, Options, shared};
pub use eventually::eventually;
