//! Finds the deploy keys that nobody needs any more. The module is pure: the answers of GitHub and of the
//! cluster go in, and a judgement of each key comes out.
//!
//! A key is deleted only on proof. Its title names its owner, and its date and the cluster's date show which
//! was first. The date of last use at GitHub only ever protects a key: that date lags behind, so a key that
//! seems unused may be in use.

use std::fmt;
use std::time::Duration;

use super::github::DeployKey;
use super::moment;
use super::title::{ClusterName, Title};
use lockgate_base::model::Timestamp;

/// The identity of the cluster whose keys are judged, and the keys that it holds.
#[derive(Debug, Clone)]
pub(crate) struct ClusterIdentity<'c> {
    /// The name that the user gave. The name of a context is never used, since many clusters may have the
    /// same.
    pub name: &'c ClusterName,
    /// The agent's namespace.
    pub namespace: &'c str,
    /// The uid of kube-system.
    pub uid: &'c str,
    /// When kube-system was created: a key that was registered before cannot be this cluster's.
    pub created: Timestamp,
    /// The public line of the key with which the agent reads the repository.
    pub in_use: &'c str,
    /// The public lines of all keys in Secrets of the namespace.
    pub held: &'c [String],
}

/// Why a key is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    /// A Secret of this cluster contains it.
    Held,
    /// It has write access, and lockgate registers only read-only keys.
    Writes,
    /// It belongs to an installation in another namespace.
    OtherNamespace,
    /// It is not older than this cluster, or than the key that this cluster uses: another cluster made it,
    /// and may be alive.
    Younger,
    /// It was used after this cluster, or its present key, was created.
    Used {
        /// The last use.
        at: Timestamp,
        /// Whether it belongs to another cluster, which then is alive and has the same name.
        by_another: bool,
    },
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Held => f.write_str("a Secret of this cluster contains it"),
            Self::Writes => f.write_str("it has write access, and lockgate registers only read-only keys"),
            Self::OtherNamespace => f.write_str("it belongs to an installation in another namespace"),
            Self::Younger => f.write_str("it is not older than this cluster and its key"),
            Self::Used { at, .. } => write!(f, "it was used {at}"),
        }
    }
}

/// The fate of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyFate {
    /// It is a leftover, and is deleted.
    Goes,
    /// It is kept.
    Stays(Kept),
}

/// The keys of the cluster's name except the one in use, each with its fate. Keys of other names are left
/// out.
pub(crate) fn leftovers(keys: &[DeployKey], cluster: &ClusterIdentity<'_>) -> Vec<(DeployKey, KeyFate)> {
    let in_use = keys.iter().find(|key| key.is_same(cluster.in_use));
    let others = keys.iter().filter(|key| !key.is_same(cluster.in_use));
    let judged = others.filter_map(|key| {
        let title = Title::parse(&key.title).filter(|title| title.is_of(cluster.name))?;
        Some((key.clone(), fate(key, &title, in_use, cluster)))
    });
    judged.collect()
}

fn fate(
    key: &DeployKey,
    title: &Title,
    in_use: Option<&DeployKey>,
    cluster: &ClusterIdentity<'_>,
) -> KeyFate {
    if cluster.held.iter().any(|line| key.is_same(line)) {
        return KeyFate::Stays(Kept::Held);
    }
    if !key.read_only {
        return KeyFate::Stays(Kept::Writes);
    }
    if title.namespace != cluster.namespace {
        return KeyFate::Stays(Kept::OtherNamespace);
    }
    // A key with this cluster's uid was made by it, or by one that was restored from its etcd.
    let is_ours = cluster.uid.starts_with(&title.uid);
    // A key that was made before its cluster may have been used by this one.
    let by_another = !is_ours && !title.is_early();
    let since = if is_ours { in_use.map(|key| key.created_at) } else { Some(cluster.created) };
    match (since, key.last_used) {
        (Some(since), _) if key.created_at >= since => KeyFate::Stays(Kept::Younger),
        (None, _) => KeyFate::Stays(Kept::Younger),
        (Some(since), Some(at)) if at >= since => KeyFate::Stays(Kept::Used { at, by_another }),
        (Some(_), _) => KeyFate::Goes,
    }
}

/// Two clusters with one name, both of which GitHub shows to be alive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SameName {
    /// The older key, which was used after the other was created.
    pub key: DeployKey,
    /// The last use.
    pub used: Timestamp,
    /// The uids of the two clusters, as their titles have them.
    pub uids: [String; 2],
}

/// The keys of a name, whatever their clusters. The error is two keys that prove that two clusters share the
/// name. `uid` limits the keys to those of one cluster.
pub(crate) fn of_name(
    keys: &[DeployKey],
    name: &ClusterName,
    uid: Option<&str>,
) -> Result<Vec<DeployKey>, Box<SameName>> {
    let titled = keys.iter().filter_map(|key| Some((key, Title::parse(&key.title)?)));
    let ours: Vec<(&DeployKey, Title)> = titled
        .filter(|(key, title)| title.is_of(name) && key.read_only)
        .filter(|(_, title)| uid.is_none_or(|uid| uid.starts_with(&title.uid)))
        .collect();
    for (older, its) in &ours {
        let Some(used) = older.last_used else { continue };
        let lived_beside = |(younger, other): &&(&DeployKey, Title)| {
            // A key that was made before its cluster is of whichever cluster came.
            let are_two = other.uid != its.uid && !other.is_early() && !its.is_early();
            are_two && older.created_at <= younger.created_at && used >= younger.created_at
        };
        if let Some((_, other)) = ours.iter().find(lived_beside) {
            let uids = [its.uid.clone(), other.uid.clone()];
            return Err(Box::new(SameName { key: (*older).clone(), used, uids }));
        }
    }
    Ok(ours.into_iter().map(|(key, _)| key.clone()).collect())
}

/// How long after its last use an expired key is kept: its cluster may be alive, and GitHub's date lags
/// behind the date in the title.
const RECENT: Duration = Duration::from_hours(1);

/// The age at which a key is too old.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Age {
    /// The date of expiry in its title has passed.
    Expired,
    /// It was created, and last used, at least this long ago.
    Unused(Duration),
}

/// lockgate's keys that are too old, whatever their clusters, each with the reason if it is kept. `name`
/// limits them to the keys of one name.
pub(crate) fn aged(
    keys: &[DeployKey],
    name: Option<&ClusterName>,
    age: Age,
    now: Timestamp,
) -> Vec<(DeployKey, KeyFate)> {
    let judged = keys.iter().filter_map(|key| {
        let title = Title::parse(&key.title)?;
        let is_named = name.is_none_or(|name| title.is_of(name));
        let since = match age {
            Age::Expired => title.until.filter(|until| *until <= now)?,
            Age::Unused(least) => {
                let since = moment::before(now, least);
                (key.created_at < since).then_some(since)?
            }
        };
        let fate = match key.last_used {
            _ if !key.read_only => KeyFate::Stays(Kept::Writes),
            Some(at) if age == Age::Expired && (at >= since || at >= moment::before(now, RECENT)) => {
                KeyFate::Stays(Kept::Used { at, by_another: true })
            }
            Some(at) if at >= since => return None,
            _ => KeyFate::Goes,
        };
        is_named.then(|| (key.clone(), fate))
    });
    judged.collect()
}

#[cfg(test)]
mod tests;
