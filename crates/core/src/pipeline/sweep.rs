//! Decides which objects that are no longer built a run deletes, and when.

use std::collections::HashSet;

use super::apply::ApplyProgress;
use super::claims;
use super::ports::{ObjectReference, Reads, Writes};
use super::prune::{self, Pruned};
use super::{Job, Journal, News};
use crate::api::Kustomization;
use crate::plan::{Inventory, Pruner, is_used, uses};
use crate::verdict::{Applied, ChangedObject, Common, Deed, Done, Outcome};
use lockgate_base::model::ObjectId;

/// The result of pruning.
#[derive(Debug, Default)]
pub(super) struct Swept {
    /// A line for each object that could not be deleted. They stay managed.
    pub(super) failures: Vec<String>,
    /// Whether other owners will take objects over. They stay managed until then.
    pub(super) awaits: bool,
    /// The objects to delete once everything is healthy. They stay managed until then.
    pub(super) later: Vec<ObjectReference>,
}

/// Deletes objects that are no longer built, if pruning is enabled. An error if the server could not be
/// reached. Objects that present pods refer to stay until the wait for health is over, if there is one, so
/// that a roll-back can use them.
pub(super) async fn swept(
    cluster: &impl Writes,
    journal: &impl Journal,
    job: &Job<'_>,
    managed: &Inventory,
    progress: &mut ApplyProgress,
    is_waited: bool,
) -> Result<Swept, String> {
    let kustomization: &Kustomization = &job.kustomization;
    let owner = kustomization.reference();
    let (left, stale) = prune::stale(progress, managed);
    cluster.release(&owner, &left);
    if !kustomization.spec.prune {
        cluster.release(&owner, &stale);
        return Ok(Swept::default());
    }
    let stale = prune::references(managed, stale);
    let used = if is_waited { in_use(cluster, &stale).await } else { HashSet::new() };
    let (later, stale): (Vec<_>, Vec<_>) =
        stale.into_iter().partition(|reference| used.contains(&reference.id));
    let pruned = deleted(cluster, journal, job, stale, &progress.inventory).await?;
    let gone = pruned.deleted.iter();
    progress.changes.extend(gone.map(|gone| ChangedObject {
        id: gone.id.clone(),
        deed: Deed::Deleted,
        fields: vec![],
    }));
    let swept = Swept { awaits: !pruned.awaited.is_empty(), failures: failures(&pruned), later };
    let still_managed = pruned.awaited.into_iter().chain(pruned.failed).map(|(reference, _)| reference);
    for reference in still_managed.chain(swept.later.iter().cloned()) {
        progress.inventory.insert(reference.id, reference.version);
    }
    Ok(swept)
}

/// The outcome once everything is healthy: the remaining objects are deleted.
pub(super) async fn ended(
    cluster: &impl Writes,
    journal: &impl Journal,
    job: &Job<'_>,
    later: Vec<ObjectReference>,
    mut done: Done,
    awaits: &mut bool,
) -> Outcome<Applied> {
    if later.is_empty() {
        return Applied::Ready(done).into();
    }
    journal.resumes().await;
    let mut managed = Inventory::read(&done.inventory);
    for reference in &later {
        managed.remove(&reference.id);
    }
    let pruned = match deleted(cluster, journal, job, later, &managed).await {
        Ok(pruned) => pruned,
        Err(message) => return Common::Unreachable { message }.into(),
    };
    *awaits |= !pruned.awaited.is_empty();
    let failures = failures(&pruned);
    let gone = pruned.deleted.into_iter();
    done.changes.extend(gone.map(|gone| ChangedObject { id: gone.id, deed: Deed::Deleted, fields: vec![] }));
    for (reference, _) in pruned.awaited.into_iter().chain(pruned.failed) {
        managed.insert(reference.id, reference.version);
    }
    done.inventory = managed.entries();
    if failures.is_empty() {
        Applied::Ready(done).into()
    } else {
        Applied::PruneFailed { done, failures }.into()
    }
}

/// Deletes objects, and reports those that stay. An error if the server could not be reached.
async fn deleted(
    cluster: &impl Writes,
    journal: &impl Journal,
    job: &Job<'_>,
    stale: Vec<ObjectReference>,
    built: &Inventory,
) -> Result<Pruned, String> {
    let kustomization: &Kustomization = &job.kustomization;
    let (owner, needs) = (kustomization.reference(), claims::needs(kustomization));
    let pruner = Pruner { owner: &owner, ownership: Kustomization::OWNERSHIP, needs: &needs, release: None };
    let mut pruned = prune::delete(cluster, journal, pruner, stale, built).await;
    if !pruned.kept.is_empty() {
        journal.tell(&News::Kept(std::mem::take(&mut pruned.kept)));
    }
    if pruned.unreachable {
        let first = pruned.failed.into_iter().map(|(_, message)| message).next();
        return Err(first.unwrap_or_default());
    }
    let told: Vec<String> = pruned.awaited.iter().map(|(_, line)| line.clone()).collect();
    // This is reported once for each revision.
    if !told.is_empty()
        && kustomization.status.last_applied_revision != Some(job.snapshot.revision.to_string())
    {
        journal.tell(&News::Kept(told));
    }
    Ok(pruned)
}

fn failures(pruned: &Pruned) -> Vec<String> {
    pruned.failed.iter().map(|(_, message)| message.clone()).collect()
}

/// The objects that present pods refer to. If the pods cannot be read, all objects count as used.
async fn in_use(cluster: &impl Reads, stale: &[ObjectReference]) -> HashSet<ObjectId> {
    let candidates: HashSet<ObjectId> =
        stale.iter().map(|reference| reference.id.clone()).filter(is_used).collect();
    let namespaces: HashSet<&str> = candidates.iter().map(|id| id.namespace.as_str()).collect();
    let mut used = HashSet::new();
    for namespace in namespaces {
        match cluster.runners(namespace).await {
            Ok(runners) => used.extend(runners.iter().flat_map(uses)),
            Err(_) => used.extend(candidates.iter().filter(|id| id.namespace == namespace).cloned()),
        }
    }
    candidates.into_iter().filter(|id| used.contains(id)).collect()
}
