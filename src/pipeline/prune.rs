//! Deleting what is no longer built, with the guards that `plan` sets.

use super::ports::{Deleted, Reference, Writes};
use crate::model::{Key, ObjectId};
use crate::plan::{Inventory, PruneDecision, prune_decision};

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
        let subject = reference.id.subject();
        let uid = match found {
            Ok(Some(live)) if built.version(&live.id()).is_some() => continue,
            Ok(Some(live)) => match prune_decision(&live, owner) {
                PruneDecision::Delete { uid } => uid,
                PruneDecision::Skip(reason) => {
                    tracing::info!(object = %subject, %reason, "not deleted");
                    continue;
                }
            },
            Ok(None) => continue,
            Err(failure) => {
                pruned.unreachable |= failure.is_unreachable();
                pruned.failed.push((reference, format!("{subject}: {failure}")));
                continue;
            }
        };
        match cluster.delete(&reference, &uid).await {
            Ok(Deleted::Accepted | Deleted::Gone) => pruned.deleted.push(reference),
            Err(failure) => {
                pruned.unreachable |= failure.is_unreachable();
                pruned.failed.push((reference, format!("{subject}: {failure}")));
            }
        }
    }
    pruned
}
