//! What a build holds of kinds that nothing acts on.

use std::collections::BTreeSet;

use crate::health::Rules;
use crate::plan::Inventory;
use lockgate_base::model::ObjectId;

/// The objects that nothing acts on among those that are managed now, where they are others than before.
pub(super) fn news(before: &Inventory, now: &Inventory, rules: &Rules) -> Vec<ObjectId> {
    let (before, now) = (idle(before, rules), idle(now, rules));
    if before == now { Vec::new() } else { now.into_iter().cloned().collect() }
}

fn idle<'i>(inventory: &'i Inventory, rules: &Rules) -> BTreeSet<&'i ObjectId> {
    inventory.iter().map(|(id, _)| id).filter(|id| rules.is_idle(&id.group, &id.kind)).collect()
}
