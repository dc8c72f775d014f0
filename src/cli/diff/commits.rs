//! Compares two revisions of a repository without a cluster.

use std::collections::{BTreeMap, HashSet};
use std::convert::Infallible;
use std::path::Path;

use futures::FutureExt as _;

use super::arguments::Arguments;
use super::output::DiffOutput;
use super::section::{Section, SectionItem, Side};
use crate::cli::input::{relative, root, warn};
use crate::cli::output::CommandError;
use crate::cli::served::KubeRelease;
use lockgate_base::model::{ObjectId, Ref};
use lockgate_base::tree::{Resolved, Tree};
use lockgate_core::api::Kustomization;
use lockgate_core::pipeline::offline::{self, Nowhere, Platform, Start, SubstituteValues};
use lockgate_core::pipeline::{self, Fate};
use lockgate_core::plan::PruneSkip;
use lockgate_git::{directory, ignore, local};

/// What is compared with a revision where no other is named.
const WORKING_TREE: &str = "the working tree";

/// What is built of a revision: for each Kustomization its objects, and the order in which they are applied.
#[derive(Default)]
struct Revision {
    name: String,
    objects: BTreeMap<Ref, BTreeMap<ObjectId, Side>>,
    /// The Kustomizations that apply them.
    owners: BTreeMap<Ref, Kustomization>,
    order: Vec<Ref>,
}

/// Compares `from` with the other revision, or with the working tree.
pub(super) fn compare(
    arguments: &Arguments,
    from: &str,
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
    let [before, after] = [(from, before), (arguments.to.as_deref().unwrap_or(WORKING_TREE), after)]
        .map(|(name, (revision, tree))| built(name, revision, &tree, &folder, output));
    let release = KubeRelease::named(arguments.kube_version.as_deref())?;
    let objects = after.objects.values().flat_map(BTreeMap::values);
    release.warn(objects.map(|side| side.object.value()));
    let mut kept = HashSet::new();
    let gone = before.order.iter().filter(|key| !after.objects.contains_key(key));
    for key in after.order.iter().chain(gone) {
        let none = BTreeMap::new();
        let old = before.objects.get(key).unwrap_or(&none);
        let new = after.objects.get(key).unwrap_or(&none);
        let mut items: Vec<SectionItem> =
            new.iter().filter_map(|(id, side)| SectionItem::between(old.get(id), Some(side))).collect();
        for (id, side) in old.iter().filter(|(id, _)| !new.contains_key(id)) {
            let fate = fate(key, (id, side), [&before, &after], &kept);
            if fate != Some(Fate::Deleted) {
                kept.insert(id.clone());
            }
            items.extend(SectionItem::dropped(side, fate));
        }
        let revision = format!("{} → {}", before.name, after.name);
        output.take(Section { key: key.clone(), revision, items, notes: Vec::new(), stop: None })?;
    }
    Ok(())
}

/// What becomes of an object that `key` builds in the revision before and not in the one after. `kept` are
/// those that stay though they were dropped.
fn fate(
    key: &Ref,
    (id, side): (&ObjectId, &Side),
    [before, after]: [&Revision; 2],
    kept: &HashSet<ObjectId>,
) -> Option<Fate> {
    let is_owner = |id: &ObjectId| {
        Kustomization::named(&id.namespace, &id.name) == *key
            && (id.group.as_str(), id.kind.as_str()) == (Kustomization::ID.group, Kustomization::ID.kind)
    };
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
fn built(name: &str, revision: String, tree: &Tree, folder: &str, output: &mut DiffOutput) -> Revision {
    let mut built = Revision { name: revision, ..Revision::default() };
    if !folder.is_empty() && tree.reader().node(folder) != Ok(Some(Resolved::Directory)) {
        warn(&[format!("{folder} is not in {name}")]);
        return built;
    }
    let Ok(tree) = ignore::applied(tree, None, || Ok::<(), Infallible>(()));
    let values = match offline::values_in(&tree) {
        Ok(tree) => SubstituteValues { tree, ..SubstituteValues::default() },
        Err(error) => {
            output.unbuilt(format!("{name}: {error}"));
            return built;
        }
    };
    let start = Start::Folder(folder.to_owned());
    // With nothing to look up elsewhere, there is nothing to wait for.
    let Some(Platform { rendered, errors }) =
        offline::recursive(&tree, start, &values, &Nowhere).now_or_never()
    else {
        return built;
    };
    for error in errors {
        output.unbuilt(format!("{name}: {error}"));
    }
    // A Kustomization of the folder itself applies what is in it.
    let applies_folder = |kustomization: &Kustomization| {
        lockgate_core::api::folder(kustomization.spec.path.as_deref().unwrap_or_default()) == folder
    };
    let is_applied = rendered.iter().any(|built| built.kustomization.as_deref().is_some_and(applies_folder));
    for rendered in rendered {
        let key = match &rendered.kustomization {
            Some(kustomization) => kustomization.reference(),
            None if is_applied || rendered.resources.is_empty() => continue,
            // It has no owner, so that its own path names it.
            None => Kustomization::named("", if folder.is_empty() { "." } else { folder }),
        };
        let sides = rendered.resources.into_iter().map(|resource| {
            let is_secret = (resource.object.group(), resource.object.kind()) == ("", "Secret");
            let is_sensitive = resource.holds_secret || is_secret;
            (resource.object.id(), Side { object: resource.object, file: resource.origin, is_sensitive })
        });
        built.objects.entry(key.clone()).or_default().extend(sides);
        built.owners.extend(rendered.kustomization.map(|owner| (key.clone(), *owner)));
        built.order.push(key);
    }
    built
}
