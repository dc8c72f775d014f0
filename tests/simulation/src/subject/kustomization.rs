//! Kustomizations: what is in Git of them, and the laws about them and about what they hold.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use lockgate_core::api::{KindInfo, Kustomization};
use serde_json::{Value, json};

use super::commit;
use super::{End, Memory, Subject, Told, unless_ready};
use crate::chance::Chance;
use crate::platform::{Form, HOME, Platform, Thing, Unit, VARIABLE, revision, root, unit_key, variable};
use crate::server::{Change, Key, Server, sorted};

/// The label that names an object's owner.
const OWNER: &str = "kustomize.toolkit.fluxcd.io/name";

pub(super) struct Kustomizations;

impl Subject for Kustomizations {
    fn info(&self) -> &'static KindInfo {
        Kustomization::INFO
    }

    fn beginning(&self) -> Vec<Value> {
        vec![root()]
    }

    fn files(&self, platform: &Platform) -> Vec<(String, Value)> {
        let mut files = Vec::new();
        let list = |names: Vec<&String>| {
            let resources: Vec<String> = names.iter().map(|name| format!("{name}.yaml")).collect();
            json!({"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "resources": resources})
        };
        for (name, unit) in &platform.units {
            files.push((format!("clusters/{name}.yaml"), unit.manifest(name)));
            let placeholder = format!("${{{VARIABLE}}}");
            let taken = unit.input.map(|_| placeholder.as_str());
            for (thing_name, thing) in &unit.things {
                files.push((format!("apps/{name}/{thing_name}.yaml"), thing.manifest(thing_name, taken)));
            }
            files.push((format!("apps/{name}/kustomization.yaml"), list(unit.things.keys().collect())));
        }
        files.push(("clusters/kustomization.yaml".into(), list(platform.units.keys().collect())));
        files
    }

    fn commit(&self, platform: &mut Platform, chance: &mut Chance) -> Option<String> {
        commit::change(platform, chance)
    }

    fn edit(&self, chance: &mut Chance) -> Value {
        json!({"spec": {"retryInterval": format!("{}s", 30 + chance.below(60))}})
    }

    fn told(&self, told: &Told<'_>, memory: &mut Memory) -> Vec<(&'static str, String)> {
        let applied = |object: &Option<Arc<Value>>| {
            let object = object.as_ref()?;
            Some(object.pointer("/status/lastAppliedRevision")?.as_str()?.to_owned())
        };
        let (change, name) = (told.change, &told.change.key.name);
        let Some((after, now)) = change.after.as_ref().zip(applied(&change.after)) else { return Vec::new() };
        if applied(&change.before).as_ref() == Some(&now) {
            return Vec::new();
        }
        memory.applied.entry(name.clone()).or_default().insert(now.clone());
        // What it was applied as is not what its object says now, where that has been changed since.
        if after.pointer("/status/observedGeneration") != after.pointer("/metadata/generation") {
            return Vec::new();
        }
        let commit = (0..told.commits.len()).find(|commit| revision(*commit).to_string() == now);
        let unit = commit.and_then(|commit| told.commits[commit].units.get(name));
        let Some((commit, unit)) = commit.zip(unit) else { return Vec::new() };
        let mut broken = Vec::new();
        for dependency in dependencies(after) {
            let is_applied = memory.applied.get(&dependency).is_some_and(|all| all.contains(&now));
            if unit.depends_on.contains(&dependency) && !is_applied {
                broken.push((
                    "dependencies first",
                    format!("{name} is applied at {now}, and {dependency}, which it depends on, never was"),
                ));
            }
        }
        let untrue = unit.things.iter().filter_map(|(thing, of)| {
            untrue(told, memory, name, commit, (thing, of))
                .map(|how| format!("{name} says that it is applied at {now}: {how}"))
        });
        broken.extend(untrue.map(|how| ("a status says what is true", how)));
        broken
    }

    fn left_to_do(&self, end: &End<'_>) -> Vec<String> {
        let mut problems = Vec::new();
        for (name, unit) in &end.platform.units {
            if end.is_brief && !problems.is_empty() {
                return problems;
            }
            let Some(object) = end.server.get(&unit_key(name)) else {
                problems.push(format!("Kustomization {name} is not there"));
                continue;
            };
            if end.platform.can_be_ready(name) {
                problems.extend(not_ready(name, object, end));
                problems.extend(inventory_differs(end, (name, unit), object));
                for (thing_name, thing) in &unit.things {
                    problems.extend(differs(end, name, (thing_name, thing)));
                }
            } else if unit.wait
                && unit.things.values().any(|thing| thing.broken)
                && unless_ready(object).is_none()
            {
                problems
                    .push(format!("Kustomization {name} says that it is Ready, and holds what is broken"));
            }
        }
        problems.extend(orphans(end));
        problems
    }
}

fn dependencies(object: &Value) -> Vec<String> {
    let named = object.pointer("/spec/dependsOn").and_then(Value::as_array).into_iter().flatten();
    named.filter_map(|named| Some(named["name"].as_str()?.to_owned())).collect()
}

/// Whose an object is, by its labels.
pub(crate) fn owner(object: &Value) -> Option<&str> {
    object.pointer("/metadata/labels").and_then(|labels| labels.get(OWNER)?.as_str())
}

/// What an applied thing is not as a Kustomization's status says, unless others have had their hands on it.
fn untrue(
    told: &Told<'_>,
    memory: &Memory,
    name: &str,
    commit: usize,
    (thing_name, thing): (&String, &Thing),
) -> Option<String> {
    let key = thing.key(thing_name);
    let is_held = |head: &usize| {
        let holders = told.commits[*head].holders(&key);
        holders.len() == 1
            && holders[0] == name
            && told.commits[*head].units[name].things[thing_name] == *thing
    };
    let since = memory.heads_since(Some(commit));
    if memory.is_touched(&key, told.time) || !since.iter().all(is_held) {
        return None;
    }
    let within = thing
        .within
        .as_ref()
        .map(|within| Thing { kind: Form::Namespace, within: None, ..thing.clone() }.key(within));
    if within.is_some_and(|within| memory.is_touched(&within, told.time)) {
        return None;
    }
    let Some(live) = told.server.get(&key) else { return Some(format!("{thing_name} is not there")) };
    if owner(live) != Some(name) {
        return None;
    }
    let value = &live["metadata"]["annotations"]["value"];
    if value.as_str() != Some(thing.value.to_string().as_str()) {
        return Some(format!("{thing_name} has the value {value}, and should have {}", thing.value));
    }
    // As it was applied: Git may have it otherwise already.
    let waits = told.change.after.as_ref().is_some_and(|after| after["spec"]["wait"] == true);
    let is_observed = live.pointer("/status/observedGeneration") == live.pointer("/metadata/generation");
    let is_well = match thing.kind {
        Form::Deployment => is_observed && live.pointer("/status/availableReplicas").is_some(),
        Form::Job => live.pointer("/status/succeeded").is_some(),
        _ => true,
    };
    (waits && !is_well).then(|| format!("{thing_name} is not healthy: {}", live["status"]))
}

/// Law: no object is made that its owner's stored inventory does not name.
pub(crate) fn unnamed(change: &Change, server: &Server) -> Option<String> {
    let after = change.after.as_ref()?;
    let owner = owner(after)?;
    let kind = after["kind"].as_str().unwrap_or_default();
    let Key { group, namespace, name, .. } = &change.key;
    let id = format!("{namespace}_{}_{group}_{kind}", name.replace(':', "__"));
    let entries =
        server.get(&unit_key(owner))?.pointer("/status/inventory/entries").and_then(Value::as_array);
    let is_named = entries.into_iter().flatten().any(|entry| entry["id"] == id);
    (!is_named).then(|| format!("{id} is made, and the inventory of {owner} does not name it"))
}

/// Law: nothing of a Kustomization is applied before what it depends on was.
pub(crate) fn too_early(change: &Change, server: &Server, memory: &Memory, time: Duration) -> Option<String> {
    let owner = owner(change.after.as_ref()?)?;
    let key = unit_key(owner);
    let object = server.get(&key)?;
    let recently = |at: &Duration| time.saturating_sub(*at) < Duration::from_mins(5);
    let is_first = object.pointer("/status/lastAppliedRevision").is_none();
    if !is_first || memory.respecified.get(&key).is_some_and(recently) {
        return None;
    }
    let early =
        dependencies(object).into_iter().find(|dependency| !memory.applied.contains_key(dependency))?;
    Some(format!(
        "{} of {owner} is applied, and {early}, which {owner} depends on, never was",
        change.key.name
    ))
}

/// Law: no object is deleted that a Kustomization holds in its build.
pub(crate) fn held(who: &str, change: &Change, told: &Told<'_>, memory: &Memory) -> Option<String> {
    let before = change.before.as_ref()?;
    let (owner, key) = (owner(before)?, &change.key);
    let stays = |name: &str| {
        let object = told.server.get(&unit_key(name));
        object.filter(|object| object["metadata"].get("deletionTimestamp").is_none())
    };
    let object = told.server.get(&unit_key(owner))?;
    let applied = object.pointer("/status/lastAppliedRevision").and_then(Value::as_str).unwrap_or_default();
    let commit = (0..told.commits.len()).find(|commit| revision(*commit).to_string() == applied);
    let heads = memory.heads_since(commit);
    if owner == HOME {
        let is_held = heads.iter().all(|head| told.commits[*head].units.contains_key(&key.name));
        return (is_held && stays(owner).is_some())
            .then(|| format!("{who} deletes the Kustomization {}, which is in Git", key.name));
    }
    let holds = |name: &str, head: &usize| {
        let thing = told.commits[*head].units.get(name).and_then(|unit| unit.things.get(&key.name));
        // A Job is made anew where it was changed.
        thing.is_some_and(|thing| thing.key(&key.name) == *key && thing.kind != Form::Job)
    };
    let mut holders = told.commits[*heads.last()?].units.keys();
    let holder = holders.find(|name| stays(name).is_some() && heads.iter().all(|head| holds(name, head)))?;
    Some(format!("{who} deletes {} {} of {owner}, which {holder} holds", key.plural, key.name))
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
    let stuck = end.platform.units.iter().filter(|(other, _)| !end.platform.can_be_ready(other));
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
            if live.map(sorted) != Some(sorted(wanted)) {
                problems.push(format!("{name} differs at {pointer}: {live:?}, and should be {wanted:?}"));
            }
        }
        problems
    });
    all.min_by_key(Vec::len).unwrap_or_default()
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
        let is_stuck = end.platform.units.contains_key(owner) && !end.platform.can_be_ready(owner);
        // Nor can it take over what another has dropped for it.
        let mut next = end.platform.holders(key).into_iter();
        let is_awaited = next.any(|next| !end.platform.can_be_ready(next));
        !is_held && !is_stuck && !is_awaited && !end.memory.unpruned.contains(owner)
    };
    let orphans = end.server.objects().filter(is_orphan);
    orphans
        .map(|(key, object)| format!("{} {} of {:?} is an orphan", key.plural, key.name, owner(object)))
        .collect()
}
