//! What people have asked for once, by annotations on a HelmRelease.

use crate::api::HelmRelease;
use crate::release::ReleaseLedger;
use lockgate_base::keys;

/// What people have asked for once, and that was not done yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Asked {
    /// A new version, whatever has changed.
    pub(super) force: bool,
    /// That failures count anew.
    pub(super) reset: bool,
}

impl Asked {
    pub(super) fn of(release: &HelmRelease) -> Self {
        let token = |key: &str| release.metadata.annotations.get(key).filter(|token| !token.is_empty());
        let requested = token(keys::REQUESTED_AT);
        let is_new = |key, handled: &Option<String>| {
            requested.is_some() && token(key) == requested && requested != handled.as_ref()
        };
        Self {
            force: is_new(keys::FORCE_AT, &release.status.last_handled_force_at),
            reset: is_new(keys::RESET_AT, &release.status.last_handled_reset_at),
        }
    }

    /// Takes note that it is done by this run.
    pub(super) fn note(self, release: &HelmRelease, ledger: &mut ReleaseLedger) {
        let requested = release.metadata.annotations.get(keys::REQUESTED_AT);
        if self.force {
            ledger.status_mut().last_handled_force_at = requested.cloned();
        }
        if self.reset {
            ledger.status_mut().last_handled_reset_at = requested.cloned();
        }
    }
}
