//! The agent's knowledge of its own kinds: each object, its fetched revision, and its last build.
//!
//! Only this process writes statuses, so after a write our copy is the newer one, until a watch shows a later
//! version of the object.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

mod extra;
mod kinds;

pub(super) use extra::{Aim, Extra, Ids};
pub(super) use kinds::chart_of;

use crate::source::Held;
use lockgate_base::keys;
use lockgate_base::model::{Object, Ref};
use lockgate_base::tree::Snapshot;
use lockgate_core::api::{HelmRelease, Kustomization, Malformed, Metadata, Source};
use lockgate_core::graph::{self, Dependencies, DependencyView, NotReadyReason};
use lockgate_core::pipeline::{Memo, recorded_of};
use lockgate_core::queue::{Edge, Facts, Why};
use lockgate_core::verdict::{self, BlockReason, Blocker, Common};

/// An object of one of the agent's kinds, or the readable part of a malformed one.
#[derive(Debug, Clone)]
pub(super) enum SeenObject<O> {
    /// The object is well-formed.
    Sound(Arc<O>),
    /// The object is malformed.
    Malformed {
        /// The part that every object has.
        metadata: Metadata,
        /// The wrong field, and what is wrong with it.
        message: String,
        /// The managed objects according to its status; `None` if the status is malformed too.
        holds: Option<Ids>,
    },
}

impl<O: Tracked> SeenObject<O> {
    /// Decodes an object, which may be malformed.
    pub(super) fn read(object: &Object) -> Self {
        match O::decode(object) {
            Ok(sound) => Self::Sound(Arc::new(sound)),
            Err(malformed) => {
                let metadata = object.pointer("/metadata").cloned().unwrap_or_default();
                // The API machinery validates the metadata, whatever the rest looks like.
                let metadata = serde_json::from_value(metadata).unwrap_or_default();
                let holds = recorded_of(object).map(Arc::new);
                Self::Malformed { metadata, message: malformed.message, holds }
            }
        }
    }

    pub(super) fn metadata(&self) -> &Metadata {
        match self {
            Self::Sound(object) => object.metadata(),
            Self::Malformed { metadata, .. } => metadata,
        }
    }
}

/// An object, and the state of this process about it.
#[derive(Debug)]
pub(super) struct KnownObject<O: Tracked> {
    seen: SeenObject<O>,
    /// The facts that the queue knows.
    facts: Facts,
    /// The resourceVersion of our last write to it.
    written: u64,
    /// The latest known resourceVersion.
    version: u64,
    extra: O::Extra,
}

/// The objects of one form.
pub(super) type Register<O> = BTreeMap<Ref, KnownObject<O>>;

/// The form of a kind that the agent reconciles. Sources of all kinds have one form.
pub(super) trait Tracked: Clone + Debug + Send + Sync + 'static {
    /// Further state about an object.
    type Extra: Default + Debug + Send;

    /// Decodes an object.
    fn decode(object: &Object) -> Result<Self, Malformed>;
    /// The register of this form.
    fn shelf(inner: &Inner) -> &Register<Self>;
    /// The register of this form, to be changed.
    fn shelf_mut(inner: &mut Inner) -> &mut Register<Self>;
    /// `metadata`.
    fn metadata(&self) -> &Metadata;
    /// Takes over the status of an earlier copy of the same object.
    fn keep_status(&mut self, of: &Self);
    /// The state on which dependents decide.
    fn view(&self) -> DependencyView<'_>;
    /// The message of its Ready condition.
    fn message(&self) -> Option<&str>;
    /// The objects whose changes concern it.
    fn edges(&self) -> Vec<Edge>;
    /// `spec.suspend`.
    fn suspended(&self) -> bool;
    /// `spec.interval`.
    fn interval(&self) -> Duration;
}

/// The agent's knowledge.
#[derive(Debug, Default)]
pub(super) struct World(Mutex<Inner>);

