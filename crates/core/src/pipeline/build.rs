//! Turns a tree into objects: the checks before a render, and the render.

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
    /// The objects that should be on the cluster, each with its file.
    pub resources: Vec<RenderedObject>,
    /// The paths that the render read.
    pub footprint: Footprint,
    /// Digest of the objects.
    pub digest: Digest,
    /// Warnings.
    pub warnings: Vec<String>,
}

/// An object without unsupported fields, made by [`supported`].
#[derive(Debug, Clone)]
pub struct Supported<'a, K: Kind = KustomizationSpec>(&'a api::Resource<K>);

impl<K: Kind> Copy for Supported<'_, K> {}

impl<K: Kind> Deref for Supported<'_, K> {
    type Target = api::Resource<K>;

    fn deref(&self) -> &api::Resource<K> {
        self.0
    }
}

/// Refuses unsupported fields, all of them at once: ignoring them silently would fetch or apply something
/// other than intended.
pub fn supported<K: Kind>(object: &api::Resource<K>) -> Result<Supported<'_, K>, Common> {
    let message = unsupported(&object.spec.unserved());
    message.map_or(Ok(Supported(object)), |message| Err(Common::Malformed { message }))
}

/// Renders a Kustomization's folder. The function is pure, so the same input always fails in the same way.
pub fn build(kustomization: &Kustomization, tree: &Tree, gathered: Gathered) -> Result<Build, Applied> {
    build_spec(&kustomization.spec, tree, gathered, &Budget::default())
}

/// [`build`] with only the needed parts of a Kustomization.
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

/// The digest of the built objects.
pub(super) fn digest(resources: &[RenderedObject]) -> Digest {
    let digests: Vec<Digest> =
        resources.iter().map(|resource| Digest::of(resource.object.value().to_string())).collect();
    Digest::of_parts(digests.iter().map(Digest::bytes))
}

/// Renders a folder as Flux does, with a Kustomization's spec on top of its kustomization.
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
