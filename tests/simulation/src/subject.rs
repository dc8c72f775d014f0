//! The agent's kinds, as they take part in a simulation. A kind that is added to the agent's table joins by a
//! file here that implements [`Subject`], and a line in [`SUBJECTS`]; a test holds the two tables against
//! each other.

mod commit;
mod end;
mod hands;
mod kustomization;
mod source;
mod git_repository;
mod oci_repository;
mod helm_repository;
mod helm_chart;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use lockgate_core::api::KindInfo;
use serde_json::Value;

use crate::chance::Chance;
use crate::platform::{HOME, Platform};
use crate::server::{Change, Key, Server};

pub(crate) use commit::first;
pub(crate) use end::stuck;
pub(crate) use hands::{HELD, INJECTED, TOUCHED, foreign, meddled, misplaced, stale, taken_off};
pub(crate) use kustomization::{before_dependents, held, owner, too_early, unnamed};

/// A kind of the agent's: what of it is in Git, what people do to it, and what must become of it.
pub(crate) trait Subject: Sync {
    /// Its line in the agent's table.
    fn info(&self) -> &'static KindInfo;

    /// The objects that a person makes before any agent runs.
    fn beginning(&self) -> Vec<Value>;

    /// The files of a commit: path and content.
    fn files(&self, platform: &Platform) -> Vec<(String, Value)>;

    /// Changes what is in Git, and says how; `None` where there is nothing of the kind to change.
    fn commit(&self, platform: &mut Platform, chance: &mut Chance) -> Option<String>;

    /// What somebody changes of a live object, as a merge patch.
    fn edit(&self, chance: &mut Chance) -> Value;

    /// The laws that the agent has broken by a change of an object of the kind: the law, and how.
    fn told(&self, told: &Told<'_>, memory: &mut Memory) -> Vec<(&'static str, String)>;

    /// What is not as it must be once all is quiet.
    fn left_to_do(&self, end: &End<'_>) -> Vec<String>;
}

/// All kinds that take part.
pub(crate) const SUBJECTS: [&dyn Subject; 5] = [
    &kustomization::Kustomizations,
    &git_repository::GitRepositories,
    &oci_repository::OciRepositories,
    &helm_repository::HelmRepositories,
    &helm_chart::HelmCharts,
];

/// A change that an agent has made to an object of its kinds.
pub(crate) struct Told<'t> {
    pub(crate) change: &'t Change,
    pub(crate) time: Duration,
    pub(crate) agent: &'t str,
    /// When the agent sent the request.
    pub(crate) sent: Duration,
    /// Which agent wrote the lease last.
    pub(crate) holder: Option<String>,
    pub(crate) commits: &'t [Platform],
    pub(crate) server: &'t Server,
}

/// The world once all is quiet.
pub(crate) struct End<'e> {
    pub(crate) server: &'e Server,
    pub(crate) platform: &'e Platform,
    /// The commit at the head of the branch.
    pub(crate) head: usize,
    /// What the objects outside of Git hold.
    pub(crate) inputs: &'e [u64],
    pub(crate) memory: &'e Memory,
    /// Whether the first problem will do.
    pub(crate) is_brief: bool,
    /// The Kustomizations that hold what was changed and cannot be, and may not be made anew.
    pub(crate) stuck: BTreeSet<String>,
}

impl End<'_> {
    /// Whether nothing keeps a Kustomization from becoming ready.
    fn can_be_ready(&self, name: &str) -> bool {
        self.platform.can_be_ready(name, &self.stuck)
    }
}

/// What happened before, as far as laws ask for it.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// The commits that the branch was at, in order.
    pub(crate) heads: Vec<usize>,
    /// The revisions that each Kustomization has said to be applied.
    pub(crate) applied: BTreeMap<String, BTreeSet<String>>,
    /// Kustomizations that did not prune once.
    pub(crate) unpruned: BTreeSet<String>,
    /// When a person last changed an object, or a controller deleted it.
    pub(crate) touched: BTreeMap<Key, Duration>,
    /// Objects of which nobody knows any more who has set their fields.
    pub(crate) unmanaged: BTreeSet<Key>,
    /// Objects that somebody has asked once to be left alone, or not to be pruned.
    pub(crate) spared: BTreeSet<Key>,
    /// Which agent was shown an object of the agent's kinds first when, by the object's uid; and when it was
    /// shown that the object is being deleted.
    pub(crate) shown: BTreeMap<(String, String), Duration>,
    pub(crate) shown_leaving: BTreeMap<(String, String), Duration>,
    /// Which agent has changed the inventory of an object last.
    pub(crate) inventoried: BTreeMap<Key, String>,
    /// When the specification of an object of the agent's kinds was last changed, other than by its creation.
    pub(crate) respecified: BTreeMap<Key, Duration>,
}

