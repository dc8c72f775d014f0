//! What people do: commits, edits of live objects, and what they ask of the agent.

use serde_json::{Value, json};

use lockgate_base::keys::LEASE;

use crate::chance::Chance;
use crate::platform::{APPS, Form, HOME, Platform, Thing, Unit};
use crate::server::Key;
use crate::world::World;

const MERGE: &str = "application/merge-patch+json";

/// The platform that a seed begins with.
pub(crate) fn first(chance: &mut Chance, units: u64) -> Platform {
    let mut platform = Platform::default();
    for number in 0..units {
        let mut unit = new_unit(chance);
        for earlier in 0..number {
            if chance.happens(20) {
                unit.depends_on.insert(format!("unit-{earlier}"));
            }
        }
        for _ in 0..=chance.below(6) {
            let (name, thing) = new_thing(chance);
            unit.things.insert(name, thing);
        }
        platform.units.insert(format!("unit-{number}"), unit);
    }
    platform
}

fn new_unit(chance: &mut Chance) -> Unit {
    Unit { prune: !chance.happens(5), wait: chance.happens(60), ..Unit::default() }
}

fn new_thing(chance: &mut Chance) -> (String, Thing) {
    let kind = chance.pick(&Form::ALL).copied().unwrap_or(Form::ConfigMap);
    let name = format!("thing-{}", chance.below(100_000));
    (name, Thing { kind, value: chance.below(1000), broken: kind == Form::Deployment && chance.happens(3) })
}

/// A commit: what it changes the number decides.
pub(crate) fn commit(world: &World, salt: u64) {
    let mut chance = Chance::new(salt);
    let mut inner = world.inner();
    let mut platform = inner.commits[inner.head].clone();
    let what = change(&mut platform, &mut chance);
    inner.commits.push(platform.clone());
    inner.head = inner.commits.len() - 1;
    let head = inner.head;
    inner.laws.moved(head, &platform);
    drop(inner);
    world.tell(format!("person: commit {head}: {what}"));
}

fn change(platform: &mut Platform, chance: &mut Chance) -> String {
    let names: Vec<String> = platform.units.keys().cloned().collect();
    let (Some(name), Some(other)) = (chance.pick(&names).cloned(), chance.pick(&names).cloned()) else {
        return "nothing".into();
    };
    let action = chance.below(100);
    let thing = things_of(platform, &name, chance);
    let may_lose = platform.units.get(&name).is_some_and(|unit| unit.things.len() > 1);
    match (action, thing) {
        (0..35, Some(thing)) => {
            if let Some(thing) = platform.units.get_mut(&name).and_then(|unit| unit.things.get_mut(&thing)) {
                thing.value = chance.below(1000);
                thing.broken &= chance.happens(50);
            }
            format!("changes {thing} of {name}")
        }
        (35..50, Some(thing)) if may_lose => {
            platform.units.get_mut(&name).and_then(|unit| unit.things.remove(&thing));
            format!("drops {thing} from {name}")
        }
        (50..65, Some(thing)) if may_lose && name != other => {
            let moved = platform.units.get_mut(&name).and_then(|unit| unit.things.remove(&thing));
            if let (Some(moved), Some(unit)) = (moved, platform.units.get_mut(&other)) {
                unit.things.insert(thing.clone(), moved);
            }
            format!("moves {thing} from {name} to {other}")
        }
        (65..72, _) if names.len() > 2 => {
            platform.units.remove(&name);
            for unit in platform.units.values_mut() {
                unit.depends_on.remove(&name);
            }
            format!("drops {name}")
        }
        (72..79, _) => {
            let mut unit = new_unit(chance);
            unit.things.extend([new_thing(chance)]);
            let added = format!("unit-{}", 100 + chance.below(1000));
            platform.units.insert(added.clone(), unit);
            format!("adds {added}")
        }
        (79..90, _) if name != other && !platform.depends(&other, &name) => {
            let Some(unit) = platform.units.get_mut(&name) else { return "nothing".into() };
            if !unit.depends_on.remove(&other) {
                unit.depends_on.insert(other.clone());
            }
            format!("changes whether {name} depends on {other}")
        }
        _ => {
            let (added, thing) = new_thing(chance);
            platform.units.get_mut(&name).map(|unit| unit.things.insert(added.clone(), thing));
            format!("adds {added} to {name}")
        }
    }
}

fn things_of(platform: &Platform, unit: &str, chance: &mut Chance) -> Option<String> {
    let things: Vec<String> = platform.units.get(unit)?.things.keys().cloned().collect();
    chance.pick(&things).cloned()
}

