//! `dependsOn`: the order, cycles, who waits for whom, and the root cause of a wait.
//!
//! No answer is kept. Every question walks the edges that it needs, so that one object can change without
//! recomputing the rest.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::fmt;

use crate::api::{Metadata, Status};
use lockgate_base::model::{ConditionStatus, Ref};

/// The existing objects and their dependencies. Each implementation can find cycles and root causes.
pub trait Dependencies {
    /// Whether the object exists.
    fn contains(&self, key: &Ref) -> bool;

    /// The dependencies of an object, in the order of its spec.
    fn dependencies<'a>(&'a self, key: &Ref) -> Box<dyn Iterator<Item = &'a Ref> + 'a>;

    /// The shortest cycle that the object is a member of, beginning with the object. An object that only
    /// depends on a cycle is not a member.
    fn cycle_of(&self, key: &Ref) -> Option<Cycle> {
        let mut came_from: HashMap<&Ref, Option<&Ref>> = HashMap::new();
        let mut queue = VecDeque::new();
        let mut current = None;
        loop {
            for dependency in self.dependencies(current.unwrap_or(key)) {
                if dependency == key {
                    let steps = std::iter::successors(current, |step| came_from.get(step).copied().flatten());
                    let mut path: Vec<Ref> = steps.cloned().collect();
                    path.push(key.clone());
                    path.reverse();
                    return Some(Cycle(path));
                }
                if !came_from.contains_key(dependency) {
                    came_from.insert(dependency, current);
                    queue.push_back(dependency);
                }
            }
            current = Some(queue.pop_front()?);
        }
    }

    /// The direct dependencies that are not ready, or do not exist.
    fn blockers<'a>(&'a self, key: &Ref, ready: impl Fn(&Ref) -> bool) -> Vec<&'a Ref> {
        self.dependencies(key).filter(|dependency| !self.contains(dependency) || !ready(dependency)).collect()
    }

    /// The path from a direct dependency that is not ready to the root of the wait, which waits for no other:
    /// for `foobar` it is `kube-network`, `kube-security`. The path is empty if nothing blocks. If several
    /// dependencies block, the path follows the first that the object names. A cycle ends the path.
    fn root_cause<'a>(&'a self, key: &Ref, ready: impl Fn(&Ref) -> bool) -> Vec<&'a Ref> {
        let mut chain: Vec<&Ref> = Vec::new();
        let mut seen = HashSet::from([key.clone()]);
        let mut current = key.clone();
        while let Some(blocker) =
            self.blockers(&current, &ready).into_iter().find(|blocker| seen.insert((*blocker).clone()))
        {
            chain.push(blocker);
            current = blocker.clone();
        }
        chain
    }
}

impl Dependencies for Graph {
    fn contains(&self, key: &Ref) -> bool {
        self.nodes.get(key).is_some_and(|node| node.exists)
    }

    fn dependencies<'a>(&'a self, key: &Ref) -> Box<dyn Iterator<Item = &'a Ref> + 'a> {
        Box::new(self.nodes.get(key).into_iter().flat_map(|node| &node.dependencies))
    }
}

/// The graph of `dependsOn`. It never fails as a whole: a cycle concerns only its members, and a missing
/// dependency concerns only the objects that name it.
#[derive(Debug, Clone, Default)]
pub struct Graph {
    nodes: HashMap<Ref, Node>,
}

/// A Kustomization, or a missing one that others depend on.
#[derive(Debug, Clone, Default)]
struct Node {
    exists: bool,
    dependencies: Vec<Ref>,
    dependents: BTreeSet<Ref>,
}

/// The Kustomizations of a cycle, each once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cycle(pub Vec<Ref>);

impl fmt::Display for Cycle {
    /// `cycle: a -> b -> a`; with namespaces or kinds if these differ.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_one = |same: fn(&Ref, &Ref) -> bool| self.0.windows(2).all(|pair| same(&pair[0], &pair[1]));
        let one_namespace = is_one(|a, b| a.namespace == b.namespace);
        let one_kind = is_one(|a, b| a.kind == b.kind);
        let print = |key: &Ref| match (one_kind, one_namespace) {
            (true, true) => key.name.clone(),
            (true, false) => key.path(),
            (false, true) => format!("{}/{}", key.kind.kind, key.name),
            (false, false) => key.to_string(),
        };
        let names: Vec<String> = self.0.iter().chain(self.0.first()).map(print).collect();
        write!(f, "cycle: {}", names.join(" -> "))
    }
}

impl FromIterator<(Ref, Vec<Ref>)> for Graph {
    fn from_iter<I: IntoIterator<Item = (Ref, Vec<Ref>)>>(nodes: I) -> Self {
        Self::new(nodes)
    }
}

impl Graph {
    /// The graph of Kustomizations and their dependencies.
    pub fn new(nodes: impl IntoIterator<Item = (Ref, Vec<Ref>)>) -> Self {
        let mut graph = Self::default();
        for (key, dependencies) in nodes {
            graph.set(key, dependencies);
        }
        graph
    }

