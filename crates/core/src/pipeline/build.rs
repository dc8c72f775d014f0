//! From a tree to objects: the render, and what is refused before it.

use std::ops::Deref;

use super::gather::Gathered;
use crate::api::{self, Kind, Kustomization, KustomizationSpec, folder};
use crate::verdict::{Applied, Common, unsupported};
use lockgate_base::model::Digest;
use lockgate_base::tree::{Footprint, Tree};
use lockgate_render::kustomize::{self, Flavour, Overlay};
use lockgate_render::{
    Budget, FaultCategory, Inputs, Recipe, RenderError, RenderedObject, ResourceSet, render_within,
};

/// A rendered tree.
#[derive(Debug, Clone)]
pub struct Build {
    /// What is to be on the cluster, each object with the file that it came from.
    pub resources: Vec<RenderedObject>,
    /// What the render read.
    pub footprint: Footprint,
    /// Digest of the objects.
    pub digest: Digest,
    /// What people should know.
    pub warnings: Vec<String>,
}

/// An object that asks for nothing that is not there yet: it was made by [`supported`].
#[derive(Debug, Clone)]
pub struct Supported<'a, K: Kind = KustomizationSpec>(&'a api::Resource<K>);

impl<K: Kind> Copy for Supported<'_, K> {}

impl<K: Kind> Deref for Supported<'_, K> {
    type Target = api::Resource<K>;

    fn deref(&self) -> &api::Resource<K> {
        self.0
    }
}

/// Fields that ask for what is not there yet are refused, all of them at once: passing over them in silence
/// would fetch or apply something other than what is meant.
pub fn supported<K: Kind>(object: &api::Resource<K>) -> Result<Supported<'_, K>, Common> {
    let message = unsupported(&object.spec.unserved());
    message.map_or(Ok(Supported(object)), |message| Err(Common::Malformed { message }))
}

/// Renders a Kustomization's folder. It is pure, and so are its failures.
pub fn build(kustomization: &Kustomization, tree: &Tree, gathered: Gathered) -> Result<Build, Applied> {
    build_spec(&kustomization.spec, tree, gathered, &Budget::default())
}

/// [`build`] for what it needs of a Kustomization.
pub(super) fn build_spec(
    spec: &KustomizationSpec,
    tree: &Tree,
    gathered: Gathered,
    budget: &Budget,
) -> Result<Build, Applied> {
    let path = folder(spec.path.as_deref().unwrap_or_default());
    let variables = gathered.variables();
    let variables = variables.map_err(|error| Applied::Unsubstituted { message: error.to_string() })?;
    let set = rendered(tree, &path, spec.into(), &Inputs { variables }, budget);
    let set = set.map_err(|error| unrenderable(&error, &path))?;
    Ok(Build {
        footprint: set.footprint.clone(),
        digest: digest(set.resources()),
        warnings: set.warnings.clone(),
        resources: set.into_resources(),
    })
}

/// The digest of what is built.
pub(super) fn digest(resources: &[RenderedObject]) -> Digest {
    let digests: Vec<Digest> =
        resources.iter().map(|resource| Digest::of(resource.object.value().to_string())).collect();
    Digest::of_parts(digests.iter().map(Digest::bytes))
}

/// Renders a folder as Flux does, with what a Kustomization's spec lays over its kustomization.
pub(super) fn rendered(
    tree: &Tree,
    path: &str,
    overlay: Overlay,
    inputs: &Inputs,
    budget: &Budget,
) -> Result<ResourceSet, RenderError> {
    let recipe =
        kustomize::KustomizeRecipe { path: path.to_owned(), flavour: Flavour::Flux(Box::new(overlay)) };
    render_within(tree, &Recipe::Kustomize(recipe), inputs, budget)
}

fn unrenderable(error: &RenderError, path: &str) -> Applied {
    match error.category() {
        FaultCategory::PathNotFound => Applied::PathMissing { path: path.to_owned() },
        FaultCategory::InvalidPath | FaultCategory::Build => {
            Applied::Unrenderable { message: error.to_string() }
        }
        FaultCategory::Substitution => Applied::Unsubstituted { message: error.to_string() },
    }
}
