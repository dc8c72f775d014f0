//! Sources: the common fields of all their kinds, and the description that the agent needs to fetch a kind.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::malformed::Malformed;
use super::metadata::{Metadata, null_as_default};
use super::reference::{LocalReference, SourceReference};
use super::status::Status;
use lockgate_base::model::{Conditions, Duration, KindId, Object, Ref, Timestamp};

/// The agent's description of a kind of source for fetching its objects.
#[derive(Debug)]
pub struct SourceInfo {
    /// Reads an object of the kind.
    pub read: fn(&Object) -> Result<Source, Malformed>,
    /// The words by which the flux CLI knows the kind: `source git`.
    pub command: &'static str,
    /// Whether a Kustomization can be built from its files.
    pub is_built_from: bool,
}

impl PartialEq for SourceInfo {
    fn eq(&self, other: &Self) -> bool {
        self.command == other.command
    }
}

impl Eq for SourceInfo {}

/// The `spec` of a kind of source.
pub trait SourceSpec: Any + Debug + Send + Sync {
    /// The address to fetch from.
    fn url(&self) -> &str;
    /// How often to look for a new revision.
    fn interval(&self) -> Duration;
    /// The time limit of one fetch, if the object sets one.
    fn timeout(&self) -> Option<Duration>;
    /// Whether fetching is suspended.
    fn suspended(&self) -> bool;
    /// The objects of its namespace that a fetch needs: Secrets, a ServiceAccount.
    fn inputs(&self) -> Vec<(KindId, &str)>;
    /// The selected part of the fetched files.
    fn selection(&self) -> Selection {
        Selection::default()
    }
    /// The source in the same namespace that this one is made from, if it is not fetched itself.
    fn upstream(&self) -> Option<&SourceReference> {
        None
    }
    /// Whether the fetched revision must be signed.
    fn is_verified(&self) -> bool {
        false
    }
    /// Whether the object only provides an address for other sources: it is not fetched, and has no status.
    fn is_static(&self) -> bool {
        false
    }
}

/// `spec.verify` of sources in a registry: the signatures that they must have.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Verification {
    /// The program that makes the signatures: `cosign` or `notation`. Defaults to `cosign`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// A Secret with public keys; a signature of one of them is needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<LocalReference>,
    /// The identities whose keyless signatures are accepted.
    #[serde(
        default,
        rename = "matchOIDCIdentity",
        deserialize_with = "null_as_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub match_oidc_identity: Vec<Value>,
    /// A Secret with the roots of trust for keyless signatures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trusted_root_secret_ref: Option<LocalReference>,
}

impl Verification {
    /// The unsupported fields, and whether each is set.
    pub(super) fn unserved(verify: Option<&Self>) -> Vec<(&'static str, bool)> {
        let Some(verify) = verify else { return Vec::new() };
        vec![
            ("verify.provider", verify.provider.as_deref().is_some_and(|name| name != "cosign")),
            ("verify.matchOIDCIdentity", !verify.match_oidc_identity.is_empty()),
            ("verify.trustedRootSecretRef", verify.trusted_root_secret_ref.is_some()),
            ("verify without secretRef", verify.secret_ref.is_none()),
        ]
    }
}

/// The selected part of a revision. Another part of the same revision is another artifact.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selection {
    /// `spec.ignore`: patterns of files to exclude.
    pub ignore: Option<String>,
    /// `spec.layerSelector` of an OCI artifact.
    pub layer: Option<LayerSelector>,
}

/// A source of any kind.
#[derive(Debug, Clone)]
pub struct Source {
    /// The kind.
    pub kind: KindId,
    /// `metadata`.
    pub metadata: Metadata,
    /// `spec`, of the kind's own type.
    pub spec: Arc<dyn SourceSpec>,
    /// `status`.
    pub status: SourceStatus,
    /// The fields below `spec` that lockgate does not support yet, each with whether it is set.
    pub unserved: Vec<(&'static str, bool)>,
}

impl Source {
    /// The `spec` as the type of its kind; `None` if it has another kind.
    pub fn spec<K: SourceSpec>(&self) -> Option<&K> {
        let spec: &dyn Any = &*self.spec;
        spec.downcast_ref()
    }

    /// The reference to this object.
    pub fn reference(&self) -> Ref {
        Ref::new(self.kind, &self.metadata.namespace, &self.metadata.name)
    }
}

/// The observed state of a source.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SourceStatus {
    /// The generation that was reconciled last; -1 before the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The conditions Ready, ArtifactInStorage, Reconciling, Stalled and FetchFailed.
    #[serde(default, deserialize_with = "null_as_default")]
    #[schemars(with = "Vec<Value>")]
    pub conditions: Conditions,
    /// The artifact of the revision that was fetched last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact: Option<Artifact>,
    /// The value of the annotation `requestedAt` that was handled last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,
    /// The `ignore` of the spec with which the artifact was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_ignore: Option<String>,
    /// The `layerSelector` of the spec with which the artifact was made (OCIRepository).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(skip)]
    pub observed_layer_selector: Option<LayerSelector>,
    /// The name of the chart (HelmChart).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(skip)]
    pub observed_chart_name: Option<String>,
    /// The revision of the source from which the chart was made (HelmChart).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(skip)]
    pub observed_source_artifact_revision: Option<String>,
    /// The files whose values have replaced those of the chart, if some may be missing (HelmChart).
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    #[schemars(skip)]
    pub observed_values_files: Vec<String>,
}

impl SourceStatus {
    /// The part of the revision that the artifact contains.
    pub fn selection(&self) -> Selection {
        Selection { ignore: self.observed_ignore.clone(), layer: self.observed_layer_selector.clone() }
    }
}

impl Status for SourceStatus {
    fn conditions(&self) -> &Conditions {
        &self.conditions
    }

    fn observed_generation(&self) -> Option<i64> {
        self.observed_generation
    }

    fn handled(&self) -> Option<&str> {
        self.last_handled_reconcile_at.as_deref()
    }
}

/// A fetched revision. lockgate serves no archive of it: `url` and `path` name the revision for tools that
/// require them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Artifact {
    /// The name of the revision in this agent. No file is served under it.
    pub path: String,
    /// The same name as `path`. Nothing is served there.
    pub url: String,
    /// `<name>@sha1:<commit>`, `<tag>@sha256:<digest>`.
    pub revision: String,
    /// The digest of the tree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// When the revision was fetched.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub last_update_time: Timestamp,
    /// The size of the artifact in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<i64>,
    /// More facts about the revision, such as the annotations of an OCI artifact.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
}

/// The layer of an OCI artifact to fetch, and how.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LayerSelector {
    /// The media type of the layer; the first layer with this type is fetched. Defaults to the first layer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// Whether to unpack the layer (`extract`, the default) or to keep it as it is (`copy`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<LayerOperation>,
}

/// How a layer of an OCI artifact is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LayerOperation {
    /// Unpacked: the layer must be a tar.gz.
    #[default]
    Extract,
    /// As one file.
    Copy,
}

/// The Secrets that references name, as inputs of a fetch.
pub(super) fn secrets<'s>(
    references: impl IntoIterator<Item = &'s Option<LocalReference>>,
) -> Vec<(KindId, &'s str)> {
    references.into_iter().flatten().map(|reference| (KindId::SECRET, reference.name.as_str())).collect()
}
