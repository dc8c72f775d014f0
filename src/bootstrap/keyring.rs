//! The deploy keys of a repository: a cluster's own, those of earlier clusters, and those that a user manages
//! with GitHub alone.

use std::time::{Duration, Instant};

use ssh_key::PublicKey;

use super::deploy_key::{KeyIdentity, KeyPlan, other_name, register};
use super::github::{DeployKey, GitHub};
use super::hosts;
use super::leftovers::{self, Age, ClusterIdentity, Kept, KeyFate};
use super::moment::ago;
use super::preflight;
use super::problem::{FailedStep, Problem};
use super::progress::{ProgressEvent, ProgressLog, at};
use super::put::PutOutcome;
use super::secret;
use super::title::{ClusterName, Title};
use crate::cluster::objects::Objects;
use lockgate_base::model::Timestamp;

/// The step whose messages are about old keys.
const STEP: &str = "old keys";
/// The shortest time after which a key counts as unused: GitHub's date of last use lags by up to a week.
pub(crate) const LEAST_UNUSED: Duration = Duration::from_hours(7 * 24);

/// The cluster for which the keys of a repository are judged.
pub(crate) struct KeyPlace<'p> {
    /// The objects of the cluster.
    pub objects: &'p Objects,
    /// The identity of the cluster.
    pub identity: &'p KeyIdentity,
    /// The agent's namespace.
    pub namespace: &'p str,
}

impl KeyPlace<'_> {
    fn cluster<'c>(
        &'c self,
        name: &'c ClusterName,
        in_use: &'c str,
        held: &'c [String],
    ) -> ClusterIdentity<'c> {
        let (uid, created) = (self.identity.uid.as_str(), self.identity.created);
        ClusterIdentity { name, namespace: self.namespace, uid, created, in_use, held }
    }

    /// The public lines of the keys that the cluster holds, read only if there is a key to judge.
    async fn held(
        &self,
        name: &ClusterName,
        keys: &[DeployKey],
        in_use: &str,
    ) -> Result<Vec<String>, Problem> {
        if leftovers::leftovers(keys, &self.cluster(name, in_use, &[])).is_empty() {
            return Ok(Vec::new());
        }
        secret::public_lines(self.objects, self.namespace).await
    }

    /// Refuses to prune if another cluster with the same name is alive. This runs before any change.
    pub(crate) async fn is_alone(
        &self,
        plan: &KeyPlan,
        keys: &[DeployKey],
        in_use: &str,
    ) -> Result<(), Problem> {
        let Some(name) = plan.cluster.as_ref().filter(|_| plan.prune) else { return Ok(()) };
        let held = self.held(name, keys, in_use).await?;
        let judged = leftovers::leftovers(keys, &self.cluster(name, in_use, &held));
        twin(&judged, name).map_or(Ok(()), Err)
    }

    /// Reports the leftovers of the cluster's name, and deletes them if that is wanted. `keys` contains the
    /// one in use.
    pub(crate) async fn tidy(
        &self,
        plan: &KeyPlan,
        github: &GitHub,
        keys: &[DeployKey],
        in_use: &str,
        progress: &mut ProgressLog<'_>,
    ) -> Result<(), FailedStep> {
        let Some(name) = &plan.cluster else { return Ok(()) };
        let held = match self.held(name, keys, in_use).await {
            Ok(held) => held,
            Err(problem) if plan.prune => return Err(at(STEP)(problem)),
            Err(problem) => {
                let note = format!("could not look for leftover deploy keys: {problem}");
                progress.tell(ProgressEvent::Note(note));
                return Ok(());
            }
        };
        let cluster = self.cluster(name, in_use, &held);
        let judged = leftovers::leftovers(keys, &cluster);
        if !plan.prune {
            progress.tell_all(told_of(name, &judged));
            return Ok(());
        }
        let again = |key: &DeployKey| {
            let judged = leftovers::leftovers(&[keys, std::slice::from_ref(key)].concat(), &cluster);
            judged.last().map_or(KeyFate::Stays(Kept::Held), |(_, fate)| *fate)
        };
        let judged = delete(github, judged, again, false, progress).await?;
        twin(&judged, name).map_or(Ok(()), |problem| Err(at(STEP)(problem)))
    }
}

