//! Compares two revisions of a repository without a cluster.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::convert::Infallible;
use std::path::Path;

use super::arguments::Arguments;
use super::output::DiffOutput;
use super::section::{Section, SectionItem, Side};
use crate::cli::input::{relative, root, warn};
use crate::cli::output::CommandError;
use crate::cli::served::KubeRelease;
use crate::preview::{ChartSources, Fetchers};
use lockgate_base::model::{ObjectId, Ref};
use lockgate_base::tree::{Resolved, Tree};
use lockgate_core::api::Kustomization;
use lockgate_core::pipeline::offline::{
    self, BuiltOwner, BuiltRelease, BuiltSet, Nowhere, ReleaseSetting, Start, SubstituteValues,
};
use lockgate_core::pipeline::{self, Fate};
use lockgate_core::plan::PruneSkip;
use lockgate_core::release::is_kept;
use lockgate_git::{directory, ignore, local};
use lockgate_render::RenderedObject;
use lockgate_render::helm::chart::capabilities::Capabilities;

/// What is compared with a revision where no other is named.
const WORKING_TREE: &str = "the working tree";

/// What is built of a revision: for each Kustomization and HelmRelease its objects, and the order in which
/// they are applied.
#[derive(Default)]
struct Revision {
    name: String,
    objects: BTreeMap<Ref, BTreeMap<ObjectId, Side>>,
    /// The Kustomizations that apply them.
    owners: BTreeMap<Ref, Kustomization>,
    /// The HelmReleases that they are of.
    releases: BTreeMap<Ref, BuiltRelease>,
    /// What is not built, since its files or its chart are elsewhere.
    left_out: BTreeSet<Ref>,
    order: Vec<Ref>,
}

/// Compares `from` with the other revision, or with the working tree.
pub(super) async fn compare(
    arguments: &Arguments,
    from: &str,
    fetchers: Option<&Fetchers>,
    output: &mut DiffOutput,
) -> Result<(), CommandError> {
    let path = arguments.platform.as_deref().unwrap_or(Path::new("."));
    let root = root(arguments.root.as_deref(), path)?;
    let folder = relative(&root, path)?;
    let of_commit = |name: &str| {
        let found = local::revision(&root, name).map_err(|error| CommandError::usage(error.to_string()))?;
        Ok::<_, CommandError>((format!("{name} ({})", found.revision.short()), found.tree))
    };
    let before = of_commit(from)?;
    let after = if let Some(to) = &arguments.to {
        of_commit(to)?
    } else {
        let tree = directory::snapshot(&root).map_err(|error| CommandError::usage(error.to_string()))?;
        (WORKING_TREE.to_owned(), tree)
    };
    let charts = arguments.releases.charts(fetchers)?;
    let to = arguments.to.as_deref().unwrap_or(WORKING_TREE);
    let mut told = BTreeSet::new();
    let before = built((from, before), (&folder, &charts), &mut told, output).await;
    let after = built((to, after), (&folder, &charts), &mut told, output).await;
    warn(&told.into_iter().collect::<Vec<_>>());
    let release = KubeRelease::named(arguments.kube_version.as_deref())?;
    let objects = after.objects.values().flat_map(BTreeMap::values);
    release.warn(objects.map(|side| side.object.value()));
    let mut kept = HashSet::new();
    let gone = before.order.iter().filter(|key| !after.objects.contains_key(key));
    // Of what is built on one side alone only since its chart is not at hand on the other, nothing is known.
    let is_known = |key: &&Ref| !before.left_out.contains(key) && !after.left_out.contains(key);
    for key in after.order.iter().chain(gone).filter(is_known) {
        output.take(section(key, [&before, &after], &mut kept))?;
    }
    Ok(())
}

