//! Makes room for a new object: if it needs a value that can exist only once, and an object that Git has
//! dropped still has it, the old object is deleted first.

use std::time::Duration;

use super::Journal;
use super::claims;
use super::hands::Hands;
use super::ports::{ObjectReference, Settle, Writes};
use super::prune;
use super::slot::aside;
use crate::api::Kustomization;
use crate::plan::{Inventory, Pruner, Refusal, Stage, has_unique, is_in_the_way};
use lockgate_base::model::Object;

/// The time limit for the deletion of a blocking object.
const GONE: Duration = Duration::from_mins(1);

/// The objects to apply again, if room can be made.
#[derive(Debug)]
pub(super) struct Spare {
    pub(super) stages: Vec<Stage<Object>>,
    /// The dropped objects of the kinds that may block.
    stale: Vec<ObjectReference>,
    /// All built objects.
    built: Inventory,
}

/// The fallback for refusals; `None` if no dropped object can block.
pub(super) fn spare(
    kustomization: &Kustomization,
    stages: &[Stage<Object>],
    stale: &Inventory,
) -> Option<Spare> {
    let in_the_way = stale.iter().map(|(id, _)| id.clone()).filter(has_unique).collect();
    let stale = prune::references(stale, in_the_way);
    let objects = || stages.iter().flat_map(|stage| &stage.entries);
    let is_possible =
        kustomization.spec.prune && !stale.is_empty() && objects().any(|object| has_unique(&object.id()));
    is_possible.then(|| Spare { stages: stages.to_vec(), stale, built: objects().collect() })
}

/// Deletes the objects that block refused ones, if nothing else is refused. Returns whether there is room
/// now.
pub(super) async fn made<C: Writes + Settle, J: Journal>(
    hands: &Hands<'_, C, J>,
    journal: &J,
    kustomization: &Kustomization,
    refusals: &[Refusal],
    spare: &Spare,
) -> bool {
    let mut old = Vec::new();
    for reference in &spare.stale {
        if let Ok(Some(live)) = hands.cluster.get(reference).await {
            old.push((reference, live));
        }
    }
    let mut in_the_way: Vec<ObjectReference> = Vec::new();
    for refusal in refusals {
        let mut objects = spare.stages.iter().flat_map(|stage| &stage.entries);
        let Some(object) = objects.find(|object| object.id() == refusal.id) else { return false };
        let before = in_the_way.len();
        let blocks = |live: &Object| is_in_the_way(live, object, refusal);
        in_the_way.extend(old.iter().filter(|(_, live)| blocks(live)).map(|(it, _)| (*it).clone()));
        if in_the_way.len() == before {
            return false;
        }
    }
    in_the_way.sort_by(|one, other| one.id.cmp(&other.id));
    in_the_way.dedup();
    let (owner, needs) = (kustomization.reference(), claims::needs(kustomization));
    let pruner = Pruner { owner: &owner, ownership: Kustomization::OWNERSHIP, needs: &needs, release: None };
    let count = in_the_way.len();
    let pruned = prune::delete(hands.cluster, journal, pruner, in_the_way, &spare.built).await;
    if pruned.deleted.len() < count {
        return false;
    }
    let gone = hands.cluster.gone(&pruned.deleted, GONE);
    aside(hands.slot, hands.clock, gone, Vec::is_empty).await.is_empty()
}
