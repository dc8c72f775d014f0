//! Git repositories: what to fetch, how to get in, and the trees that come back.

pub(crate) mod context;
mod credentials;
mod fetch;
mod history;
pub(crate) mod http;
mod identity;
pub(crate) mod known_hosts;
mod objects;
mod pool;
mod refs;
mod session;
pub(crate) mod ssh;
mod store;
pub(crate) mod url;
mod versions;

pub use credentials::{Credentials, SecretData, SshCredentials};
pub use fetch::{Fetched, Git, Request, Update};
pub use identity::Identity;
pub use known_hosts::KnownHosts;
pub use refs::Reference;
pub use url::{GitUrl, Scheme};
