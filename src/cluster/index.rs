//! The state of the watched objects, without I/O. It receives the sightings of watches and lockgate's own
//! writes, and returns the changes that the owners need to know.
//!
//! For each object it keeps a uid, a resourceVersion and the fingerprint of lockgate's entry in
//! managedFields. An object has drifted if that fingerprint is not the one after the last apply, if a manager
//! that lockgate overrides has an entry, or if its labels name another owner than then. The owner that
//! applied the object is notified, whatever owner its labels name: `commonMetadata` may set these labels,
//! even to another owner.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use tokio::sync::Notify;

use lockgate_base::model::{Gvk, ObjectId, Ref};
use lockgate_core::health::Health;
use lockgate_core::pipeline::ports::ApiFailure;
use lockgate_core::plan::DriftPolicy;

/// Group and kind.
pub(super) type GroupKind = (String, String);
/// Namespace and name.
type Key = (Box<str>, Box<str>);

/// A wait for an object: its ticket, and its notification.
type Waiting = (u64, Arc<Notify>);

/// A change of a managed object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeldChange {
    /// The object exists, but differs from what was applied.
    Drifted {
        /// The object.
        id: ObjectId,
        /// Its owner.
        owner: Ref,
        /// The last foreign field manager, or the new owner.
        by: Option<String>,
        /// The object's own drift policy.
        policy: Option<DriftPolicy>,
    },
    /// The object was deleted, or has lost its owner label.
    Gone {
        /// The object.
        id: ObjectId,
        /// Its owner.
        owner: Ref,
        /// The object's own drift policy.
        policy: Option<DriftPolicy>,
    },
}

/// The observed state of an object.
#[derive(Debug, Clone)]
pub(super) struct Sighting {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) uid: String,
    pub(super) resource_version: u64,
    pub(super) owner: Option<Ref>,
    /// The fingerprint of lockgate's entry in managedFields; 0 without one.
    pub(super) fingerprint: u64,
    /// Whether a manager that lockgate overrides has an entry.
    pub(super) overridden: bool,
    /// The last foreign field manager.
    pub(super) by: Option<String>,
    /// The object's own drift policy.
    pub(super) policy: Option<DriftPolicy>,
    pub(super) health: Health,
}

/// The state of a kind's watch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Watching {
    /// The first list is not complete.
    Starting,
    /// All changes are seen.
    Live,
    /// Changes may be missed until the watch works again.
    Broken(ApiFailure),
}

#[derive(Debug)]
struct Entry {
    uid: Box<str>,
    resource_version: u64,
    owner: Option<Arc<Ref>>,
    fingerprint: u64,
    overridden: bool,
    /// The object's own drift policy.
    policy: Option<DriftPolicy>,
    health: Health,
    /// The state after the last apply, and its owner. Without it the object is only observed, and not
    /// managed.
    held: Option<Left>,
    /// The number of lockgate's running writes. Sightings meanwhile are judged afterwards.
    writing: u32,
    /// Whether the drift has been reported.
    told: bool,
}

/// The state after an apply.
#[derive(Debug, Clone)]
struct Left {
    fingerprint: u64,
    /// The owner in its labels.
    named: Arc<Ref>,
    /// The owner that applied it.
    holder: Arc<Ref>,
}

impl Entry {
    fn drifted(&self) -> bool {
        self.held.as_ref().is_some_and(|left| {
            self.overridden
                || self.fingerprint != left.fingerprint
                || self.owner.as_ref() != Some(&left.named)
        })
    }
}

#[derive(Debug)]
struct Kind {
    watching: Watching,
    objects: BTreeMap<Key, Entry>,
}

/// The watched objects by kind.
#[derive(Debug, Default)]
pub(super) struct Index {
    kinds: BTreeMap<GroupKind, Kind>,
    /// Owners are few and objects are many, so each owner is stored once.
    owners: HashSet<Arc<Ref>>,
    waiting: BTreeMap<GroupKind, BTreeMap<Key, Vec<Waiting>>>,
    next_ticket: u64,
}

impl Index {
    /// Registers a kind. Returns true if it is new, so that its watch has to be started.
    pub(super) fn open(&mut self, kind: &GroupKind) -> bool {
        if self.kinds.contains_key(kind) {
            return false;
        }
        self.kinds.insert(kind.clone(), Kind { watching: Watching::Starting, objects: BTreeMap::new() });
        true
    }

    /// The state of a kind's watch; `None` if there is none.
    pub(super) fn watching(&self, kind: &GroupKind) -> Option<&Watching> {
        self.kinds.get(kind).map(|kind| &kind.watching)
    }

    /// The kinds whose watch is refused or broken.
    pub(super) fn unwatched(&self) -> Vec<(Gvk, ApiFailure)> {
        let broken = |((group, kind), known): (&GroupKind, &Kind)| match &known.watching {
            Watching::Broken(failure) => Some((
                Gvk { group: group.clone(), version: String::new(), kind: kind.clone() },
                failure.clone(),
            )),
            Watching::Starting | Watching::Live => None,
        };
        self.kinds.iter().filter_map(broken).collect()
    }

