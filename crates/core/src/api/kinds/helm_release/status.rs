//! What was seen and done of a release.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::api::kinds::kustomization::InventoryStatus;
use crate::api::null_as_default;
use crate::api::status::Status;
use lockgate_base::model::{Conditions, Duration, Timestamp};

/// What was seen and done of a release.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HelmReleaseStatus {
    /// The generation of the last success or final failure; -1 before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready, Released, Remediated, TestSuccess, Reconciling, Stalled.
    #[serde(default, deserialize_with = "null_as_default")]
    #[schemars(with = "Vec<Value>")]
    pub conditions: Conditions,
    /// The last value of the `requestedAt` annotation that was acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,
    /// The last value of the `forceAt` annotation that was acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_force_at: Option<String>,
    /// The last value of the `resetAt` annotation that was acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_reset_at: Option<String>,
    /// The HelmChart that was made, as `namespace/name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub helm_chart: Option<String>,
    /// The namespace of the release's Secrets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_namespace: Option<String>,
    /// The versions of the release that count, the newest first.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<ReleaseSnapshot>,
    /// What is managed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inventory: Option<InventoryStatus>,
    /// The generation of the last attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_attempted_generation: Option<i64>,
    /// The chart's version of the last attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_attempted_revision: Option<String>,
    /// The digest of the chart's OCI artifact of the last attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_attempted_revision_digest: Option<String>,
    /// The digest of the values of the last attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_attempted_config_digest: Option<String>,
    /// `install` or `upgrade`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_attempted_release_action: Option<String>,
    /// How long it took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub last_attempted_release_action_duration: Option<Duration>,
    /// Failures since the last success, of whatever is tried.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "is_zero")]
    pub failures: i64,
    /// Installs that failed since the last success.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "is_zero")]
    pub install_failures: i64,
    /// Upgrades that failed since the last success.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "is_zero")]
    pub upgrade_failures: i64,
    /// The digest of `spec.postRenderers` that was released.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_post_renderers_digest: Option<String>,
    /// The digest of `spec.commonMetadata` that was released.
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

/// A version of a release, as it was seen last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseSnapshot {
    /// The version of the form of the digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_version: Option<String>,
    /// The digest of what was seen.
    pub digest: String,
    /// What made it: `install`, `upgrade`, `rollback`, `uninstall`, `uninstall-remediation`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// The release's name.
    pub name: String,
    /// The release's namespace.
    pub namespace: String,
    /// Its version, from 1.
    pub version: i64,
    /// `deployed`, `failed`, ...
    pub status: String,
    /// The chart's name.
    pub chart_name: String,
    /// The chart's version.
    pub chart_version: String,
    /// The version of what is in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_version: Option<String>,
    /// The digest of the values.
    pub config_digest: String,
    /// When the release was deployed first.
    #[schemars(with = "String")]
    pub first_deployed: Timestamp,
    /// When this version was.
    #[schemars(with = "String")]
    pub last_deployed: Timestamp,
    /// When it was uninstalled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub deleted: Option<Timestamp>,
    /// The tests that were run, by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_hooks: Option<BTreeMap<String, Value>>,
    /// The digest of the chart's OCI artifact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oci_digest: Option<String>,
}
