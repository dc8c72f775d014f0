//! What a HelmRelease says of its actions, with Flux's defaults.

use super::HelmReleaseSpec;
use super::actions::{CrdsPolicy, Remediation, RemediationStrategy, Strategy, StrategyName};
use super::values::DriftMode;
use lockgate_base::model::Duration;

/// How long one action may wait, where nothing is said of it (Flux's default).
const TIMEOUT: Duration = Duration::from_secs(300);
/// After how long an action that failed is tried again, where that is its strategy and no time is given.
const RETRY: Duration = Duration::from_secs(300);
/// How many versions are kept where nothing is said of it (Flux's default).
const MAX_HISTORY: i64 = 5;

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

    /// What is done about objects that others have changed.
    pub fn drift_mode(&self) -> DriftMode {
        self.drift_detection.as_ref().and_then(|detection| detection.mode).unwrap_or_default()
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
