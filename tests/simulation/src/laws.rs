//! What must always hold, whatever people do and whatever goes wrong. Each law is held against requests when they are sent, or
//! against changes when they are made; [`Laws::broken`] says which was broken, when and by what.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::platform::{APPS, Form, HOME, Platform, revision};
use crate::server::{Change, Key, Request, Server};

/// How long a lease lasts.
const LEASE: Duration = Duration::from_secs(15);
/// The label that names an object's owner.
const OWNER: &str = "kustomize.toolkit.fluxcd.io/name";
/// More requests than any platform of this size needs.
const MOST_REQUESTS: u64 = 200_000;

/// What a request made.
pub(crate) struct Made<'m> {
    pub(crate) who: &'m str,
    pub(crate) request: &'m Request,
    pub(crate) changes: &'m [Arc<Change>],
    pub(crate) time: Duration,
}

/// The laws, and what they have to remember.
#[derive(Debug, Default)]
pub(crate) struct Laws {
    /// What was broken, in order.
    pub(crate) broken: Vec<String>,
    /// Who wrote the lease last, and when.
    lease: Option<(String, Duration)>,
    /// The revisions that each Kustomization has said to be applied.
    applied: BTreeMap<String, BTreeSet<String>>,
    /// The commits that the branch was at, in order.
    heads: Vec<usize>,
    /// Kustomizations that did not prune once.
    unpruned: BTreeSet<String>,
    sent: u64,
}

impl Laws {
    pub(crate) fn new(platform: &Platform) -> Self {
        let mut laws = Self::default();
        laws.moved(0, platform);
        laws
    }

    fn break_(&mut self, time: Duration, law: &str, what: &str) {
        self.broken.push(format!("{:>6}.{:03} {law}: {what}", time.as_secs(), time.subsec_millis()));
    }

    /// The branch is at another commit.
    pub(crate) fn moved(&mut self, head: usize, platform: &Platform) {
        self.heads.push(head);
        let unpruned = platform.units.iter().filter(|(_, unit)| !unit.prune).map(|(name, _)| name.clone());
        self.unpruned.extend(unpruned);
    }

    /// Something went wrong that no agent should let happen, such as a panic.
    pub(crate) fn failed(&mut self, what: &str, time: Duration) {
        self.break_(time, "no agent fails", what);
    }

    /// A request leaves an agent.
    pub(crate) fn sent(&mut self, agent: &str, request: &Request, time: Duration) {
        self.sent += 1;
        if self.sent == MOST_REQUESTS {
            self.break_(time, "no busy loop", "more requests than any platform of this size needs");
        }
        if !request.is_write() || request.path.contains("/leases") {
            return;
        }
        let is_held = self
            .lease
            .as_ref()
            .is_some_and(|(holder, at)| holder == agent && time.saturating_sub(*at) <= LEASE);
        if !is_held {
            let what =
                format!("{agent} sends {} {}; the lease is {:?}", request.method, request.path, self.lease);
            self.break_(time, "no write without the lease", &what);
        }
    }

    /// The server has acted upon a request.
    pub(crate) fn answered(&mut self, made: &Made<'_>, commits: &[Platform], server: &Server) {
        for change in made.changes {
            match change.key.plural.as_str() {
                "leases" => self.lease = lease_of(change).map(|holder| (holder, made.time)),
                "kustomizations" => self.status_told(change, commits, made.time),
                _ => {}
            }
            if made.who != "person" && made.request.method == "DELETE" && change.key.namespace == APPS {
                self.deleted(made.who, change, commits, server, made.time);
            }
        }
    }

    /// Law: a dependent is never applied at a revision before its dependency is.
    fn status_told(&mut self, change: &Change, commits: &[Platform], time: Duration) {
        let applied = |object: &Option<Value>| {
            let object = object.as_ref()?;
            Some(object.pointer("/status/lastAppliedRevision")?.as_str()?.to_owned())
        };
        let Some(now) = applied(&change.after) else { return };
        if applied(&change.before).as_ref() == Some(&now) {
            return;
        }
        let name = &change.key.name;
        self.applied.entry(name.clone()).or_default().insert(now.clone());
        // What it depended on when it was applied is not what its object says now, where that has been changed since.
        let generation = |pointer| change.after.as_ref().and_then(|after| after.pointer(pointer));
        if generation("/status/observedGeneration") != generation("/metadata/generation") {
            return;
        }
        let commit = (0..commits.len()).find(|commit| revision(*commit).to_string() == now);
        let Some(unit) = commit.and_then(|commit| commits[commit].units.get(name)) else { return };
        // What it depended on when it was applied is what its object said, which may be that of an earlier commit.
        let depends_on =
            change.after.as_ref().and_then(|after| after.pointer("/spec/dependsOn")?.as_array().cloned());
        for dependency in depends_on.into_iter().flatten() {
            let dependency = dependency["name"].as_str().unwrap_or_default();
            let is_applied = self.applied.get(dependency).is_some_and(|all| all.contains(&now));
            if unit.depends_on.contains(dependency) && !is_applied {
                let what =
                    format!("{name} is applied at {now}, and {dependency}, which it depends on, never was");
                self.break_(time, "dependencies first", &what);
            }
        }
    }

