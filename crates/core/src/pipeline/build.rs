//! From a tree to objects: what has to be read besides the tree, and the render itself.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ops::Deref;

use super::ports::{ApiFailure, Data, DataKind, Reads};
use crate::api::{
    Kind, Kustomization, KustomizationSpec, Resource, SubstituteFrom, SubstituteStrategy, folder,
};
use crate::plan::Ignored;
use crate::verdict::{Applied, Common, Redactor, unsupported};
use lockgate_base::model::{Digest, Object, ObjectId};
use lockgate_base::tree::{Footprint, Tree};
use lockgate_render::kustomize::{self, Flavour, Overlay};
use lockgate_render::{Category, Inputs, Recipe, RenderError, ResourceSet, Variables, render};

/// What rendering needs and the tree does not hold.
#[derive(Debug, Clone)]
pub struct Gathered {
    /// Variables for substitution, with line ends taken out as in Flux; `None` where nothing is substituted.
    variables: Option<BTreeMap<String, String>>,
    /// Those of the variables that come from a Secret.
    secret: BTreeSet<String>,
    /// Digest of all of it.
    pub(super) digest: Digest,
}

/// A rendered tree.
#[derive(Debug, Clone)]
pub struct Build {
    /// What is to be on the cluster.
    pub objects: Vec<Object>,
    /// The file that each object came from.
    pub origins: Vec<(ObjectId, String)>,
    /// Objects that hold values of Secrets, beside Secrets themselves.
    pub sensitive: HashSet<ObjectId>,
    /// What the render read.
    pub footprint: Footprint,
    /// Digest of the objects.
    pub digest: Digest,
    /// What people should know.
    pub warnings: Vec<String>,
}

impl Gathered {
    /// Nothing besides the tree.
    pub fn none() -> Self {
        Self { variables: None, secret: BTreeSet::new(), digest: Digest::of(b"") }
    }
}

/// Reads what a Kustomization's build needs from the cluster. Secret values are added to `redactor`.
pub async fn gather(
    cluster: &impl Reads,
    kustomization: Supported<'_>,
    redactor: &mut Redactor,
) -> Result<Gathered, Common> {
    Ignored::read(&kustomization.spec.ignore).map_err(|message| Common::Malformed { message })?;
    let Some(post_build) = &kustomization.spec.post_build else { return Ok(Gathered::none()) };
    let mut variables = BTreeMap::new();
    let mut secret = BTreeSet::new();
    for from in &post_build.substitute_from {
        let Some(data) = values(cluster, from, &kustomization.metadata.namespace).await? else { continue };
        for (name, value) in data {
            if from.kind == "Secret" {
                redactor.add(value.expose());
                secret.insert(name.clone());
            } else {
                secret.remove(&name);
            }
            let text = String::from_utf8_lossy(value.expose()).replace('\n', "");
            variables.insert(name, text);
        }
    }
    for (name, value) in &post_build.substitute {
        secret.remove(name);
        variables.insert(name.clone(), value.replace('\n', ""));
    }
    let always = post_build.substitute_strategy == Some(SubstituteStrategy::Always);
    let parts = variables.iter().flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()]);
    let digest = Digest::of_parts(parts);
    let variables = (always || !variables.is_empty()).then_some(variables);
    Ok(Gathered { variables, secret, digest })
}

async fn values(
    cluster: &impl Reads,
    from: &SubstituteFrom,
    namespace: &str,
) -> Result<Option<Data>, Common> {
    let subject = format!("{}/{}", from.kind, from.name);
    let kind = match from.kind.as_str() {
        "ConfigMap" => DataKind::ConfigMap,
        "Secret" => DataKind::Secret,
        _ => {
            let message =
                format!("spec.postBuild.substituteFrom: '{subject}': kind must be ConfigMap or Secret");
            return Err(Common::Malformed { message });
        }
    };
    match cluster.data(kind, namespace, &from.name).await {
        Ok(None) if !from.optional => Err(Common::InputMissing {
            message: format!(
                "substitute from '{subject}' error: not found in namespace {namespace}; create it, or mark the reference \
                 optional"
            ),
        }),
        Ok(found) => Ok(found),
        Err(ApiFailure::Forbidden(denied)) => {
            Err(Common::AccessDenied { message: format!("substitute from '{subject}' error: {denied}") })
        }
        Err(failure) => Err(Common::Unreachable { message: failure.to_string() }),
    }
}

