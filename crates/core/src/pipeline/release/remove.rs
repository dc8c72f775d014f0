//! What happens to the release of a HelmRelease that is being deleted: it is uninstalled by what is stored of
//! it, so that neither its chart nor its values need be there.

use super::super::ports::{Reads, ReleaseStores};
use super::super::remove::is_gone;
use super::interpret::interpret;
use super::play::Play;
use super::stop::ReleaseStop;
use super::storage::{ReleaseShelf, Stored, versions, whole};
use super::{ReleaseJournal, ReleaseRun};
use crate::api::HelmRelease;
use crate::release::{ReleaseDeed, ReleaseStatus, objects, owner};
use crate::verdict::{Common, Redactor};
use lockgate_base::model::ObjectId;

/// Uninstalls the release of a HelmRelease that is being deleted.
///
/// `cluster` acts as `account`, the ServiceAccount that the HelmRelease has or is given; it is an error where
/// there is none to act as. `own` acts as the agent.
pub async fn uninstall_release<C: ReleaseStores, O: Reads, J: ReleaseJournal>(
    cluster: Result<&C, String>,
    own: &O,
    account: Option<&str>,
    run: &ReleaseRun<'_>,
    journal: &J,
) -> Common {
    let release = run.release;
    let left = |note: &str| Common::Removed { deleted: 0, note: Some(note.into()) };
    if release.spec.suspend {
        return left("the release was left as it is");
    }
    if release.spec.kube_config.is_some() {
        return left("the release on the cluster of spec.kubeConfig was left as it is");
    }
    let cluster = match cluster {
        Ok(cluster) => cluster,
        Err(message) => return Common::AccessDenied { message },
    };
    match uninstalled(cluster, run, journal).await {
        Ok(deleted) => Common::Removed { deleted, note: None },
        Err(ReleaseStop::Common(Common::AccessDenied { message })) => match account {
            Some(account) if is_gone(own, account, &release.metadata.namespace).await => {
                let entries = release.status.inventory.iter().flat_map(|inventory| &inventory.entries);
                let ids = entries.filter_map(|entry| entry.id.parse::<ObjectId>().ok());
                let left = ids.map(|id| id.subject()).collect();
                Common::Abandoned { account: account.to_owned(), deleted: 0, left }
            }
            _ => Common::AccessDenied { message },
        },
        Err(ReleaseStop::Common(common)) => common,
        Err(ReleaseStop::Cancelled) => Common::Fenced,
        Err(ReleaseStop::Storage(cause) | ReleaseStop::Failed(cause)) => {
            Common::RemovalFailed { failures: vec![cause] }
        }
    }
}

/// Uninstalls it; returns how many objects were deleted.
async fn uninstalled<C: ReleaseStores, J: ReleaseJournal>(
    cluster: &C,
    run: &ReleaseRun<'_>,
    journal: &J,
) -> Result<usize, ReleaseStop> {
    let release: &HelmRelease = run.release;
    let known = release.status.history.first();
    let name = known.map_or_else(|| release.release_name(), |known| known.name.clone());
    let storage = release.status.storage_namespace.as_deref().filter(|storage| !storage.is_empty());
    let shelf = ReleaseShelf { storage: storage.unwrap_or(release.storage_namespace()), name: &name };
    let Some(newest) = versions(cluster, shelf).await?.into_iter().next() else { return Ok(0) };
    let Some(stored) = whole(cluster, shelf, newest.number).await? else { return Ok(0) };
    let begun = stored.begun();
    // A release that this HelmRelease has nothing to do with stays.
    let owner = owner(&objects(&stored.release).unwrap_or_default());
    let is_ours = owner.is_none_or(|owner| owner == release.reference() || !journal.is_there(&owner))
        && (known.is_some() || begun.is_some());
    if !is_ours || stored.release.info.status == ReleaseStatus::Uninstalled {
        return Ok(0);
    }
    let deed = ReleaseDeed::Uninstall;
    let Stored { release: record, secret } = stored;
    let redactor = Redactor::default();
    let mut play =
        Play::of(release, deed, shelf, (record, Some(secret)), &redactor).map_err(ReleaseStop::Storage)?;
    play.at = begun.filter(|begun| begun.deed == deed).map_or(0, |begun| begun.acts);
    Box::pin(interpret(cluster, run, journal, &mut play)).await?;
    Ok(play.deleted.len())
}
