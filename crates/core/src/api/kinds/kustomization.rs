//! `Kustomization.kustomize.toolkit.fluxcd.io`: v1, with the fields of v1beta2 and v1beta1.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::api::kind::{Column, Grant, Kind, KindInfo, Resource, Role};
use crate::api::ownership::Ownership;
use crate::api::status::Status;
use crate::api::{LocalReference, SourceReference, null_as_default};
use lockgate_base::keys;
use lockgate_base::model::{Conditions, Duration, KindId, Timestamp};
use lockgate_base::tree;

/// A build of one folder of a source, applied to the cluster.
pub type Kustomization = Resource<KustomizationSpec>;

const ID: KindId = KindId { group: "kustomize.toolkit.fluxcd.io", kind: "Kustomization" };

const OWNERSHIP: Ownership = Ownership {
    kind: ID,
    name_label: keys::OWNER_NAME,
    namespace_label: keys::OWNER_NAMESPACE,
    manager: keys::FIELD_MANAGER,
    stand_ins: &[],
    finalizer: keys::FINALIZER,
};

impl Kustomization {
    /// The labels and the field manager of Kustomizations.
    pub const OWNERSHIP: &'static Ownership = &OWNERSHIP;
}

pub(super) const INFO: KindInfo = KindInfo {
    id: ID,
    plural: "kustomizations",
    category: "fluxcd-appliers",
    short_names: &["ks"],
    versions: &["v1", "v1beta2", "v1beta1"],
    columns: &[Column::AGE, Column::READY, Column::STATUS],
    role: Role::Applier(Kustomization::OWNERSHIP),
    controller: "kustomize-controller",
    grants: &[
        Grant {
            reason: "The variables that Kustomizations substitute.",
            group: "",
            resources: &["secrets", "configmaps"],
            verbs: &["get", "list", "watch"],
        },
        Grant {
            reason: "Applying in the name of a ServiceAccount.",
            group: "",
            resources: &["serviceaccounts"],
            verbs: &["get", "impersonate"],
        },
    ],
    is_acted_on: true,
    outline: None,
};

impl Kind for KustomizationSpec {
    const INFO: &'static KindInfo = &INFO;
    type Status = KustomizationStatus;

    fn unserved(&self) -> Vec<(&'static str, bool)> {
        vec![
            ("kubeConfig", self.kube_config.is_some()),
            ("decryption", self.decryption.is_some()),
            ("healthCheckExprs", !self.health_check_exprs.is_empty()),
            ("dependsOn[].readyExpr", self.depends_on.iter().any(|named| named.ready_expr.is_some())),
        ]
    }
}

impl Status for KustomizationStatus {
    fn conditions(&self) -> &Conditions {
        &self.conditions
    }

    fn observed_generation(&self) -> Option<i64> {
        self.observed_generation
    }

    fn handled(&self) -> Option<&str> {
        self.last_handled_reconcile_at.as_deref()
    }

    fn last_applied_revision(&self) -> Option<&str> {
        self.last_applied_revision.as_deref()
    }
}

/// The folder of a source that `spec.path` names. As in Flux, a leading slash stands for the root of the
/// source, and a path that climbs above the root stops there.
pub fn folder(path: &str) -> String {
    tree::within_root(path)
}