/// An object that asks for nothing that is not there yet: it was made by [`supported`].
#[derive(Debug, Clone)]
pub struct Supported<'a, K: Kind = KustomizationSpec>(&'a Resource<K>);

impl<K: Kind> Copy for Supported<'_, K> {}

impl<K: Kind> Deref for Supported<'_, K> {
    type Target = Resource<K>;

    fn deref(&self) -> &Resource<K> {
        self.0
    }
}

/// Fields that ask for what is not there yet are refused, all of them at once: passing over them in silence would fetch or
/// apply something other than what is meant.
pub fn supported<K: Kind>(object: &Resource<K>) -> Result<Supported<'_, K>, Common> {
    let message = unsupported(&object.spec.unserved());
    message.map_or(Ok(Supported(object)), |message| Err(Common::Malformed { message }))
}

/// Renders a Kustomization's folder. It is pure, and so are its failures.
pub fn build(kustomization: &Kustomization, tree: &Tree, gathered: Gathered) -> Result<Build, Applied> {
    build_spec(&kustomization.spec, tree, gathered)
}

/// [`build`] for what it needs of a Kustomization.
pub(super) fn build_spec(
    spec: &KustomizationSpec,
    tree: &Tree,
    gathered: Gathered,
) -> Result<Build, Applied> {
    let path = folder(spec.path.as_deref().unwrap_or_default());
    let inputs = Inputs { variables: variables(gathered)? };
    let set = rendered(spec, &path, tree, &inputs).map_err(|error| unrenderable(&error, &path))?;
    let mut build = Build {
        objects: Vec::with_capacity(set.len()),
        origins: Vec::with_capacity(set.len()),
        sensitive: HashSet::new(),
        footprint: set.footprint.clone(),
        digest: Digest::of(b""),
        warnings: set.warnings.clone(),
    };
    let mut parts = Vec::with_capacity(set.len());
    for resource in set.into_resources() {
        let id = resource.object.id();
        if resource.holds_secret {
            build.sensitive.insert(id.clone());
        }
        parts.push(*Digest::of(resource.object.value().to_string()).bytes());
        build.origins.push((id, resource.origin));
        build.objects.push(resource.object);
    }
    build.digest = Digest::of_parts(parts.iter().map(<[u8; 32]>::as_slice));
    Ok(build)
}

fn rendered(
    spec: &KustomizationSpec,
    path: &str,
    tree: &Tree,
    inputs: &Inputs,
) -> Result<ResourceSet, RenderError> {
    // The spec is our own type, which has a JSON form.
    let overlay = Overlay::from_spec(&serde_json::to_value(spec).unwrap_or_default())?;
    let path = path.to_owned();
    let recipe = Recipe::Kustomize(kustomize::Recipe { path, flavour: Flavour::Flux(Box::new(overlay)) });
    render(tree, &recipe, inputs)
}

/// The variables for substitution. Flux has been strict about undefined ones by default since kustomize-controller 1.9.
fn variables(gathered: Gathered) -> Result<Option<Variables>, Applied> {
    let Gathered { variables, secret, .. } = gathered;
    let made = variables.map(|values| Variables::new(values, secret, true)).transpose();
    made.map_err(|error| Applied::Unsubstituted { message: error.to_string() })
}

fn unrenderable(error: &RenderError, path: &str) -> Applied {
    match error.category() {
        Category::PathNotFound => Applied::PathMissing { path: path.to_owned() },
        Category::InvalidPath | Category::Build => Applied::Unrenderable { message: error.to_string() },
        Category::Substitution => Applied::Unsubstituted { message: error.to_string() },
    }
}