/// Deletes the leftover keys. Before each deletion GitHub must show the same key, and `again` must confirm
/// it. With `is_rehearsed` it only reports the deletions. Returns what became of each key.
async fn delete(
    github: &GitHub,
    mut judged: Vec<(DeployKey, KeyFate)>,
    again: impl Fn(&DeployKey) -> KeyFate,
    is_rehearsed: bool,
    progress: &mut ProgressLog<'_>,
) -> Result<Vec<(DeployKey, KeyFate)>, FailedStep> {
    let began = Instant::now();
    let failed = |error| at(STEP)(Problem::github(error, &github.repository));
    let mut count = 0;
    for (key, fate) in &mut judged {
        if *fate == KeyFate::Goes && !is_rehearsed {
            let shown = github.deploy_key(key.id).await.map_err(failed)?;
            let Some(shown) = shown.filter(|shown| shown.is_same(&key.key)) else { continue };
            *fate = again(&shown);
            *key = shown;
        }
        match *fate {
            KeyFate::Stays(kept) => {
                let note = format!("the deploy key \"{}\" is kept: {kept}", key.title);
                progress.tell(ProgressEvent::Note(note));
            }
            KeyFate::Goes => {
                if !is_rehearsed {
                    github.delete_key(key.id).await.map_err(failed)?;
                }
                count += 1;
                let verb = if is_rehearsed { "would delete" } else { "deleted" };
                let note = format!("{verb} \"{}\" {} ({})", key.title, key.fingerprint(), used(key));
                progress.tell(ProgressEvent::Fact(note));
            }
        }
    }
    let change = if count > 0 && !is_rehearsed { PutOutcome::Configured } else { PutOutcome::Unchanged };
    let verb = if is_rehearsed { "would be deleted" } else { "deleted" };
    progress.done(STEP, began, format!("{count} of {} {verb}", github.repository), Some(change));
    Ok(judged)
}

/// A key of another cluster that is alive and has the same name.
fn twin(judged: &[(DeployKey, KeyFate)], name: &ClusterName) -> Option<Problem> {
    judged.iter().find_map(|(key, fate)| match fate {
        KeyFate::Stays(Kept::Used { at, by_another: true }) => {
            Some(Problem::Twin { title: key.title.clone(), ago: ago(*at), name: name.to_string() })
        }
        _ => None,
    })
}

/// The message about leftovers that are not deleted.
fn told_of(name: &ClusterName, judged: &[(DeployKey, KeyFate)]) -> Option<ProgressEvent> {
    let leftovers = judged.iter().filter(|(_, fate)| *fate == KeyFate::Goes);
    let titles: Vec<String> =
        leftovers.map(|(key, _)| format!("\"{}\" ({})", key.title, used(key))).collect();
    let text = format!(
        "there are deploy keys of earlier clusters called {name}; --prune-keys deletes them: {}",
        titles.join(", ")
    );
    (!titles.is_empty()).then_some(ProgressEvent::Note(text))
}

/// When a key was last used, as far as GitHub knows.
fn used(key: &DeployKey) -> String {
    key.last_used.map_or_else(|| "no use known".into(), |at| format!("used {}", ago(at)))
}

/// The keys that a user wants to delete.
#[derive(Debug, Clone)]
pub(crate) enum Unwanted {
    /// All keys of a cluster's name, which is gone or about to go; only those of one uid if two clusters have
    /// the name.
    Cluster {
        /// The name.
        name: ClusterName,
        /// The uid of kube-system, or its first digits.
        uid: Option<String>,
    },
    /// The key with a fingerprint, `SHA256:…`.
    Fingerprint(String),
    /// All keys of ours that are too old, of one name or of all.
    Aged {
        /// The age that is too old.
        age: Age,
        /// The name.
        name: Option<ClusterName>,
    },
}

impl Unwanted {
    /// The message about a named key that a repository does not have.
    fn missing_from(&self, repository: &str) -> Option<ProgressEvent> {
        let what = match self {
            Self::Cluster { name, uid: None } => format!("is named after a cluster {name}"),
            Self::Cluster { name, uid: Some(uid) } => {
                format!("is named after a cluster {name} with the uid {uid}")
            }
            Self::Fingerprint(print) => format!("has the fingerprint {print}"),
            Self::Aged { .. } => return None,
        };
        Some(ProgressEvent::Note(format!("no deploy key of {repository} {what}")))
    }
}

