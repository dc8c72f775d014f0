//! What people have their hands on besides what is in Git: finalizers, the owner's labels, what is kept of
//! who has set a field, annotations that ask the agent for something, and the lease.

use lockgate_base::keys::{OWNER_NAME, OWNER_NAMESPACE, PRUNE, RECONCILE};
use serde_json::{Value, json};

use super::{MERGE, is_applied, lease, live, path_of};
use crate::chance::Chance;
use crate::server::{Key, Request};
use crate::subject::{self, HELD, INJECTED, TOUCHED};
use crate::world::World;

/// Someone clears `metadata.managedFields`: the usual cure for entries that are in the way, and what a
/// restore from a backup leaves. A ConfigMap holds what another program keeps in it by then.
pub(crate) fn clear_managers(world: &World, salt: u64) {
    if let Some((key, path)) = live(world, &mut Chance::new(salt), is_applied) {
        if key.plural == "configmaps" {
            let injected = json!({"data": {INJECTED: "x"}});
            world.person("PATCH", &format!("{path}?fieldManager=injector"), MERGE, &injected);
        }
        let cleared = json!({"metadata": {"managedFields": [{}]}});
        world.person("PATCH", &format!("{path}?fieldManager=kubectl-patch"), MERGE, &cleared);
    }
}

/// Someone puts a finalizer on a live object.
pub(crate) fn hold(world: &World, salt: u64) {
    let is_free = |key: &Key, object: &Value| is_applied(key, object) && finalizers(object).is_empty();
    if let Some((_, path)) = live(world, &mut Chance::new(salt), is_free) {
        let held = json!({"metadata": {"finalizers": [HELD]}});
        world.person("PATCH", &format!("{path}?fieldManager=kubectl-patch"), MERGE, &held);
    }
}

/// That finalizer is taken off all objects.
pub(crate) fn let_go(world: &World) {
    for path in paths(world, |_, object| finalizers(object).contains(&HELD)) {
        world.person("PATCH", &path, MERGE, &json!({"metadata": {"finalizers": null}}));
    }
}

/// Someone takes the finalizers off an object of the agent's kinds.
pub(crate) fn strip(world: &World, salt: u64) {
    let is_subject = |key: &Key, _: &Value| subject::of(key).is_some();
    if let Some((_, path)) = live(world, &mut Chance::new(salt), is_subject) {
        let bare = json!({"metadata": {"finalizers": null}});
        world.person("PATCH", &format!("{path}?fieldManager=kubectl-patch"), MERGE, &bare);
    }
}

/// Someone takes the owner's labels off a live object.
pub(crate) fn disown(world: &World, salt: u64) {
    if let Some((_, path)) = live(world, &mut Chance::new(salt), is_applied) {
        world.person("PATCH", &format!("{path}?fieldManager=kubectl-label"), MERGE, &disowned());
    }
}

fn disowned() -> Value {
    json!({"metadata": {"labels": {OWNER_NAME: null, OWNER_NAMESPACE: null}}})
}

/// Someone asks by an annotation for a live object to be left alone, or not to be pruned.
pub(crate) fn ask(world: &World, salt: u64, annotation: &str) {
    if let Some((_, path)) = live(world, &mut Chance::new(salt), is_applied) {
        let asked = json!({"metadata": {"annotations": {annotation: "disabled"}}});
        world.person("PATCH", &format!("{path}?fieldManager=kubectl-annotate"), MERGE, &asked);
    }
}

/// What people have asked to be left alone is so no more.
pub(crate) fn ask_no_more(world: &World) {
    let asked = json!({"metadata": {"annotations": {RECONCILE: null}}});
    for path in paths(world, |_, object| object["metadata"]["annotations"].get(RECONCILE).is_some()) {
        world.person("PATCH", &format!("{path}?fieldManager=kubectl-annotate"), MERGE, &asked);
    }
}

/// Somebody writes to the object that a request is about right before it arrives: where that is a deletion,
/// to keep the object.
pub(crate) fn race(world: &World, request: &Request) {
    let path = request.path.split('?').next().unwrap_or_default().trim_end_matches("/status");
    let number = world.inner().chance.below(1000);
    let edit = match (request.method.as_str(), number % 2) {
        ("DELETE", 0) => disowned(),
        ("DELETE", _) => json!({"metadata": {"annotations": {PRUNE: "disabled"}}}),
        _ => json!({"metadata": {"annotations": {TOUCHED: number.to_string()}}}),
    };
    world.person("PATCH", &format!("{path}?fieldManager=somebody"), MERGE, &edit);
}

/// Someone writes to the lease, and leaves its holder as it is.
pub(crate) fn touch_lease(world: &World) {
    let touched = json!({"metadata": {"annotations": {TOUCHED: world.time().as_millis().to_string()}}});
    world.person("PATCH", &lease(), MERGE, &touched);
}

/// Someone deletes the lease.
pub(crate) fn drop_lease(world: &World) {
    world.person("DELETE", &lease(), MERGE, &Value::Null);
}

fn finalizers(object: &Value) -> Vec<&str> {
    let all = object.pointer("/metadata/finalizers").and_then(Value::as_array);
    all.into_iter().flatten().filter_map(Value::as_str).collect()
}

/// Where the objects are that are wished.
pub(super) fn paths(world: &World, is_wished: impl Fn(&Key, &Value) -> bool) -> Vec<String> {
    let keys: Vec<Key> = {
        let inner = world.inner();
        let wished = inner.server.objects().filter(|(key, object)| is_wished(key, object));
        wished.map(|(key, _)| key.clone()).collect()
    };
    keys.iter().map(|key| path_of(world, key)).collect()
}
