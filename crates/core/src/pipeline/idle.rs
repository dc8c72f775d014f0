//! What a build holds of kinds that nothing acts on.

use std::collections::BTreeSet;

use crate::health::HealthRules;
use crate::plan::Inventory;
use lockgate_base::model::ObjectId;

/// The objects that nothing acts on among those that are managed now, where they are others than before. Each
/// side is what is managed, and the rules that tell which kinds nothing acts on.
pub fn news(before: (&Inventory, &HealthRules), now: (&Inventory, &HealthRules)) -> Vec<ObjectId> {
    let (before, now) = (idle(before.0, before.1), idle(now.0, now.1));
    if before == now { Vec::new() } else { now.into_iter().cloned().collect() }
}

fn idle<'i>(inventory: &'i Inventory, rules: &HealthRules) -> BTreeSet<&'i ObjectId> {
    inventory.iter().map(|(id, _)| id).filter(|id| rules.is_idle(&id.group, &id.kind)).collect()
}
