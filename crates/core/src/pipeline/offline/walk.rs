//! Builds a platform whole: a folder or a Kustomization, the Kustomizations that it holds, those that they
//! hold, and so on, each after those it depends on.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::error::{BuiltKustomization, LocatedObject, OfflineError, oddities_of, subject};
use super::one::{Completed, kustomization};
use super::sources::{KnownSources, folder_of, source_of};
use super::values::SubstituteValues;
use crate::api::{DependsOn, Kustomization};
use crate::graph::{Dependencies as _, Graph};
use crate::pipeline::build::rendered;
use crate::pipeline::ports::Lookup;
use lockgate_base::model::{Object, Ref};
use lockgate_base::tree::{Resolved, Tree};
use lockgate_render::kustomize::Overlay;
use lockgate_render::{Budget, Inputs};

/// How deep Kustomizations may be nested in each other. One that makes its own successor would never end.
const DEPTH_LIMIT: usize = 32;

/// Where to begin.
#[derive(Debug, Clone)]
pub enum Start {
    /// At a folder, which is built as Flux builds one, with no object's fields.
    Folder(String),
    /// At a Kustomization.
    Kustomization(Box<LocatedObject>),
}

/// What was built of a platform.
#[derive(Debug)]
pub struct Platform {
    /// What renders, in the order in which the agent would begin with it.
    pub rendered: Vec<BuiltKustomization>,
    /// What does not, all of it.
    pub errors: Vec<OfflineError>,
}

impl Platform {
    /// What was built, where nothing is wrong.
    pub fn whole(self) -> Result<Vec<BuiltKustomization>, Vec<OfflineError>> {
        if self.errors.is_empty() { Ok(self.rendered) } else { Err(self.errors) }
    }
}

/// Builds everything that follows from a start, in the order in which the agent would begin with it, and in
/// the same order every time. All that is wrong is found at once. Values are looked up as for
/// [`kustomization`].
pub async fn recursive(
    tree: &Tree,
    start: Start,
    values: &SubstituteValues,
    elsewhere: &impl Lookup,
) -> Platform {
    let mut walk = Walk {
        tree,
        elsewhere,
        values: values.clone(),
        pending: Vec::new(),
        seen: BTreeMap::new(),
        done: BTreeSet::new(),
        sources: KnownSources::default(),
        rendered: Vec::new(),
        errors: Vec::new(),
    };
    match start {
        Start::Folder(path) => walk.folder(&path),
        Start::Kustomization(found) => {
            let found = Completed::of(*found).found;
            walk.sources.own = source_of(&found.object);
            walk.discover(found, 0);
        }
    }
    while let Some(next) = walk.next() {
        walk.build(&next).await;
    }
    Platform { rendered: walk.rendered, errors: walk.errors }
}

struct Pending {
    key: Ref,
    found: LocatedObject,
    depends_on: Vec<Ref>,
    /// Why others that it names can never be ready.
    problems: Vec<String>,
    depth: usize,
}

struct Walk<'t, L> {
    tree: &'t Tree,
    elsewhere: &'t L,
    values: SubstituteValues,
    /// Found and not built yet, in the order in which they were found.
    pending: Vec<Pending>,
    /// All that were found, and in which files.
    seen: BTreeMap<Ref, String>,
    done: BTreeSet<Ref>,
    /// The sources that were built.
    sources: KnownSources,
    rendered: Vec<BuiltKustomization>,
    errors: Vec<OfflineError>,
}

