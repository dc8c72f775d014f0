//! Deletes objects that are no longer built, within the guards of `plan`.

use std::collections::HashMap;

use super::apply::ApplyProgress;
use super::claims::{Candidate, Claim, Claims, Hold};
use super::ports::{ApiFailure, Deleted, ObjectReference, Reads, Writes};
use crate::plan::{self, Inventory, PruneDecision, PruneSkip, Pruner, prune_decision};
use lockgate_base::model::{Object, ObjectId};

/// How often an object is read again that changed between the read and the deletion. After that the uid alone
/// must match, since the status of some objects changes all the time.
const LOOKS: usize = 3;

/// The result of a deletion.
#[derive(Debug, Default)]
pub(super) struct Pruned {
    /// The objects that the server deleted, or that were gone already.
    pub(super) deleted: Vec<ObjectReference>,
    /// The objects that could not be deleted, each with a line that says why. They are still managed.
    pub(super) failed: Vec<(ObjectReference, String)>,
    /// A line for each object that stays unexpectedly.
    pub(super) kept: Vec<String>,
    /// The objects that another owner will take over, each with a line that says so. They are still managed.
    pub(super) awaited: Vec<(ObjectReference, String)>,
    /// Whether the server could not be reached about one of them.
    pub(super) unreachable: bool,
}

/// The references of an inventory's objects, in the given order.
pub(super) fn references(inventory: &Inventory, ids: Vec<ObjectId>) -> Vec<ObjectReference> {
    ids.into_iter()
        .filter_map(|id| {
            let version = inventory.version(&id)?.to_owned();
            Some(ObjectReference::new(id, version))
        })
        .collect()
}

/// The objects that were managed and are no longer built: first those that are only given up, because they
/// must be left alone, then those to delete, if pruning is enabled, in the order of deletion.
pub(super) fn stale(progress: &ApplyProgress, managed: &Inventory) -> (Vec<ObjectId>, Vec<ObjectId>) {
    let built: Vec<ObjectId> = progress.inventory.iter().map(|(id, _)| id.clone()).collect();
    plan::prune(&built, managed).into_iter().partition(|id| progress.left_alone.contains(id))
}

/// Whether a live object may be deleted in the owner's name. An object in `built` never may: an inventory may
/// name a built object with the namespace that it had in Git before its kind was known to be cluster-scoped.
pub(super) fn judge(found: Option<&Object>, pruner: Pruner<'_>, built: &Inventory) -> Option<PruneDecision> {
    let live = found.filter(|live| built.version(&live.id()).is_none())?;
    Some(prune_decision(live, pruner))
}

/// Deletes objects one by one in the given order, each only if the live object belongs to the owner. `built`
/// is never deleted.
pub(super) async fn delete(
    cluster: &impl Writes,
    claims: &impl Claims,
    pruner: Pruner<'_>,
    stale: Vec<ObjectReference>,
    built: &Inventory,
) -> Pruned {
    let mut pruned = Pruned::default();
    if stale.is_empty() {
        return pruned;
    }
    let stale = dependents_first(stale, claims);
    // Its deletion is intended, so it is no drift.
    cluster.release(pruner.owner, &stale.iter().map(|reference| reference.id.clone()).collect::<Vec<_>>());
    for Decided { reference, found } in decide(cluster, claims, pruner, stale, built).await {
        let ended = match found {
            Ok((Fate::Deleted, live)) => delete_one(cluster, pruner, &reference, live, built).await,
            Ok((fate, _)) => Ok(fate),
            Err(failure) => Err(failure),
        };
        match ended {
            Ok(Fate::Deleted) => pruned.deleted.push(reference),
            Ok(Fate::Kept(reason)) => {
                tracing::info!(object = %reference.id.subject(), %reason, "not deleted");
                if reason.is_told() {
                    pruned.kept.push(format!("{} is not deleted: {reason}", reference.id.subject()));
                }
            }
            Ok(Fate::Awaited(reason)) => {
                let line =
                    format!("{} is not deleted yet: {reason}, and will take it over", reference.id.subject());
                pruned.awaited.push((reference, line));
            }
            Ok(Fate::Gone) => {}
            Err(failure) => {
                pruned.unreachable |= failure.is_unreachable();
                let message = format!("{}: {failure}", reference.id.subject());
                pruned.failed.push((reference, message));
            }
        }
    }
    pruned
}

/// The same objects, each after its dependents.
fn dependents_first(stale: Vec<ObjectReference>, claims: &impl Claims) -> Vec<ObjectReference> {
    let mut left: HashMap<ObjectId, ObjectReference> =
        stale.iter().map(|reference| (reference.id.clone(), reference.clone())).collect();
    let mut ordered = Vec::with_capacity(stale.len());
    for reference in stale {
        let mut path = vec![reference.id];
        // An object on the path is taken after its dependents; a cycle is cut where it closes.
        while let Some(id) = path.last() {
            let next =
                claims.dependents(id).into_iter().find(|id| left.contains_key(id) && !path.contains(id));
            match next {
                Some(next) => path.push(next),
                None => ordered.extend(path.pop().and_then(|id| left.remove(&id))),
            }
        }
    }
    ordered
}