    /// Adds a Kustomization, or replaces its dependencies. A dependency that is named twice counts once.
    pub fn set(&mut self, key: Ref, mut dependencies: Vec<Ref>) {
        let mut seen = HashSet::new();
        dependencies.retain(|dependency| seen.insert(dependency.clone()));
        self.unlink(&key);
        for dependency in &dependencies {
            self.nodes.entry(dependency.clone()).or_default().dependents.insert(key.clone());
        }
        let node = self.nodes.entry(key).or_default();
        node.exists = true;
        node.dependencies = dependencies;
    }

    /// Removes a Kustomization. Its dependents keep their edges to it.
    pub fn remove(&mut self, key: &Ref) {
        self.unlink(key);
        if let Some(node) = self.nodes.get_mut(key) {
            node.exists = false;
        }
        self.forget_unnamed(key);
    }

    /// The Kustomizations that depend on this one directly. It need not exist.
    pub fn dependents(&self, key: &Ref) -> impl Iterator<Item = &Ref> {
        self.nodes.get(key).into_iter().flat_map(|node| &node.dependents)
    }

    /// All existing Kustomizations by levels. Each depends on earlier levels only, and a level is sorted by
    /// name. The last level consists of those in a cycle or behind one.
    pub fn levels(&self) -> Vec<Vec<&Ref>> {
        let mut open: HashMap<&Ref, usize> = HashMap::new();
        let mut level: Vec<&Ref> = Vec::new();
        for (key, node) in self.nodes.iter().filter(|(_, node)| node.exists) {
            match node.dependencies.iter().filter(|dependency| self.contains(dependency)).count() {
                0 => level.push(key),
                count => drop(open.insert(key, count)),
            }
        }
        let mut levels = Vec::new();
        while !level.is_empty() {
            level.sort();
            let mut next = Vec::new();
            for dependent in level.iter().flat_map(|key| self.dependents(key)) {
                let Some(count) = open.get_mut(dependent) else { continue };
                *count -= 1;
                if *count == 0 {
                    open.remove(dependent);
                    next.push(dependent);
                }
            }
            levels.push(std::mem::replace(&mut level, next));
        }
        let mut rest: Vec<&Ref> = open.into_keys().collect();
        rest.sort();
        levels.extend((!rest.is_empty()).then_some(rest));
        levels
    }

    /// Removes the edges that lead from a node.
    fn unlink(&mut self, key: &Ref) {
        let Some(node) = self.nodes.get_mut(key) else { return };
        for dependency in std::mem::take(&mut node.dependencies) {
            if let Some(node) = self.nodes.get_mut(&dependency) {
                node.dependents.remove(key);
            }
            if dependency != *key {
                self.forget_unnamed(&dependency);
            }
        }
    }

    /// Removes a node that does not exist and that nothing depends on any more.
    fn forget_unnamed(&mut self, key: &Ref) {
        if self.nodes.get(key).is_some_and(|node| !node.exists && node.dependents.is_empty()) {
            self.nodes.remove(key);
        }
    }
}

/// The fields by which the readiness of a dependency is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DependencyView<'a> {
    /// `metadata.generation`.
    pub generation: i64,
    /// `status.observedGeneration`.
    pub observed_generation: Option<i64>,
    /// The status of the Ready condition.
    pub ready: Option<ConditionStatus>,
    /// `status.lastAppliedRevision`.
    pub last_applied_revision: Option<&'a str>,
}

impl<'a> DependencyView<'a> {
    /// The view of an object.
    pub fn of(metadata: &Metadata, status: &'a impl Status) -> Self {
        Self {
            generation: metadata.generation,
            observed_generation: status.observed_generation(),
            ready: status.conditions().get("Ready").map(|condition| condition.status),
            last_applied_revision: status.last_applied_revision(),
        }
    }
}

/// Why a dependency blocks its dependent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotReadyReason {
    /// It does not exist.
    NotFound,
    /// Its Ready condition is not True for its current generation.
    NotReady,
    /// It is ready, but at another revision of the same source.
    Outdated,
}

/// Flux's rule: the dependency exists and is Ready for its current generation. If both come from the same
/// source, it has also applied the revision that the dependent is about to apply.
pub fn ready(
    dependency: Option<&DependencyView<'_>>,
    wanted_revision: &str,
    same_source: bool,
) -> Result<(), NotReadyReason> {
    let dependency = dependency.ok_or(NotReadyReason::NotFound)?;
    let observed = dependency.observed_generation == Some(dependency.generation);
    if !observed || dependency.ready != Some(ConditionStatus::True) {
        return Err(NotReadyReason::NotReady);
    }
    if same_source && dependency.last_applied_revision != Some(wanted_revision) {
        return Err(NotReadyReason::Outdated);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