    /// Sets the state of a kind's watch, and notifies all waits for its objects. Returns whether the state is
    /// new.
    pub(super) fn set_watching(&mut self, kind: &GroupKind, watching: Watching) -> bool {
        match self.kinds.get_mut(kind) {
            Some(known) if known.watching != watching => known.watching = watching,
            _ => return false,
        }
        for (_, notify) in self.waiting.get(kind).into_iter().flat_map(BTreeMap::values).flatten() {
            notify.notify_one();
        }
        true
    }

    /// The health and the owner of an object, if it was seen.
    pub(super) fn health(&self, id: &ObjectId) -> Option<(&Health, Option<&Ref>)> {
        let entry = self.entry(id)?;
        Some((&entry.health, entry.owner.as_deref()))
    }

    /// Whether an object is managed, watched without interruption, and as it was applied.
    pub(super) fn intact(&self, id: &ObjectId) -> bool {
        let live = self.watching(&group_kind(id)) == Some(&Watching::Live);
        live && self
            .entry(id)
            .is_some_and(|entry| entry.held.is_some() && entry.writing == 0 && !entry.drifted())
    }

    /// Records that a write begins.
    pub(super) fn begin(&mut self, id: &ObjectId) {
        if let Some(entry) = self.entry_mut(id) {
            entry.writing += 1;
        }
    }

    /// Records that a write has ended without a result.
    pub(super) fn abandon(&mut self, id: &ObjectId) -> Option<HeldChange> {
        let entry = self.entry_mut(id)?;
        entry.writing = entry.writing.saturating_sub(1);
        tell(entry, id, None)
    }

    /// Records an object after a write, or after a check that found it as Git wants it: each difference from
    /// here on is drift, and is reported to the holder; without one, to the owner in its labels.
    pub(super) fn hold(
        &mut self,
        kind: &GroupKind,
        left: Sighting,
        holder: Option<&Ref>,
        wrote: bool,
    ) -> Option<HeldChange> {
        let id = identify(kind, &left.namespace, &left.name);
        let named = self.intern(left.owner.clone()?);
        let holder = holder.map_or_else(|| Arc::clone(&named), |holder| self.intern(holder.clone()));
        let expected = Left { fingerprint: left.fingerprint, named, holder };
        let by = left.by.clone();
        self.store(kind, left);
        self.wake(&id);
        let entry = self.entry_mut(&id)?;
        entry.held = Some(expected);
        entry.told = false;
        if wrote {
            entry.writing = entry.writing.saturating_sub(1);
        }
        tell(entry, &id, by)
    }

    /// Forgets an object of `owner`, whose later changes do not concern it. An object of another owner stays.
    pub(super) fn release(&mut self, id: &ObjectId, owner: Option<&Ref>) {
        let holder = self.entry(id).and_then(|entry| entry.held.as_ref()).map(|left| &*left.holder);
        if owner.is_some() && holder.is_some() && holder != owner {
            return;
        }
        if self.watching(&group_kind(id)) == Some(&Watching::Live) {
            if let Some(entry) = self.entry_mut(id) {
                entry.held = None;
            }
        } else if let Some(kind) = self.kinds.get_mut(&group_kind(id)) {
            // No watch will report its deletion.
            kind.objects.remove(&key(&id.namespace, &id.name));
        }
    }

    /// Records a sighting of a watch.
    pub(super) fn seen(&mut self, kind: &GroupKind, sighting: Sighting) -> Option<HeldChange> {
        let id = identify(kind, &sighting.namespace, &sighting.name);
        let by = sighting.by.clone();
        if !self.store(kind, sighting) {
            return None;
        }
        self.wake(&id);
        tell(self.entry_mut(&id)?, &id, by)
    }

    /// Records a deletion that a watch has seen.
    pub(super) fn left(
        &mut self,
        kind: &GroupKind,
        namespace: &str,
        name: &str,
        at: u64,
    ) -> Option<HeldChange> {
        let id = identify(kind, namespace, name);
        let objects = &mut self.kinds.get_mut(kind)?.objects;
        let key = key(namespace, name);
        // An event from before the last write says nothing about its result.
        if objects.get(&key)?.resource_version > at {
            return None;
        }
        let entry = objects.remove(&key)?;
        self.wake(&id);
        let is_spent = is_done_for_good(&id, &entry.health);
        let owner = entry.held?.holder;
        (entry.writing == 0 && !is_spent).then(|| HeldChange::Gone {
            id,
            owner: (*owner).clone(),
            policy: entry.policy,
        })
    }

    /// Records that a list is complete: an object that is only known from before the list has been deleted.
    pub(super) fn listed(&mut self, kind: &GroupKind, there: &HashSet<Key>, at: u64) -> Vec<HeldChange> {
        let Some(known) = self.kinds.get(kind) else { return Vec::new() };
        let left: Vec<Key> = known.objects.keys().filter(|key| !there.contains(*key)).cloned().collect();
        left.iter().filter_map(|(namespace, name)| self.left(kind, namespace, name, at)).collect()
    }

