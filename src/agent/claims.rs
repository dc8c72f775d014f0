//! What other Kustomizations hold of that which one of them is about to delete.

use std::sync::Arc;

use super::shared::Shared;
use super::world::Ids;
use lockgate_core::api::Kustomization;
use lockgate_core::pipeline::{self, Candidate, Holder, Holders};
use lockgate_core::queue::Signal;

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
    let mut holders = Holders::of(candidates);
    for other in shared.world.all::<Kustomization>() {
        let (mine, theirs) = ((own, shared.account_of(own)), (&other, shared.account_of(&other)));
        if !pipeline::may_hold(mine, (theirs.0, theirs.1), shared.lockdown) {
            continue;
        }
        let held = match held(shared, &other).await {
            Held::Objects(held) => Some(held),
            Held::Unknown => None,
        };
        holders.meet(&other.reference(), &pipeline::recorded(&other), held.as_deref());
    }
    let holders = holders.found;
    for (candidate, holder) in candidates.iter().zip(&holders) {
        if let Some(Holder { key, recorded: true }) = holder {
            shared.tell(Signal::Drifted { owner: key.clone(), object: candidate.id().clone(), by: None });
        }
    }
    holders
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