#[derive(Debug, Default)]
pub(super) struct Inner {
    kustomizations: Register<Kustomization>,
    releases: Register<HelmRelease>,
    sources: Register<Source>,
}

impl World {
    /// Stores an object that a watch shows, at this resourceVersion. Returns what the queue must know of it.
    pub(super) fn see<O: Tracked>(&self, key: &Ref, mut seen: SeenObject<O>, version: u64) -> Facts {
        let facts = facts(&seen);
        let mut inner = self.inner();
        let objects = O::shelf_mut(&mut inner);
        let same = objects.get_mut(key).filter(|entry| entry.facts.uid == facts.uid);
        let Some(entry) = same else {
            let entry =
                KnownObject { seen, facts: facts.clone(), written: 0, version, extra: O::Extra::default() };
            objects.insert(key.clone(), entry);
            return facts;
        };
        if let (SeenObject::Sound(old), SeenObject::Sound(new)) = (&entry.seen, &mut seen)
            && version <= entry.written
        {
            Arc::make_mut(new).keep_status(old);
        }
        entry.seen = seen;
        entry.version = version.max(entry.written);
        entry.facts.clone_from(&facts);
        facts
    }

    /// Forgets a deleted object.
    pub(super) fn forget<O: Tracked>(&self, key: &Ref) {
        O::shelf_mut(&mut self.inner()).remove(key);
    }

    /// Whether an object of any kind exists.
    pub(super) fn contains(&self, key: &Ref) -> bool {
        self.inner().contains(key)
    }

    /// The last known copy of an object.
    pub(super) fn get<O: Tracked>(&self, key: &Ref) -> Option<SeenObject<O>> {
        O::shelf(&self.inner()).get(key).map(|entry| entry.seen.clone())
    }

    /// All well-formed objects of a kind.
    pub(super) fn all<O: Tracked>(&self) -> Vec<Arc<O>> {
        let inner = self.inner();
        let sound = O::shelf(&inner).values().filter_map(|entry| match &entry.seen {
            SeenObject::Sound(object) => Some(Arc::clone(object)),
            SeenObject::Malformed { .. } => None,
        });
        sound.collect()
    }

    /// The malformed Kustomizations, and the objects that each manages by its status; `None` if that is
    /// unknown.
    pub(super) fn malformed(&self) -> Vec<(Ref, Option<Ids>)> {
        let inner = self.inner();
        let malformed = inner.kustomizations.iter().filter_map(|(key, entry)| match &entry.seen {
            SeenObject::Malformed { holds, .. } => Some((key.clone(), holds.clone())),
            SeenObject::Sound(_) => None,
        });
        malformed.collect()
    }

    /// The metadata and the interval of an object of any kind; a long interval for a malformed one.
    pub(super) fn outline(&self, key: &Ref) -> Option<(Metadata, Duration)> {
        let inner = self.inner();
        let standing = inner.standing(key)?;
        Some((standing.metadata.clone(), standing.interval.unwrap_or(Duration::from_hours(1))))
    }

    /// The last known copy of a source, and its fetched files.
    pub(super) fn source(&self, key: &Ref) -> Option<(SeenObject<Source>, Option<Held>)> {
        self.inner().sources.get(key).map(|entry| (entry.seen.clone(), entry.extra.clone()))
    }

    /// Updates the copy of an object after a write. `version` is the resourceVersion of the answer.
    pub(super) fn wrote<O: Tracked>(&self, key: &Ref, version: u64, change: impl FnOnce(&mut O)) {
        if let Some(entry) = O::shelf_mut(&mut self.inner()).get_mut(key) {
            entry.written = entry.written.max(version);
            entry.version = entry.version.max(version);
            if let SeenObject::Sound(object) = &mut entry.seen {
                change(Arc::make_mut(object));
            }
        }
    }

