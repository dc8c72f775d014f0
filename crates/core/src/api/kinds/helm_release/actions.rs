//! How a release is installed, upgraded, tested, rolled back and uninstalled, and how failures are handled.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::api::null_as_default;
use lockgate_base::model::Duration;

/// How to install a release.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Install {
    /// How long the action may wait. Defaults to `spec.timeout`.
    #[schemars(with = "Option<String>")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    /// What to do if the install fails.
    #[serde(deserialize_with = "null_as_default")]
    pub remediation: Remediation,
    /// Whether a failure is remediated or retried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strategy: Option<Strategy>,
    /// Whether to skip the wait until all objects are healthy.
    pub disable_wait: bool,
    /// Whether to skip the wait until Jobs are complete.
    pub disable_wait_for_jobs: bool,
    /// Whether to skip hooks.
    pub disable_hooks: bool,
    /// Has no effect in lockgate, since the API server validates all objects.
    #[serde(rename = "disableOpenAPIValidation")]
    pub disable_open_api_validation: bool,
    /// Whether to accept values that the chart's schema refuses.
    pub disable_schema_validation: bool,
    /// Whether to refuse objects that belong to another release.
    pub disable_take_ownership: bool,
    /// Whether to reuse the name of a release that failed or was uninstalled.
    pub replace: bool,
    /// Has the same effect as `crds: Skip` (v2beta1).
    #[serde(rename = "skipCRDs")]
    pub skip_crds: bool,
    /// How to handle the definitions in the chart's `crds/`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crds: Option<CrdsPolicy>,
    /// Whether to create the namespace of the release.
    pub create_namespace: bool,
    /// Has no effect in lockgate, which always uses server-side apply.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_side_apply: Option<Value>,
}

/// How to upgrade a release.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Upgrade {
    /// How long the action may wait. Defaults to `spec.timeout`.
    #[schemars(with = "Option<String>")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    /// What to do if the upgrade fails.
    #[serde(deserialize_with = "null_as_default")]
    pub remediation: Remediation,
    /// Whether a failure is remediated or retried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strategy: Option<Strategy>,
    /// Whether to skip the wait until all objects are healthy.
    pub disable_wait: bool,
    /// Whether to skip the wait until Jobs are complete.
    pub disable_wait_for_jobs: bool,
    /// Whether to skip hooks.
    pub disable_hooks: bool,
    /// Has no effect in lockgate, since the API server validates all objects.
    #[serde(rename = "disableOpenAPIValidation")]
    pub disable_open_api_validation: bool,
    /// Whether to accept values that the chart's schema refuses.
    pub disable_schema_validation: bool,
    /// Whether to refuse objects that belong to another release.
    pub disable_take_ownership: bool,
    /// Whether to delete and recreate objects if an immutable field changes.
    pub force: bool,
    /// Whether to keep the previous values where no others are set.
    pub preserve_values: bool,
    /// Whether to delete the objects that a failed upgrade has created.
    pub cleanup_on_fail: bool,
    /// How to handle the definitions in the chart's `crds/`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crds: Option<CrdsPolicy>,
    /// Has no effect in lockgate, which always uses server-side apply.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_side_apply: Option<Value>,
    /// What to do if the chart has another name than the released one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chart_name_change_strategy: Option<String>,
}

/// Whether and how to run the chart's tests.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct TestAction {
    /// Whether to run the tests after an install or upgrade.
    pub enable: bool,
    /// How long the tests may take. Defaults to `spec.timeout`.
    #[schemars(with = "Option<String>")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    /// Whether the release succeeds even if a test fails.
    pub ignore_failures: bool,
    /// Which tests to run, or to skip.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filters: Option<Value>,
}

/// How to roll back a release.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Rollback {
    /// How long the action may wait. Defaults to `spec.timeout`.
    #[schemars(with = "Option<String>")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    /// Whether to skip the wait until all objects are healthy.
    pub disable_wait: bool,
    /// Whether to skip the wait until Jobs are complete.
    pub disable_wait_for_jobs: bool,
    /// Whether to skip hooks.
    pub disable_hooks: bool,
    /// Has no effect, as in Helm 4.
    pub recreate: bool,
    /// Whether to delete and recreate objects if an immutable field changes.
    pub force: bool,
    /// Whether to delete the objects that a failed rollback has created.
    pub cleanup_on_fail: bool,
    /// Has no effect in lockgate, which always uses server-side apply.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_side_apply: Option<Value>,
}

/// How to uninstall a release.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Uninstall {
    /// How long the action may wait. Defaults to `spec.timeout`.
    #[schemars(with = "Option<String>")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    /// Whether to skip hooks.
    pub disable_hooks: bool,
    /// Whether to keep the Secrets in which Helm stores the release.
    pub keep_history: bool,
    /// Whether to skip the wait until all objects are gone.
    pub disable_wait: bool,
    /// How the API server deletes dependents: `background` (the default), `foreground` or `orphan`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deletion_propagation: Option<String>,
}

impl Uninstall {
    /// Whether another deletion propagation than `background` is set.
    pub(super) fn propagates_otherwise(&self) -> bool {
        self.deletion_propagation.as_deref().is_some_and(|propagation| propagation != "background")
    }
}

/// How to handle the definitions in a chart's `crds/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum CrdsPolicy {
    /// Do not apply them.
    Skip,
    /// Apply them. Flux, too, overwrites existing ones.
    Create,
    /// Apply them, and overwrite existing ones.
    CreateReplace,
}

/// Whether a failure is remediated or retried.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Strategy {
    /// The name of the strategy.
    pub name: StrategyName,
    /// How long to wait before the retry. Defaults to five minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub retry_interval: Option<Duration>,
}

/// Whether a failure is remediated or retried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum StrategyName {
    /// Remediate the failure, as `remediation` says.
    RemediateOnFailure,
    /// Retry the action.
    RetryOnFailure,
}

/// What to do if an action fails.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Remediation {
    /// How often to retry the action; a negative number sets no limit.
    pub retries: i64,
    /// Whether to ignore failed tests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ignore_test_failures: Option<bool>,
    /// Whether to remediate the last failure too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remediate_last_failure: Option<bool>,
    /// How to remediate a failed upgrade.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strategy: Option<RemediationStrategy>,
}

/// How to remediate a failed action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RemediationStrategy {
    /// Roll back to the previous version.
    Rollback,
    /// Uninstall the release.
    Uninstall,
}
