//! References to other objects.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The default kind of `sourceRef`.
pub const DEFAULT_SOURCE: &str = "GitRepository";
/// The kinds of source from which a Kustomization can be built.
const BUILD_SOURCES: [&str; 4] = ["OCIRepository", "GitRepository", "Bucket", "ExternalArtifact"];
/// The kinds of source from which a chart can come by its name.
pub(super) const CHART_SOURCES: [&str; 4] = ["HelmRepository", "GitRepository", "OCIRepository", "Bucket"];
/// The kinds whose events an Alert forwards, and whose objects a Receiver can trigger.
pub(super) const EVENT_SOURCES: [&str; 12] = [
    "Bucket",
    "GitRepository",
    "Kustomization",
    "HelmRelease",
    "HelmChart",
    "HelmRepository",
    "ImageRepository",
    "ImagePolicy",
    "ImageUpdateAutomation",
    "OCIRepository",
    "ArtifactGenerator",
    "ExternalArtifact",
];

/// An object of the same namespace, by name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct LocalReference {
    /// Name of the referent.
    pub name: String,
}

/// A source, by kind and name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SourceReference {
    /// API version of the referent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_version: Option<String>,
    /// Kind of the referent, such as GitRepository.
    #[schemars(extend("enum" = BUILD_SOURCES))]
    pub kind: String,
    /// Name of the referent.
    pub name: String,
    /// Namespace of the referent. Defaults to the namespace of the object with the reference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}