    /// The latest known resourceVersion of an object; 0 if there is none.
    pub(super) fn version<O: Tracked>(&self, key: &Ref) -> u64 {
        O::shelf(&self.inner()).get(key).map_or(0, |entry| entry.version)
    }

    pub(super) fn memo(&self, key: &Ref) -> Option<Arc<Memo>> {
        self.inner().kustomizations.get(key).and_then(|entry| entry.extra.memo.clone())
    }

    pub(super) fn remember(&self, key: &Ref, memo: Option<Memo>) {
        if let Some(entry) = self.inner().kustomizations.get_mut(key) {
            entry.extra.memo = memo.map(Arc::new);
            entry.extra.foreseen = None;
        }
    }

    /// The fetched files of a source.
    pub(super) fn snapshot(&self, key: &Ref) -> Option<Snapshot> {
        self.inner().sources.get(key)?.extra.as_ref()?.files().cloned()
    }

    /// The objects of a Kustomization's build for a generation and a revision, if they were found a moment
    /// ago.
    pub(super) fn foreseen(&self, key: &Ref, of: &(i64, String), now: Instant) -> Option<Ids> {
        self.inner().kustomizations.get(key)?.extra.foreseen(of, now)
    }

    /// Records the objects of a Kustomization's build.
    pub(super) fn foresee(&self, key: &Ref, of: (i64, String), at: Instant, ids: Ids) {
        if let Some(entry) = self.inner().kustomizations.get_mut(key) {
            entry.extra.foresee(of, at, ids);
        }
    }

    /// How long the same wait has lasted.
    pub(super) fn waited(&self, key: &Ref, aim: &Aim, now: Instant) -> Duration {
        let inner = self.inner();
        inner.kustomizations.get(key).map_or(Duration::ZERO, |entry| entry.extra.waited(aim, now))
    }

    /// Records that a wait begins or continues.
    pub(super) fn waits(&self, key: &Ref, aim: &Aim, now: Instant) {
        if let Some(entry) = self.inner().kustomizations.get_mut(key) {
            entry.extra.waits(aim, now);
        }
    }

    /// Records that a reconcile has ended without an interruption of its wait.
    pub(super) fn ended(&self, key: &Ref) {
        if let Some(entry) = self.inner().kustomizations.get_mut(key) {
            entry.extra.wait = None;
        }
    }

    /// Stores fetched files, unless another object of the same name has replaced the source meanwhile.
    pub(super) fn store(&self, key: &Ref, uid: &str, held: Held) {
        if let Some(entry) = self.inner().sources.get_mut(key)
            && entry.seen.metadata().uid == uid
        {
            entry.extra = Some(held);
        }
    }

    /// Whether the dependencies allow an object to apply `revision` of its source, and if not, the root
    /// cause.
    pub(super) fn dependencies(&self, key: &Ref, source: Option<&Ref>, revision: &str) -> Result<(), Common> {
        let inner = self.inner();
        if let Some(cycle) = inner.cycle_of(key) {
            return Err(Common::Cyclic(cycle));
        }
        for dependency in inner.dependencies(key) {
            let blocked = |reason| Common::Blocked(Blocker { dependency: dependency.clone(), reason });
            match inner.judge(source, dependency, revision) {
                Ok(()) => {}
                Err(NotReadyReason::NotFound) => return Err(blocked(BlockReason::Missing)),
                Err(NotReadyReason::Outdated) => return Err(blocked(BlockReason::Outdated)),
                Err(NotReadyReason::NotReady) => {
                    let (chain, message) = inner.blockage(key, dependency);
                    return Err(blocked(BlockReason::NotReady { chain, message }));
                }
            }
        }
        Ok(())
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The state of an object of any kind that concerns others.
struct Standing<'w> {
    metadata: &'w Metadata,
    facts: &'w Facts,
    /// `None` for a malformed object; so is the interval.
    view: Option<DependencyView<'w>>,
    interval: Option<Duration>,
    /// The message of its Ready condition.
    message: Option<&'w str>,
}

impl<'w> Standing<'w> {
    fn of<O: Tracked>(entry: &'w KnownObject<O>) -> Self {
        let (metadata, facts) = (entry.seen.metadata(), &entry.facts);
        match &entry.seen {
            SeenObject::Sound(object) => Self {
                metadata,
                facts,
                view: Some(object.view()),
                interval: Some(object.interval()),
                message: object.message(),
            },
            SeenObject::Malformed { message, .. } => {
                Self { metadata, facts, view: None, interval: None, message: Some(message) }
            }
        }
    }
}

impl Dependencies for Inner {
    fn contains(&self, key: &Ref) -> bool {
        self.standing(key).is_some()
    }

