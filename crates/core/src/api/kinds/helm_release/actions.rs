//! How a release is installed, upgraded, tested, rolled back and uninstalled, and what is done where that
//! fails.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::HelmReleaseSpec;
use crate::api::null_as_default;
use lockgate_base::model::Duration;

/// How long one action may wait, where nothing is said of it (Flux's default).
const TIMEOUT: Duration = Duration::from_secs(300);
/// After how long an action that failed is tried again, where that is its strategy and no time is given.
const RETRY: Duration = Duration::from_secs(300);
/// How many versions are kept where nothing is said of it (Flux's default).
const MAX_HISTORY: i64 = 5;

/// How a release is installed.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Install {
    /// How long it may wait.
    #[schemars(with = "Option<String>")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    /// What is done where it fails.
    #[serde(deserialize_with = "null_as_default")]
    pub remediation: Remediation,
    /// Whether a failure is remedied or tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strategy: Option<Strategy>,
    /// Whether not to wait until all is healthy.
    pub disable_wait: bool,
    /// Whether not to wait until Jobs are complete.
    pub disable_wait_for_jobs: bool,
    /// Whether not to run hooks.
    pub disable_hooks: bool,
    /// Has no effect: the API server validates what is applied.
    #[serde(rename = "disableOpenAPIValidation")]
    pub disable_open_api_validation: bool,
    /// Whether values need not fit the chart's schema.
    pub disable_schema_validation: bool,
    /// Whether objects of other releases are refused.
    pub disable_take_ownership: bool,
    /// Whether the name of a release that was uninstalled, or failed, may be used again.
    pub replace: bool,
    /// As `crds: Skip`; of v2beta1.
    #[serde(rename = "skipCRDs")]
    pub skip_crds: bool,
    /// What is done about the definitions in `crds/`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crds: Option<CrdsPolicy>,
    /// Whether the namespace of the release is made.
    pub create_namespace: bool,
    /// Has no effect: all is applied server-side.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_side_apply: Option<Value>,
}

/// How a release is upgraded.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Upgrade {
    /// How long it may wait.
    #[schemars(with = "Option<String>")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    /// What is done where it fails.
    #[serde(deserialize_with = "null_as_default")]
    pub remediation: Remediation,
    /// Whether a failure is remedied or tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strategy: Option<Strategy>,
    /// Whether not to wait until all is healthy.
    pub disable_wait: bool,
    /// Whether not to wait until Jobs are complete.
    pub disable_wait_for_jobs: bool,
    /// Whether not to run hooks.
    pub disable_hooks: bool,
    /// Has no effect: the API server validates what is applied.
    #[serde(rename = "disableOpenAPIValidation")]
    pub disable_open_api_validation: bool,
    /// Whether values need not fit the chart's schema.
    pub disable_schema_validation: bool,
    /// Whether objects of other releases are refused.
    pub disable_take_ownership: bool,
    /// Whether objects with a changed immutable field are made anew.
    pub force: bool,
    /// Whether the values of the version before hold where no others are given.
    pub preserve_values: bool,
    /// Whether objects that a failed upgrade has made are deleted.
    pub cleanup_on_fail: bool,
    /// What is done about the definitions in `crds/`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crds: Option<CrdsPolicy>,
    /// Has no effect: all is applied server-side.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_side_apply: Option<Value>,
    /// What is done where the chart has another name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chart_name_change_strategy: Option<String>,
}

/// Whether and how a release is tested.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct TestAction {
    /// Whether it is.
    pub enable: bool,
    /// How long it may wait.
    #[schemars(with = "Option<String>")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    /// Whether a test that fails is no failure of the release.
    pub ignore_failures: bool,
    /// Which tests are run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filters: Option<Value>,
}

/// How a release is rolled back.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Rollback {
    /// How long it may wait.
    #[schemars(with = "Option<String>")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    /// Whether not to wait until all is healthy.
    pub disable_wait: bool,
    /// Whether not to wait until Jobs are complete.
    pub disable_wait_for_jobs: bool,
    /// Whether not to run hooks.
    pub disable_hooks: bool,
    /// Has no effect, as in Helm 4.
    pub recreate: bool,
    /// Whether objects with a changed immutable field are made anew.
    pub force: bool,
    /// Whether objects that a failed rollback has made are deleted.
    pub cleanup_on_fail: bool,
    /// Has no effect: all is applied server-side.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_side_apply: Option<Value>,
}

