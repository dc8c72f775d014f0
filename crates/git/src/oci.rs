//! OCI artifacts: from `oci://HOST/REPOSITORY` to the files of a layer.

mod repository;
mod login;
mod challenge;
mod registry;
mod manifest;
mod spool;
mod unpack;
mod fetch;

pub use fetch::{Oci, Proxy, Request, Tls};
pub use login::PullSecret;
pub use repository::{Reference, Repository};
