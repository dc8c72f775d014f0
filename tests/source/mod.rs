//! The Git source against a real sshd.

mod canned;
mod faults;
mod host;
mod http;
mod keys;
mod peer;
mod references;
mod site;
