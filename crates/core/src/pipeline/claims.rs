//! The other owners of an object that is about to be deleted. One process knows every inventory and every
//! build, so a deletion asks all of them: an object that moved to another owner is handed over, in whichever
//! order the two are reconciled.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::build::{build_spec, supported};
use super::decide::managed;
use super::dress::place;
use super::gather::{ByHand, Gathered, gather};
use super::memo::Memo;
use super::ports::{ObjectReference, Reads};
use super::workers::{self, Workers};
use crate::api::{HelmRelease, Kustomization};
use crate::plan::{Inventory, is_definition};
use crate::verdict::Redactor;
use lockgate_base::model::{Object, ObjectId, Ref};
use lockgate_base::tree::Snapshot;

/// An object to delete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    id: ObjectId,
    along: Along,
}

/// The objects that go with one that is deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Along {
    /// None.
    Nothing,
    /// The objects of the group and the kind that it defines.
    OfKind(String, String),
    /// The objects in the namespace with its name.
    Inside,
}

impl Candidate {
    /// The object.
    pub const fn id(&self) -> &ObjectId {
        &self.id
    }

    /// Reads a definition, since its name only contains the plural of its kind.
    pub(super) async fn of(cluster: &impl Reads, reference: &ObjectReference) -> Self {
        let id = reference.id.clone();
        if (id.group.as_str(), id.kind.as_str()) == ("", "Namespace") {
            return Self { id, along: Along::Inside };
        }
        if !is_definition(&id) {
            return Self { id, along: Along::Nothing };
        }
        // An unreadable definition has no objects to report; its deletion meets the same failure.
        let live = cluster.get(reference).await.ok().flatten();
        let text = |pointer| live.as_ref()?.text(pointer).map(ToOwned::to_owned);
        let defined = text("/spec/group").zip(text("/spec/names/kind"));
        Self { id, along: defined.map_or(Along::Nothing, |(group, kind)| Along::OfKind(group, kind)) }
    }

    /// Whether another object goes with it.
    pub(super) fn takes_along(&self, other: &ObjectId) -> bool {
        match &self.along {
            Along::Nothing => false,
            Along::OfKind(group, kind) => other.group == *group && other.kind == *kind,
            Along::Inside => other.namespace == self.id.name,
        }
    }

    /// The relation of the object to an owner of `held`; `None` if there is none.
    pub fn hold(&self, held: &HashSet<ObjectId>) -> Option<Hold> {
        if held.contains(&self.id) {
            return Some(Hold::Itself);
        }
        held.iter().any(|id| self.takes_along(id)).then_some(Hold::GoesAlong)
    }

    /// The reason why another owner keeps the object, in the message to that owner.
    pub const fn kept_for(&self, hold: Hold) -> &'static str {
        match (hold, &self.along) {
            (Hold::Itself, _) => "this Kustomization manages it",
            (Hold::GoesAlong, Along::Inside) => "this Kustomization manages objects in it",
            (Hold::GoesAlong, _) => "this Kustomization manages objects of its kind",
            (Hold::Needed, _) => "this Kustomization needs it",
        }
    }
}

/// The relation of an object to an owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// The owner manages the object, too.
    Itself,
    /// An object of its own would go along with it: one of the kind that it defines, or in the namespace that
    /// it is.
    GoesAlong,
    /// The owner needs the object.
    Needed,
}

/// The claim of another owner to an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The other owner.
    pub holder: Ref,
    /// The relation of the object to the owner.
    pub hold: Hold,
    /// Whether the object stays managed until its labels name the other owner. That owner may still drop it,
    /// and then nobody would know of an object that was given up before.
    pub awaited: bool,
}

/// Another owner that manages an object, or will.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The owner.
    pub key: Ref,
    /// Whether it does already, by its status or by its spec.
    pub recorded: bool,
    /// The kind of the claim.
    pub hold: Hold,
}

impl Holder {
    /// Which of two owners is named: one that manages the object, or would lose an object with it, comes
    /// before one that needs it, and present relations come before future ones.
    fn rank(&self) -> (bool, bool) {
        (self.hold != Hold::Needed, self.recorded)
    }
}

/// The relation of another owner to all objects.
#[derive(Debug, Clone)]
pub struct Holdings {
    /// The owner.
    pub key: Ref,
    /// The objects that it manages by its status.
    pub recorded: HashSet<ObjectId>,
    /// The objects that it will manage; `None` stands for all objects.
    pub held: Option<Arc<HashSet<ObjectId>>>,
    /// The objects that it needs.
    pub needs: HashSet<ObjectId>,
}

impl Holdings {
    /// Of an owner that is known by its status alone.
    pub fn by_status(key: Ref, recorded: HashSet<ObjectId>) -> Self {
        Self { key, held: Some(Arc::new(recorded.clone())), recorded, needs: HashSet::new() }
    }

