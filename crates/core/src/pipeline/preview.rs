//! What a reconcile would do, without doing it. It holds only a [`Reads`], so by its type it cannot write.

use std::collections::HashSet;

use super::apply::owner;
use super::build::Build;
use super::dress::{dress, place};
use super::ports::Reads;
use super::reconcile::managed;
use crate::api::Kustomization;
use crate::plan::{self, Observed, Options, Plan, PruneDecision, Refusal, prepare, prune_decision};
use lockgate_base::model::{Object, ObjectId};

/// What would change.
#[derive(Debug)]
pub struct Preview {
    /// What would be applied.
    pub plan: Plan,
    /// Objects that must not be sent at all.
    pub refused: Vec<Refusal>,
    /// What would be deleted.
    pub deleted: Vec<ObjectId>,
}

/// Observes and plans a build.
pub async fn preview(cluster: &impl Reads, kustomization: &Kustomization, build: Build) -> Preview {
    let managed = managed(kustomization);
    let mut objects: Vec<Object> = Vec::with_capacity(build.objects.len());
    let mut refused = Vec::new();
    for mut object in build.objects {
        dress(&mut object, kustomization);
        let placed = place(object.clone(), cluster).await.unwrap_or(object);
        match prepare(placed) {
            Ok(object) => objects.push(object),
            Err(refusal) => refused.push(refusal),
        }
    }
    let known: HashSet<ObjectId> = managed.iter().map(|(id, _)| id.clone()).collect();
    let ids: Vec<ObjectId> = objects.iter().map(Object::id).collect();
    let observed: Observed = ids.iter().cloned().zip(cluster.observe(&objects, &known).await).collect();
    let owner = owner(kustomization);
    let options =
        Options { force: kustomization.spec.force, sensitive: build.sensitive, owner: Some(owner.clone()) };
    let mut deleted = Vec::new();
    if kustomization.spec.prune {
        let stale = super::prune::references(&managed, plan::prune(&ids, &managed));
        let found = cluster.identify(&stale).await;
        for (reference, found) in stale.into_iter().zip(found) {
            let goes = |live| matches!(prune_decision(live, &owner), PruneDecision::Delete { .. });
            if matches!(found, Ok(Some(live)) if goes(&live)) {
                deleted.push(reference.id);
            }
        }
    }
    Preview { plan: plan::plan(objects, &observed, &options), refused, deleted }
}