impl<L: Lookup> Walk<'_, L> {
    fn folder(&mut self, path: &str) {
        let subject = if path.is_empty() { "." } else { path }.to_owned();
        match rendered(self.tree, path, Overlay::default(), &Inputs::default(), &Budget::default()) {
            Ok(set) => {
                let warnings = set.warnings.iter().map(|warning| format!("{subject}: {warning}"));
                let warnings = warnings.chain(oddities_of(set.resources())).collect();
                let rendered = BuiltKustomization {
                    subject,
                    kustomization: None,
                    resources: set.into_resources(),
                    digest: None,
                    warnings,
                };
                self.sources.own = root_source(self.tree, path, &rendered);
                self.took(rendered, 0);
            }
            Err(error) => self.errors.push(OfflineError::Render { subject, error }),
        }
    }

    /// The first that waits for nothing which is still to be built. One whose dependency is nowhere comes
    /// after those that may yet bring it.
    fn next(&mut self) -> Option<Pending> {
        // Sources are there when they are fetched: nothing is built for them.
        let is_done = |key: &Ref| key.kind != Kustomization::ID || self.done.contains(key);
        let free = self.pending.iter().position(|next| next.depends_on.iter().all(is_done));
        let is_pending = |key: &Ref| self.pending.iter().any(|next| next.key == *key);
        let free =
            free.or_else(|| self.pending.iter().position(|next| !next.depends_on.iter().any(is_pending)));
        if free.is_none() && !self.pending.is_empty() {
            self.tell_cycle();
        }
        let index = free.unwrap_or(0);
        (index < self.pending.len()).then(|| self.pending.remove(index))
    }

    /// Every one that is pending waits for another that is: one of them is in a cycle.
    fn tell_cycle(&mut self) {
        let graph: Graph =
            self.pending.iter().map(|next| (next.key.clone(), next.depends_on.clone())).collect();
        let member = self.pending.iter().position(|next| graph.cycle_of(&next.key).is_some());
        let Some((index, cycle)) =
            member.and_then(|index| Some((index, graph.cycle_of(&self.pending[index].key)?)))
        else {
            return;
        };
        let subject = subject(&self.pending[index].found);
        self.errors.push(OfflineError::Cycle { subject, cycle });
        // It goes first, so that its cycle is told once and the rest is looked at too.
        let member = self.pending.remove(index);
        self.pending.insert(0, member);
    }

    async fn build(&mut self, next: &Pending) {
        self.done.insert(next.key.clone());
        let subject = subject(&next.found);
        if next.depth >= DEPTH_LIMIT {
            self.errors.push(OfflineError::TooDeep { subject, limit: DEPTH_LIMIT });
            return;
        }
        if let Some(reason) = self.sources.is_foreign(&next.found.object, self.tree) {
            let warnings = vec![format!("{subject}: {reason}, so it is not built")];
            self.rendered.push(BuiltKustomization {
                subject,
                kustomization: None,
                resources: Vec::new(),
                digest: None,
                warnings,
            });
            return;
        }
        match kustomization(self.tree, &next.found, &self.values, self.elsewhere).await {
            Ok(mut rendered) => {
                let is_unknown = |key: &&Ref| !self.seen.contains_key(key) && !self.sources.knows(key);
                let name =
                    |key: &Ref| if key.kind == Kustomization::ID { key.path() } else { key.to_string() };
                let unknown = next.depends_on.iter().filter(is_unknown);
                let warnings =
                    unknown.map(|key| format!("{subject}: depends on {}, which is nowhere here", name(key)));
                rendered.warnings.extend(warnings.collect::<Vec<_>>());
                rendered.warnings.extend(next.problems.iter().map(|problem| format!("{subject}: {problem}")));
                self.took(rendered, next.depth + 1);
            }
            Err(error) => self.errors.push(error),
        }
    }

    /// Looks through what was built for what goes on from it.
    fn took(&mut self, mut rendered: BuiltKustomization, depth: usize) {
        for resource in &rendered.resources {
            let object = &resource.object;
            if self.sources.meet(object) {
                continue;
            }
            if object.api_version() == "v1" && ["ConfigMap", "Secret"].contains(&object.kind()) {
                self.values.built.push(object.clone());
            }
        }
        for resource in &rendered.resources {
            let object = &resource.object;
            if Kustomization::INFO.is_of(object) {
                let found = LocatedObject { file: resource.origin.clone(), object: object.clone() };
                rendered.warnings.extend(self.discover(found, depth));
            }
        }
        self.rendered.push(rendered);
    }

    /// Takes a Kustomization up once. What is to be said of another of its name is returned.
    fn discover(&mut self, found: LocatedObject, depth: usize) -> Option<String> {
        let key = key_of(&Completed::of(found.clone()).found.object);
        if let Some(file) = self.seen.get(&key) {
            let is_other = *file != found.file && !file.is_empty() && !found.file.is_empty();
            return is_other
                .then(|| format!("{}: is in {file} too, and is built from there", subject(&found)));
        }
        self.seen.insert(key.clone(), found.file.clone());
        let (depends_on, problems) = depends_on(&found.object, &key);
        self.pending.push(Pending { key, found, depends_on, problems, depth });
        None
    }
}

/// The source of the Kustomization that applies the folder itself or one above it, as `flux bootstrap` leaves
/// one behind.
fn root_source(tree: &Tree, folder: &str, rendered: &BuiltKustomization) -> Option<Ref> {
    let is_root = |object: &&Object| {
        let path = folder_of(object);
        let is_above = path == folder || path.is_empty() || folder.starts_with(&format!("{path}/"));
        Kustomization::INFO.is_of(object)
            && is_above
            && tree.reader().node(&path) == Ok(Some(Resolved::Directory))
    };
    rendered.resources.iter().map(|resource| &resource.object).find(is_root).and_then(source_of)
}

fn key_of(object: &Object) -> Ref {
    let id = object.id();
    Kustomization::named(id.namespace, id.name)
}

/// What a Kustomization depends on, and what can never be ready of it.
fn depends_on(object: &Object, own: &Ref) -> (Vec<Ref>, Vec<String>) {
    let entries = object.pointer("/spec/dependsOn").and_then(Value::as_array);
    let (mut targets, mut problems) = (Vec::new(), Vec::new());
    for entry in entries.into_iter().flatten() {
        // What is of another form is told where it is read as a Kustomization.
        let Ok(named) = serde_json::from_value::<DependsOn>(entry.clone()) else { continue };
        match named.target(own) {
            Ok(target) => targets.push(target),
            Err(problem) => problems.push(problem),
        }
    }
    (targets, problems)
}
