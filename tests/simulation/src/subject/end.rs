//! What must come of Kustomizations and what they hold, once all is quiet.

use std::collections::BTreeSet;

use lockgate_base::keys::{PRUNE, RECONCILE};
use serde_json::Value;

use super::hands::{TOUCHED, is_spared};
use super::{End, owner, unless_ready};
use crate::platform::{HOME, Platform, Thing, Unit, revision, unit_key, variable};
use crate::server::{Key, Server, sorted};

/// The Kustomizations that hold what was changed and cannot be, and may not be made anew.
pub(crate) fn stuck(server: &Server, platform: &Platform) -> BTreeSet<String> {
    let is_refused = |unit: &Unit| {
        unit.things.iter().any(|(name, thing)| {
            server.get(&thing.key(name)).is_some_and(|live| {
                thing.fixed_of(live) != thing.fixed && !thing.may_be_made_anew(live, unit.force)
            })
        })
    };
    let refused = platform.units.iter().filter(|(_, unit)| is_refused(unit));
    refused.map(|(name, _)| name.clone()).collect()
}

/// What is not as it must be.
pub(super) fn left_to_do(end: &End<'_>) -> Vec<String> {
    let mut problems = Vec::new();
    for (name, unit) in &end.platform.units {
        if end.is_brief && !problems.is_empty() {
            return problems;
        }
        let Some(object) = end.server.get(&unit_key(name)) else {
            problems.push(format!("Kustomization {name} is not there"));
            continue;
        };
        let is_broken = unit.wait && unit.things.values().any(|thing| thing.broken);
        if end.can_be_ready(name) {
            problems.extend(not_ready(name, object, end));
            problems.extend(inventory_differs(end, (name, unit), object));
            for (thing_name, thing) in &unit.things {
                problems.extend(differs(end, name, (thing_name, thing)));
            }
        } else if (is_broken || end.stuck.contains(name)) && unless_ready(object).is_none() {
            problems.push(format!("Kustomization {name} says that it is Ready, and cannot be"));
        }
    }
    problems.extend(orphans(end));
    problems
}

fn not_ready(name: &str, object: &Value, end: &End<'_>) -> Vec<String> {
    let wanted = revision(end.head).to_string();
    let mut problems = Vec::new();
    if let Some(message) = unless_ready(object) {
        problems.push(format!("Kustomization {name} is not Ready: {message}"));
    }
    for field in ["lastAppliedRevision", "lastAttemptedRevision"] {
        let is = object["status"][field].as_str().unwrap_or("nothing");
        if is != wanted {
            problems.push(format!("{field} of Kustomization {name} is {is}, and should be {wanted}"));
        }
    }
    if object.pointer("/status/observedGeneration") != object.pointer("/metadata/generation") {
        problems.push(format!("Kustomization {name} was not seen in its last generation"));
    }
    problems
}

/// Where an inventory is not what the unit holds, and what it has dropped for others that have yet to take it
/// over.
fn inventory_differs(end: &End<'_>, (name, unit): (&str, &Unit), object: &Value) -> Option<String> {
    let ids = |unit: &Unit| -> BTreeSet<String> {
        unit.things.iter().map(|(name, thing)| thing.inventory_id(name)).collect()
    };
    let expected = ids(unit);
    let stuck = end.platform.units.iter().filter(|(other, _)| !end.can_be_ready(other));
    let awaited: BTreeSet<String> = stuck.flat_map(|(_, unit)| ids(unit)).collect();
    let entries = object.pointer("/status/inventory/entries").and_then(Value::as_array);
    let told: BTreeSet<String> =
        entries.into_iter().flatten().filter_map(|entry| Some(entry["id"].as_str()?.to_owned())).collect();
    let is_right = expected.is_subset(&told) && told.difference(&expected).all(|id| awaited.contains(id));
    (!is_right).then(|| format!("the inventory of {name} is {told:?}, and should be {expected:?}"))
}

/// Where a live object is not as Git has it. One that several hold is as one of them has it.
fn differs(end: &End<'_>, unit: &str, (name, thing): (&String, &Thing)) -> Vec<String> {
    let key = thing.key(name);
    let Some(live) = end.server.get(&key) else { return vec![format!("{name} of {unit} is not there")] };
    if live["metadata"].get("deletionTimestamp").is_some() {
        return vec![format!("{name} of {unit} is being deleted")];
    }
    let holders = end.platform.holders(&key);
    let is_managed = !end.memory.unmanaged.contains(&key);
    let all = holders.iter().map(|holder| {
        let (holder, of) = (holder.as_str(), &end.platform.units[*holder]);
        let value = of.input.and_then(|input| end.inputs.get(input)).map(|value| variable(*value));
        let wanted = of.things[name].manifest(name, value.as_deref());
        let mut problems = Vec::new();
        if owner(live) != Some(holder) {
            problems.push(format!("{name} belongs to {:?}, and should to {holder}", owner(live)));
        }
        for pointer in ["/metadata/annotations", "/data", "/spec"] {
            let Some(wanted) = wanted.pointer(pointer) else { continue };
            let live = live.pointer(pointer);
            let is_same = live.is_some_and(|live| is_as_wanted(live, wanted, is_managed));
            if !is_same {
                problems.push(format!("{name} differs at {pointer}: {live:?}, and should be {wanted:?}"));
            }
        }
        problems
    });
    all.min_by_key(Vec::len).unwrap_or_default()
}

/// Whether a part of a live object is as Git has it, less what people may annotate. Where nobody knows who
/// has set what, more may be there.
fn is_as_wanted(live: &Value, wanted: &Value, is_managed: bool) -> bool {
    let (Some(live), Some(wanted)) = (live.as_object(), wanted.as_object()) else { return live == wanted };
    let is_theirs = |name: &str| matches!(name, TOUCHED | PRUNE | RECONCILE);
    let has_all =
        wanted.iter().all(|(name, wanted)| live.get(name).is_some_and(|live| sorted(live) == sorted(wanted)));
    has_all && (!is_managed || live.keys().all(|name| wanted.contains_key(name) || is_theirs(name)))
}

/// What was applied and dropped, and is there still.
fn orphans(end: &End<'_>) -> Vec<String> {
    let is_orphan = |(key, object): &(&Key, &Value)| {
        let Some(owner) = owner(object) else { return false };
        let is_held = if owner == HOME {
            end.platform.units.contains_key(&key.name)
        } else {
            end.platform.holders(key).iter().any(|holder| *holder == owner)
        };
        // What cannot be applied as it is in Git now cannot take away what was there before.
        let is_stuck = end.platform.units.contains_key(owner) && !end.can_be_ready(owner);
        // Nor can it take over what another has dropped for it.
        let mut next = end.platform.holders(key).into_iter();
        let is_awaited = next.any(|next| !end.can_be_ready(next));
        // What was left alone as it was dropped stays, and so does what a Kustomization holds of which that
        // is true.
        let is_dropped = owner != HOME && !end.platform.units.contains_key(owner);
        let stays = |unit: &Value| is_spared(unit) || self::owner(unit).is_none();
        let is_kept = end.memory.spared.contains(key)
            || is_dropped && end.server.get(&unit_key(owner)).is_some_and(stays);
        !is_held && !is_kept && !is_stuck && !is_awaited && !end.memory.unpruned.contains(owner)
    };
    let orphans = end.server.objects().filter(is_orphan);
    orphans
        .map(|(key, object)| format!("{} {} of {:?} is an orphan", key.plural, key.name, owner(object)))
        .collect()
}
