//! The acts of people: commits, edits of live objects, and requests to the agent.

mod hands;

use serde_json::{Value, json};

use lockgate_base::keys::LEASE;

use crate::chance::Chance;
use crate::platform::{APPS, HOME, INPUTS, Platform, input};
use crate::server::Key;
use crate::subject::{self, SUBJECTS, Subject, owner};
use crate::world::World;

pub(crate) use hands::{
    ask, ask_no_more, clear_managers, disown, drop_lease, hold, let_go, race, strip, touch_lease,
};

const MERGE: &str = "application/merge-patch+json";
const JSON: &str = "application/json";

/// What is there before any agent runs.
pub(crate) fn begin(world: &World) {
    let namespace = |name: &str| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
    let pod = |name: &str| json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": HOME}, "spec": {}});
    let pods = format!("/api/v1/namespaces/{HOME}/pods");
    let mut made = vec![
        ("/api/v1/namespaces".to_owned(), namespace(HOME)),
        ("/api/v1/namespaces".to_owned(), namespace(APPS)),
        (pods.clone(), pod("lockgate-a")),
        (pods, pod("lockgate-b")),
    ];
    for subject in SUBJECTS {
        made.extend(
            subject.beginning().into_iter().map(|object| (subject::collection(subject.info()), object)),
        );
    }
    for (path, object) in made {
        world.person("POST", &path, JSON, &object);
    }
    for which in 0..INPUTS.len() {
        set_input(world, which, 0);
    }
}

/// The files of what is in Git.
pub(crate) fn files(platform: &Platform) -> Vec<(String, String)> {
    let files = SUBJECTS.iter().flat_map(|subject| subject.files(platform));
    files.map(|(path, content)| (path, content.to_string())).collect()
}

fn change(platform: &mut Platform, chance: &mut Chance) -> String {
    // From a random one on, the first that has something to change.
    let from = chance.index(SUBJECTS.len());
    let subjects = SUBJECTS.iter().cycle().skip(from).take(SUBJECTS.len());
    let mut told = subjects.filter_map(|subject| subject.commit(platform, chance));
    told.next().unwrap_or_else(|| "nothing".into())
}

/// A commit: what it changes the number decides. A rewrite follows on the commit before the head, which so is
/// no longer in the history of the branch.
pub(crate) fn commit(world: &World, salt: u64, is_rewrite: bool) {
    let mut chance = Chance::new(salt);
    let mut inner = world.inner();
    let parent = if is_rewrite { inner.parents[inner.head].unwrap_or(0) } else { inner.head };
    let mut platform = inner.commits[parent].clone();
    let mut told = Vec::new();
    for _ in 0..=chance.below(2) {
        told.push(change(&mut platform, &mut chance));
    }
    inner.push(platform, Some(parent));
    let head = inner.head;
    drop(inner);
    let how = if is_rewrite { "commits anew" } else { "commits" };
    world.tell(|| format!("person: {how} {head} on {parent}: {}", told.join("; ")));
}

/// The branch is moved back to the commit before.
pub(crate) fn move_back(world: &World) {
    let mut inner = world.inner();
    let back = inner.parents[inner.head].unwrap_or(0);
    inner.moved(back);
    drop(inner);
    world.tell(|| format!("person: the branch is moved back to commit {back}"));
}

/// The path of an object.
fn path_of(world: &World, key: &Key) -> String {
    let version = world.inner().server.version_of(key).unwrap_or_default();
    let root = if key.group.is_empty() { "/api".to_owned() } else { format!("/apis/{}", key.group) };
    let namespace =
        if key.namespace.is_empty() { String::new() } else { format!("/namespaces/{}", key.namespace) };
    format!("{root}/{version}{namespace}/{}/{}", key.plural, key.name)
}

/// One of the live objects that are wished.
fn live(
    world: &World,
    chance: &mut Chance,
    is_wished: impl Fn(&Key, &Value) -> bool,
) -> Option<(Key, String)> {
    let keys: Vec<Key> = {
        let inner = world.inner();
        let wished = inner.server.objects().filter(|(key, object)| is_wished(key, object));
        wished.map(|(key, _)| key.clone()).collect()
    };
    let key = chance.pick(&keys)?.clone();
    let path = path_of(world, &key);
    Some((key, path))
}

/// Whether an object is one that a Kustomization has applied, and no Kustomization itself.
fn is_applied(key: &Key, object: &Value) -> bool {
    owner(object).is_some() && subject::of(key).is_none()
}

pub(crate) fn drift(world: &World, salt: u64) {
    let mut chance = Chance::new(salt);
    let Some((key, path)) = live(world, &mut chance, is_applied) else { return };
    let number = chance.below(1000);
    let edit = match key.plural.as_str() {
        "configmaps" if chance.happens(50) => json!({"data": {"added": number.to_string()}}),
        "configmaps" => json!({"data": {"value": format!("drifted {number}")}}),
        "deployments" => json!({"spec": {"replicas": 2 + number}}),
        _ => json!({"metadata": {"annotations": {"value": format!("drifted {number}")}}}),
    };
    world.person("PATCH", &format!("{path}?fieldManager=kubectl-edit"), MERGE, &edit);
}