/// The branch is moved back to the commit before.
pub(crate) fn move_back(world: &World) {
    let mut inner = world.inner();
    inner.head = inner.head.saturating_sub(1);
    let (head, platform) = (inner.head, inner.commits[inner.head].clone());
    inner.laws.moved(head, &platform);
    drop(inner);
    world.tell(format!("person: the branch is moved back to commit {head}"));
}

/// One of the objects that are applied.
fn live(world: &World, chance: &mut Chance) -> Option<(Key, String)> {
    let inner = world.inner();
    let ours = |key: &&Key| key.namespace == APPS && Form::of_plural(&key.plural).is_some();
    let keys: Vec<Key> = inner.server.objects().map(|(key, _)| key).filter(ours).cloned().collect();
    let key = chance.pick(&keys)?.clone();
    let root = if key.group.is_empty() { "/api/v1".to_owned() } else { format!("/apis/{}/v1", key.group) };
    let path = format!("{root}/namespaces/{}/{}/{}", key.namespace, key.plural, key.name);
    Some((key, path))
}

pub(crate) fn drift(world: &World, salt: u64) {
    let mut chance = Chance::new(salt);
    let Some((key, path)) = live(world, &mut chance) else { return };
    let number = chance.below(1000);
    let edit = match key.plural.as_str() {
        "configmaps" if chance.happens(50) => json!({"data": {"added": number.to_string()}}),
        "configmaps" => json!({"data": {"value": format!("drifted {number}")}}),
        "deployments" => json!({"spec": {"replicas": 2 + number}}),
        _ => json!({"metadata": {"annotations": {"value": format!("drifted {number}")}}}),
    };
    world.person("PATCH", &format!("{path}?fieldManager=kubectl-edit"), MERGE, &edit);
}

pub(crate) fn delete(world: &World, salt: u64) {
    if let Some((_, path)) = live(world, &mut Chance::new(salt)) {
        world.person("DELETE", &path, MERGE, &Value::Null);
    }
}

fn unit_path(world: &World, salt: u64) -> Option<String> {
    let inner = world.inner();
    let names: Vec<String> = inner.commits[inner.head].units.keys().cloned().collect();
    let name = Chance::new(salt).pick(&names)?.clone();
    Some(kustomization_path(&name))
}

fn kustomization_path(name: &str) -> String {
    format!("/apis/kustomize.toolkit.fluxcd.io/v1/namespaces/{HOME}/kustomizations/{name}")
}

pub(crate) fn delete_unit(world: &World, salt: u64) {
    if let Some(path) = unit_path(world, salt) {
        world.person("DELETE", &path, MERGE, &Value::Null);
    }
}

/// Asks for a reconciliation of a Kustomization, or suspends it.
pub(crate) fn patch_unit(world: &World, salt: u64, patch: &Value) {
    if let Some(path) = unit_path(world, salt) {
        world.person("PATCH", &format!("{path}?fieldManager=flux"), MERGE, patch);
    }
}

/// Resumes all Kustomizations.
pub(crate) fn resume(world: &World) {
    let is_suspended = |object: &Value| object.pointer("/spec/suspend") == Some(&Value::Bool(true));
    let names: Vec<String> = {
        let inner = world.inner();
        let suspended = inner
            .server
            .objects()
            .filter(|(key, object)| key.plural == "kustomizations" && is_suspended(object));
        suspended.map(|(key, _)| key.name.clone()).collect()
    };
    for name in names {
        let path = format!("{}?fieldManager=flux", kustomization_path(&name));
        world.person("PATCH", &path, MERGE, &json!({"spec": {"suspend": null}}));
    }
}

pub(crate) fn deny(world: &World, salt: u64) {
    let mut chance = Chance::new(salt);
    let mut inner = world.inner();
    let names: Vec<String> =
        inner.commits[inner.head].units.values().flat_map(|unit| unit.things.keys().cloned()).collect();
    if let Some(name) = chance.pick(&names).cloned() {
        inner.server.denied.insert(name);
    }
}

/// Someone takes the lease by force.
pub(crate) fn steal(world: &World) {
    let path = format!("/apis/coordination.k8s.io/v1/namespaces/{HOME}/leases/{LEASE}");
    let renewed =
        format!("{}Z", crate::clock::stamp(world.time()).trim_end_matches('Z').to_owned() + ".000000");
    let taken = json!({"metadata": {"annotations": {"lockgate.dev/holder": null}},
        "spec": {"holderIdentity": "thief", "renewTime": renewed}});
    world.person("PATCH", &path, MERGE, &taken);
}
