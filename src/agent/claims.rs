//! What other Kustomizations hold of that which one of them is about to delete.

use std::sync::Arc;

use super::shared::Shared;
use super::world::Ids;
use lockgate_base::model::Ref;
use lockgate_core::api::Kustomization;
use lockgate_core::pipeline::{self, Candidate};
use lockgate_core::queue::Signal;

/// Another Kustomization that holds an object, or will.
#[derive(Debug, Clone)]
pub(super) struct Holder {
    pub(super) key: Ref,
    /// Whether its status says that it does.
    pub(super) recorded: bool,
}

/// What is known of a Kustomization's objects.
enum Held {
    /// These.
    Objects(Ids),
    /// Nothing yet: its source has not been fetched since this process leads.
    Unknown,
}

/// For each object, in order: which Kustomization beside `own` holds it, or will. One that holds it already is woken, to put its
/// own labels on it.
pub(super) async fn holders(
    shared: &Shared,
    own: &Kustomization,
    candidates: &[Candidate],
) -> Vec<Option<Holder>> {
    let mut holders: Vec<Option<Holder>> = vec![None; candidates.len()];
    for other in shared.world.all::<Kustomization>() {
        if !is_counted(shared, own, &other) {
            continue;
        }
        let recorded = pipeline::recorded(&other);
        let held = held(shared, &other).await;
        for (candidate, holder) in candidates.iter().zip(&mut holders) {
            let is_recorded = candidate.is_held(&recorded);
            let holds = match &held {
                Held::Objects(held) => candidate.is_held(held),
                Held::Unknown => true,
            };
            // Who has recorded it counts before those who will.
            if holds && holder.as_ref().is_none_or(|known| is_recorded && !known.recorded) {
                *holder = Some(Holder { key: other.reference(), recorded: is_recorded });
            }
        }
    }
    for (candidate, holder) in candidates.iter().zip(&holders) {
        if let Some(Holder { key, recorded: true }) = holder {
            shared.tell(Signal::Drifted { owner: key.clone(), object: candidate.id().clone(), by: None });
        }
    }
    holders
}

/// Whether a Kustomization may hold what another would delete: one that acts with other rights could name any object, and keep it
/// from being deleted.
fn is_counted(shared: &Shared, own: &Kustomization, other: &Kustomization) -> bool {
    let account = shared.account_of(other);
    let is_alike = account == shared.account_of(own) && other.metadata.namespace == own.metadata.namespace;
    other.reference() != own.reference()
        && other.metadata.deletion_timestamp.is_none()
        // Its objects are on another cluster.
        && other.spec.kube_config.is_none()
        && (is_alike || (account.is_none() && !shared.lockdown))
}

/// What a Kustomization will hold once it is reconciled.
async fn held(shared: &Shared, kustomization: &Kustomization) -> Held {
    let key = kustomization.reference();
    let source = kustomization.spec.source_ref.target(&kustomization.metadata.namespace);
    let source = source.filter(|_| !shared.forbids_source_of(kustomization));
    let snapshot = source.and_then(|source| shared.world.snapshot(&source));
    let Some(snapshot) = snapshot else {
        let (generation, observed) =
            (kustomization.metadata.generation, kustomization.status.observed_generation);
        if observed != Some(generation) && !kustomization.spec.suspend {
            return Held::Unknown;
        }
        return Held::Objects(Arc::new(pipeline::recorded(kustomization)));
    };
    let of = (kustomization.metadata.generation, snapshot.revision.to_string());
    let now = shared.clock.now();
    if let Some(foreseen) = shared.world.foreseen(&key, &of, now) {
        return Held::Objects(foreseen);
    }
    // What the agent may have ended at is not built on the way.
    if shared.quarantine.is_suspect(&key) {
        return Held::Objects(Arc::new(pipeline::recorded(kustomization)));
    }
    let memo = shared.world.memo(&key);
    let held =
        pipeline::held(&shared.cluster, kustomization, &snapshot, memo.as_deref(), &*shared.workers).await;
    let held = Arc::new(held);
    shared.world.foresee(&key, of, now, Arc::clone(&held));
    Held::Objects(held)
}
