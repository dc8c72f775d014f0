//! Deleting what is no longer built, with the guards that `plan` sets.

use super::apply::Progress;
use super::ports::{ApiFailure, Deleted, Reference, Writes};
use crate::api::Ownership;
use crate::plan::{self, Inventory, PruneDecision, prune_decision};
use lockgate_base::model::{Object, ObjectId, Ref};

/// How often an object is looked at again that changed between the look and the deletion. Then its uid must do, since the
/// status of some moves all the time.
const LOOKS: usize = 3;

/// What a deletion did.
#[derive(Debug, Default)]
pub(super) struct Pruned {
    /// Those that the server let go, or that had gone already.
    pub(super) deleted: Vec<Reference>,
    /// Those that could not be deleted, each with a line that says why. They are still managed.
    pub(super) failed: Vec<(Reference, String)>,
    /// Whether the server could not be asked about one of them.
    pub(super) unreachable: bool,
}

/// The references of an inventory's objects, in the order given.
pub(super) fn references(inventory: &Inventory, ids: Vec<ObjectId>) -> Vec<Reference> {
    ids.into_iter()
        .filter_map(|id| {
            let version = inventory.version(&id)?.to_owned();
            Some(Reference::new(id, version))
        })
        .collect()
}

/// What was managed and is not built any more: first what is only let go, since it is to be left alone, then what is to be
/// deleted where that is wished, in the order of deletion.
pub(super) fn stale(progress: &Progress, managed: &Inventory) -> (Vec<ObjectId>, Vec<ObjectId>) {
    let built: Vec<ObjectId> = progress.inventory.iter().map(|(id, _)| id.clone()).collect();
    plan::prune(&built, managed).into_iter().partition(|id| progress.left_alone.contains(id))
}

/// Whether what was found is deleted in the owner's name. `built` never is: an inventory may name an object of the build
/// otherwise, with the namespace that it had in Git before its kind was known to have none.
pub(super) fn judge(
    found: Option<&Object>,
    owner: &Ref,
    ownership: &Ownership,
    built: &Inventory,
) -> Option<PruneDecision> {
    let live = found.filter(|live| built.version(&live.id()).is_none())?;
    Some(prune_decision(live, owner, ownership))
}

/// Deletes objects one by one in the order given, each only if the live object says that it is the owner's.
/// `built` is never deleted.
pub(super) async fn delete(
    cluster: &impl Writes,
    owner: &Ref,
    ownership: &Ownership,
    stale: Vec<Reference>,
    built: &Inventory,
) -> Pruned {
    let mut pruned = Pruned::default();
    if stale.is_empty() {
        return pruned;
    }
    // Its end is meant, so it is no drift.
    cluster.release(owner, &stale.iter().map(|reference| reference.id.clone()).collect::<Vec<_>>());
    let found = cluster.identify(&stale).await;
    for (reference, found) in stale.into_iter().zip(found) {
        let ended = match found {
            Ok(found) => delete_one(cluster, owner, ownership, &reference, found, built).await,
            Err(failure) => Err(failure),
        };
        match ended {
            Ok(true) => pruned.deleted.push(reference),
            Ok(false) => {}
            Err(failure) => {
                pruned.unreachable |= failure.is_unreachable();
                let message = format!("{}: {failure}", reference.id.subject());
                pruned.failed.push((reference, message));
            }
        }
    }
    pruned
}

/// Deletes what was found, and says whether it was there to delete and goes. What has changed since it was found is judged
/// anew.
async fn delete_one(
    cluster: &impl Writes,
    owner: &Ref,
    ownership: &Ownership,
    reference: &Reference,
    mut found: Option<Object>,
    built: &Inventory,
) -> Result<bool, ApiFailure> {
    for look in 0..=LOOKS {
        let uid = match judge(found.as_ref(), owner, ownership, built) {
            Some(PruneDecision::Delete { uid }) => uid,
            Some(PruneDecision::Skip(reason)) => {
                tracing::info!(object = %reference.id.subject(), %reason, "not deleted");
                return Ok(false);
            }
            None => return Ok(false),
        };
        let Some(live) = found else { return Ok(false) };
        let judged = live.text("/metadata/resourceVersion").filter(|_| look < LOOKS);
        match cluster.delete(reference, &uid, judged).await? {
            Deleted::Accepted | Deleted::Gone => return Ok(true),
            Deleted::Changed => {}
        }
        // The server refuses to delete a namespace again that it is deleting.
        if look > 0 && live.pointer("/metadata/deletionTimestamp").is_some() {
            return Ok(true);
        }
        found = cluster.identify(std::slice::from_ref(reference)).await.pop().transpose()?.flatten();
    }
    Err(ApiFailure::Answered {
        code: 409,
        reason: "Conflict".into(),
        message: "it changes as soon as it has been looked at".into(),
    })
}
