//! Compares a cluster with Git or with a working tree.

use std::convert::Infallible;
use std::path::Path;

use futures::{StreamExt as _, stream};

use super::agents::agents;
use super::arguments::Arguments;
use super::output::DiffOutput;
use super::section::Section;
use crate::cli::input::{input, relative, root, warn};
use crate::cli::output::CommandError;
use crate::cli::releases::unusable;
use crate::cluster::Reader;
use crate::preview::{
    BuiltFor, ClusterPlatform, Fetchers, KnownKustomizations, LookStop, Snapshots, look, turned_away,
};
use lockgate_base::model::{Object, ObjectId, Ref, Revision};
use lockgate_base::tree::{Resolved, Snapshot, Tree};
use lockgate_core::api::{self, Kustomization};
use lockgate_core::graph::Graph;
use lockgate_core::pipeline;
use lockgate_core::pipeline::offline::{
    self, BuiltOwner, BuiltSet, LocatedObject, Nowhere, ReleaseSetting, Start, SubstituteValues,
};
use lockgate_core::pipeline::ports::ApiFailure;
use lockgate_core::plan::Foreseen;
use lockgate_git::{directory, ignore};

/// How a section names files that are no revision.
const WORKING_TREE: &str = "working tree";
/// How many Kustomizations are looked at at a time, as many as the agent reconciles.
const AT_ONCE: usize = 8;