/// Deletes keys with GitHub alone, so it also works when the cluster is gone. With `is_rehearsed` it only
/// reports which. Ages are as of `now`.
pub(crate) async fn remove(
    github: &GitHub,
    unwanted: &Unwanted,
    is_rehearsed: bool,
    now: Timestamp,
    progress: &mut ProgressLog<'_>,
) -> Result<(), FailedStep> {
    let keys = preflight::deploy_keys(github).await.map_err(at(STEP))?;
    let going = |keys: Vec<DeployKey>| keys.into_iter().map(|key| (key, KeyFate::Goes)).collect();
    let judged: Vec<(DeployKey, KeyFate)> = match unwanted {
        Unwanted::Cluster { name, uid } => {
            let found = leftovers::of_name(&keys, name, uid.as_deref());
            going(found.map_err(|twins| {
                let ([one, other], ago) = (twins.uids, ago(twins.used));
                at(STEP)(Problem::Twins { title: twins.key.title, ago, name: name.to_string(), one, other })
            })?)
        }
        Unwanted::Fingerprint(print) => {
            let mut found = keys;
            found.retain(|key| key.fingerprint().rsplit(' ').next() == Some(print));
            going(found)
        }
        Unwanted::Aged { age, name } => leftovers::aged(&keys, name.as_ref(), *age, now),
    };
    if judged.is_empty() {
        progress.tell_all(unwanted.missing_from(&github.repository));
    }
    let again = |key: &DeployKey| match unwanted {
        Unwanted::Cluster { .. } | Unwanted::Fingerprint(_) => KeyFate::Goes,
        Unwanted::Aged { age, name } => {
            let again = leftovers::aged(std::slice::from_ref(key), name.as_ref(), *age, now);
            again.first().map_or(KeyFate::Stays(Kept::Younger), |(_, fate)| *fate)
        }
    };
    delete(github, judged, again, is_rehearsed, progress).await.map(drop)
}

/// A key in the output of `lockgate keys list`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ListedKeys {
    /// The key.
    pub key: DeployKey,
    /// Its parsed title, if it is a key of ours.
    pub title: Option<Title>,
}

/// The deploy keys of a repository, by cluster and age; only those of `name` if it is given.
pub(crate) async fn list(github: &GitHub, name: Option<&ClusterName>) -> Result<Vec<ListedKeys>, FailedStep> {
    let keys = preflight::deploy_keys(github).await.map_err(at("keys"))?;
    let mut listed: Vec<ListedKeys> =
        keys.into_iter().map(|key| ListedKeys { title: Title::parse(&key.title), key }).collect();
    listed.retain(|row| name.is_none_or(|name| row.title.as_ref().is_some_and(|title| title.is_of(name))));
    listed.sort_by_cached_key(|row| {
        let cluster = row.title.as_ref().map(|title| title.cluster.clone());
        (cluster.is_none(), cluster, row.key.created_at, row.key.id)
    });
    Ok(listed)
}

/// Registers a key for a cluster that need not exist yet. With `is_rehearsed` it only reports whether it
/// would.
pub(crate) async fn create(
    github: &GitHub,
    title: &Title,
    key: &PublicKey,
    is_rehearsed: bool,
    progress: &mut ProgressLog<'_>,
) -> Result<(), FailedStep> {
    let keys = preflight::deploy_keys(github).await.map_err(at("deploy key"))?;
    if is_rehearsed {
        let line = key.to_openssh().unwrap_or_default();
        preflight::registration(github, &keys, Some(&line)).await.map_err(at("deploy key"))?;
        let note = match keys.iter().find(|key| key.is_same(&line)) {
            Some(known) => format!("it is registered already, as \"{}\"", known.title),
            None => format!("would register {} as \"{title}\"", hosts::fingerprint(key)),
        };
        progress.tell(ProgressEvent::Fact(note));
        return Ok(());
    }
    let registered = register(github, &keys, title, key, progress).await?;
    progress.tell_all(other_name(&registered, title));
    Ok(())
}
