//! The Git source against a real sshd.

mod host;
mod keys;
mod references;
mod site;
