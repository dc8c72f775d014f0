//! The agent's kinds, as they take part in a simulation. A kind that is added to the agent's table joins by a
//! file here that implements [`Subject`], and a line in [`SUBJECTS`]; a test holds the two tables against
//! each other.

mod commit;
mod kustomization;
mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use lockgate_core::api::KindInfo;
use serde_json::Value;

use crate::chance::Chance;
use crate::platform::{HOME, Platform};
use crate::server::{Change, Key, Server};

pub(crate) use commit::first;
pub(crate) use kustomization::{held, owner, too_early, unnamed};

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
pub(crate) const SUBJECTS: [&dyn Subject; 2] = [&kustomization::Kustomizations, &source::Sources];

/// A change that an agent has made to an object of its kinds.
pub(crate) struct Told<'t> {
    pub(crate) change: &'t Change,
    pub(crate) time: Duration,
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
    /// When somebody other than an agent last changed an object.
    pub(crate) touched: BTreeMap<Key, Duration>,
    /// When the specification of an object of the agent's kinds was last changed, other than by its creation.
    pub(crate) respecified: BTreeMap<Key, Duration>,
}

impl Memory {
    /// Whether somebody other than an agent has changed an object within the last few minutes.
    pub(crate) fn is_touched(&self, key: &Key, time: Duration) -> bool {
        let recently = |at: &Duration| time.saturating_sub(*at) < Duration::from_mins(5);
        self.touched.get(key).is_some_and(recently)
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
