//! What a status remembers of a release, and how it changes as actions go on.

use super::digest;
use super::record::{ChartHead, ReleaseStatus, StoredRelease};
use crate::api::{HelmReleaseStatus, ReleaseSnapshot};
use lockgate_base::model::Timestamp;

/// The form of the digests.
const FORM: &str = "v2";
/// How many versions are remembered where none of them was a success.
const REMEMBERED: usize = 5;

/// What is done to a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReleaseDeed {
    /// It is installed.
    Install,
    /// It is upgraded.
    Upgrade,
    /// It is rolled back.
    Rollback,
    /// It is uninstalled, since that is wished.
    Uninstall,
    /// It is uninstalled, since an action failed.
    UninstallRemediation,
}

impl ReleaseDeed {
    /// The word in a status.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Install => "install",
            Self::Upgrade => "upgrade",
            Self::Rollback => "rollback",
            Self::Uninstall => "uninstall",
            Self::UninstallRemediation => "uninstall-remediation",
        }
    }

    /// Reads the word.
    pub fn read(word: &str) -> Option<Self> {
        [Self::Install, Self::Upgrade, Self::Rollback, Self::Uninstall, Self::UninstallRemediation]
            .into_iter()
            .find(|deed| deed.as_str() == word)
    }
}

/// The snapshot of a version as it is stored. `oci` is the digest of the artifact that its chart came in.
pub fn observed(
    release: &StoredRelease<ChartHead>,
    deed: Option<ReleaseDeed>,
    oci: Option<&str>,
) -> ReleaseSnapshot {
    let moment = |time: &Option<String>| {
        let read = time.as_deref().and_then(|time| time.parse().ok());
        read.unwrap_or_else(|| Timestamp::from_unix(0))
    };
    let (chart, info) = (&release.chart, &release.info);
    ReleaseSnapshot {
        api_version: Some(FORM.into()),
        digest: digest::snapshot(release, &chart.metadata, oci).to_string(),
        action: deed.map(|deed| deed.as_str().into()),
        name: release.name.clone(),
        namespace: release.namespace.clone(),
        version: release.version,
        status: info.status.as_str().into(),
        chart_name: chart.name().into(),
        chart_version: chart.version().into(),
        app_version: Some(chart.app_version().to_owned()).filter(|version| !version.is_empty()),
        config_digest: digest::config(&release.config).to_string(),
        first_deployed: moment(&info.first_deployed),
        last_deployed: moment(&info.last_deployed),
        deleted: info.deleted.as_ref().filter(|time| !time.is_empty()).map(|_| moment(&info.deleted)),
        test_hooks: None,
        oci_digest: oci.map(ToOwned::to_owned),
    }
}

/// What of a status changes while a release is worked on.
#[derive(Debug, Clone, PartialEq)]
pub struct ReleaseLedger(HelmReleaseStatus);

impl ReleaseLedger {
    /// The status as it stands.
    pub const fn new(status: HelmReleaseStatus) -> Self {
        Self(status)
    }

    /// The status as it is now.
    pub const fn status(&self) -> &HelmReleaseStatus {
        &self.0
    }

    /// The status, to be changed where no rule of its own holds.
    pub const fn status_mut(&mut self) -> &mut HelmReleaseStatus {
        &mut self.0
    }

    /// Takes note of a version as it is stored now. One that is known already is seen again.
    pub fn observe(
        &mut self,
        release: &StoredRelease<ChartHead>,
        deed: Option<ReleaseDeed>,
        oci: Option<&str>,
    ) {
        let history = &mut self.0.history;
        let known = history.iter_mut().find(|known| {
            known.version == release.version
                && known.name == release.name
                && known.namespace == release.namespace
        });
        if let Some(known) = known {
            let oci = known.oci_digest.clone().or_else(|| oci.map(ToOwned::to_owned));
            *known = observed(release, deed, oci.as_deref());
        } else {
            history.insert(0, observed(release, deed, oci));
        }
        history.sort_by_key(|snapshot| std::cmp::Reverse(snapshot.version));
        truncate(history);
    }

    /// Forgets all versions: another release takes their place.
    pub fn forget(&mut self) {
        self.0.history.clear();
    }

    /// Counts a failure of an action.
    pub const fn failed(&mut self, deed: ReleaseDeed) {
        self.0.failures += 1;
        match deed {
            ReleaseDeed::Install => self.0.install_failures += 1,
            ReleaseDeed::Upgrade => self.0.upgrade_failures += 1,
            ReleaseDeed::Rollback | ReleaseDeed::Uninstall | ReleaseDeed::UninstallRemediation => {}
        }
    }

    /// Failures count anew.
    pub const fn reset(&mut self) {
        self.0.failures = 0;
        self.0.install_failures = 0;
        self.0.upgrade_failures = 0;
    }

    /// What was tried last.
    pub fn attempted(&self) -> Option<ReleaseDeed> {
        self.0.last_attempted_release_action.as_deref().and_then(ReleaseDeed::read)
    }
}

/// Leaves what counts: the newest version and those before it, up to the first of them that was a success.
fn truncate(history: &mut Vec<ReleaseSnapshot>) {
    let is_success = |snapshot: &ReleaseSnapshot| {
        [ReleaseStatus::Deployed, ReleaseStatus::Superseded]
            .iter()
            .any(|status| snapshot.status == status.as_str())
    };
    let last = history.iter().skip(1).position(is_success).map_or(REMEMBERED, |at| at + 2);
    history.truncate(last);
}
