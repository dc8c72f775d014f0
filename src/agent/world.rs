//! What the agent knows of its own kinds: each object as it stands, what was fetched, and what was built from it last.
//!
//! Statuses are written by this process alone, so after a write ours is the newer one until a watch shows a later
//! version of the object.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lockgate_base::keys;
use lockgate_base::model::{Digest, KindId, Object, ObjectId, Ref};
use lockgate_base::tree::Snapshot;
use lockgate_core::api::{
    GitRepository, GitRepositorySpec, Kind, Kustomization, KustomizationSpec, Metadata, Resource, decode,
};
use lockgate_core::graph::{self, DependencyView, Graph, NotReadyReason};
use lockgate_core::pipeline::Memo;
use lockgate_core::queue::{FIGHT_WINDOW, Facts, SourceFacts};
use lockgate_core::verdict::{self, BlockReason, Blocker, Change, Common, Rivalry};

/// An object of one of our kinds, or what is left of one that is malformed.
#[derive(Debug, Clone)]
pub(super) enum Seen<K: Kind> {
    /// It is of its kind's form.
    Sound(Arc<Resource<K>>),
    /// It is not.
    Malformed {
        /// The part that every object has.
        metadata: Metadata,
        /// Which field, and what is wrong with it.
        message: String,
    },
}

impl<K: Kind> Seen<K> {
    /// Reads an object, which may be malformed.
    pub(super) fn read(object: &Object) -> Self {
        match decode::<K>(object) {
            Ok(sound) => Self::Sound(Arc::new(sound)),
            Err(malformed) => {
                let metadata = object.pointer("/metadata").cloned().unwrap_or_default();
                // The metadata is the API machinery's own; it has its form whatever the rest looks like.
                let metadata = serde_json::from_value(metadata).unwrap_or_default();
                Self::Malformed { metadata, message: malformed.message }
            }
        }
    }

    pub(super) fn metadata(&self) -> &Metadata {
        match self {
            Self::Sound(object) => &object.metadata,
            Self::Malformed { metadata, .. } => metadata,
        }
    }
}

/// An object and what this process has to do with it.
#[derive(Debug)]
struct Entry<K: Kind, X> {
    seen: Seen<K>,
    /// The resourceVersion of our last write to it.
    written: u64,
    extra: X,
}

/// What is known.
#[derive(Debug, Default)]
pub(super) struct World(Mutex<Inner>);

/// What is known of a Kustomization beside itself.
#[derive(Debug, Default)]
struct Extra {
    memo: Option<Arc<Memo>>,
    /// Those of its objects that others have changed of late, what is known of them for the event about a fight, and when it
    /// was last so.
    rivalries: BTreeMap<ObjectId, (Rivalry, Instant)>,
    /// What is waited for, and since when.
    wait: Option<(Aim, Instant)>,
}

/// What a wait for health is about. A wait that drift or an input cuts off goes on about the same, in what is left of its
/// time: otherwise an object that drifts again and again would keep the time from ever being up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Aim {
    pub(super) generation: i64,
    pub(super) revision: String,
    pub(super) requested_at: Option<String>,
}

#[derive(Debug, Default)]
struct Inner {
    kustomizations: BTreeMap<Ref, Entry<KustomizationSpec, Extra>>,
    sources: BTreeMap<Ref, Entry<GitRepositorySpec, Option<Snapshot>>>,
    graph: Graph,
}

fn take_in<K: Kind, X: Default>(
    map: &mut BTreeMap<Ref, Entry<K, X>>,
    key: &Ref,
    mut seen: Seen<K>,
    version: u64,
) {
    let Some(entry) = map.get_mut(key) else {
        map.insert(key.clone(), Entry { seen, written: 0, extra: X::default() });
        return;
    };
    if entry.seen.metadata().uid != seen.metadata().uid {
        *entry = Entry { seen, written: 0, extra: X::default() };
        return;
    }
    if let (Seen::Sound(old), Seen::Sound(new)) = (&entry.seen, &mut seen)
        && version <= entry.written
    {
        Arc::make_mut(new).status = old.status.clone();
    }
    entry.seen = seen;
}

