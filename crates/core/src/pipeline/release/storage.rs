//! The versions of a release as they are stored, read and written through the ports.

use std::time::{SystemTime, UNIX_EPOCH};

use super::super::clock::Clock;
use super::super::ports::{ApiFailure, Deleted, ObjectReference, ReleaseStores};
use super::stop::ReleaseStop;
use crate::release::{self, ActionProgress, OURS, Record, RecordHead, ReleaseStatus};
use lockgate_base::model::{Object, Timestamp};

/// Where a release is stored.
#[derive(Debug, Clone, Copy)]
pub(super) struct ReleaseShelf<'a> {
    /// The namespace of its Secrets.
    pub(super) storage: &'a str,
    /// Its name.
    pub(super) name: &'a str,
}

/// A version as it was read, and the Secret that it was read from.
#[derive(Debug, Clone)]
pub(super) struct Stored<R> {
    pub(super) release: R,
    pub(super) secret: Object,
}

impl<R> Stored<R> {
    /// The action that an agent of ours has begun on it and not ended.
    pub(super) fn begun(&self) -> Option<ActionProgress> {
        self.secret.annotation(OURS).and_then(ActionProgress::read)
    }
}

/// A version of which only the metadata of its Secret is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StoredVersion {
    pub(super) number: i64,
    pub(super) status: String,
    pub(super) uid: String,
    /// The Secret's resourceVersion.
    pub(super) at: String,
}

impl StoredVersion {
    /// What tells this state of its Secret from any other.
    pub(super) fn identity(&self) -> String {
        format!("{}/{}/{}", self.number, self.uid, self.at)
    }
}

/// The versions of a release, the newest first.
pub(super) async fn versions(
    cluster: &impl ReleaseStores,
    shelf: ReleaseShelf<'_>,
) -> Result<Vec<StoredVersion>, ApiFailure> {
    let secrets = cluster.versions(shelf.storage, shelf.name).await?;
    let version = |secret: &Object| {
        let text = |pointer| secret.text(pointer).unwrap_or_default().to_owned();
        Some(StoredVersion {
            number: release::version_of(secret, shelf.name)?,
            status: secret.label("status").unwrap_or_default().to_owned(),
            uid: text("/metadata/uid"),
            at: text("/metadata/resourceVersion"),
        })
    };
    let mut versions: Vec<StoredVersion> = secrets.iter().filter_map(version).collect();
    versions.sort_by_key(|version| std::cmp::Reverse(version.number));
    Ok(versions)
}

async fn secret(
    cluster: &impl ReleaseStores,
    shelf: ReleaseShelf<'_>,
    version: i64,
) -> Result<Option<Object>, ApiFailure> {
    let id = release::reference(shelf.storage, shelf.name, version);
    cluster.get(&ObjectReference::new(id, "v1")).await
}

/// What is looked at of a version; `None` where it has gone.
pub(super) async fn head(
    cluster: &impl ReleaseStores,
    shelf: ReleaseShelf<'_>,
    version: i64,
) -> Result<Option<Stored<RecordHead>>, ReleaseStop> {
    let Some(secret) = secret(cluster, shelf, version).await? else { return Ok(None) };
    Ok(Some(Stored { release: release::read_head(&secret)?, secret }))
}

/// A version as a whole; `None` where it has gone.
pub(super) async fn whole(
    cluster: &impl ReleaseStores,
    shelf: ReleaseShelf<'_>,
    version: i64,
) -> Result<Option<Stored<Record>>, ReleaseStop> {
    let Some(secret) = secret(cluster, shelf, version).await? else { return Ok(None) };
    Ok(Some(Stored { release: release::read(&secret)?, secret }))
}

/// Stores a version, in the place of the one that was read where there is one.
pub(super) async fn store(
    cluster: &impl ReleaseStores,
    clock: &dyn Clock,
    storage: &str,
    record: &Record,
    stored: Option<&Object>,
    progress: Option<ActionProgress>,
) -> Result<Object, ReleaseStop> {
    let action = progress.map(|progress| progress.to_string());
    let secret = release::secret(record, storage, stored, action.as_deref(), timestamp(clock))?;
    Ok(cluster.store(&secret).await?)
}

/// Changes how a version stands, and says why. One that has gone stays away.
pub(super) async fn mark(
    cluster: &impl ReleaseStores,
    clock: &dyn Clock,
    shelf: ReleaseShelf<'_>,
    version: i64,
    status: ReleaseStatus,
    description: Option<String>,
) -> Result<Option<RecordHead>, ReleaseStop> {
    let Some(Stored { mut release, secret }) = whole(cluster, shelf, version).await? else { return Ok(None) };
    release.info.status = status;
    if let Some(description) = description {
        release.info.description = description;
    }
    store(cluster, clock, shelf.storage, &release, Some(&secret), None).await?;
    Ok(Some(release.head()))
}

/// Deletes versions. One that has changed meanwhile stays.
pub(super) async fn discard(
    cluster: &impl ReleaseStores,
    shelf: ReleaseShelf<'_>,
    versions: &[StoredVersion],
) -> Result<(), ApiFailure> {
    for version in versions {
        let id = release::reference(shelf.storage, shelf.name, version.number);
        match cluster.delete(&ObjectReference::new(id, "v1"), &version.uid, None).await? {
            Deleted::Accepted | Deleted::Gone | Deleted::Changed => {}
        }
    }
    Ok(())
}

/// This moment.
pub(super) fn timestamp(clock: &dyn Clock) -> Timestamp {
    let since = clock.wall().duration_since(UNIX_EPOCH).unwrap_or_default();
    debug_assert!(clock.wall() >= SystemTime::UNIX_EPOCH);
    Timestamp::from_unix(i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}
