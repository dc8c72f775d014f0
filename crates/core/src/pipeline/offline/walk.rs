//! Builds a whole platform: a folder or a Kustomization, the Kustomizations and HelmReleases in its build,
//! those in their builds, and so on. Each is built after its dependencies.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::charts::{Charts, ReleaseSetting};
use super::error::{BuiltOwner, BuiltSet, LocatedObject, OfflineError, oddities_of, subject};
use super::one::{Completed, kustomization};
use super::release::released;
use super::sources::{KnownSources, folder_of, source_of};
use super::values::SubstituteValues;
use crate::api::{DependsOn, HelmRelease, KindInfo, Kustomization};
use crate::graph::{Dependencies as _, Graph};
use crate::pipeline::build::rendered;
use crate::pipeline::ports::Lookup;
use lockgate_base::model::{KindId, Object, Ref};
use lockgate_base::tree::{Resolved, Tree};
use lockgate_render::kustomize::Overlay;
use lockgate_render::{Budget, Inputs};

/// The deepest nesting of objects. One that creates its own successor would never end.
const DEPTH_LIMIT: usize = 32;

/// The start of a walk.
#[derive(Debug, Clone)]
pub enum Start {
    /// A folder, which is built like in Flux, without the fields of an object.
    Folder(String),
    /// A Kustomization or HelmRelease.
    Object(Box<LocatedObject>),
}

/// The build of a platform.
#[derive(Debug)]
pub struct Platform {
    /// The successful builds, in the order in which the agent would begin with them.
    pub rendered: Vec<BuiltSet>,
    /// All failures.
    pub errors: Vec<OfflineError>,
}

impl Platform {
    /// The builds, if there are no failures.
    pub fn whole(self) -> Result<Vec<BuiltSet>, Vec<OfflineError>> {
        if self.errors.is_empty() { Ok(self.rendered) } else { Err(self.errors) }
    }
}