    /// Law: no object is deleted that its owner holds in its build.
    fn deleted(&mut self, who: &str, change: &Change, commits: &[Platform], server: &Server, time: Duration) {
        let Some(before) = &change.before else { return };
        let (Some(owner), Some(_)) =
            (before["metadata"]["labels"][OWNER].as_str(), Form::of_plural(&change.key.plural))
        else {
            return;
        };
        let key = Key::new("kustomize.toolkit.fluxcd.io", "kustomizations", HOME, owner);
        // An owner that is being deleted takes its objects with it.
        let Some(object) =
            server.get(&key).filter(|object| object["metadata"].get("deletionTimestamp").is_none())
        else {
            return;
        };
        let applied =
            object.pointer("/status/lastAppliedRevision").and_then(Value::as_str).unwrap_or_default();
        let since = self.heads.iter().rposition(|head| revision(*head).to_string() == applied).unwrap_or(0);
        let holds = |head: &usize| {
            commits[*head].units.get(owner).is_some_and(|unit| unit.things.contains_key(&change.key.name))
        };
        if self.heads[since..].iter().all(holds) {
            let what =
                format!("{who} deletes {} {}, which {owner} holds", change.key.plural, change.key.name);
            self.break_(time, "what is held stays", &what);
        }
    }

    /// What is not as it must be once all is quiet. `settled` is the platform at the head.
    pub(crate) fn left_to_do(&self, server: &Server, platform: &Platform, head: usize) -> Vec<String> {
        let mut problems = Vec::new();
        let wanted = revision(head).to_string();
        for (name, unit) in &platform.units {
            if !can_be_ready(platform, name) {
                continue;
            }
            let key = Key::new("kustomize.toolkit.fluxcd.io", "kustomizations", HOME, name);
            let Some(object) = server.get(&key) else {
                problems.push(format!("Kustomization {name} is not there"));
                continue;
            };
            problems.extend(not_ready(name, object, &wanted));
            let expected: BTreeSet<String> =
                unit.things.iter().map(|(name, thing)| thing.kind.inventory_id(name)).collect();
            let entries = object.pointer("/status/inventory/entries").and_then(Value::as_array);
            let told: BTreeSet<String> = entries
                .into_iter()
                .flatten()
                .filter_map(|entry| Some(entry["id"].as_str()?.to_owned()))
                .collect();
            if told != expected {
                problems.push(format!("the inventory of {name} is {told:?}, and should be {expected:?}"));
            }
            for (thing_name, thing) in &unit.things {
                match server.get(&thing.kind.key(thing_name)) {
                    None => problems.push(format!("{thing_name} of {name} is not there")),
                    Some(live) => problems.extend(differs(name, &thing.manifest(thing_name), live)),
                }
            }
        }
        for (key, object) in server.objects().filter(|(key, _)| key.namespace == APPS) {
            let Some(owner) = object["metadata"]["labels"][OWNER].as_str() else { continue };
            let is_held = platform.units.get(owner).is_some_and(|unit| unit.things.contains_key(&key.name));
            if !is_held && !self.unpruned.contains(owner) {
                problems.push(format!("{} {} of {owner} is an orphan", key.plural, key.name));
            }
        }
        problems
    }
}

fn lease_of(change: &Change) -> Option<String> {
    let holder = change.after.as_ref()?.pointer("/spec/holderIdentity")?.as_str()?;
    // A holder is named by its pod and a number of its own.
    Some(holder.split('_').next().unwrap_or(holder).to_owned())
}

/// Whether nothing in Git keeps a Kustomization from becoming ready.
pub(crate) fn can_be_ready(platform: &Platform, name: &str) -> bool {
    let Some(unit) = platform.units.get(name) else { return false };
    let is_broken = unit.wait && unit.things.values().any(|thing| thing.broken);
    !is_broken && unit.depends_on.iter().all(|dependency| can_be_ready(platform, dependency))
}

/// Law: a status says what is true.
fn not_ready(name: &str, object: &Value, wanted: &str) -> Vec<String> {
    let conditions = object.pointer("/status/conditions").and_then(Value::as_array);
    let ready = conditions.into_iter().flatten().find(|condition| condition["type"] == "Ready");
    let mut problems = Vec::new();
    if ready.is_none_or(|ready| ready["status"] != "True") {
        let message = ready.map(|ready| ready["message"].to_string()).unwrap_or_default();
        problems.push(format!("Kustomization {name} is not Ready: {message}"));
    }
    let applied = object.pointer("/status/lastAppliedRevision").and_then(Value::as_str).unwrap_or("nothing");
    if applied != wanted {
        problems.push(format!("Kustomization {name} is at {applied}, and should be at {wanted}"));
    }
    if object.pointer("/status/observedGeneration") != object.pointer("/metadata/generation") {
        problems.push(format!("Kustomization {name} was not seen in its last generation"));
    }
    problems
}

/// Where a live object is not as Git has it.
fn differs(owner: &str, wanted: &Value, live: &Value) -> Vec<String> {
    let name = wanted["metadata"]["name"].as_str().unwrap_or_default();
    let mut problems = Vec::new();
    if live["metadata"]["labels"][OWNER] != owner {
        problems
            .push(format!("{name} belongs to {}, and should to {owner}", live["metadata"]["labels"][OWNER]));
    }
    for pointer in ["/metadata/annotations/value", "/data", "/spec"] {
        let (wanted, live) = (wanted.pointer(pointer), live.pointer(pointer));
        let same = wanted.map(crate::server::sorted) == live.map(crate::server::sorted);
        if !same {
            problems.push(format!("{name} differs at {pointer}: {live:?}, and should be {wanted:?}"));
        }
    }
    problems
}
