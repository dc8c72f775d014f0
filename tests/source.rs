//! The Git source against a real sshd.

mod app;
mod canned;
mod faults;
mod helm;
mod http;
mod https;
mod keys;
mod oci;
mod oci_faults;
mod oci_hosts;
mod oci_signed;
mod peer;
mod references;
mod site;