    /// The relation of an object to the owner, and whether it exists already.
    fn hold(&self, candidate: &Candidate) -> Option<(Hold, bool)> {
        let held = self.held.as_ref().map_or(Some(Hold::Itself), |held| candidate.hold(held));
        let needed = || self.needs.contains(&candidate.id).then_some(Hold::Needed);
        let hold = held.or_else(needed)?;
        Some((hold, hold == Hold::Needed || candidate.hold(&self.recorded).is_some()))
    }
}

impl From<Holder> for Claim {
    fn from(holder: Holder) -> Self {
        // A claim to dependents is no reason to take over the object itself, and the labels of a HelmRelease
        // stand beside those of a Kustomization, so the hand-over of an object to one cannot be seen.
        let awaited = holder.hold == Hold::Itself && holder.key.kind == Kustomization::ID;
        Self { awaited, hold: holder.hold, holder: holder.key }
    }
}

/// For each object, in order, the other owner that manages it or will. `all` are the existing Kustomizations.
/// One that is deleted with its objects keeps nothing, unless another keeps it in turn.
pub fn holders(candidates: &[Candidate], others: &[Holdings], all: &[&Kustomization]) -> Vec<Option<Holder>> {
    let mut deleted: Vec<&Candidate> = candidates.iter().collect();
    let staying = loop {
        let leaving = leaving(deleted.iter().map(|candidate| candidate.id()), all);
        let staying: Vec<&Holdings> = others.iter().filter(|other| !leaving.contains(&other.key)).collect();
        let is_kept = |candidate: &&Candidate| {
            staying.iter().any(|other| matches!(other.hold(candidate), Some((Hold::Itself, _))))
        };
        let before = deleted.len();
        deleted.retain(|candidate| !is_kept(candidate));
        if deleted.len() == before {
            break staying;
        }
    };
    let holder = |candidate: &Candidate| {
        let mut found: Option<Holder> = None;
        for other in &staying {
            let Some((hold, recorded)) = other.hold(candidate) else { continue };
            let holder = Holder { key: other.key.clone(), recorded, hold };
            if found.as_ref().is_none_or(|known| holder.rank() > known.rank()) {
                found = Some(holder);
            }
        }
        found
    };
    candidates.iter().map(holder).collect()
}

/// The owners that go with all that they hold: Kustomizations that are being deleted or are about to be, and
/// the Kustomizations and HelmReleases that one of them takes along.
fn leaving<'c>(deleted: impl Iterator<Item = &'c ObjectId>, all: &[&Kustomization]) -> HashSet<Ref> {
    let known: HashMap<ObjectId, &Kustomization> =
        all.iter().map(|kustomization| (id_of(&kustomization.reference()), *kustomization)).collect();
    let going = all.iter().filter(|kustomization| kustomization.metadata.deletion_timestamp.is_some());
    let mut next: Vec<ObjectId> = going.map(|kustomization| id_of(&kustomization.reference())).collect();
    next.extend(deleted.cloned());
    let mut leaving = HashSet::new();
    while let Some(id) = next.pop() {
        if (id.group.as_str(), id.kind.as_str()) == (HelmRelease::ID.group, HelmRelease::ID.kind) {
            leaving.insert(Ref::new(HelmRelease::ID, id.namespace, id.name));
            continue;
        }
        let Some(kustomization) = known.get(&id).filter(|known| known.spec.deletes_its_objects()) else {
            continue;
        };
        if leaving.insert(kustomization.reference()) {
            next.extend(recorded(kustomization));
        }
    }
    leaving
}

/// The identity of an object that is known by its reference.
fn id_of(key: &Ref) -> ObjectId {
    ObjectId {
        namespace: key.namespace.clone(),
        name: key.name.clone(),
        group: key.kind.group.into(),
        kind: key.kind.kind.into(),
    }
}

/// The objects that a Kustomization needs: itself, its source, the origins of its values and rights, and the
/// namespaces of all these.
pub fn needs(kustomization: &Kustomization) -> HashSet<ObjectId> {
    let own = kustomization.reference();
    let spec = &kustomization.spec;
    let near = |kind: &str, name: &str| ObjectId {
        namespace: own.namespace.clone(),
        name: name.to_owned(),
        group: String::new(),
        kind: kind.to_owned(),
    };
    let account = spec.service_account_name.iter().map(|name| near("ServiceAccount", name));
    let values = spec.post_build.iter().flat_map(|post_build| &post_build.substitute_from);
    let values = values.map(|from| near(&from.kind, &from.name));
    let source = spec.source_ref.target(&own.namespace);
    let mut needs: HashSet<ObjectId> =
        [id_of(&own)].into_iter().chain(source.iter().map(id_of)).chain(account).chain(values).collect();
    let namespaces: Vec<String> = needs.iter().map(|id| id.namespace.clone()).collect();
    needs.extend(
        namespaces.into_iter().map(|name| ObjectId { namespace: String::new(), ..near("Namespace", &name) }),
    );
    needs
}

