//! The objects of a build whose kinds no controller acts on.

use std::collections::BTreeSet;

use crate::health::HealthRules;
use crate::plan::Inventory;
use lockgate_base::model::ObjectId;

/// The managed objects that no controller acts on, if they differ from those before; otherwise none. Each
/// argument is an inventory with the rules that tell which kinds no controller acts on.
pub fn news(before: (&Inventory, &HealthRules), now: (&Inventory, &HealthRules)) -> Vec<ObjectId> {
    let (before, now) = (idle(before.0, before.1), idle(now.0, now.1));
    if before == now { Vec::new() } else { now.into_iter().cloned().collect() }
}

fn idle<'i>(inventory: &'i Inventory, rules: &HealthRules) -> BTreeSet<&'i ObjectId> {
    inventory.iter().map(|(id, _)| id).filter(|id| rules.is_idle(&id.group, &id.kind)).collect()
}