    /// Records that the kind is no longer served: its objects are gone, and so is its watch.
    pub(super) fn close(&mut self, kind: &GroupKind) -> Vec<HeldChange> {
        let Some(known) = self.kinds.get(kind) else { return Vec::new() };
        let all: Vec<Key> = known.objects.keys().cloned().collect();
        let changes =
            all.iter().filter_map(|(namespace, name)| self.left(kind, namespace, name, u64::MAX)).collect();
        self.kinds.remove(kind);
        changes
    }

    /// Registers a wait for changes of the objects. Its ticket has to be returned to [`Index::leave`].
    pub(super) fn wait(&mut self, ids: &[ObjectId], notify: &Arc<Notify>) -> u64 {
        self.next_ticket += 1;
        for id in ids {
            let tickets = self.waiting.entry(group_kind(id)).or_default();
            tickets
                .entry(key(&id.namespace, &id.name))
                .or_default()
                .push((self.next_ticket, Arc::clone(notify)));
        }
        self.next_ticket
    }

    /// Ends a wait that [`Index::wait`] began.
    pub(super) fn leave(&mut self, ids: &[ObjectId], ticket: u64) {
        for id in ids {
            let Some(tickets) = self.waiting.get_mut(&group_kind(id)) else { continue };
            let key = key(&id.namespace, &id.name);
            if let Some(waiting) = tickets.get_mut(&key) {
                waiting.retain(|(held, _)| *held != ticket);
                if waiting.is_empty() {
                    tickets.remove(&key);
                }
            }
        }
    }

    fn entry(&self, id: &ObjectId) -> Option<&Entry> {
        self.kinds.get(&group_kind(id))?.objects.get(&key(&id.namespace, &id.name))
    }

    fn entry_mut(&mut self, id: &ObjectId) -> Option<&mut Entry> {
        self.kinds.get_mut(&group_kind(id))?.objects.get_mut(&key(&id.namespace, &id.name))
    }

    fn intern(&mut self, owner: Ref) -> Arc<Ref> {
        if let Some(known) = self.owners.get(&owner) {
            return Arc::clone(known);
        }
        let owner = Arc::new(owner);
        self.owners.insert(Arc::clone(&owner));
        owner
    }

    fn wake(&self, id: &ObjectId) {
        let Some(tickets) = self.waiting.get(&group_kind(id)) else { return };
        for (_, notify) in tickets.get(&key(&id.namespace, &id.name)).into_iter().flatten() {
            notify.notify_one();
        }
    }

    /// Stores a sighting unless a later one is known. An object with another uid replaces the managed one.
    fn store(&mut self, kind: &GroupKind, sighting: Sighting) -> bool {
        let owner = sighting.owner.map(|owner| self.intern(owner));
        let Some(known) = self.kinds.get_mut(kind) else { return false };
        let entry = known.objects.entry(key(&sighting.namespace, &sighting.name)).or_insert_with(|| Entry {
            uid: sighting.uid.as_str().into(),
            resource_version: 0,
            owner: None,
            fingerprint: 0,
            overridden: false,
            policy: None,
            health: sighting.health.clone(),
            held: None,
            writing: 0,
            told: false,
        });
        if entry.resource_version > sighting.resource_version {
            return false;
        }
        if *entry.uid != *sighting.uid {
            entry.uid = sighting.uid.into();
        }
        entry.resource_version = sighting.resource_version;
        entry.owner = owner;
        entry.fingerprint = sighting.fingerprint;
        entry.overridden = sighting.overridden;
        entry.policy = sighting.policy;
        entry.health = sighting.health;
        true
    }
}

/// The change to report if the object has drifted and nothing was reported yet.
fn tell(entry: &mut Entry, id: &ObjectId, by: Option<String>) -> Option<HeldChange> {
    let Left { named, holder, .. } = entry.held.clone()?;
    if entry.writing > 0 || entry.told || !entry.drifted() {
        return None;
    }
    entry.told = true;
    // Another owner writes under the same field manager.
    let by = by.or_else(|| {
        let other = entry.owner.as_ref().filter(|other| **other != named)?;
        Some(format!("{} {}", other.kind.kind, other.path()))
    });
    Some(HeldChange::Drifted { id: id.clone(), owner: (*holder).clone(), by, policy: entry.policy })
}

/// Whether an object is finished. The server deletes a Job some time after its end if the Job says so; to
/// recreate it at once would run it again and again. As in Flux, the next run over all objects recreates it.
fn is_done_for_good(id: &ObjectId, health: &Health) -> bool {
    (id.group.as_str(), id.kind.as_str()) == ("batch", "Job")
        && matches!(health, Health::Current | Health::Failed(_))
}

pub(super) fn group_kind(id: &ObjectId) -> GroupKind {
    (id.group.clone(), id.kind.clone())
}

pub(super) fn key(namespace: &str, name: &str) -> Key {
    (namespace.into(), name.into())
}

fn identify(kind: &GroupKind, namespace: &str, name: &str) -> ObjectId {
    ObjectId { namespace: namespace.into(), name: name.into(), group: kind.0.clone(), kind: kind.1.clone() }
}

#[cfg(test)]
mod tests;