/// Whether an owner may claim objects that another, `own`, would delete. One with other rights could name any
/// object and keep it from being deleted. Each comes with the account that it acts as, unless that is the
/// agent itself.
pub fn may_claim(
    (own, own_account): (&Ref, Option<&str>),
    (other, account): (&Ref, Option<&str>),
    lockdown: bool,
) -> bool {
    let is_alike = account == own_account && other.namespace == own.namespace;
    other != own && (is_alike || (account.is_none() && !lockdown))
}

/// Whether a Kustomization may claim objects that another, `own`, would delete, as [`may_claim`] has it.
pub fn may_hold(
    (own, own_account): (&Kustomization, Option<&str>),
    (other, account): (&Kustomization, Option<&str>),
    lockdown: bool,
) -> bool {
    // Its objects are on another cluster.
    let is_remote = other.spec.kube_config.is_some();
    !is_remote && may_claim((&own.reference(), own_account), (&other.reference(), account), lockdown)
}

/// Knows the claims of other owners.
pub trait Claims: Sync {
    /// For each object, in order: the other owner that manages it, or will after its next reconcile. Only an
    /// owner that may write the object counts.
    fn claimed(&self, candidates: &[Candidate]) -> impl Future<Output = Vec<Option<Claim>>> + Send;

    /// The objects that depend on an object, if its kind has `dependsOn`.
    fn dependents(&self, id: &ObjectId) -> Vec<ObjectId>;
}

/// The objects in an object's status, even if the rest of it is malformed; `None` if the status cannot be
/// read.
pub fn recorded_of(object: &Object) -> Option<HashSet<ObjectId>> {
    let Some(inventory) = object.pointer("/status/inventory").filter(|inventory| !inventory.is_null()) else {
        return Some(HashSet::new());
    };
    let entries = inventory.get("entries")?.as_array()?;
    entries.iter().map(|entry| entry.get("id")?.as_str()?.parse().ok()).collect()
}

/// The objects in a HelmRelease's status.
pub fn released(release: &HelmRelease) -> HashSet<ObjectId> {
    let entries = release.status.inventory.as_ref().map(|inventory| inventory.entries.as_slice());
    Inventory::read(entries.unwrap_or_default()).iter().map(|(id, _)| id.clone()).collect()
}

/// The objects in a Kustomization's status.
pub fn recorded(kustomization: &Kustomization) -> HashSet<ObjectId> {
    managed(kustomization).iter().map(|(id, _)| id.clone()).collect()
}

/// The objects that a Kustomization holds, or will hold after a reconcile of the fetched revision: its
/// present build if that is possible, and otherwise its status. `memo` is the record of its last success.
pub async fn held(
    own: &impl Reads,
    kustomization: &Kustomization,
    snapshot: &Snapshot,
    memo: Option<&Memo>,
    workers: &dyn Workers,
) -> HashSet<ObjectId> {
    let is_built = memo.is_some_and(|memo| memo.is_of(kustomization.metadata.generation, &snapshot.tree));
    if kustomization.spec.suspend || is_built {
        return recorded(kustomization);
    }
    built(own, kustomization, snapshot, workers).await.unwrap_or_else(|| recorded(kustomization))
}

async fn built(
    own: &impl Reads,
    kustomization: &Kustomization,
    snapshot: &Snapshot,
    workers: &dyn Workers,
) -> Option<HashSet<ObjectId>> {
    let supported = supported(kustomization).ok()?;
    let (mut spec, tree) = (kustomization.spec.clone(), snapshot.tree.clone());
    let gathered = gather(own, &supported, &ByHand::NOTHING, &mut Redactor::default()).await;
    // If a value is missing, the Kustomization is not reconciled, but others must not delete its objects. A
    // variable in a name is rare, so the names are taken as they are.
    let gathered = gathered.unwrap_or_else(|_| {
        spec.post_build = None;
        Gathered::none()
    });
    let memory = workers.memory();
    let build =
        workers::output(workers, move || build_spec(&spec, &tree, gathered, &workers::budget(memory)));
    let build = build.await.ok()?.ok()?;
    let mut ids = HashSet::with_capacity(build.resources.len());
    for mut object in build.resources.into_iter().map(|resource| resource.object) {
        // A kind that the cluster does not have yet has no object to be deleted either.
        let _ = place(&mut object, own).await;
        ids.insert(object.id());
    }
    Some(ids)
}

#[cfg(test)]
mod tests;
