//! Who else holds an object that is about to be deleted. One process knows every inventory and every build,
//! so a deletion asks all of them: an object that moved to another owner is handed over, in whichever order
//! the two are reconciled.

use std::collections::HashSet;

use super::build::{build_spec, supported};
use super::decide::managed;
use super::dress::place;
use super::gather::{ByHand, Gathered, gather};
use super::memo::Memo;
use super::ports::{ObjectReference, Reads};
use super::workers::{self, Workers};
use crate::api::Kustomization;
use crate::plan::is_definition;
use crate::verdict::Redactor;
use lockgate_base::model::{Object, ObjectId, Ref};
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
    pub(super) async fn of(cluster: &impl Reads, reference: &ObjectReference) -> Self {
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

    /// What it is to an owner that holds these objects; `None` where it is nothing to it.
    pub fn hold(&self, held: &HashSet<ObjectId>) -> Option<Hold> {
        let goes_along =
            |(group, kind): &(String, String)| held.iter().any(|id| id.group == *group && id.kind == *kind);
        if held.contains(&self.id) {
            return Some(Hold::Itself);
        }
        self.defines.as_ref().is_some_and(goes_along).then_some(Hold::GoesAlong)
    }
}

/// How an owner holds an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// The object is its own, too.
    Itself,
    /// An object of its own would go along with it: one of the kind that it defines.
    GoesAlong,
}

/// What another owner has to do with an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The other owner.
    pub holder: Ref,
    /// Whether the object stays managed until its labels name the other owner. That one may yet change its
    /// mind, and then nobody would know of an object that was let go before.
    pub awaited: bool,
}

/// Another owner that holds an object, or will.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Which.
    pub key: Ref,
    /// Whether its status says that it does.
    pub recorded: bool,
    /// How it does.
    pub hold: Hold,
}

impl From<Holder> for Claim {
    fn from(holder: Holder) -> Self {
        // What goes along with an object is no reason for anybody to take over the object itself.
        Self { awaited: holder.hold == Hold::Itself, holder: holder.key }
    }
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

    /// Takes another owner into account: what its status says it holds, and what it will hold, where `None`
    /// stands for anything. Who has recorded an object counts before those who will hold it.
    pub fn meet(&mut self, key: &Ref, recorded: &HashSet<ObjectId>, held: Option<&HashSet<ObjectId>>) {
        for (candidate, found) in self.candidates.iter().zip(&mut self.found) {
            let is_recorded = candidate.hold(recorded).is_some();
            let hold = held.map_or(Some(Hold::Itself), |held| candidate.hold(held));
            let is_better = found.as_ref().is_none_or(|known| is_recorded && !known.recorded);
            if let Some(hold) = hold.filter(|_| is_better) {
                *found = Some(Holder { key: key.clone(), recorded: is_recorded, hold });
            }
        }
    }
}

/// Whether a Kustomization may hold what another, `own`, would delete: one that acts with other rights could
/// name any object, and keep it from being deleted. Each comes with the account that it acts as, where that
/// is not the agent itself.
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
    /// For each object, in order: who else holds it, or will once it is reconciled. Only who may write the
    /// object counts.
    fn claimed(&self, candidates: &[Candidate]) -> impl Future<Output = Vec<Option<Claim>>> + Send;

    /// The objects that come after an object, by their `dependsOn`, where it is of a kind that has such an
    /// order.
    fn dependents(&self, id: &ObjectId) -> Vec<ObjectId>;
}

/// What an object's status says it holds, whatever else of it cannot be read; `None` where that is not to be
/// told.
pub fn recorded_of(object: &Object) -> Option<HashSet<ObjectId>> {
    let Some(inventory) = object.pointer("/status/inventory").filter(|inventory| !inventory.is_null()) else {
        return Some(HashSet::new());
    };
    let entries = inventory.get("entries")?.as_array()?;
    entries.iter().map(|entry| entry.get("id")?.as_str()?.parse().ok()).collect()
}

/// What a Kustomization's status says it holds.
pub fn recorded(kustomization: &Kustomization) -> HashSet<ObjectId> {
    managed(kustomization).iter().map(|(id, _)| id.clone()).collect()
}

/// What a Kustomization holds, or will once it has been reconciled at what is fetched: what it builds now,
/// where that can be told, and else what its status says. `memo` is what its last success left.
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
    // Where a value is not to be had, it is not reconciled, and yet others must not delete what it is to
    // hold: hardly any name has a variable in it.
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
mod tests {
    use super::*;

    fn id(text: &str) -> ObjectId {
        text.parse().unwrap()
    }

    /// Of what cannot be read it is not known that it holds nothing.
    #[test]
    fn an_inventory_that_cannot_be_read_is_not_an_empty_one() {
        let object = |status: serde_json::Value| {
            let mut object = serde_json::json!({"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
                "metadata": {"name": "a"}, "spec": {"interval": 5}});
            object["status"] = status;
            recorded_of(&Object::parse(object).unwrap())
        };
        let entries =
            |entries: serde_json::Value| object(serde_json::json!({"inventory": {"entries": entries}}));
        let json = |text: &str| serde_json::from_str(text).unwrap();
        assert_eq!(
            entries(json(r#"[{"id": "n_a__ConfigMap", "v": 1}]"#)),
            Some(HashSet::from([id("n_a__ConfigMap")]))
        );
        assert_eq!(object(json("{}")), Some(HashSet::new()));
        assert_eq!((entries(json(r#""x""#)), entries(json(r#"[{"id": "x"}]"#))), (None, None));
    }

    #[test]
    fn a_definition_is_held_by_whoever_holds_an_object_of_its_kind() {
        let held = HashSet::from([id("n_a__ConfigMap"), id("n_thing_x.io_Thing")]);
        let definition = |kind: &str| Candidate {
            id: id("_things.x.io_apiextensions.k8s.io_CustomResourceDefinition"),
            defines: Some(("x.io".into(), kind.into())),
        };
        let of = |name: &str| Candidate { id: id(name), defines: None }.hold(&held);
        assert_eq!((of("n_a__ConfigMap"), of("m_a__ConfigMap")), (Some(Hold::Itself), None));
        assert_eq!(definition("Thing").hold(&held), Some(Hold::GoesAlong));
        assert_eq!(definition("Other").hold(&held), None);
    }
}
