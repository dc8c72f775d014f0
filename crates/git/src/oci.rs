//! OCI artifacts: from `oci://HOST/REPOSITORY` to the files of a layer.

mod repository;
mod login;
mod challenge;
mod registry;
mod manifest;
mod verify;
mod fetch;

pub use fetch::{CHART, OciFetcher, OciRequest};
pub use login::PullSecret;
pub use repository::{ArtifactRequest, Repository};
pub use verify::SignatureKeys;