/// What is compared.
pub(super) enum Whole<'a> {
    /// One Kustomization, by its name or its file.
    One(&'a str),
    /// All of the cluster.
    All,
    /// What follows from a folder.
    Folder(&'a Path),
}

/// Compares what is in Git, or in a working tree, with what is on the cluster.
pub(super) async fn compare(
    arguments: &Arguments,
    whole: &Whole<'_>,
    fetchers: Option<&Fetchers>,
    output: &mut DiffOutput,
) -> Result<(), CommandError> {
    let target = arguments.cluster.connect().await?;
    let reader = Reader::new(&target.client);
    let namespace = (!arguments.all_namespaces).then_some(arguments.namespace.as_str());
    let listed = reader.list(Kustomization::INFO, namespace).await.map_err(refused)?;
    let agents = agents(&reader, &arguments.agent).await?;
    let sources = fetchers.map(|fetchers| fetchers.sources(agents.allow_insecure_registries())).transpose();
    let sources = sources.map_err(|error| unusable(&error))?;
    let snapshots = Snapshots::new(reader.clone(), sources);
    let objects = listed.unwrap_or_default();
    // What cannot be read is the agent's to tell; it holds nothing that is known.
    let known: KnownKustomizations = objects
        .iter()
        .filter_map(|object| api::decode(object).ok())
        .map(|kustomization: Kustomization| (kustomization.reference(), kustomization))
        .collect();
    let platform = ClusterPlatform::new(reader, known, snapshots, agents);
    match whole {
        Whole::One(name) => one(arguments, name, platform, output).await,
        Whole::All => all(&objects, platform, output).await,
        Whole::Folder(folder) => self::folder(arguments, folder, &objects, platform, output).await,
    }
}

/// A failure of a question that must be answered.
fn refused(failure: ApiFailure) -> CommandError {
    match failure {
        ApiFailure::Forbidden(denied) => CommandError::refused(denied.to_string()).hint(format!(
            "grant {} on {} {}",
            denied.verb,
            denied.resource,
            denied.place()
        )),
        failure => CommandError::unreachable(failure.to_string()),
    }
}

async fn all(
    objects: &[Object],
    platform: ClusterPlatform,
    output: &mut DiffOutput,
) -> Result<(), CommandError> {
    for error in objects.iter().filter_map(|object| api::decode::<api::KustomizationSpec>(object).err()) {
        output.unbuilt(error.to_string());
    }
    let graph: Graph = platform
        .known
        .iter()
        .map(|(key, kustomization)| {
            let named = kustomization.spec.depends_on.iter();
            (key.clone(), named.filter_map(|named| named.target(key).ok()).collect())
        })
        .collect();
    let mut levels: Vec<Vec<&Ref>> = graph.levels();
    // Those of a cycle have no level.
    let left: Vec<&Ref> =
        platform.known.keys().filter(|key| !levels.iter().any(|level| level.contains(key))).collect();
    levels.push(left);
    let mut foreseen = Foreseen::default();
    for level in levels {
        let looks = level.into_iter().filter_map(|key| platform.known.get(key)).map(|kustomization| {
            let (platform, mut brought) = (&platform, foreseen.clone());
            async move { (fetched(kustomization, platform, &mut brought).await, brought) }
        });
        let looks: Vec<_> = looks.collect();
        let mut sections = stream::iter(looks).buffered(AT_ONCE);
        while let Some((section, brought)) = sections.next().await {
            foreseen.extend(brought);
            output.take(section)?;
        }
    }
    Ok(())
}

async fn one(
    arguments: &Arguments,
    wanted: &str,
    mut platform: ClusterPlatform,
    output: &mut DiffOutput,
) -> Result<(), CommandError> {
    let file = Path::new(wanted);
    let kustomization = if file.is_file() {
        let mut objects = input(file)?.0;
        objects.retain(|object| Kustomization::INFO.is_of(object));
        let [object] = objects.as_slice() else {
            let message = format!("{wanted} contains {} Kustomization objects, not one", objects.len());
            return Err(CommandError::usage(message));
        };
        let object = offline::completed(LocatedObject { file: wanted.into(), object: object.clone() });
        let kustomization =
            api::decode(&object).map_err(|error| CommandError::usage(format!("{wanted}: {error}")))?;
        standing(kustomization, &platform.known)
    } else {
        let (namespace, name) = wanted.split_once('/').unwrap_or((&arguments.namespace, wanted));
        let key = Kustomization::named(namespace, name);
        let found = platform.known.get(&key).cloned();
        found.ok_or_else(|| missing(&key, &platform.known))?
    };
    platform.known.insert(kustomization.reference(), kustomization.clone());
    let mut foreseen = Foreseen::default();
    let Some(path) = &arguments.path else {
        return output.take(fetched(&kustomization, &platform, &mut foreseen).await);
    };
    let (tree, folder) = working_tree(arguments, path)?;
    let mut here = kustomization.clone();
    here.spec.path = Some(folder_in(&tree, &folder, &kustomization));
    if let Some(source) = source_of(&kustomization) {
        platform.snapshots.stand_for(source, snapshot(&tree)).await;
    }
    let look = look(&platform, &here, BuiltFor::From(snapshot(&tree)), &mut foreseen).await;
    output
        .take(Section::of(here.reference(), WORKING_TREE.into(), look, |id| goes_along(id, &platform.known)))
}

/// Where the files of a Kustomization are in a working tree: the folder itself, or what its path names from
/// there.
fn folder_in(tree: &Tree, folder: &str, kustomization: &Kustomization) -> String {
    let path = api::folder(kustomization.spec.path.as_deref().unwrap_or_default());
    let below = lockgate_base::tree::join(folder, &path);
    let is_there = tree.reader().node(&below) == Ok(Some(Resolved::Directory));
    if folder != path && !path.is_empty() && is_there { below } else { folder.to_owned() }
}

fn missing(key: &Ref, known: &KnownKustomizations) -> CommandError {
    let error = CommandError::usage(format!("there is no {key}"));
    let others: Vec<String> = known.keys().filter(|other| other.name == key.name).map(Ref::path).collect();
    if others.is_empty() {
        error.hint("lockgate status -A lists all; a new one is named by its file")
    } else {
        error.hint(format!("there is {}", others.join(", ")))
    }
}

/// What is said of a Kustomization that is built from its source.
async fn fetched(
    kustomization: &Kustomization,
    platform: &ClusterPlatform,
    foreseen: &mut Foreseen,
) -> Section {
    let key = kustomization.reference();
    let stopped = |stop: LookStop| {
        let (items, notes) = (Vec::new(), Vec::new());
        Section { key: key.clone(), revision: String::new(), items, notes, stop: Some(stop) }
    };
    if let Some(stop) = turned_away(platform, kustomization) {
        return stopped(stop);
    }
    let snapshot = match platform.snapshots.of(kustomization).await {
        Ok(snapshot) => snapshot,
        Err(message) => return stopped(LookStop::Unbuilt(message)),
    };
    let revision = snapshot.revision.to_string();
    let look = look(platform, kustomization, BuiltFor::From(snapshot), foreseen).await;
    Section::of(key, revision, look, |id| goes_along(id, &platform.known))
}

/// What goes with a Kustomization that goes.
fn goes_along(id: &ObjectId, known: &KnownKustomizations) -> Option<String> {
    let is_one = (id.group.as_str(), id.kind.as_str()) == (Kustomization::ID.group, Kustomization::ID.kind);
    let gone = known.get(&Kustomization::named(&id.namespace, &id.name)).filter(|_| is_one)?;
    let count = if gone.spec.deletes_its_objects() { pipeline::recorded(gone).len() } else { 0 };
    (count > 0).then(|| format!("with its {count} objects"))
}

async fn folder(
    arguments: &Arguments,
    path: &Path,
    objects: &[Object],
    mut platform: ClusterPlatform,
    output: &mut DiffOutput,
) -> Result<(), CommandError> {
    let (tree, folder) = working_tree(arguments, path)?;
    let (values, reader) = (SubstituteValues::default(), platform.reader.clone());
    let no_releases = None::<&ReleaseSetting<'_, Nowhere>>;
    let start = Start::Folder(folder.clone());
    let mut built = offline::recursive(&tree, start, &values, &reader, no_releases).await;
    let is_root = |kustomization: &Kustomization| {
        api::folder(kustomization.spec.path.as_deref().unwrap_or_default()) == folder
    };
    let is_built = built.rendered.iter().filter_map(BuiltSet::kustomization).any(is_root);
    let on_cluster = platform.known.values().find(|known| is_root(known)).map(Kustomization::reference);
    if let Some(key) = on_cluster.filter(|_| !is_built) {
        // The cluster alone says who applies the folder.
        let is_it = |object: &&Object| {
            object.namespace() == Some(key.namespace.as_str()) && object.name() == key.name
        };
        let object = objects.iter().find(is_it);
        let found = object.map(|object| LocatedObject { file: String::new(), object: object.clone() });
        if let Some(found) = found {
            match offline::kustomization(&tree, &found, &values, &reader).await {
                Ok(root) => built.rendered.insert(0, root),
                Err(error) => output.unbuilt(error.to_string()),
            }
        }
    } else if !is_built {
        warn(&[format!(
            "no Kustomization applies the folder {} itself, so its own objects are not compared, only those \
             of the Kustomizations in it",
            path.display()
        )]);
    }
    for error in &built.errors {
        output.unbuilt(error.to_string());
    }
    // It brings the others, whatever these wait for.
    built.rendered.sort_by_key(|built| !built.kustomization().is_some_and(is_root));
    let mut works = Vec::new();
    for rendered in built.rendered {
        warn(&rendered.warnings);
        let BuiltOwner::Kustomization(kustomization) = rendered.owner else { continue };
        let kustomization = standing(*kustomization, &platform.known);
        if let Some(source) = source_of(&kustomization) {
            platform.snapshots.stand_for(source, snapshot(&tree)).await;
        }
        platform.known.insert(kustomization.reference(), kustomization.clone());
        works.push((kustomization, BuiltFor::Already(rendered.resources, rendered.digest)));
    }
    let mut foreseen = Foreseen::default();
    for (kustomization, built) in works {
        let look = look(&platform, &kustomization, built, &mut foreseen).await;
        let with = |id: &ObjectId| goes_along(id, &platform.known);
        output.take(Section::of(kustomization.reference(), WORKING_TREE.into(), look, with))?;
    }
    Ok(())
}

/// A Kustomization of a file as it stands on the cluster: what is managed, and what people have allowed.
fn standing(mut kustomization: Kustomization, known: &KnownKustomizations) -> Kustomization {
    if let Some(live) = known.get(&kustomization.reference()) {
        kustomization.status = live.status.clone();
        let annotations = live.metadata.annotations.iter();
        for (key, value) in annotations {
            kustomization.metadata.annotations.entry(key.clone()).or_insert_with(|| value.clone());
        }
    }
    kustomization
}

fn source_of(kustomization: &Kustomization) -> Option<Ref> {
    kustomization.spec.source_ref.target(&kustomization.metadata.namespace)
}

/// The files of a working tree as a source would have them, and a folder in it.
fn working_tree(arguments: &Arguments, path: &Path) -> Result<(Tree, String), CommandError> {
    let root = root(arguments.root.as_deref(), path)?;
    let folder = relative(&root, path)?;
    let tree = directory::snapshot(&root).map_err(|error| CommandError::usage(error.to_string()))?;
    let Ok(tree) = ignore::applied(&tree, None, || Ok::<(), Infallible>(()));
    Ok((tree, folder))
}

fn snapshot(tree: &Tree) -> Snapshot {
    Snapshot { revision: Revision::git(None, WORKING_TREE), tree: tree.clone(), origin: None }
}