/// The folder to build, and how to apply the result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KustomizationSpec {
    /// How often to reconcile after a success.
    #[schemars(with = "String", regex(pattern = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$"))]
    pub interval: Duration,
    /// How soon to try again after a failure. Defaults to `interval`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", regex(pattern = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$"))]
    pub retry_interval: Option<Duration>,
    /// How long health checks and deletions may take. Defaults to `interval` minus 30 s, and is at least 30
    /// s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", regex(pattern = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$"))]
    pub timeout: Option<Duration>,
    /// The source of the files.
    pub source_ref: SourceReference,
    /// The folder to build, relative to the source's root. Defaults to the root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Whether to delete objects that the build no longer contains.
    pub prune: bool,
    /// What happens to the objects when the Kustomization is deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<DeletionPolicy>,
    /// Whether to delete and recreate objects if an immutable field changes.
    #[serde(default)]
    pub force: bool,
    /// Whether to wait until all applied objects are healthy. `healthChecks` is then ignored.
    #[serde(default)]
    pub wait: bool,
    /// Objects that must be healthy before the Kustomization is Ready.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub health_checks: Vec<HealthCheck>,
    /// The health of custom resources, as CEL expressions.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub health_check_exprs: Vec<HealthCheckExpr>,
    /// Objects that must be ready before this one is applied; Kustomizations if no kind is set.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<DependsOn>,
    /// Labels and annotations to set on every object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub common_metadata: Option<CommonMetadata>,
    /// A prefix for the name of every object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 200))]
    pub name_prefix: Option<String>,
    /// A suffix for the name of every object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 200))]
    pub name_suffix: Option<String>,
    /// The namespace of every namespaced object. It is not created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub target_namespace: Option<String>,
    /// Strategic merge and JSON 6902 patches, applied after those of the folder's kustomization.yaml.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub patches: Vec<Patch>,
    /// Strategic merge patches (v1beta2).
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub patches_strategic_merge: Vec<Value>,
    /// JSON 6902 patches (v1beta2).
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    #[serde(rename = "patchesJson6902")]
    pub patches_json6902: Vec<Json6902Patch>,
    /// New names, tags and digests for images.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<Image>,
    /// Kustomize components to include, relative to `path`.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub components: Vec<String>,
    /// Whether to skip components whose path does not exist.
    #[serde(default)]
    pub ignore_missing_components: bool,
    /// Annotations that kustomize adds: `originAnnotations`, `transformerAnnotations`.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub build_metadata: Vec<String>,
    /// Variables to substitute in the built objects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub post_build: Option<PostBuild>,
    /// How to decrypt files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decryption: Option<Decryption>,
    /// The ServiceAccount to impersonate for everything that is applied, read and deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account_name: Option<String>,
    /// The kubeconfig of another cluster to apply to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kube_config: Option<Value>,
    /// Fields that keep their values on the cluster.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<Value>")]
    pub ignore: Vec<IgnoreRule>,
    /// Whether reconciliation is suspended.
    #[serde(default)]
    pub suspend: bool,
    /// Has no effect (v1beta1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation: Option<String>,
}

impl KustomizationSpec {
    /// Whether the objects are deleted together with the Kustomization.
    pub fn deletes_its_objects(&self) -> bool {
        let by_policy = match self.deletion_policy.unwrap_or_default() {
            DeletionPolicy::MirrorPrune => self.prune,
            DeletionPolicy::Delete | DeletionPolicy::WaitForTermination => true,
            DeletionPolicy::Orphan => false,
        };
        by_policy && !self.suspend
    }
}

/// What happens to the objects when the Kustomization is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum DeletionPolicy {
    /// Delete them if `prune` is true.
    #[default]
    MirrorPrune,
    /// Delete them.
    Delete,
    /// Delete them and wait until they are gone.
    WaitForTermination,
    /// Leave them in the cluster.
    Orphan,
}

/// An object that must be healthy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HealthCheck {
    /// API version of the object. Defaults to `apps/v1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_version: Option<String>,
    /// Kind of the object.
    pub kind: String,
    /// Name of the object.
    pub name: String,
    /// Namespace of the object; empty for a cluster-scoped kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

/// The health of a kind of custom resource, as CEL expressions over the object's top-level fields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HealthCheckExpr {
    /// API version of the kind. Only its group is compared.
    pub api_version: String,
    /// The kind. Defaults to all kinds of the group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// True if the object is healthy.
    pub current: String,
    /// True while the object is changing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_progress: Option<String>,
    /// True if the object has failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
}

/// An object that must be ready before the dependent is applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DependsOn {
    /// API version of the object. Defaults to any version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_version: Option<String>,
    /// Kind of the object. Defaults to the dependent's kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Name of the object.
    pub name: String,
    /// Namespace of the object. Defaults to the dependent's namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// A CEL expression over `dep` and `self` that replaces the usual rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready_expr: Option<String>,
}

/// Labels and annotations to set on every object.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct CommonMetadata {
    /// Labels.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// A patch, and the objects that it changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Patch {
    /// A strategic merge patch, or a list of JSON 6902 operations, as YAML or JSON text.
    pub patch: String,
    /// The objects to patch. A strategic merge patch without a target changes the object that it names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<PatchTarget>,
}

