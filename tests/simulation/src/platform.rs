//! The platform that people keep in Git: Kustomizations and their objects, and the files that they are
//! written to.

mod pushed;
mod thing;

use std::collections::{BTreeMap, BTreeSet};

use lockgate_base::model::Revision;
use serde_json::{Value, json};

use crate::server::Key;

pub(crate) use pushed::{ARCHIVE, CHART, artifact, chart_version, index, index_revision};
pub(crate) use thing::{Form, Thing, definition_name};

/// Where everything of the agent is.
pub(crate) const HOME: &str = "flux-system";
/// Where the objects are that are in no namespace of the platform's own.
pub(crate) const APPS: &str = "apps";
/// The objects outside of Git whose values builds take: kind and name. The last one does not ask to be
/// watched.
pub(crate) const INPUTS: [(&str, &str); 3] =
    [("Secret", "input-a"), ("ConfigMap", "input-b"), ("Secret", "input-c")];
/// The variable that they hold.
pub(crate) const VARIABLE: &str = "variable";

/// A Kustomization as Git has it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Unit {
    pub(crate) depends_on: BTreeSet<String>,
    pub(crate) things: BTreeMap<String, Thing>,
    pub(crate) prune: bool,
    pub(crate) wait: bool,
    pub(crate) force: bool,
    /// Which of [`INPUTS`] its variables come from.
    pub(crate) input: Option<usize>,
}

/// What one commit has.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Platform {
    pub(crate) units: BTreeMap<String, Unit>,
    /// Which artifact is tagged in the registry, where a pipeline has pushed it.
    pub(crate) artifact: u64,
    /// The number of the newest version of the chart that the Helm repository has.
    pub(crate) charts: u64,
}

impl Platform {
    /// Whether one Kustomization depends on another, over others as well.
    pub(crate) fn depends(&self, unit: &str, on: &str) -> bool {
        let Some(unit) = self.units.get(unit) else { return false };
        unit.depends_on.iter().any(|next| next == on || self.depends(next, on))
    }

    /// All things, each with the Kustomization that holds it.
    pub(crate) fn things(&self) -> impl Iterator<Item = (&String, &String, &Thing)> {
        self.units
            .iter()
            .flat_map(|(unit, of)| of.things.iter().map(move |(name, thing)| (unit, name, thing)))
    }

    /// The Kustomizations that hold a thing.
    pub(crate) fn holders(&self, key: &Key) -> Vec<&String> {
        let holds = |(_, unit): &(&String, &Unit)| {
            unit.things.get(&key.name).is_some_and(|thing| thing.key(&key.name) == *key)
        };
        self.units.iter().filter(holds).map(|(name, _)| name).collect()
    }

    /// Whether nothing in Git keeps a Kustomization from becoming ready. `stuck` are those that are refused
    /// for what is on the cluster.
    pub(crate) fn can_be_ready(&self, name: &str, stuck: &BTreeSet<String>) -> bool {
        let Some(unit) = self.units.get(name) else { return false };
        let is_broken = stuck.contains(name) || unit.wait && unit.things.values().any(|thing| thing.broken);
        // What stands in a namespace, or is of a kind, that another brings can be applied once that has.
        let is_there = |within: &String| {
            self.things().filter(|(_, thing, _)| *thing == within).any(|(holder, ..)| {
                holder == name
                    || !self.depends(holder, name) && self.comes_up(holder, stuck, &mut BTreeSet::new())
            })
        };
        !is_broken
            && unit.things.values().filter_map(|thing| thing.within.as_ref()).all(is_there)
            && unit.depends_on.iter().all(|dependency| self.can_be_ready(dependency, stuck))
    }

    /// Whether all that a Kustomization depends on, and itself, needs nothing of others.
    fn comes_up(&self, name: &str, stuck: &BTreeSet<String>, seen: &mut BTreeSet<String>) -> bool {
        if stuck.contains(name) {
            return false;
        }
        if !seen.insert(name.to_owned()) {
            return true;
        }
        let Some(unit) = self.units.get(name) else { return false };
        let needs = |thing: &Thing| {
            thing.within.as_ref().is_none_or(|within| unit.things.contains_key(within)) && !thing.broken
        };
        unit.things.values().all(needs)
            && unit.depends_on.iter().all(|dependency| self.comes_up(dependency, stuck, seen))
    }
}

impl Unit {
    /// The Kustomization as it is in a file.
    pub(crate) fn manifest(&self, name: &str) -> Value {
        let mut object = kustomization(name, &format!("./apps/{name}"));
        for (field, value) in [("prune", self.prune), ("wait", self.wait), ("force", self.force)] {
            object["spec"][field] = value.into();
        }
        if !self.depends_on.is_empty() {
            object["spec"]["dependsOn"] = self.depends_on.iter().map(|name| json!({"name": name})).collect();
        }
        if let Some((kind, input)) = self.input.and_then(|input| INPUTS.get(input)) {
            object["spec"]["postBuild"] = json!({"substituteFrom": [{"kind": kind, "name": input}]});
        }
        object
    }
}

/// A Kustomization of the platform's one source.
fn kustomization(name: &str, path: &str) -> Value {
    json!({"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
        "metadata": {"name": name, "namespace": HOME},
        "spec": {"interval": "10m0s", "retryInterval": "1m0s", "timeout": "2m0s", "path": path, "prune": true,
            "wait": false, "sourceRef": {"kind": "GitRepository", "name": HOME}}})
}

/// The Kustomization that brings all others.
pub(crate) fn root() -> Value {
    kustomization(HOME, "./clusters")
}

/// The key of a Kustomization.
pub(crate) fn unit_key(name: &str) -> Key {
    Key::new("kustomize.toolkit.fluxcd.io", "kustomizations", HOME, name)
}

/// An object outside of Git whose values builds take.
pub(crate) fn input(which: usize, value: u64) -> Option<Value> {
    let (kind, name) = INPUTS.get(which)?;
    let mut object = json!({"apiVersion": "v1", "kind": kind,
        "metadata": {"name": name, "namespace": HOME, "labels": {"reconcile.fluxcd.io/watch": "Enabled"}}});
    if which + 1 == INPUTS.len() {
        object["metadata"]["labels"] = json!({"unwatched": "true"});
    }
    let value = variable(value);
    let value = if *kind == "Secret" { thing::encoded(&value) } else { value };
    object["data"] = json!({VARIABLE: value});
    Some(object)
}

/// A value of the variable.
pub(crate) fn variable(value: u64) -> String {
    format!("value-{value}")
}

/// How statuses name a commit.
pub(crate) fn revision(commit: usize) -> Revision {
    Revision::git(Some("main"), &format!("{commit:040x}"))
}
