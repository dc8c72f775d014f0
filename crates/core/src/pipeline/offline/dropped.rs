//! What becomes of an object that is no longer built, as far as that can be told without a cluster.

use std::collections::HashSet;

use crate::api::Kustomization;
use crate::pipeline::claims;
use crate::pipeline::prune::Fate;
use crate::plan::{self, Pruner};
use lockgate_base::model::Object;

/// What becomes of an object that a Kustomization has built and does not build any more; `None` where it is
/// let go. `is_removed` says that the Kustomization itself goes. What is not told by the object or the
/// Kustomization, the cluster decides.
pub fn fate(kustomization: &Kustomization, object: &Object, is_removed: bool) -> Option<Fate> {
    let is_let_go =
        if is_removed { !kustomization.spec.deletes_its_objects() } else { !kustomization.spec.prune };
    if is_let_go {
        return None;
    }
    let needs = if is_removed { HashSet::new() } else { claims::needs(kustomization) };
    let owner = kustomization.reference();
    let pruner = Pruner { owner: &owner, ownership: Kustomization::OWNERSHIP, needs: &needs, release: None };
    Some(plan::stays(object, pruner).map_or(Fate::Deleted, Fate::Kept))
}