/// Builds everything that follows from a start, in the order in which the agent would begin with it, and in
/// the same order every time. All mistakes are found at once. Values are looked up as in [`kustomization`].
/// HelmReleases are left out where nobody says how they are rendered; those whose charts are not at hand are
/// named in a warning.
pub async fn recursive<C: Charts>(
    tree: &Tree,
    start: Start,
    values: &SubstituteValues,
    elsewhere: &impl Lookup,
    releases: Option<&ReleaseSetting<'_, C>>,
) -> Platform {
    let mut walk = Walk {
        tree,
        elsewhere,
        releases,
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
        Start::Object(found) => {
            let found = Completed::of(*found).found;
            if Kustomization::INFO.is_of(&found.object) {
                walk.sources.own = source_of(&found.object);
            }
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
    /// The reasons why named dependencies can never be ready.
    problems: Vec<String>,
    depth: usize,
}

struct Walk<'t, L, C> {
    tree: &'t Tree,
    elsewhere: &'t L,
    releases: Option<&'t ReleaseSetting<'t, C>>,
    values: SubstituteValues,
    /// Kustomizations and HelmReleases that are found and not built yet, in order.
    pending: Vec<Pending>,
    /// All Kustomizations found, with their files.
    seen: BTreeMap<Ref, String>,
    done: BTreeSet<Ref>,
    /// The sources that were built.
    sources: KnownSources,
    rendered: Vec<BuiltSet>,
    errors: Vec<OfflineError>,
}

impl<L: Lookup, C: Charts> Walk<'_, L, C> {
    fn folder(&mut self, path: &str) {
        let subject = if path.is_empty() { "." } else { path }.to_owned();
        match rendered(self.tree, path, Overlay::default(), &Inputs::default(), &Budget::default()) {
            Ok(set) => {
                let warnings = set.warnings.iter().map(|warning| format!("{subject}: {warning}"));
                let warnings = warnings.chain(oddities_of(set.resources())).collect();
                let resources = set.into_resources();
                let rendered = BuiltSet { subject, resources, warnings, ..BuiltSet::default() };
                self.sources.own = root_source(self.tree, path, &rendered);
                self.took(rendered, 0);
            }
            Err(error) => self.errors.push(OfflineError::Render { subject, error }),
        }
    }

    /// Whether objects of a kind are built.
    fn builds(&self, kind: KindId) -> bool {
        kind == Kustomization::ID || kind == HelmRelease::ID && self.releases.is_some()
    }

    /// The first one that waits for no pending one. One with a missing dependency comes after those that may
    /// still provide it, and a HelmRelease after the Kustomizations that may bring its values and its source.
    fn next(&mut self) -> Option<Pending> {
        // Sources need no build.
        let is_done = |key: &Ref| !self.builds(key.kind) || self.done.contains(key);
        let is_free = |next: &&Pending| next.depends_on.iter().all(is_done);
        let first = |kind: KindId| self.pending.iter().find(|next| next.key.kind == kind && is_free(next));
        let is_pending = |key: &Ref| self.pending.iter().any(|next| next.key == *key);
        let is_over = |next: &&Pending| !next.depends_on.iter().any(is_pending);
        let free = first(Kustomization::ID).or_else(|| first(HelmRelease::ID));
        let free = free.or_else(|| self.pending.iter().find(is_over)).map(|next| next.key.clone());
        let free = free.and_then(|key| self.pending.iter().position(|next| next.key == key));
        if free.is_none() && !self.pending.is_empty() {
            self.tell_cycle();
        }
        let index = free.unwrap_or(0);
        (index < self.pending.len()).then(|| self.pending.remove(index))
    }

    /// Reports the cycle: every pending one waits for another pending one, so one of them is in a cycle.
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
        // A member is built first, so that its cycle is reported once and the rest is built too.
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
        let found = &next.found;
        let is_release = next.key.kind == HelmRelease::ID;
        if !is_release && let Some(reason) = self.sources.is_foreign(&found.object, self.tree) {
            return self.left_out(next, &reason);
        }
        let built = match self.releases.filter(|_| is_release) {
            Some(setting) => {
                let known = (&self.values, &self.sources);
                released(self.tree, found, known, self.elsewhere, setting).await
            }
            None => kustomization(self.tree, found, &self.values, self.elsewhere).await,
        };
        match built {
            Ok(mut rendered) => {
                let is_unknown = |key: &&Ref| {
                    let is_built = self.builds(key.kind) || key.kind != HelmRelease::ID;
                    is_built && !self.seen.contains_key(key) && !self.sources.knows(key)
                };
                let name =
                    |key: &Ref| if key.kind == Kustomization::ID { key.path() } else { key.to_string() };
                let unknown = next.depends_on.iter().filter(is_unknown);
                let warnings = unknown
                    .map(|key| format!("{subject}: depends on {}, which does not exist here", name(key)));
                rendered.warnings.extend(warnings.collect::<Vec<_>>());
                rendered.warnings.extend(next.problems.iter().map(|problem| format!("{subject}: {problem}")));
                self.took(rendered, next.depth + 1);
            }
            Err(OfflineError::NoChart { message, .. }) => self.left_out(next, &message),
            Err(error) => self.errors.push(error),
        }
    }

    /// Says why something is not built, which stops nothing.
    fn left_out(&mut self, left: &Pending, reason: &str) {
        let (subject, owner) = (subject(&left.found), BuiltOwner::LeftOut(left.key.clone()));
        let warnings = vec![format!("{subject}: {reason}, so it is not built")];
        self.rendered.push(BuiltSet { subject, owner, warnings, ..BuiltSet::default() });
    }

    /// Searches a build for further Kustomizations, HelmReleases and sources.
    fn took(&mut self, mut rendered: BuiltSet, depth: usize) {
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
            let is_built = |info: &KindInfo| self.builds(info.id) && info.is_of(object);
            if is_built(Kustomization::INFO) || is_built(HelmRelease::INFO) {
                let found = LocatedObject { file: resource.origin.clone(), object: object.clone() };
                rendered.warnings.extend(self.discover(found, depth));
            }
        }
        self.rendered.push(rendered);
    }

    /// Adds an object once. Returns the message about another one with its name.
    fn discover(&mut self, found: LocatedObject, depth: usize) -> Option<String> {
        let key = key_of(&Completed::of(found.clone()).found.object);
        if let Some(file) = self.seen.get(&key) {
            let is_other = *file != found.file && !file.is_empty() && !found.file.is_empty();
            return is_other.then(|| {
                format!("{}: is also defined in {file}, and is built from that file", subject(&found))
            });
        }
        self.seen.insert(key.clone(), found.file.clone());
        let (depends_on, problems) = depends_on(&found.object, &key);
        self.pending.push(Pending { key, found, depends_on, problems, depth });
        None
    }
}

/// The source of the Kustomization that applies the folder itself or one above it, as `flux bootstrap` writes
/// it.
fn root_source(tree: &Tree, folder: &str, rendered: &BuiltSet) -> Option<Ref> {
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
    let kind = if HelmRelease::INFO.is_of(object) { HelmRelease::ID } else { Kustomization::ID };
    Ref::new(kind, id.namespace, id.name)
}

/// The dependencies of an object, and the messages about those that can never be ready.
fn depends_on(object: &Object, own: &Ref) -> (Vec<Ref>, Vec<String>) {
    let entries = object.pointer("/spec/dependsOn").and_then(Value::as_array);
    let (mut targets, mut problems) = (Vec::new(), Vec::new());
    for entry in entries.into_iter().flatten() {
        // A malformed one is reported when the object is read.
        let Ok(named) = serde_json::from_value::<DependsOn>(entry.clone()) else { continue };
        match named.target(own) {
            Ok(target) => targets.push(target),
            Err(problem) => problems.push(problem),
        }
    }
    (targets, problems)
}
