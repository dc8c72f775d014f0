//! Hints that the build of one Kustomization alone does not show: another one changes it before the agent
//! sees it, or its files are not in the tree.

use super::error::{LocatedObject, subject};
use super::one::kustomization;
use super::search::{kustomizations, sources_in};
use super::sources::{KnownSources, folder_of, source_of};
use super::values::{Nowhere, SubstituteValues};
use crate::api::Kustomization;
use lockgate_base::model::Object;
use lockgate_base::tree::Tree;

/// The most Kustomizations that are built in search of a parent, the nearest first.
const PARENT_LIMIT: usize = 50;

/// The notes about a Kustomization that is built alone. If the tree is too large to be searched, a note says
/// so.
pub async fn hints(tree: &Tree, found: &LocatedObject, values: &SubstituteValues) -> Vec<String> {
    let mut hints = Vec::new();
    let mut sources = KnownSources::default();
    for source in sources_in(tree).unwrap_or_default() {
        sources.meet(&source.object);
    }
    let subject = subject(found);
    if let Some((parent, applied)) = parent(tree, found, values).await {
        let changed = changed_fields(&found.object, &applied);
        if !changed.is_empty() {
            hints.push(format!(
                "{subject}: {} changes its {} before the agent sees it; build that parent with --recursive",
                super::error::subject(&parent),
                changed.join(", ")
            ));
        }
        sources.own = source_of(&parent.object);
    }
    if let Some(reason) = sources.is_foreign(&found.object, tree) {
        hints.push(format!("{subject}: {reason}, but this build uses the files given here"));
    }
    hints
}

/// The Kustomization that applies another, and the other one as applied.
async fn parent(
    tree: &Tree,
    found: &LocatedObject,
    values: &SubstituteValues,
) -> Option<(LocatedObject, Object)> {
    if found.file.is_empty() {
        return None;
    }
    let mut others = kustomizations(tree, "").ok()?;
    others.retain(|other| other.object.id() != found.object.id() || other.file != found.file);
    let in_common = |folder: &str| folder.bytes().zip(found.file.bytes()).take_while(|(a, b)| a == b).count();
    others.sort_by_key(|other| std::cmp::Reverse(in_common(&folder_of(&other.object))));
    others.truncate(PARENT_LIMIT);
    let is_it = |object: &Object| Kustomization::INFO.is_of(object) && object.name() == found.object.name();
    for other in others {
        // A Kustomization that cannot be built applies nothing.
        let Ok(built) = kustomization(tree, &other, values, &Nowhere).await else { continue };
        let mut resources = built.resources.into_iter();
        let applied = resources.find(|built| built.origin == found.file && is_it(&built.object));
        if let Some(applied) = applied {
            return Some((other, applied.object));
        }
    }
    None
}

/// The fields of the spec that differ.
fn changed_fields(object: &Object, applied: &Object) -> Vec<String> {
    let [before, after] = [object, applied].map(|object| object.value()["spec"].as_object());
    let mut names: Vec<&String> =
        [before, after].into_iter().flatten().flat_map(|spec| spec.keys()).collect();
    names.sort_unstable();
    names.dedup();
    names.retain(|name| before.and_then(|spec| spec.get(*name)) != after.and_then(|spec| spec.get(*name)));
    names.into_iter().map(|name| format!("spec.{name}")).collect()
}
