//! The part of an object that all kinds have in common.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use lockgate_base::model::Timestamp;

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
    /// The number of changes of `spec`.
    #[serde(default)]
    pub generation: i64,
    /// Labels.
    #[serde(default, deserialize_with = "null_as_default")]
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    #[serde(default, deserialize_with = "null_as_default")]
    pub annotations: BTreeMap<String, String>,
    /// Finalizers.
    #[serde(default, deserialize_with = "null_as_default")]
    pub finalizers: Vec<String>,
    /// Set while the object is being deleted.
    #[serde(default)]
    pub deletion_timestamp: Option<Timestamp>,
}

/// Reads `null` as the default, as the API server does for lists and maps.
pub(crate) fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}
