//! The settings of a HelmRelease's actions, with Flux's defaults.

use super::HelmReleaseSpec;
use super::actions::{CrdsPolicy, Remediation, RemediationStrategy, Strategy, StrategyName};
use super::values::DriftMode;
use lockgate_base::model::Duration;

/// How long one action may wait by default (Flux's default).
const TIMEOUT: Duration = Duration::from_secs(300);
/// How long a failed action waits for its retry by default, under the strategy `RetryOnFailure`.
const RETRY: Duration = Duration::from_secs(300);
/// How many versions are kept by default (Flux's default).
const MAX_HISTORY: i64 = 5;

/// The handling of failed installs or upgrades, with Flux's defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remedy {
    /// How often the action is retried; a negative number sets no limit.
    pub retries: i64,
    /// Whether the last failure is remediated too.
    pub remedies_last: bool,
    /// How a failure is remediated.
    pub strategy: RemediationStrategy,
    /// How long to wait before the retry, if failures are retried and not remediated.
    pub retry_after: Option<Duration>,
}

impl Remedy {
    /// Whether the retries are used up after this number of failures.
    pub const fn is_exhausted(&self, failures: i64) -> bool {
        self.retries >= 0 && failures > self.retries
    }
}

fn retry_after(strategy: Option<&Strategy>) -> Option<Duration> {
    let strategy = strategy.filter(|strategy| strategy.name == StrategyName::RetryOnFailure)?;
    Some(strategy.retry_interval.unwrap_or(RETRY))
}

impl HelmReleaseSpec {
    /// The handling of a failed install.
    pub fn install_remedy(&self) -> Remedy {
        let Remediation { retries, remediate_last_failure, .. } = self.install.remediation;
        Remedy {
            retries,
            remedies_last: remediate_last_failure.unwrap_or(false),
            strategy: RemediationStrategy::Uninstall,
            retry_after: retry_after(self.install.strategy.as_ref()),
        }
    }

    /// The handling of a failed upgrade.
    pub fn upgrade_remedy(&self) -> Remedy {
        let Remediation { retries, remediate_last_failure, strategy, .. } = self.upgrade.remediation;
        Remedy {
            retries,
            remedies_last: remediate_last_failure.unwrap_or(retries > 0),
            strategy: strategy.unwrap_or(RemediationStrategy::Rollback),
            retry_after: retry_after(self.upgrade.strategy.as_ref()),
        }
    }

    /// How long an action may wait. `own` is its own timeout, if it has one.
    pub fn timeout_of(&self, own: Option<Duration>) -> Duration {
        own.or(self.timeout).unwrap_or(TIMEOUT)
    }

    /// What is done about objects that others have changed.
    pub fn drift_mode(&self) -> DriftMode {
        self.drift_detection.as_ref().and_then(|detection| detection.mode).unwrap_or_default()
    }

    /// How many versions are kept; `None` for all.
    pub fn versions_kept(&self) -> Option<usize> {
        let kept = usize::try_from(self.max_history.unwrap_or(MAX_HISTORY)).unwrap_or_default();
        (kept > 0).then_some(kept)
    }

    /// How an install handles definitions.
    pub fn crds_of_install(&self) -> CrdsPolicy {
        let old = self.install.skip_crds.then_some(CrdsPolicy::Skip);
        self.install.crds.or(old).unwrap_or(CrdsPolicy::Create)
    }

    /// How an upgrade handles definitions. Flux's code has another default than its documentation.
    pub fn crds_of_upgrade(&self) -> CrdsPolicy {
        self.upgrade.crds.unwrap_or(CrdsPolicy::Create)
    }
}
