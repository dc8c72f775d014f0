//! The kinds of Flux: their fields, as every served version writes them. One file a kind, and one table of them all.
//!
//! All versions of a kind share one schema, the union of their fields, so an object is read the same whichever version it
//! was written in, and nothing is lost by storing it. Fields and defaults: Flux 2.9 `api/` types and the removed versions
//! before it.

mod ownership;
mod kind;
mod reference;
mod kinds;
pub mod crd;

pub use kind::{Column, Grant, Kind, KindInfo, Resource, Role, Status};
pub use kinds::git_repository::{
    Artifact, GitReference, GitRepository, GitRepositorySpec, GitRepositoryStatus,
};
pub use kinds::kustomization::{
    CommonMetadata, Decryption, DeletionPolicy, DependsOn, HealthCheck, HealthCheckExpr, HistoryEntry, Image,
    InventoryEntry, InventoryStatus, Json6902Patch, Kustomization, KustomizationSpec, KustomizationStatus,
    Patch, PatchTarget, PostBuild, SubstituteFrom, SubstituteStrategy, folder,
};
pub use kinds::{KINDS, acted_on, defined_by, info, info_of, is_rival, named};
pub use ownership::Ownership;
pub use reference::{LocalReference, SourceReference};

use serde::{Deserialize, Serialize};

use lockgate_base::model::{Object, Timestamp};

/// The part of `metadata` that decisions need.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Metadata {
    /// Name.
    #[serde(default)]
    pub name: String,
    /// Namespace; every served kind is namespaced.
    #[serde(default)]
    pub namespace: String,
    /// Cluster-wide unique id.
    #[serde(default)]
    pub uid: String,
    /// Counts changes of `spec`.
    #[serde(default)]
    pub generation: i64,
    /// Labels.
    #[serde(default, deserialize_with = "null_as_default")]
    pub labels: std::collections::BTreeMap<String, String>,
    /// Annotations.
    #[serde(default, deserialize_with = "null_as_default")]
    pub annotations: std::collections::BTreeMap<String, String>,
    /// Finalizers.
    #[serde(default, deserialize_with = "null_as_default")]
    pub finalizers: Vec<String>,
    /// Set while the object is being deleted.
    #[serde(default)]
    pub deletion_timestamp: Option<Timestamp>,
}

/// An object that is not of its kind's form: written before the schema was there, or past it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{subject} is malformed: {message}")]
pub struct Malformed {
    /// `Kind/namespace/name`.
    pub subject: String,
    /// Which field, and what is wrong with it.
    pub message: String,
}

/// Reads one object as a kind. It is decoded by itself, so that a malformed one holds up no other (CVE-2022-39272).
pub fn decode<K: Kind>(object: &Object) -> Result<Resource<K>, Malformed> {
    serde_path_to_error::deserialize(object.value()).map_err(|error| {
        let path = error.path().to_string();
        let problem = error.into_inner();
        // The object as a whole, where a field is missing at its top.
        let message = if path == "." { problem.to_string() } else { format!("{path}: {problem}") };
        Malformed { subject: object.id().subject(), message }
    })
}

/// Reads `null` as the default, which the API server does for lists and maps.
pub(crate) fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}
