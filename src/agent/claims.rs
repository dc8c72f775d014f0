//! What other Kustomizations hold of that which one of them is about to delete.

use std::collections::HashSet;

use super::shared::Shared;
use super::world::Seen;
use lockgate_base::model::{ObjectId, Ref};
use lockgate_core::api::Kustomization;
use lockgate_core::pipeline::{self, Candidate, Claim};
use lockgate_core::queue::Signal;

/// For each object, in order: which Kustomization beside `own` holds it, or will. One that holds it already is woken, to put its
/// own labels on it.
pub(super) async fn claimed(shared: &Shared, own: &Ref, candidates: &[Candidate]) -> Vec<Option<Claim>> {
    let mut claims: Vec<Option<Claim>> = vec![None; candidates.len()];
    for other in shared.world.all::<Kustomization>() {
        let holder = other.reference();
        if holder == *own || other.metadata.deletion_timestamp.is_some() || claims.iter().all(Option::is_some)
        {
            continue;
        }
        let recorded = pipeline::recorded(&other);
        let held = held(shared, &other).await;
        for (candidate, claim) in candidates.iter().zip(&mut claims).filter(|(_, claim)| claim.is_none()) {
            if candidate.is_held(&held) {
                *claim = Some(Claim { holder: holder.clone(), recorded: candidate.is_held(&recorded) });
            }
        }
    }
    for (candidate, claim) in candidates.iter().zip(&claims) {
        if let Some(Claim { holder, recorded: true }) = claim {
            let object = candidate.id().clone();
            shared.tell(Signal::Drifted { owner: holder.clone(), object, by: None });
        }
    }
    claims
}

/// What a Kustomization will hold once it is reconciled.
async fn held(shared: &Shared, kustomization: &Kustomization) -> HashSet<ObjectId> {
    let reference = &kustomization.spec.source_ref;
    let source = reference.target(&kustomization.metadata.namespace);
    let is_foreign = |source: &Ref| shared.lockdown && source.namespace != kustomization.metadata.namespace;
    let snapshot = source
        .filter(|source| !is_foreign(source))
        .and_then(|source| shared.world.source(&source))
        .and_then(|(seen, snapshot)| snapshot.filter(|_| matches!(seen, Seen::Sound(_))));
    let memo = shared.world.memo(&kustomization.reference());
    pipeline::held(&shared.cluster, kustomization, snapshot.as_ref(), memo.as_deref(), &*shared.workers).await
}
