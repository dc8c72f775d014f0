//! The observed state of a HelmRelease.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::api::kinds::kustomization::InventoryStatus;
use crate::api::null_as_default;
use crate::api::status::Status;
use lockgate_base::model::{Conditions, Duration, Timestamp};

/// The observed state of a HelmRelease.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HelmReleaseStatus {
    /// The generation of the last success or final failure; -1 before the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The conditions Ready, Released, Remediated, TestSuccess, Reconciling and Stalled.
    #[serde(default, deserialize_with = "null_as_default")]
    #[schemars(with = "Vec<Value>")]
    pub conditions: Conditions,
    /// The value of the annotation `requestedAt` that was handled last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,
    /// The value of the annotation `forceAt` that was handled last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_force_at: Option<String>,
    /// The value of the annotation `resetAt` that was handled last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_reset_at: Option<String>,
    /// The HelmChart that was created for the release, as `namespace/name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub helm_chart: Option<String>,
    /// The namespace of the Secrets in which Helm stores the release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_namespace: Option<String>,
    /// The versions of the release that remediation considers, the newest first.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<ReleaseSnapshot>,
    /// The objects that the release manages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inventory: Option<InventoryStatus>,
    /// The generation of the last attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_attempted_generation: Option<i64>,
    /// The version of the chart in the last attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_attempted_revision: Option<String>,
    /// The digest of the chart's OCI artifact in the last attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_attempted_revision_digest: Option<String>,
    /// The digest of the values in the last attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_attempted_config_digest: Option<String>,
    /// The last attempted action: `install` or `upgrade`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_attempted_release_action: Option<String>,
    /// How long the last attempted action took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub last_attempted_release_action_duration: Option<Duration>,
    /// The number of failures since the last success, of any action.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "is_zero")]
    pub failures: i64,
    /// The number of failed installs since the last success.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "is_zero")]
    pub install_failures: i64,
    /// The number of failed upgrades since the last success.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "is_zero")]
    pub upgrade_failures: i64,
    /// The digest of the `spec.postRenderers` that was released last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_post_renderers_digest: Option<String>,
    /// The digest of the `spec.commonMetadata` that was released last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_common_metadata_digest: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
const fn is_zero(count: &i64) -> bool {
    *count == 0
}

impl Status for HelmReleaseStatus {
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

/// A version of a release, as it was last observed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseSnapshot {
    /// The version of the digest's format.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_version: Option<String>,
    /// The digest of the observed release.
    pub digest: String,
    /// The action that created the version: `install`, `upgrade`, `rollback`, `uninstall`,
    /// `uninstall-remediation`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// The release's name.
    pub name: String,
    /// The release's namespace.
    pub namespace: String,
    /// The number of the version, from 1.
    pub version: i64,
    /// Helm's status of the version, such as `deployed` or `failed`.
    pub status: String,
    /// The chart's name.
    pub chart_name: String,
    /// The chart's version.
    pub chart_version: String,
    /// The version of the application in the chart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_version: Option<String>,
    /// The digest of the values.
    pub config_digest: String,
    /// When the release was first deployed.
    #[schemars(with = "String")]
    pub first_deployed: Timestamp,
    /// When this version was deployed.
    #[schemars(with = "String")]
    pub last_deployed: Timestamp,
    /// When this version was uninstalled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub deleted: Option<Timestamp>,
    /// The tests that have run, by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_hooks: Option<BTreeMap<String, Value>>,
    /// The digest of the chart's OCI artifact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oci_digest: Option<String>,
}