/// What differs of one Kustomization or HelmRelease.
fn section(key: &Ref, [before, after]: [&Revision; 2], kept: &mut HashSet<ObjectId>) -> Section {
    let none = BTreeMap::new();
    let old = before.objects.get(key).unwrap_or(&none);
    let new = after.objects.get(key).unwrap_or(&none);
    let mut items: Vec<SectionItem> =
        new.iter().filter_map(|(id, side)| SectionItem::between(old.get(id), Some(side))).collect();
    let is_release = [before, after].iter().any(|revision| revision.releases.contains_key(key));
    for (id, side) in old.iter().filter(|(id, _)| !new.contains_key(id)) {
        if is_release {
            items.extend(of_release(key, side, kept));
            continue;
        }
        let fate = fate(key, (id, side), [before, after], kept);
        if fate != Some(Fate::Deleted) {
            kept.insert(id.clone());
        }
        items.extend(SectionItem::dropped(side, fate));
    }
    let mut revision = format!("{} → {}", before.name, after.name);
    let releases = [before, after].map(|revision| revision.releases.get(key));
    match releases.map(|built| built.map(|built| built.chart.as_str())) {
        [Some(old), Some(new)] if old != new => revision = format!("{revision}, chart {old} → {new}"),
        [_, Some(chart)] | [Some(chart), None] => revision = format!("{revision}, chart {chart}"),
        [None, None] => {}
    }
    let mut notes = Vec::new();
    let anew: BTreeSet<&str> =
        releases.iter().flatten().flat_map(|built| &built.anew).map(String::as_str).collect();
    if !anew.is_empty() && !items.is_empty() {
        let anew = anew.into_iter().collect::<Vec<_>>().join(", ");
        notes.push(format!("made anew at each render, and not compared: {anew}"));
    }
    Section { key: key.clone(), revision, items, notes, stop: None }
}

/// What becomes of an object that a chart does not make any more.
fn of_release(key: &Ref, side: &Side, kept: &HashSet<ObjectId>) -> Option<SectionItem> {
    let is_owner = |id: &ObjectId| Ref::new(key.kind, &id.namespace, &id.name) == *key && is_of(id, key);
    // It stays as it is, and so does what it has released.
    if kept.iter().any(is_owner) {
        return None;
    }
    if let Some(hook) = &side.hook {
        return Some(SectionItem::kept(side, &format!("it is a hook, {hook}, and is run no more")));
    }
    if side.is_definition {
        return Some(SectionItem::kept(side, "definitions in crds/ are never deleted"));
    }
    if is_kept(&side.object) {
        return Some(SectionItem::kept(side, "the annotation helm.sh/resource-policy says so"));
    }
    SectionItem::dropped(side, Some(Fate::Deleted))
}

/// Whether an object is of the kind of a reference.
fn is_of(id: &ObjectId, key: &Ref) -> bool {
    (id.group.as_str(), id.kind.as_str()) == (key.kind.group, key.kind.kind)
}

/// What becomes of an object that `key` builds in the revision before and not in the one after. `kept` are
/// those that stay though they were dropped.
fn fate(
    key: &Ref,
    (id, side): (&ObjectId, &Side),
    [before, after]: [&Revision; 2],
    kept: &HashSet<ObjectId>,
) -> Option<Fate> {
    let is_owner = |id: &ObjectId| Kustomization::named(&id.namespace, &id.name) == *key && is_of(id, key);
    let (owner, is_removed) = match (after.owners.get(key), before.owners.get(key)) {
        (Some(owner), _) => (owner, false),
        // It stays as it is, and so does what it applies.
        (None, Some(_)) if kept.iter().any(is_owner) => return None,
        (None, Some(owner)) => (owner, true),
        // Nobody says who applies it.
        (None, None) => return Some(Fate::Deleted),
    };
    let decided = offline::fate(owner, &side.object, is_removed);
    let account = |owner: &Kustomization| owner.spec.service_account_name.clone();
    let takes_over = |other: &&Kustomization| {
        let (own, theirs) = (account(owner), account(other));
        let holds = after.objects.get(&other.reference()).is_some_and(|objects| objects.contains_key(id));
        holds && pipeline::may_hold((owner, own.as_deref()), (other, theirs.as_deref()), false)
    };
    match (&decided, after.owners.values().find(takes_over)) {
        (Some(Fate::Deleted), Some(other)) => {
            let is_near = other.metadata.namespace == owner.metadata.namespace;
            Some(Fate::Kept(PruneSkip::HeldBy(is_near.then(|| other.reference()))))
        }
        _ => decided,
    }
}

