//! The fate of an object that the build no longer contains, as far as it is known without a cluster.

use std::collections::HashSet;

use crate::api::Kustomization;
use crate::pipeline::claims;
use crate::pipeline::prune::Fate;
use crate::plan::{self, Pruner};
use lockgate_base::model::Object;

/// The fate of an object that a Kustomization has built before and no longer builds; `None` if it is no
/// longer managed. `is_removed` says that the Kustomization itself was removed. The cluster decides about
/// everything that neither the object nor the Kustomization says.
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
