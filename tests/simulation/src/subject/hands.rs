//! Laws about what is another's: objects without an owner's labels, what people have asked for by
//! annotations, finalizers, and statuses and inventories that are not the writer's to write any more.

use std::time::Duration;

use lockgate_base::keys::{OWNER_NAME, PRUNE, RECONCILE};
use serde_json::Value;

use super::{Memory, Told, of, owner};
use crate::server::Change;

/// The finalizer that people put on objects.
pub(crate) const HELD: &str = "simulation.dev/held";
/// The data that another program keeps in a ConfigMap.
pub(crate) const INJECTED: &str = "injected";
/// The annotation of an object to which somebody has written.
pub(crate) const TOUCHED: &str = "simulation.dev/touched";

/// The time from which on an agent must know that an object is to be left alone: how late a watch may be, and
/// how long one may stand still.
const KNOWN: Duration = Duration::from_mins(2);

/// Whether an object says by an annotation that it is not to be touched in some way.
fn says(object: &Value, annotation: &str) -> bool {
    object["metadata"]["annotations"].get(annotation).is_some_and(|said| said == "disabled")
}

/// Whether an object is to be left alone, or not to be pruned.
pub(super) fn is_spared(object: &Value) -> bool {
    says(object, PRUNE) || says(object, RECONCILE)
}

/// Law: nothing is deleted that has no owner's labels, or that is not to be pruned.
pub(crate) fn foreign(change: &Change, told: &Told<'_>) -> Option<String> {
    let before = change.before.as_ref()?;
    let of_it = || format!("{} deletes {} {}", told.agent, change.key.plural, change.key.name);
    if owner(before).is_none() {
        return Some(format!("{}, which has no {OWNER_NAME}", of_it()));
    }
    let is_made_anew = told.commits.iter().any(|platform| !platform.holders(&change.key).is_empty());
    (says(before, PRUNE) && !is_made_anew).then(|| format!("{}, which is not to be pruned", of_it()))
}

/// Law: what others have set on an object beside Git stays: the finalizers of people, and what another
/// program keeps in a ConfigMap, whoever is known to have set it.
pub(crate) fn taken_off(change: &Change) -> Option<String> {
    let (before, after) = (change.before.as_ref()?, change.after.as_ref()?);
    let is_held = |object: &Value| {
        let all = object.pointer("/metadata/finalizers").and_then(Value::as_array);
        all.is_some_and(|all| all.iter().any(|finalizer| finalizer == HELD))
    };
    let is_injected = |object: &Value| object["data"].get(INJECTED).is_some();
    let what = if is_held(before) && !is_held(after) {
        "finalizer"
    } else if is_injected(before) && !is_injected(after) {
        "data of another program"
    } else {
        return None;
    };
    Some(format!("the {what} of {} {} is taken off", change.key.plural, change.key.name))
}

/// Law: nothing is applied to what is to be left alone.
pub(crate) fn meddled(change: &Change, told: &Told<'_>, memory: &Memory) -> Option<String> {
    let before = change.before.as_ref()?;
    let asked = *memory.touched.get(&change.key)?;
    (of(&change.key).is_none() && says(before, RECONCILE) && told.sent.saturating_sub(asked) > KNOWN)
        .then(|| format!("{} writes to {} {}", told.agent, change.key.plural, change.key.name))
}

/// Law: a holder that has lost the lease changes no inventory that the next one has changed.
pub(crate) fn stale(change: &Change, told: &Told<'_>, memory: &Memory) -> Option<String> {
    of(&change.key)?;
    let inventory = |object: &Value| object.pointer("/status/inventory").cloned();
    let (before, after) = (change.before.as_ref()?, change.after.as_ref()?);
    let holder = told.holder.as_deref().filter(|holder| *holder != told.agent)?;
    let last = memory.inventoried.get(&change.key)?;
    (last == holder && inventory(before) != inventory(after))
        .then(|| format!("{} changes that of {} over {holder}, which leads", told.agent, change.key.name))
}

/// Law: a status is written only to an object that its writer has seen, and of no generation that is to come.
pub(crate) fn misplaced(change: &Change, told: &Told<'_>, memory: &Memory) -> Option<String> {
    of(&change.key)?;
    let (before, after) = (change.before.as_ref()?, change.after.as_ref()?);
    let uid = after["metadata"]["uid"].as_str()?;
    let shown = memory.shown.get(&(told.agent.to_owned(), uid.to_owned()));
    let is_known = shown.is_some_and(|shown| *shown <= told.sent);
    let number = |pointer: &str| after.pointer(pointer).and_then(Value::as_i64).unwrap_or_default();
    let (observed, generation) = (number("/status/observedGeneration"), number("/metadata/generation"));
    if observed > generation {
        return Some(format!("{} is at generation {generation}, and says {observed}", change.key.name));
    }
    (before.get("status") != after.get("status") && !is_known)
        .then(|| format!("{} writes one to {} {uid}, which it has not seen", told.agent, change.key.name))
}
