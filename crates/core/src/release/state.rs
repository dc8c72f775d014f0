//! How a release stands, compared with what its HelmRelease asks for: Flux's `DetermineReleaseState`, and
//! beside it what an agent of ours has begun and not ended.

use super::digest;
use super::history::ReleaseDeed;
use super::record::{ChartHead, RecordHead, ReleaseStatus};
use super::script::ActionProgress;
use crate::api::{HelmRelease, HelmReleaseStatus, ReleaseSnapshot};
use lockgate_base::model::Digest;

/// What a release is to be.
#[derive(Debug, Clone, PartialEq)]
pub struct WantedRelease {
    /// Its name, as short as Helm takes it.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// The namespace of its Secrets.
    pub storage: String,
    /// Its chart.
    pub chart: ChartHead,
    /// The digest of its values.
    pub config: Digest,
    /// The digest of what is done to the rendered objects.
    pub post_renderers: Option<Digest>,
    /// The digest of the labels and annotations of all objects.
    pub common_metadata: Option<Digest>,
}

/// How a release stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReleaseState {
    /// There is none.
    Absent,
    /// An action of an agent of ours was cut off.
    Interrupted(ActionProgress),
    /// An action of another was cut off, or is under way.
    Locked(ReleaseStatus),
    /// It is there, and not as it was left.
    Unmanaged(String),
    /// Its last action failed.
    Failed,
    /// It is not what is wanted.
    OutOfSync(String),
    /// It is what is wanted.
    InSync,
    /// It is of no state that anything can be done about.
    Unknown(ReleaseStatus),
}

/// Whether what is wanted is another release than the one that is there, which is uninstalled first. Says
/// why.
pub fn is_moved(release: &HelmRelease, want: &WantedRelease) -> Option<String> {
    let latest = release.status.history.first()?;
    let storage = release.status.storage_namespace.as_deref().filter(|storage| !storage.is_empty())?;
    let in_place = release.spec.upgrade.chart_name_change_strategy.as_deref() == Some("InPlaceUpdate");
    let changed = |what: &str, from: &str, to: &str| Some(format!("{what} changed from '{from}' to '{to}'"));
    if storage != want.storage {
        changed("storage namespace", storage, &want.storage)
    } else if latest.namespace != want.namespace {
        changed("target namespace", &latest.namespace, &want.namespace)
    } else if latest.name != want.name {
        changed("release name", &latest.name, &want.name)
    } else if latest.chart_name != want.chart.name() && !in_place {
        changed("chart name", &latest.chart_name, want.chart.name())
    } else {
        None
    }
}

/// How a release stands. `last` is its newest stored version, and `begun` the action that an agent of ours
/// has begun on it and not ended.
pub fn state(
    last: Option<&RecordHead>,
    begun: Option<ActionProgress>,
    (generation, status): (i64, &HelmReleaseStatus),
    want: &WantedRelease,
) -> ReleaseState {
    let Some(last) = last else { return ReleaseState::Absent };
    let stored = last.info.status;
    if stored.is_pending() || stored == ReleaseStatus::Uninstalling {
        return match begun.filter(|begun| is_still_wanted(last, *begun, generation, want)) {
            Some(begun) => ReleaseState::Interrupted(begun),
            None => ReleaseState::Locked(stored),
        };
    }
    let Some(known) = status.history.first() else {
        return match stored {
            ReleaseStatus::Uninstalled => ReleaseState::Absent,
            _ => ReleaseState::Unmanaged("found existing release in storage".into()),
        };
    };
    if stored == ReleaseStatus::Uninstalled {
        return ReleaseState::Absent;
    }
    if let Some(problem) = is_other(known, last) {
        return ReleaseState::Unmanaged(problem);
    }
    match stored {
        ReleaseStatus::Failed => ReleaseState::Failed,
        ReleaseStatus::Deployed => {
            out_of_sync(last, status, want).map_or(ReleaseState::InSync, ReleaseState::OutOfSync)
        }
        other => ReleaseState::Unknown(other),
    }
}

/// Whether an action is to be gone on with: one to what was wanted, and is no longer, is not.
fn is_still_wanted(last: &RecordHead, begun: ActionProgress, generation: i64, want: &WantedRelease) -> bool {
    match begun.deed {
        ReleaseDeed::Install | ReleaseDeed::Upgrade => {
            begun.generation == generation
                && last.chart.name() == want.chart.name()
                && last.chart.version() == want.chart.version()
                && digest::config(&last.config) == want.config
        }
        ReleaseDeed::Rollback | ReleaseDeed::Uninstall | ReleaseDeed::UninstallRemediation => true,
    }
}

/// Why a stored version is not the one that was observed last.
fn is_other(known: &ReleaseSnapshot, last: &RecordHead) -> Option<String> {
    if known.version != last.version || known.name != last.name || known.namespace != last.namespace {
        return Some("release not observed to be made for object".into());
    }
    let digest = digest::snapshot(last, &last.chart.metadata, known.oci_digest.as_deref());
    (digest.to_string() != known.digest)
        .then(|| "release state mismatch: digest of what is stored is another one than was observed".into())
}

fn out_of_sync(last: &RecordHead, status: &HelmReleaseStatus, want: &WantedRelease) -> Option<String> {
    let chart = |chart: &ChartHead| format!("{}@{}", chart.name(), chart.version());
    let (was, is) = (chart(&last.chart), chart(&want.chart));
    if was != is {
        return Some(format!("chart changed from {was} to {is}"));
    }
    if digest::config(&last.config) != want.config {
        return Some("values changed".into());
    }
    let is_as = |observed: &Option<String>, wanted: Option<Digest>| {
        *observed == wanted.map(|digest| digest.to_string())
    };
    if !is_as(&status.observed_post_renderers_digest, want.post_renderers) {
        return Some("postRenderers changed".into());
    }
    (!is_as(&status.observed_common_metadata_digest, want.common_metadata))
        .then(|| "commonMetadata changed".into())
}