/// Selects objects. Group, version, kind, name and namespace are regular expressions that must match the
/// whole value.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PatchTarget {
    /// API group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// API version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// A label selector.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label_selector: Option<String>,
    /// A selector over annotations, in the syntax of label selectors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotation_selector: Option<String>,
}

/// Fields that keep their values on the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IgnoreRule {
    /// The fields, as JSON pointers (RFC 6901).
    pub paths: Vec<String>,
    /// The objects that have these fields. Defaults to all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<PatchTarget>,
}

/// JSON 6902 operations for one object (v1beta2).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Json6902Patch {
    /// The operations.
    pub patch: Vec<Value>,
    /// The object to patch.
    pub target: PatchTarget,
}

/// A new name, tag or digest for an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Image {
    /// The name of the image in the build, without a tag.
    pub name: String,
    /// The name that replaces it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_name: Option<String>,
    /// The new tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_tag: Option<String>,
    /// The new digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

/// Variables to substitute in the built objects.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PostBuild {
    /// Values by name; they win over `substituteFrom`.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub substitute: BTreeMap<String, String>,
    /// ConfigMaps and Secrets with values; later ones win.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub substitute_from: Vec<SubstituteFrom>,
    /// Whether to substitute even if no variable is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub substitute_strategy: Option<SubstituteStrategy>,
}

/// When to substitute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum SubstituteStrategy {
    /// When there is at least one variable.
    #[default]
    WithVariables,
    /// Always.
    Always,
}

/// A ConfigMap or Secret with values of variables.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SubstituteFrom {
    /// `ConfigMap` or `Secret`.
    #[schemars(extend("enum" = ["Secret", "ConfigMap"]))]
    pub kind: String,
    /// Name of the ConfigMap or Secret, in the Kustomization's namespace.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Whether the object may be missing.
    #[serde(default)]
    pub optional: bool,
}

/// How to decrypt files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Decryption {
    /// The program that has encrypted the files: `sops`.
    #[schemars(extend("enum" = ["sops"]))]
    pub provider: String,
    /// A Secret with the private keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<LocalReference>,
    /// The ServiceAccount to use at key management services.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account_name: Option<String>,
}

/// The observed state of a Kustomization.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, Default)]
#[serde(rename_all = "camelCase")]
pub struct KustomizationStatus {
    /// The generation of the last success or final failure; -1 before the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The conditions Ready, Healthy, Reconciling and Stalled.
    #[serde(default, deserialize_with = "null_as_default")]
    #[schemars(with = "Vec<Value>")]
    pub conditions: Conditions,
    /// The revision of the last success.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_applied_revision: Option<String>,
    /// The origin revision of the last success, for OCI artifacts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_applied_origin_revision: Option<String>,
    /// The revision of the last attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_attempted_revision: Option<String>,
    /// The value of the annotation `requestedAt` that was handled last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,
    /// The objects that the Kustomization manages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inventory: Option<InventoryStatus>,
    /// The last five distinct results.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<HistoryEntry>,
}

/// The objects that the Kustomization manages.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct InventoryStatus {
    /// One entry for each object.
    #[serde(default, deserialize_with = "null_as_default")]
    pub entries: Vec<InventoryEntry>,
}

/// One managed object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InventoryEntry {
    /// The object, as `<namespace>_<name>_<group>_<kind>`.
    pub id: String,
    /// The version of the API group in which the object was applied.
    pub v: String,
}

/// One distinct result, and the number of times it occurred.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HistoryEntry {
    /// The SHA-256 of the built objects.
    pub digest: String,
    /// When the result first occurred.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub first_reconciled: Timestamp,
    /// When the result last occurred.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub last_reconciled: Timestamp,
    /// How long the last of these reconciles took.
    #[schemars(with = "String")]
    pub last_reconciled_duration: Duration,
    /// The reason of the Ready condition.
    pub last_reconciled_status: String,
    /// How many reconciles had this result.
    pub total_reconciliations: i64,
    /// The keys `revision` and `originRevision`.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
}
