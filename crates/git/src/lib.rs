//! Where a platform's files come from: Git repositories over SSH and HTTPS, OCI artifacts, and a local
//! folder.
//!
//! The one way in is a [`lockgate_base::tree::Snapshot`]: files by content, with nothing checked out.

mod error;
pub mod ignore;
pub mod directory;
mod url;
pub mod known_hosts;
mod identity;
mod credentials;
mod disk;
mod tls;
mod memory;
mod context;
mod client;
mod web;
mod http;
pub mod ssh;
mod libgit2;
mod refs;
mod objects;
mod history;
mod walk;
mod store;
pub mod local;
mod session;
mod pool;
mod hashing;
mod spool;
mod unpack;
mod app;
mod fetch;
pub mod oci;
pub mod helm;

pub use app::{App, AppTokens};
pub use client::{GuardedResolver, check_certificates, system_roots};
pub use credentials::{Credentials, SecretData, SshCredentials};
pub use disk::Disk;
pub use error::{FailureClass, SourceError};
pub use fetch::{FetchFinding, Fetcher, Fetching, GitFetcher, GitRequest, Update};
pub use http::advertisement;
pub use identity::Identity;
pub use known_hosts::KnownHosts;
pub use memory::FetchMemory;
pub use refs::RefRequest;
pub use tls::{Proxy, Tls};
pub use url::{GitUrl, Scheme};