/// The decision about an object that is no longer built.
#[derive(Debug)]
pub(super) struct Decided {
    /// The object.
    pub(super) reference: ObjectReference,
    /// Its fate and the live object; or why it could not be read.
    pub(super) found: Result<(Fate, Option<Object>), ApiFailure>,
}

/// Decides about objects that are no longer built, in the given order. It only reads, and all such decisions
/// are made here, so a preview shows the same as a run.
pub(super) async fn decide(
    cluster: &impl Reads,
    claims: &impl Claims,
    pruner: Pruner<'_>,
    stale: Vec<ObjectReference>,
    built: &Inventory,
) -> Vec<Decided> {
    let found = cluster.identify(&stale).await;
    let mut stays = stays(cluster, claims, pruner, (&stale, &found), built).await;
    let fate = |found: Option<&Object>, stay: Option<Stay>| match (judge(found, pruner, built), stay) {
        (None, _) => Fate::Gone,
        (Some(PruneDecision::Skip(reason)), _) => Fate::Kept(reason),
        (Some(PruneDecision::Delete { .. }), None) => Fate::Deleted,
        (Some(PruneDecision::Delete { .. }), Some(Stay::ForOwn)) => Fate::Kept(PruneSkip::Needed),
        (Some(PruneDecision::Delete { .. }), Some(Stay::For(Claim { holder, hold, awaited }))) => {
            let holder = Some(holder).filter(|holder| holder.namespace == pruner.owner.namespace);
            let reason = match hold {
                Hold::Itself | Hold::GoesAlong => PruneSkip::HeldBy(holder),
                Hold::Needed => PruneSkip::NeededBy(holder),
            };
            if awaited { Fate::Awaited(reason) } else { Fate::Kept(reason) }
        }
    };
    let decided = stale.into_iter().zip(found).map(|(reference, found)| {
        let stay = stays.remove(&reference.id);
        let found = found.map(|live| (fate(live.as_ref(), stay), live));
        Decided { reference, found }
    });
    decided.collect()
}

/// For whom an object stays that could be deleted.
enum Stay {
    /// Another owner.
    For(Claim),
    /// The owner itself: objects that it still builds would go along.
    ForOwn,
}

/// For whom what could be deleted stays.
async fn stays(
    cluster: &impl Reads,
    claims: &impl Claims,
    pruner: Pruner<'_>,
    (stale, found): (&[ObjectReference], &[Result<Option<Object>, ApiFailure>]),
    built: &Inventory,
) -> HashMap<ObjectId, Stay> {
    let mut candidates = Vec::new();
    for (reference, found) in stale.iter().zip(found) {
        let found = found.as_ref().ok().and_then(Option::as_ref);
        if matches!(judge(found, pruner, built), Some(PruneDecision::Delete { .. })) {
            candidates.push(Candidate::of(cluster, reference).await);
        }
    }
    if candidates.is_empty() {
        return HashMap::new();
    }
    let claimed = claims.claimed(&candidates).await;
    let stay = |(candidate, claim): (&Candidate, Option<Claim>)| {
        let for_own = || built.iter().any(|(id, _)| candidate.takes_along(id)).then_some(Stay::ForOwn);
        Some((candidate.id().clone(), claim.map(Stay::For).or_else(for_own)?))
    };
    candidates.iter().zip(claimed).filter_map(stay).collect()
}

/// The fate of an object that is no longer built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It is deleted.
    Deleted,
    /// It stays.
    Kept(PruneSkip),
    /// It stays until its next owner has recorded it.
    Awaited(PruneSkip),
    /// It does not exist, or is built under another name.
    Gone,
}

/// Deletes a found object. If it has changed since then, it is judged again.
async fn delete_one(
    cluster: &impl Writes,
    pruner: Pruner<'_>,
    reference: &ObjectReference,
    mut found: Option<Object>,
    built: &Inventory,
) -> Result<Fate, ApiFailure> {
    for look in 0..=LOOKS {
        let uid = match judge(found.as_ref(), pruner, built) {
            Some(PruneDecision::Delete { uid }) => uid,
            Some(PruneDecision::Skip(reason)) => return Ok(Fate::Kept(reason)),
            None => return Ok(Fate::Gone),
        };
        let Some(live) = found else { return Ok(Fate::Gone) };
        let judged = live.text("/metadata/resourceVersion").filter(|_| look < LOOKS);
        match cluster.delete(reference, &uid, judged).await? {
            Deleted::Accepted | Deleted::Gone => return Ok(Fate::Deleted),
            Deleted::Changed => {}
        }
        // The server refuses to delete a namespace again that it is deleting.
        if look > 0 && live.pointer("/metadata/deletionTimestamp").is_some() {
            return Ok(Fate::Deleted);
        }
        found = cluster.identify(std::slice::from_ref(reference)).await.pop().transpose()?.flatten();
    }
    Err(ApiFailure::Answered {
        code: 409,
        reason: "Conflict".into(),
        message: "it changes faster than it can be deleted".into(),
    })
}
