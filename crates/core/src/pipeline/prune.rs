//! Deleting what is no longer built, with the guards that `plan` sets.

use super::ports::{ApiFailure, Deleted, Reference, Writes};
use crate::plan::{Inventory, PruneDecision, prune_decision};
use lockgate_base::model::{Key, Object, ObjectId};

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

/// Deletes objects one by one in the order given, each only if the live object says that it is the owner's.
///
/// `built` is never deleted: an inventory may name an object of the build otherwise, with the namespace that it had in Git
/// before its kind was known to have none.
pub(super) async fn delete(
    cluster: &impl Writes,
    owner: &Key,
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
            Ok(found) => delete_one(cluster, owner, &reference, found, built).await,
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
    owner: &Key,
    reference: &Reference,
    mut found: Option<Object>,
    built: &Inventory,
) -> Result<bool, ApiFailure> {
    for look in 0..=LOOKS {
        let Some(live) = found.filter(|live| built.version(&live.id()).is_none()) else { return Ok(false) };
        let uid = match prune_decision(&live, owner) {
            PruneDecision::Delete { uid } => uid,
            PruneDecision::Skip(reason) => {
                tracing::info!(object = %reference.id.subject(), %reason, "not deleted");
                return Ok(false);
            }
        };
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