impl World {
    /// Takes in a Kustomization as a watch shows it; `version` is its resourceVersion.
    pub(super) fn see_kustomization(&self, key: &Ref, seen: Seen<KustomizationSpec>, version: u64) {
        let mut inner = self.inner();
        inner.graph.set(key.clone(), facts(&seen).depends_on);
        take_in(&mut inner.kustomizations, key, seen, version);
    }

    /// Takes in a GitRepository as a watch shows it.
    pub(super) fn see_source(&self, key: &Ref, seen: Seen<GitRepositorySpec>, version: u64) {
        take_in(&mut self.inner().sources, key, seen, version);
    }

    pub(super) fn forget_kustomization(&self, key: &Ref) {
        let mut inner = self.inner();
        inner.graph.remove(key);
        inner.kustomizations.remove(key);
    }

    pub(super) fn forget_source(&self, key: &Ref) {
        self.inner().sources.remove(key);
    }

    pub(super) fn kustomization(&self, key: &Ref) -> Option<Seen<KustomizationSpec>> {
        self.inner().kustomizations.get(key).map(|entry| entry.seen.clone())
    }

    pub(super) fn source(&self, key: &Ref) -> Option<(Seen<GitRepositorySpec>, Option<Snapshot>)> {
        self.inner().sources.get(key).map(|entry| (entry.seen.clone(), entry.extra.clone()))
    }

    /// Changes what we know of a Kustomization after we wrote it; `version` is the resourceVersion of the answer.
    pub(super) fn wrote_kustomization(
        &self,
        key: &Ref,
        version: u64,
        change: impl FnOnce(&mut Kustomization),
    ) {
        if let Some(entry) = self.inner().kustomizations.get_mut(key) {
            entry.written = entry.written.max(version);
            if let Seen::Sound(object) = &mut entry.seen {
                change(Arc::make_mut(object));
            }
        }
    }

    /// Changes what we know of a GitRepository after we wrote it.
    pub(super) fn wrote_source(&self, key: &Ref, version: u64, change: impl FnOnce(&mut GitRepository)) {
        if let Some(entry) = self.inner().sources.get_mut(key) {
            entry.written = entry.written.max(version);
            if let Seen::Sound(object) = &mut entry.seen {
                change(Arc::make_mut(object));
            }
        }
    }

    pub(super) fn memo(&self, key: &Ref) -> Option<Arc<Memo>> {
        self.inner().kustomizations.get(key).and_then(|entry| entry.extra.memo.clone())
    }

    pub(super) fn remember(&self, key: &Ref, memo: Option<Memo>) {
        if let Some(entry) = self.inner().kustomizations.get_mut(key) {
            entry.extra.memo = memo.map(Arc::new);
        }
    }

    /// How long the same has been waited for already.
    pub(super) fn waited(&self, key: &Ref, aim: &Aim, now: Instant) -> Duration {
        let inner = self.inner();
        match inner.kustomizations.get(key).and_then(|entry| entry.extra.wait.as_ref()) {
            Some((of, since)) if of == aim => now.saturating_duration_since(*since),
            _ => Duration::ZERO,
        }
    }

    /// Takes note that a wait begins, or goes on.
    pub(super) fn waits(&self, key: &Ref, aim: &Aim, now: Instant) {
        if let Some(entry) = self.inner().kustomizations.get_mut(key)
            && entry.extra.wait.as_ref().is_none_or(|(of, _)| of != aim)
        {
            entry.extra.wait = Some((aim.clone(), now));
        }
    }

    /// Takes note that a reconcile was not cut off in its wait.
    pub(super) fn ended(&self, key: &Ref) {
        if let Some(entry) = self.inner().kustomizations.get_mut(key) {
            entry.extra.wait = None;
        }
    }

    /// Takes note that someone has changed an object of a Kustomization.
    pub(super) fn drifted(&self, key: &Ref, object: &ObjectId, by: Option<String>, now: Instant) {
        // What is further apart is no fight: the queue's pauses grow up to the interval.
        let window = FIGHT_WINDOW.max(interval_of(self, key).saturating_mul(2));
        let mut inner = self.inner();
        let Some(entry) = inner.kustomizations.get_mut(key) else { return };
        let rivalries = &mut entry.extra.rivalries;
        rivalries.retain(|_, (_, last)| now.saturating_duration_since(*last) <= window);
        let (rivalry, last) = rivalries.entry(object.clone()).or_insert_with(|| (Rivalry::default(), now));
        rivalry.managers.extend(by);
        *last = now;
    }

