//! Kustomizations: their files in Git, and the laws about them and about their objects.

use std::sync::Arc;
use std::time::Duration;

use lockgate_core::api::{KindInfo, Kustomization};
use serde_json::{Value, json};

use super::commit;
use super::end;
use super::{End, Memory, Subject, Told, unless_ready};
use crate::chance::Chance;
use crate::moment::since_begin;
use crate::platform::{Form, HOME, Platform, Thing, VARIABLE, revision, root, unit_key};
use crate::server::{Change, Key, Server};

/// The label that names an object's owner.
const OWNER: &str = "kustomize.toolkit.fluxcd.io/name";

/// `spec.timeout` of all Kustomizations.
const TIMEOUT: Duration = Duration::from_mins(2);

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
        let was_ready = change.before.as_ref().is_some_and(|before| unless_ready(before).is_none());
        let becomes_ready = !was_ready && unless_ready(after).is_none();
        if applied(&change.before).as_ref() == Some(&now) && !becomes_ready {
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
        end::left_to_do(end)
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

/// Law: of Kustomizations that are being deleted, what others depend on goes last, as long as these take
/// their time.
pub(crate) fn before_dependents(change: &Change, told: &Told<'_>, memory: &Memory) -> Option<String> {
    let owner = owner(change.before.as_ref()?)?;
    let leaves = |object: &Value| {
        let since = object["metadata"].get("deletionTimestamp").and_then(Value::as_str);
        since.and_then(since_begin)
    };
    let own = told.server.get(&unit_key(owner))?;
    leaves(own)?;
    let shown = |object: &Value| {
        let uid = object["metadata"]["uid"].as_str().unwrap_or_default();
        memory.shown_leaving.get(&(told.agent.to_owned(), uid.to_owned())).copied()
    };
    let began = shown(own);
    let is_waited_for = |(key, object): &(&Key, &Value)| {
        // What has begun goes on for a moment.
        let is_known = shown(object).is_some_and(|shown| {
            began.is_some_and(|began| shown < began)
                || told.sent.saturating_sub(shown) > Duration::from_secs(5)
        });
        key.plural == Kustomization::INFO.plural
            && leaves(object).is_some_and(|since| told.time.saturating_sub(since) < TIMEOUT)
            && is_known
            && dependencies(object).iter().any(|dependency| dependency == owner)
    };
    let (key, _) = told.server.objects().find(is_waited_for)?;
    Some(format!("{} of {owner} goes before {}, which depends on that", change.key.name, key.name))
}

/// Law: no object is deleted that a Kustomization holds in its build.
pub(crate) fn held(change: &Change, told: &Told<'_>, memory: &Memory) -> Option<String> {
    let before = change.before.as_ref()?;
    let (who, owner, key) = (told.agent, owner(before)?, &change.key);
    // What is suspended takes nothing over.
    let stays = |name: &str| {
        let object = told.server.get(&unit_key(name));
        object.filter(|object| {
            object["metadata"].get("deletionTimestamp").is_none() && object["spec"]["suspend"] != true
        })
    };
    let object = told.server.get(&unit_key(owner))?;
    let applied = object.pointer("/status/lastAppliedRevision").and_then(Value::as_str).unwrap_or_default();
    let commit = (0..told.commits.len()).find(|commit| revision(*commit).to_string() == applied);
    let heads = memory.heads_ever_since(commit);
    if owner == HOME {
        let is_held = heads.iter().all(|head| told.commits[*head].units.contains_key(&key.name));
        return (is_held && stays(owner).is_some())
            .then(|| format!("{who} deletes the Kustomization {}, which is in Git", key.name));
    }
    let holds = |name: &str, head: &usize| {
        let unit = told.commits[*head].units.get(name)?;
        let thing = unit.things.get(&key.name).filter(|thing| thing.key(&key.name) == *key)?;
        // What has changed that cannot be changed has it made anew.
        let is_other = thing.kind == Form::Job || thing.fixed_of(before) != thing.fixed;
        let is_forced = unit.force || object["spec"]["force"] == true;
        (!is_other || !thing.may_be_made_anew(before, is_forced)).then_some(())
    };
    let is_held = |head: &usize| told.commits[*head].units.keys().any(|name| holds(name, head).is_some());
    let last = heads.last()?;
    let mut holders = told.commits[*last].units.keys().filter(|name| holds(name, last).is_some());
    let holder = holders.find(|name| stays(name).is_some() && heads.iter().all(is_held))?;
    Some(format!("{who} deletes {} {} of {owner}, which {holder} holds", key.plural, key.name))
}