/// How a release is uninstalled.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Uninstall {
    /// How long it may wait.
    #[schemars(with = "Option<String>")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    /// Whether not to run hooks.
    pub disable_hooks: bool,
    /// Whether what is stored of the release is kept.
    pub keep_history: bool,
    /// Whether not to wait until all objects are gone.
    pub disable_wait: bool,
    /// `background`, which it is where it is not given, `foreground` or `orphan`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deletion_propagation: Option<String>,
}

impl Uninstall {
    /// Whether dependents of what is deleted are not to go in the background.
    pub(super) fn propagates_otherwise(&self) -> bool {
        self.deletion_propagation.as_deref().is_some_and(|propagation| propagation != "background")
    }
}

/// What is done about the definitions in a chart's `crds/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum CrdsPolicy {
    /// Nothing.
    Skip,
    /// They are applied. Flux overwrites those that are there, too.
    Create,
    /// They are applied.
    CreateReplace,
}

/// Whether a failure is remedied or tried again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Strategy {
    /// Which of the two.
    pub name: StrategyName,
    /// After how long it is tried again; five minutes where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub retry_interval: Option<Duration>,
}

/// Whether a failure is remedied or tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum StrategyName {
    /// It is remedied.
    RemediateOnFailure,
    /// It is tried again.
    RetryOnFailure,
}

/// What is done where an action fails.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Remediation {
    /// How often it is tried again; without end where it is negative.
    pub retries: i64,
    /// Whether a test that fails is no reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ignore_test_failures: Option<bool>,
    /// Whether the last failure is remedied too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remediate_last_failure: Option<bool>,
    /// By what an upgrade is remedied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strategy: Option<RemediationStrategy>,
}

/// By what a failed action is remedied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RemediationStrategy {
    /// The version before is brought back.
    Rollback,
    /// The release is uninstalled.
    Uninstall,
}

/// What is done where installs, or upgrades, fail, with Flux's defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remedy {
    /// How often it is tried again; without end where it is negative.
    pub retries: i64,
    /// Whether the last failure is remedied too.
    pub remedies_last: bool,
    /// By what.
    pub strategy: RemediationStrategy,
    /// After how long it is tried again, where a failure is not remedied.
    pub retry_after: Option<Duration>,
}

impl Remedy {
    /// Whether it is not tried again after so many failures.
    pub const fn is_exhausted(&self, failures: i64) -> bool {
        self.retries >= 0 && failures > self.retries
    }
}

fn retry_after(strategy: Option<&Strategy>) -> Option<Duration> {
    let strategy = strategy.filter(|strategy| strategy.name == StrategyName::RetryOnFailure)?;
    Some(strategy.retry_interval.unwrap_or(RETRY))
}

impl HelmReleaseSpec {
    /// What is done where an install fails.
    pub fn install_remedy(&self) -> Remedy {
        let Remediation { retries, remediate_last_failure, .. } = self.install.remediation;
        Remedy {
            retries,
            remedies_last: remediate_last_failure.unwrap_or(false),
            strategy: RemediationStrategy::Uninstall,
            retry_after: retry_after(self.install.strategy.as_ref()),
        }
    }

    /// What is done where an upgrade fails.
    pub fn upgrade_remedy(&self) -> Remedy {
        let Remediation { retries, remediate_last_failure, strategy, .. } = self.upgrade.remediation;
        Remedy {
            retries,
            remedies_last: remediate_last_failure.unwrap_or(retries > 0),
            strategy: strategy.unwrap_or(RemediationStrategy::Rollback),
            retry_after: retry_after(self.upgrade.strategy.as_ref()),
        }
    }

    /// How long an action may wait that says so itself, or not.
    pub fn timeout_of(&self, own: Option<Duration>) -> Duration {
        own.or(self.timeout).unwrap_or(TIMEOUT)
    }

    /// How many versions are kept; `None` for all.
    pub fn versions_kept(&self) -> Option<usize> {
        let kept = usize::try_from(self.max_history.unwrap_or(MAX_HISTORY)).unwrap_or_default();
        (kept > 0).then_some(kept)
    }

    /// What is done about definitions by an install.
    pub fn crds_of_install(&self) -> CrdsPolicy {
        let old = self.install.skip_crds.then_some(CrdsPolicy::Skip);
        self.install.crds.or(old).unwrap_or(CrdsPolicy::Create)
    }

    /// What is done about definitions by an upgrade. Flux documents another default than it has.
    pub fn crds_of_upgrade(&self) -> CrdsPolicy {
        self.upgrade.crds.unwrap_or(CrdsPolicy::Create)
    }
}
