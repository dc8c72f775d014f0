//! Deletes or keeps the objects of a Kustomization that is being deleted. It needs only the inventory, never
//! the source.

use std::collections::HashSet;

use super::claims::Claims;
use super::decide::managed;
use super::ports::{ApiFailure, ObjectReference, Reads, Settle, Writes};
use super::prune::{self, Pruned};
use super::slot::Slot;
use crate::api::{DeletionPolicy, Kustomization};
use crate::plan::{self, Inventory, Pruner};
use crate::verdict::{Common, Schedule};
use lockgate_base::model::ObjectId;

/// Deletes, orphans or leaves the objects, as `spec.deletionPolicy` says.
///
/// `cluster` uses `account`, the ServiceAccount that the Kustomization names or gets; it is an error if there
/// is none, which matters only if something is to be deleted. `own` uses the agent's account. The slot is
/// given back when all deletions are requested and only their end is awaited.
pub async fn remove<C: Writes + Settle, O: Writes>(
    cluster: Result<&C, String>,
    own: &O,
    kustomization: &Kustomization,
    account: Option<&str>,
    slot: &(impl Slot + Claims),
) -> Common {
    let managed = managed(kustomization);
    let spec = &kustomization.spec;
    let ids = plan::prune(&[], &managed);
    let keep = !spec.deletes_its_objects();
    // The drift of objects that are given up is no longer ours to correct, least of all while they are being
    // deleted.
    let (owner, ownership) = (kustomization.reference(), Kustomization::OWNERSHIP);
    own.release(&owner, &ids);
    if spec.kube_config.is_some() && !keep && !managed.is_empty() {
        // The objects are on another cluster; objects with their names on this one belong to others.
        let note = format!("{} objects on the cluster of spec.kubeConfig were not deleted", managed.len());
        return Common::Removed { deleted: 0, note: Some(note) };
    }
    if keep || managed.is_empty() {
        let note = (!managed.is_empty()).then(|| format!("{} objects were not deleted", managed.len()));
        return Common::Removed { deleted: 0, note };
    }
    let cluster = match cluster {
        Ok(cluster) => cluster,
        Err(message) => return Common::AccessDenied { message },
    };
    let stale = prune::references(&managed, ids);
    // The Kustomization no longer needs these objects.
    let pruner = Pruner { owner: &owner, ownership, needs: &HashSet::new(), release: None };
    let Pruned { deleted, failed, kept, awaited, unreachable } =
        prune::delete(cluster, slot, pruner, stale, &Inventory::default()).await;
    if unreachable {
        let message = failed.into_iter().map(|(_, message)| message).next().unwrap_or_default();
        return Common::Unreachable { message };
    }
    if !failed.is_empty() {
        if let Some(account) = account
            && is_gone(own, account, &owner.namespace).await
        {
            let left = failed.iter().map(|(reference, _)| reference.id.subject()).collect();
            return Common::Abandoned { account: account.to_owned(), deleted: deleted.len(), left };
        }
        return Common::RemovalFailed { failures: failed.into_iter().map(|(_, message)| message).collect() };
    }
    if !awaited.is_empty() {
        return Common::RemovalFailed { failures: awaited.into_iter().map(|(_, message)| message).collect() };
    }
    let note = if spec.deletion_policy == Some(DeletionPolicy::WaitForTermination) {
        slot.waits();
        still_there(cluster, kustomization, &deleted).await
    } else {
        None
    };
    let notes: Vec<String> = kept.into_iter().chain(note).collect();
    let note = (!notes.is_empty()).then(|| notes.join("; "));
    Common::Removed { deleted: deleted.len(), note }
}

/// Waits until the deleted objects are gone, up to the timeout; returns those that are not.
async fn still_there(
    cluster: &impl Settle,
    kustomization: &Kustomization,
    deleted: &[ObjectReference],
) -> Option<String> {
    let timeout = Schedule::from(&kustomization.spec).timeout;
    let left = cluster.gone(deleted, timeout).await;
    let subjects: Vec<String> = left.iter().map(ObjectId::subject).collect();
    (!subjects.is_empty()).then(|| format!("still being deleted after the timeout: {}", subjects.join(", ")))
}

/// Without its account an applier could never be deleted, so Flux lets it go, and so do we.
pub(super) async fn is_gone(own: &impl Reads, account: &str, namespace: &str) -> bool {
    let id = ObjectId {
        namespace: namespace.into(),
        name: account.into(),
        group: String::new(),
        kind: "ServiceAccount".into(),
    };
    let found: Result<_, ApiFailure> = own.get(&ObjectReference::new(id, "v1")).await;
    matches!(found, Ok(None))
}