impl Memory {
    /// A person or a controller has changed an object.
    pub(crate) fn met(&mut self, change: &Change, is_person: bool, time: Duration) {
        let Change { key, before, after, .. } = change;
        if is_person || after.is_none() {
            self.touched.insert(key.clone(), time);
        }
        let is_managed = |object: &Value| object["metadata"].get("managedFields").is_some();
        match (before, after) {
            (Some(before), Some(after)) if is_managed(before) && !is_managed(after) => {
                self.unmanaged.insert(key.clone());
            }
            (_, None) => drop(self.unmanaged.remove(key)),
            _ => {}
        }
        if after.as_ref().is_some_and(|after| hands::is_spared(after)) {
            self.spared.insert(key.clone());
        }
        // Without the agent's finalizer nothing of what it held is pruned.
        let is_held = |object: &Arc<Value>| object["metadata"].get("finalizers").is_some();
        if is_person && of(key).is_some() && !after.as_ref().is_some_and(is_held) {
            self.unpruned.insert(key.name.clone());
        }
    }

    /// An agent has changed an object.
    pub(crate) fn wrote(&mut self, change: &Change, agent: &str) {
        let inventory = |object: &Option<Arc<Value>>| object.as_ref()?.pointer("/status/inventory").cloned();
        if change.after.is_none() {
            self.unmanaged.remove(&change.key);
            self.inventoried.remove(&change.key);
        } else if of(&change.key).is_some() && inventory(&change.before) != inventory(&change.after) {
            self.inventoried.insert(change.key.clone(), agent.to_owned());
        }
    }

    /// An agent is shown an object of the agent's kinds.
    pub(crate) fn show(&mut self, agent: &str, object: &Value, time: Duration) {
        let Some(uid) = object["metadata"]["uid"].as_str() else { return };
        let what = (agent.to_owned(), uid.to_owned());
        if object["metadata"].get("deletionTimestamp").is_some() {
            self.shown_leaving.entry(what.clone()).or_insert(time);
        }
        self.shown.entry(what).or_insert(time);
    }

    /// Whether somebody other than an agent has changed an object within the last few minutes.
    pub(crate) fn is_touched(&self, key: &Key, time: Duration) -> bool {
        let recently = |at: &Duration| time.saturating_sub(*at) < Duration::from_mins(5);
        self.touched.get(key).is_some_and(recently)
    }

    /// The commits that the branch was at since it was at this one first.
    pub(crate) fn heads_ever_since(&self, commit: Option<usize>) -> &[usize] {
        let since = self.heads.iter().position(|head| Some(*head) == commit).unwrap_or(0);
        &self.heads[since..]
    }

    /// The commits that the branch was at since it was at this one last.
    pub(crate) fn heads_since(&self, commit: Option<usize>) -> &[usize] {
        let since = self.heads.iter().rposition(|head| Some(*head) == commit).unwrap_or(0);
        &self.heads[since..]
    }
}

/// The subject to whose kind an object belongs.
pub(crate) fn of(key: &Key) -> Option<&'static dyn Subject> {
    SUBJECTS.into_iter().find(|subject| {
        let info = subject.info();
        info.id.group == key.group && info.plural == key.plural
    })
}

/// Where the server has the objects of a kind in the agent's namespace.
pub(crate) fn collection(info: &KindInfo) -> String {
    format!("/apis/{}/namespaces/{HOME}/{}", info.api_version(), info.plural)
}

/// The message of a condition that is not as it should be; `None` where it is.
fn unless_ready(object: &Value) -> Option<String> {
    let conditions = object.pointer("/status/conditions").and_then(Value::as_array);
    let ready = conditions.into_iter().flatten().find(|condition| condition["type"] == "Ready");
    match ready {
        Some(ready) if ready["status"] == "True" => None,
        Some(ready) => Some(ready["message"].to_string()),
        None => Some("it has no condition".into()),
    }
}