/// Someone deletes an object; with all that stands in it where it is a namespace or a definition.
pub(crate) fn delete(world: &World, salt: u64) {
    if let Some((_, path)) = live(world, &mut Chance::new(salt), is_applied) {
        world.person("DELETE", &path, MERGE, &Value::Null);
    }
}

pub(crate) fn delete_house(world: &World, salt: u64) {
    let is_house = |key: &Key, object: &Value| {
        is_applied(key, object) && matches!(key.plural.as_str(), "namespaces" | "customresourcedefinitions")
    };
    if let Some((_, path)) = live(world, &mut Chance::new(salt), is_house) {
        world.person("DELETE", &path, MERGE, &Value::Null);
    }
}

/// Someone deletes an object of the agent's kinds that is in Git.
pub(crate) fn delete_subject(world: &World, salt: u64) {
    let is_of_git = |key: &Key, object: &Value| subject::of(key).is_some() && owner(object).is_some();
    if let Some((_, path)) = live(world, &mut Chance::new(salt), is_of_git) {
        world.person("DELETE", &path, MERGE, &Value::Null);
    }
}

/// Changes an object of the agent's kinds.
pub(crate) fn patch_subject(world: &World, salt: u64, patch: impl Fn(&dyn Subject, &mut Chance) -> Value) {
    let mut chance = Chance::new(salt);
    let Some((key, path)) = live(world, &mut chance, |key, _| subject::of(key).is_some()) else { return };
    if let Some(subject) = subject::of(&key) {
        world.person("PATCH", &format!("{path}?fieldManager=flux"), MERGE, &patch(subject, &mut chance));
    }
}

/// Resumes all that is suspended.
pub(crate) fn resume(world: &World) {
    let is_suspended = |_: &Key, object: &Value| object.pointer("/spec/suspend") == Some(&Value::Bool(true));
    for path in hands::paths(world, is_suspended) {
        world.person(
            "PATCH",
            &format!("{path}?fieldManager=flux"),
            MERGE,
            &json!({"spec": {"suspend": null}}),
        );
    }
}

pub(crate) fn deny(world: &World, salt: u64) {
    let mut chance = Chance::new(salt);
    let mut inner = world.inner();
    let names: Vec<String> = inner.commits[inner.head].things().map(|(_, name, _)| name.clone()).collect();
    if let Some(name) = chance.pick(&names).cloned() {
        inner.server.denied.insert(name);
    }
}

/// Someone changes an object outside of Git whose values builds take, or deletes it for a while.
pub(crate) fn change_input(world: &World, salt: u64) {
    let mut chance = Chance::new(salt);
    let which = chance.index(INPUTS.len());
    if chance.happens(20) {
        let (kind, name) = INPUTS[which];
        let path = format!("/api/v1/namespaces/{HOME}/{}s/{name}", kind.to_lowercase());
        world.person("DELETE", &path, MERGE, &Value::Null);
        return;
    }
    set_input(world, which, chance.below(1000));
}

fn set_input(world: &World, which: usize, value: u64) {
    let (Some((kind, name)), Some(object)) = (INPUTS.get(which), input(which, value)) else { return };
    world.inner().inputs[which] = value;
    let collection = format!("/api/v1/namespaces/{HOME}/{}s", kind.to_lowercase());
    let is_there =
        world.inner().server.get(&Key::new("", &format!("{}s", kind.to_lowercase()), HOME, name)).is_some();
    if is_there {
        let data = json!({"data": object["data"]});
        world.person("PATCH", &format!("{collection}/{name}?fieldManager=kubectl-edit"), MERGE, &data);
    } else {
        world.person("POST", &format!("{collection}?fieldManager=kubectl-create"), JSON, &object);
    }
}

/// Makes what builds take values of and is not there.
pub(crate) fn restore_inputs(world: &World) {
    for which in 0..INPUTS.len() {
        let value = world.inner().inputs[which];
        set_input(world, which, value);
    }
}

/// Where the lease is.
fn lease() -> String {
    format!("/apis/coordination.k8s.io/v1/namespaces/{HOME}/leases/{LEASE}")
}

/// Someone takes the lease by force, or renews it after that.
pub(crate) fn steal(world: &World) {
    let path = lease();
    let renewed =
        format!("{}Z", crate::moment::stamp(world.time()).trim_end_matches('Z').to_owned() + ".000000");
    let taken = json!({"metadata": {"annotations": {"lockgate.dev/holder": null}},
        "spec": {"holderIdentity": "thief", "renewTime": renewed}});
    world.person("PATCH", &path, MERGE, &taken);
}