/// Builds a revision whole. Where the folder is not there at all, nothing is.
async fn built(
    (name, (revision, tree)): (&str, (String, Tree)),
    (folder, charts): (&str, &ChartSources),
    told: &mut BTreeSet<String>,
    output: &mut DiffOutput,
) -> Revision {
    let mut built = Revision { name: revision, ..Revision::default() };
    if !folder.is_empty() && tree.reader().node(folder) != Ok(Some(Resolved::Directory)) {
        told.insert(format!("{folder} is not in {name}"));
        return built;
    }
    let Ok(tree) = ignore::applied(&tree, None, || Ok::<(), Infallible>(()));
    let values = match offline::values_in(&tree) {
        Ok(tree) => SubstituteValues { tree, ..SubstituteValues::default() },
        Err(error) => {
            output.unbuilt(format!("{name}: {error}"));
            return built;
        }
    };
    let start = Start::Folder(folder.to_owned());
    let setting = ReleaseSetting { charts, capabilities: Capabilities::default(), chance: None };
    let platform = offline::recursive(&tree, start, &values, &Nowhere, Some(&setting)).await;
    for error in platform.errors {
        output.unbuilt(format!("{name}: {error}"));
    }
    // A Kustomization of the folder itself applies what is in it.
    let applies_folder = |kustomization: &Kustomization| {
        lockgate_core::api::folder(kustomization.spec.path.as_deref().unwrap_or_default()) == folder
    };
    let is_applied = platform.rendered.iter().any(|built| built.kustomization().is_some_and(applies_folder));
    for set in platform.rendered {
        if matches!(set.owner, BuiltOwner::LeftOut(_)) {
            told.extend(set.warnings.iter().cloned());
        }
        built.take(set, is_applied, folder);
    }
    built
}

impl Revision {
    /// Adds what is built of one Kustomization or HelmRelease, or of the folder, unless a Kustomization
    /// applies that.
    fn take(&mut self, set: BuiltSet, is_applied: bool, folder: &str) {
        let (mut definitions, mut hooks) = (0, Vec::new());
        let key = match set.owner {
            BuiltOwner::LeftOut(key) => {
                self.left_out.insert(key);
                return;
            }
            BuiltOwner::Folder if is_applied || set.resources.is_empty() => return,
            // It has no owner, so that its own path names it.
            BuiltOwner::Folder => Kustomization::named("", if folder.is_empty() { "." } else { folder }),
            BuiltOwner::Kustomization(kustomization) => {
                let key = kustomization.reference();
                self.owners.insert(key.clone(), *kustomization);
                key
            }
            BuiltOwner::Release(mut release) => {
                definitions = release.definitions;
                hooks = std::mem::take(&mut release.hooks);
                let key = release.release.reference();
                self.releases.insert(key.clone(), *release);
                key
            }
        };
        let objects = set.resources.into_iter().enumerate();
        let objects = objects.map(|(at, resource)| side(resource, at < definitions, None));
        let hooks = hooks.into_iter().map(|hook| {
            let events = hook.to_string();
            side(hook.built, false, Some(events))
        });
        self.objects.entry(key.clone()).or_default().extend(objects.chain(hooks));
        self.order.push(key);
    }
}

fn side(resource: RenderedObject, is_definition: bool, hook: Option<String>) -> (ObjectId, Side) {
    let RenderedObject { object, origin: file, holds_secret } = resource;
    let is_secret = (object.group(), object.kind()) == ("", "Secret");
    let is_sensitive = holds_secret || is_secret;
    (object.id(), Side { object, file, hook, is_definition, is_sensitive })
}