    /// Takes note of what was put back of objects that others have changed.
    pub(super) fn corrected(&self, key: &Ref, changes: &[Change]) {
        let mut inner = self.inner();
        let Some(entry) = inner.kustomizations.get_mut(key) else { return };
        for change in changes {
            if let Some((rivalry, _)) = entry.extra.rivalries.get_mut(&change.id) {
                rivalry.add(change);
            }
        }
    }

    /// What is known of who changes an object, which is forgotten with this.
    pub(super) fn rivalry(&self, key: &Ref, object: &ObjectId) -> Rivalry {
        let mut inner = self.inner();
        let entry = inner.kustomizations.get_mut(key);
        let known = entry.and_then(|entry| entry.extra.rivalries.remove(object));
        known.map(|(rivalry, _)| rivalry).unwrap_or_default()
    }

    /// Holds what was fetched, unless another object of the same name has come meanwhile.
    pub(super) fn store(&self, key: &Ref, uid: &str, snapshot: Snapshot) {
        if let Some(entry) = self.inner().sources.get_mut(key)
            && entry.seen.metadata().uid == uid
        {
            entry.extra = Some(snapshot);
        }
    }

    /// Whether the dependencies let a Kustomization apply `revision`, and if not, what is at the root of it.
    pub(super) fn dependencies(&self, kustomization: &Kustomization, revision: &str) -> Result<(), Common> {
        let metadata = &kustomization.metadata;
        let key = kustomization.reference();
        let inner = self.inner();
        if let Some(cycle) = inner.graph.cycle_of(&key) {
            return Err(Common::Cyclic(cycle));
        }
        for named in &kustomization.spec.depends_on {
            let dependency =
                Kustomization::named(named.namespace.as_ref().unwrap_or(&metadata.namespace), &named.name);
            let blocked = |reason| Common::Blocked(Blocker { dependency: dependency.clone(), reason });
            match inner.judge(kustomization, &dependency, revision) {
                Ok(()) => {}
                Err(NotReadyReason::NotFound) => return Err(blocked(BlockReason::Missing)),
                Err(NotReadyReason::Outdated) => return Err(blocked(BlockReason::Outdated)),
                Err(NotReadyReason::NotReady) => {
                    let (chain, message) = inner.root_cause(&key, &dependency);
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

impl Inner {
    fn sound(&self, key: &Ref) -> Option<&Kustomization> {
        match &self.kustomizations.get(key)?.seen {
            Seen::Sound(object) => Some(object),
            Seen::Malformed { .. } => None,
        }
    }

    fn judge(
        &self,
        dependent: &Kustomization,
        dependency: &Ref,
        revision: &str,
    ) -> Result<(), NotReadyReason> {
        let Some(found) = self.sound(dependency) else {
            let is_there = self.kustomizations.contains_key(dependency);
            return Err(if is_there { NotReadyReason::NotReady } else { NotReadyReason::NotFound });
        };
        let same_source = source_key(found).is_some() && source_key(found) == source_key(dependent);
        graph::ready(Some(&DependencyView::of(found)), revision, same_source)
    }

    /// From a dependency to what it waits for in the end, and what that says of itself.
    fn root_cause(&self, key: &Ref, dependency: &Ref) -> (Vec<Ref>, Option<String>) {
        let is_ready = |key: &Ref| {
            let view = self.sound(key).map(DependencyView::of);
            // Another revision is no reason to look further down.
            graph::ready(view.as_ref(), "", false).is_ok()
        };
        let chain: Vec<Ref> = self.graph.root_cause(key, is_ready).into_iter().cloned().collect();
        let chain = if chain.first() == Some(dependency) { chain } else { vec![dependency.clone()] };
        let root = chain.last().unwrap_or(dependency);
        let message = match self.kustomizations.get(root).map(|entry| &entry.seen) {
            // What it said last is from before.
            Some(Seen::Sound(object))
                if object.spec.suspend && object.metadata.deletion_timestamp.is_none() =>
            {
                Some(verdict::paused(root))
            }
            Some(Seen::Sound(object)) => {
                object.status.conditions.get("Ready").map(|ready| ready.message.clone())
            }
            Some(Seen::Malformed { message, .. }) => Some(message.clone()),
            None => Some(format!("Kustomization '{}' not found", root.path())),
        };
        (chain, message)
    }
}

/// The GitRepository that a Kustomization builds from, where it is one.
pub(super) fn source_key(kustomization: &Kustomization) -> Option<Ref> {
    let reference = &kustomization.spec.source_ref;
    let namespace = reference.namespace.as_ref().unwrap_or(&kustomization.metadata.namespace);
    (reference.kind == GitRepository::ID.kind).then(|| GitRepository::named(namespace, &reference.name))
}

/// What the queue needs to know of a Kustomization.
pub(super) fn facts(seen: &Seen<KustomizationSpec>) -> Facts {
    let metadata = seen.metadata();
    let requested_at = metadata.annotations.get(keys::REQUESTED_AT).cloned();
    let deleting = metadata.deletion_timestamp.is_some();
    let prune_all = metadata.annotations.get(keys::PRUNE_ALL).map_or("", String::as_str);
    let version = format!("{}/{}/{prune_all}", metadata.uid, metadata.generation);
    let Seen::Sound(object) = seen else {
        return Facts { version, requested_at, deleting, ..Facts::default() };
    };
    let spec = &object.spec;
    let namespace = &metadata.namespace;
    let depends_on = spec.depends_on.iter().map(|dependency| {
        Kustomization::named(dependency.namespace.as_ref().unwrap_or(namespace), &dependency.name)
    });
    let substitutes = spec.post_build.iter().flat_map(|build| &build.substitute_from);
    let inputs = substitutes.filter_map(|from| {
        let kinds = [KindId::CONFIG_MAP, KindId::SECRET];
        let kind = kinds.into_iter().find(|id| id.kind == from.kind)?;
        Some(Ref::new(kind, namespace, &from.name))
    });
    Facts {
        version,
        requested_at,
        suspended: spec.suspend,
        deleting,
        source: source_key(object),
        depends_on: depends_on.collect(),
        inputs: inputs.collect(),
        interval: spec.interval.std(),
    }
}

/// What the queue needs to know of a GitRepository.
pub(super) fn source_facts(seen: &Seen<GitRepositorySpec>) -> SourceFacts {
    let metadata = seen.metadata();
    let (uid, version) = (metadata.uid.clone(), metadata.generation.to_string());
    let requested_at = metadata.annotations.get(keys::REQUESTED_AT).cloned();
    let deleting = metadata.deletion_timestamp.is_some();
    let Seen::Sound(object) = seen else {
        return SourceFacts { uid, version, requested_at, deleting, ..SourceFacts::default() };
    };
    let secret = object.spec.secret_ref.iter();
    let inputs = secret.map(|secret| Ref::new(KindId::SECRET, &metadata.namespace, &secret.name));
    let (suspended, inputs) = (object.spec.suspend, inputs.collect());
    SourceFacts { uid, version, requested_at, suspended, deleting, inputs }
}

/// A digest of a tree: of its paths and the identities of what is in them.
pub(super) fn tree_digest(snapshot: &Snapshot) -> Digest {
    use lockgate_base::tree::Entry as TreeEntry;
    let mut parts: Vec<Vec<u8>> = Vec::new();
    for (path, entry) in snapshot.tree.entries() {
        parts.push(path.as_bytes().to_vec());
        parts.push(match entry {
            TreeEntry::File(id) => id.clone(),
            TreeEntry::Link(target) => target.as_bytes().to_vec(),
            TreeEntry::Submodule => b"submodule".to_vec(),
            TreeEntry::Unlisted(cause) => cause.as_bytes().to_vec(),
        });
    }
    Digest::of_parts(parts.iter().map(Vec::as_slice))
}

/// A Kustomization's interval, or a long time for one that is malformed.
pub(super) fn interval_of(world: &World, key: &Ref) -> Duration {
    match world.kustomization(key) {
        Some(Seen::Sound(object)) => object.spec.interval.std(),
        _ => Duration::from_hours(1),
    }
}

#[cfg(test)]
mod tests;
