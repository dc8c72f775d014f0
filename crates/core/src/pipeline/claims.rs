//! Who else holds an object that is about to be deleted. One process knows every inventory and every build, so a deletion asks
//! all of them: an object that moved to another owner is handed over, in whichever order the two are reconciled.

use std::collections::HashSet;

use super::build::{build_spec, supported};
use super::decide::managed;
use super::dress::place;
use super::gather::{ByHand, gather};
use super::memo::Memo;
use super::ports::{Reads, Reference};
use super::workers::{self, Workers};
use crate::api::Kustomization;
use crate::plan::is_definition;
use crate::verdict::Redactor;
use lockgate_base::model::{ObjectId, Ref};
use lockgate_base::tree::Snapshot;

/// An object that is to be deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    id: ObjectId,
    /// The group and the kind of the objects that go with it, where it is a definition.
    defines: Option<(String, String)>,
}

impl Candidate {
    /// Which object.
    pub const fn id(&self) -> &ObjectId {
        &self.id
    }

    /// Looks a definition up, since its name holds the plural of its kind only.
    pub(super) async fn of(cluster: &impl Reads, reference: &Reference) -> Self {
        let id = reference.id.clone();
        if !is_definition(&id) {
            return Self { id, defines: None };
        }
        // One that cannot be read has no objects that could be told; the deletion meets the same failure.
        let live = cluster.get(reference).await.ok().flatten();
        let text = |pointer| live.as_ref()?.text(pointer).map(ToOwned::to_owned);
        let defines = text("/spec/group").zip(text("/spec/names/kind"));
        Self { id, defines }
    }

    /// Whether an owner that holds these objects holds it, or would lose one of them with it.
    pub fn is_held(&self, held: &HashSet<ObjectId>) -> bool {
        let goes_along =
            |(group, kind): &(String, String)| held.iter().any(|id| id.group == *group && id.kind == *kind);
        held.contains(&self.id) || self.defines.as_ref().is_some_and(goes_along)
    }
}

/// What another owner has to do with an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The other owner.
    pub holder: Ref,
    /// Whether the object stays managed until its labels name the other owner. That one may yet change its mind, and then nobody
    /// would know of an object that was let go before.
    pub awaited: bool,
}

/// Another owner that holds an object, or will.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Which.
    pub key: Ref,
    /// Whether its status says that it does.
    pub recorded: bool,
}

/// Finds out for each object who else holds it, or will.
#[derive(Debug)]
pub struct Holders<'c> {
    candidates: &'c [Candidate],
    /// For each object, in order.
    pub found: Vec<Option<Holder>>,
}

impl<'c> Holders<'c> {
    /// Before any other owner is known.
    pub fn of(candidates: &'c [Candidate]) -> Self {
        Self { candidates, found: vec![None; candidates.len()] }
    }

    /// Takes another owner into account: what its status says it holds, and what it will hold, where `None` stands for anything.
    /// Who has recorded an object counts before those who will hold it.
    pub fn meet(&mut self, key: &Ref, recorded: &HashSet<ObjectId>, held: Option<&HashSet<ObjectId>>) {
        for (candidate, found) in self.candidates.iter().zip(&mut self.found) {
            let is_recorded = candidate.is_held(recorded);
            let holds = held.is_none_or(|held| candidate.is_held(held));
            if holds && found.as_ref().is_none_or(|known| is_recorded && !known.recorded) {
                *found = Some(Holder { key: key.clone(), recorded: is_recorded });
            }
        }
    }
}

/// Whether a Kustomization may hold what another, `own`, would delete: one that acts with other rights could name any object, and
/// keep it from being deleted. Each comes with the account that it acts as, where that is not the agent itself.
pub fn may_hold(
    (own, own_account): (&Kustomization, Option<&str>),
    (other, account): (&Kustomization, Option<&str>),
    lockdown: bool,
) -> bool {
    let is_alike = account == own_account && other.metadata.namespace == own.metadata.namespace;
    other.reference() != own.reference()
        && other.metadata.deletion_timestamp.is_none()
        // Its objects are on another cluster.
        && other.spec.kube_config.is_none()
        && (is_alike || (account.is_none() && !lockdown))
}

/// Knows what other owners hold.
pub trait Claims: Sync {
    /// For each object, in order: who else holds it, or will once it is reconciled. Only who may write the object counts.
    fn claimed(&self, candidates: &[Candidate]) -> impl Future<Output = Vec<Option<Claim>>> + Send;
}

/// What a Kustomization's status says it holds.
pub fn recorded(kustomization: &Kustomization) -> HashSet<ObjectId> {
    managed(kustomization).iter().map(|(id, _)| id.clone()).collect()
}

/// What a Kustomization holds, or will once it has been reconciled at what is fetched: what it builds now, where that can be
/// told, and else what its status says. `memo` is what its last success left.
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
    let gathered = gather(own, &supported, &ByHand::NOTHING, &mut Redactor::default()).await.ok()?;
    let (spec, tree) = (kustomization.spec.clone(), snapshot.tree.clone());
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
mod tests {
    use super::*;

    fn id(text: &str) -> ObjectId {
        text.parse().unwrap()
    }

    #[test]
    fn a_definition_is_held_by_whoever_holds_an_object_of_its_kind() {
        let held = HashSet::from([id("n_a__ConfigMap"), id("n_thing_x.io_Thing")]);
        let definition = |kind: &str| Candidate {
            id: id("_things.x.io_apiextensions.k8s.io_CustomResourceDefinition"),
            defines: Some(("x.io".into(), kind.into())),
        };
        assert!(Candidate { id: id("n_a__ConfigMap"), defines: None }.is_held(&held));
        assert!(!Candidate { id: id("m_a__ConfigMap"), defines: None }.is_held(&held));
        assert!(definition("Thing").is_held(&held));
        assert!(!definition("Other").is_held(&held));
    }
}