    fn dependencies<'a>(&'a self, key: &Ref) -> Box<dyn Iterator<Item = &'a Ref> + 'a> {
        Box::new(self.standing(key).into_iter().flat_map(|standing| standing.facts.to(Why::Dependency)))
    }
}

impl Inner {
    fn standing(&self, key: &Ref) -> Option<Standing<'_>> {
        let source = || self.sources.get(key).map(Standing::of);
        let release = || self.releases.get(key).map(Standing::of);
        self.kustomizations.get(key).map(Standing::of).or_else(release).or_else(source)
    }

    /// Whether a dependency allows an object that builds from `source` to apply `revision`.
    fn judge(&self, source: Option<&Ref>, dependency: &Ref, revision: &str) -> Result<(), NotReadyReason> {
        let standing = self.standing(dependency).ok_or(NotReadyReason::NotFound)?;
        let view = standing.view.ok_or(NotReadyReason::NotReady)?;
        let same_source = source.is_some() && standing.facts.to(Why::Source).next() == source;
        graph::ready(Some(&view), revision, same_source)
    }

    /// The chain from a dependency to the root cause, and the root cause's message. An object in another
    /// namespace learns only the state, since the message may quote anything that only the users of that
    /// namespace may see.
    fn blockage(&self, key: &Ref, dependency: &Ref) -> (Vec<Ref>, Option<String>) {
        let is_ready = |key: &Ref| {
            let view = self.standing(key).and_then(|standing| standing.view);
            // A dependency at another revision is itself the cause.
            graph::ready(view.as_ref(), "", false).is_ok()
        };
        let chain: Vec<Ref> = self.root_cause(key, is_ready).into_iter().cloned().collect();
        let chain = if chain.first() == Some(dependency) { chain } else { vec![dependency.clone()] };
        let root = chain.last().unwrap_or(dependency);
        let message = match self.standing(root) {
            None => Some(format!("{} '{}' not found", root.kind.kind, root.path())),
            // Its last message is outdated.
            Some(standing) if standing.facts.suspended && !standing.facts.deleting => {
                Some(verdict::paused(root))
            }
            Some(standing) if root.namespace == key.namespace => standing.message.map(ToOwned::to_owned),
            Some(_) => None,
        };
        (chain, message)
    }
}

/// The facts about an object for the queue.
fn facts<O: Tracked>(seen: &SeenObject<O>) -> Facts {
    let metadata = seen.metadata();
    let prune_all = metadata.annotations.get(keys::PRUNE_ALL).map_or("", String::as_str);
    let facts = Facts {
        uid: metadata.uid.clone(),
        version: format!("{}/{prune_all}", metadata.generation),
        requested_at: metadata.annotations.get(keys::REQUESTED_AT).cloned(),
        deleting: metadata.deletion_timestamp.is_some(),
        ..Facts::default()
    };
    let SeenObject::Sound(object) = seen else { return facts };
    let mut edges = object.edges();
    let mut met = BTreeSet::new();
    edges.retain(|edge| met.insert(edge.clone()));
    Facts { suspended: object.suspended(), interval: object.interval(), edges, ..facts }
}

#[cfg(test)]
mod tests;
