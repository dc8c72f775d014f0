//! What is done next about a release: Flux's `actionForState`, in one function.

use std::time::Duration;

use super::history::{ReleaseDeed, ReleaseLedger};
use super::record::ReleaseStatus;
use super::script::ActionProgress;
use super::state::ReleaseState;
use crate::api::{HelmReleaseSpec, RemediationStrategy, Remedy};

/// What is done next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReleaseAction {
    /// Nothing: it is what is wanted.
    Nothing,
    /// It is installed.
    Install,
    /// It is upgraded.
    Upgrade,
    /// What failed is remedied; then this pass ends.
    Remedy(RemedyStep),
    /// An action that was cut off is gone on with.
    Resume(ActionProgress),
    /// A version whose action another has left is marked as failed.
    Unlock(ReleaseStatus),
    /// Nothing before something changes: it was tried as often as it may be.
    Stall {
        /// What was tried.
        deed: ReleaseDeed,
        /// How often.
        attempts: i64,
    },
    /// Nothing before so much time has passed.
    After(Duration),
    /// Nothing: its state is none that anything can be done about.
    Stuck(ReleaseStatus),
}

/// By what a failed action is remedied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RemedyStep {
    /// A version before is brought back.
    Rollback {
        /// Which.
        to: i64,
    },
    /// The release is uninstalled.
    Uninstall,
}

/// What people have asked for once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReleaseRequests {
    /// A new version, whatever has changed.
    pub force: bool,
    /// Whether this pass has tried an action already that was to be tried again after a while.
    pub has_tried: bool,
}

/// What is done next. `sound` is the newest version before the one that failed that is still stored as it was
/// observed, and that can be rolled back to.
pub fn next(
    state: &ReleaseState,
    spec: &HelmReleaseSpec,
    ledger: &ReleaseLedger,
    requests: ReleaseRequests,
    sound: Option<i64>,
) -> ReleaseAction {
    match state {
        ReleaseState::InSync if requests.force => ReleaseAction::Upgrade,
        ReleaseState::InSync => ReleaseAction::Nothing,
        ReleaseState::Absent => {
            let (remedy, failures) = (spec.install_remedy(), ledger.status().install_failures);
            if remedy.retry_after.is_none() && remedy.is_exhausted(failures) && !requests.force {
                return ReleaseAction::Stall { deed: ReleaseDeed::Install, attempts: failures };
            }
            ReleaseAction::Install
        }
        ReleaseState::Interrupted(progress) => ReleaseAction::Resume(*progress),
        ReleaseState::Locked(status) => ReleaseAction::Unlock(*status),
        ReleaseState::Unmanaged(_) | ReleaseState::OutOfSync(_) => {
            let (remedy, failures) = (spec.upgrade_remedy(), ledger.status().upgrade_failures);
            if remedy.retry_after.is_none() && remedy.is_exhausted(failures) && !requests.force {
                return ReleaseAction::Stall { deed: ReleaseDeed::Upgrade, attempts: failures };
            }
            ReleaseAction::Upgrade
        }
        ReleaseState::Failed => after_failure(spec, ledger, requests, sound),
        ReleaseState::Unknown(status) => ReleaseAction::Stuck(*status),
    }
}

/// The remedy of what was tried last, and how often that has failed.
fn remedy(spec: &HelmReleaseSpec, ledger: &ReleaseLedger) -> Option<(ReleaseDeed, Remedy, i64)> {
    let status = ledger.status();
    match ledger.attempted()? {
        ReleaseDeed::Install => Some((ReleaseDeed::Install, spec.install_remedy(), status.install_failures)),
        ReleaseDeed::Upgrade => Some((ReleaseDeed::Upgrade, spec.upgrade_remedy(), status.upgrade_failures)),
        ReleaseDeed::Rollback | ReleaseDeed::Uninstall | ReleaseDeed::UninstallRemediation => None,
    }
}

fn after_failure(
    spec: &HelmReleaseSpec,
    ledger: &ReleaseLedger,
    requests: ReleaseRequests,
    sound: Option<i64>,
) -> ReleaseAction {
    let Some((deed, remedy, failures)) = remedy(spec, ledger).filter(|_| !requests.force) else {
        return ReleaseAction::Upgrade;
    };
    if let Some(after) = remedy.retry_after {
        return if requests.has_tried { ReleaseAction::After(after.std()) } else { ReleaseAction::Upgrade };
    }
    // What it failed by has changed since.
    if failures <= 0 {
        return ReleaseAction::Upgrade;
    }
    if remedy.is_exhausted(failures) && !remedy.remedies_last {
        return ReleaseAction::Stall { deed, attempts: failures };
    }
    match (remedy.strategy, sound) {
        (RemediationStrategy::Rollback, Some(to)) => ReleaseAction::Remedy(RemedyStep::Rollback { to }),
        (RemediationStrategy::Rollback, None) => {
            if remedy.is_exhausted(failures) {
                return ReleaseAction::Stall { deed, attempts: failures };
            }
            ReleaseAction::Upgrade
        }
        (RemediationStrategy::Uninstall, _) => ReleaseAction::Remedy(RemedyStep::Uninstall),
    }
}
