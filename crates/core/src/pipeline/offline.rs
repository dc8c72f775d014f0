//! Builds Kustomizations of a tree with no cluster at hand. What the agent would read from the cluster, the values to
//! substitute, comes from the caller, from what was built before, and from the tree.

mod search;
mod values;
mod walk;

use serde_json::{Value, json};

use super::build::supported;
use super::dress::dress;
use crate::api::{self, Kustomization};
use crate::graph::Cycle;
use crate::verdict::Outcome;
use lockgate_base::keys;
use lockgate_base::model::Object;
use lockgate_base::tree::Tree;
use lockgate_render::kustomize::{self, Flavour, Overlay};
use lockgate_render::substitute::SubstituteError;
use lockgate_render::{Inputs, Recipe, RenderError, Resource, ResourceSet, render};

pub use search::{find, values_in};
pub use values::Values;
pub use walk::{Start, recursive};

#[cfg(test)]
mod tests;

/// An object, and the file in the tree that holds it; the file's name is empty where that is unknown.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// Path of the file.
    pub file: String,
    /// The object.
    pub object: Object,
}

/// What was built for one Kustomization, or for the folder that was asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Rendered {
    /// `Kustomization/namespace/name in FILE`, or the folder.
    pub subject: String,
    /// The objects in their order, each with the file it is from.
    pub resources: Vec<Resource>,
    /// What people should know.
    pub warnings: Vec<String>,
}

/// Why something cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum OfflineError {
    /// The files do not build.
    #[error("{subject}: {error}")]
    Render {
        /// `Kustomization/namespace/name in FILE`, or the folder.
        subject: String,
        /// Why.
        error: RenderError,
    },
    /// The Kustomization is not one.
    #[error("{file}{}{error}", if .file.is_empty() { "" } else { ": " })]
    Malformed {
        /// Path of the file.
        file: String,
        /// Which, and what is wrong with it.
        error: api::Malformed,
    },
    /// The values cannot be substituted.
    #[error("{subject}: {error}")]
    Substitute {
        /// As above.
        subject: String,
        /// Why.
        error: SubstituteError,
    },
    /// Values that are named and not at hand.
    #[error(
        "{subject}: substitute from {}: not found in the tree, or there more than once; give it with --substitute-from, or \
         build with --recursive the folder that makes it",
        .missing.join(", ")
    )]
    MissingValues {
        /// As above.
        subject: String,
        /// `Kind/name` of each.
        missing: Vec<String>,
    },
    /// Kustomizations that wait for each other.
    #[error("{subject}: dependsOn is a {cycle}")]
    Cycle {
        /// As above.
        subject: String,
        /// All members.
        cycle: Cycle,
    },
    /// Kustomizations that bring Kustomizations that bring Kustomizations, and so on.
    #[error("{subject}: Kustomizations are nested deeper than {limit}")]
    TooDeep {
        /// As above.
        subject: String,
        /// How deep they may be.
        limit: usize,
    },
    /// There is no Kustomization of that name.
    #[error("there is no Kustomization '{name}' in {}", if .folder.is_empty() { "the tree" } else { .folder })]
    NotFound {
        /// As asked for.
        name: String,
        /// Below which folder.
        folder: String,
    },
    /// There is more than one.
    #[error("there is more than one Kustomization '{name}': {}; name a file, or the folder it is in", .files.join(", "))]
    Ambiguous {
        /// As asked for.
        name: String,
        /// Where they are.
        files: Vec<String>,
    },
}

/// Builds one Kustomization as the agent would, owner labels and common metadata included.
pub fn kustomization(tree: &Tree, found: &Found, values: &Values) -> Result<Rendered, OfflineError> {
    let Completed { found, mut warnings } = Completed::of(found.clone());
    let subject = subject(&found);
    let kustomization: Kustomization = api::decode(&found.object)
        .map_err(|error| OfflineError::Malformed { file: found.file.clone(), error })?;
    let spec = &kustomization.spec;
    if spec.decryption.is_some() {
        warnings.push("nothing is decrypted here; what is encrypted is shown as it stands".into());
    } else if let Err(Outcome::Malformed { message }) = supported(&kustomization) {
        warnings.push(format!("the agent does not apply it: {message}"));
    }
    if spec.suspend {
        warnings.push("it is suspended, so the agent leaves it alone".into());
    }
    let variables = values::variables(&kustomization, &found.file, &subject, values)?;
    let overlay = serde_json::to_value(spec).unwrap_or_default();
    let set =
        flux(tree, api::folder(spec.path.as_deref().unwrap_or_default()), &overlay, &Inputs { variables });
    let set = set.map_err(|error| OfflineError::Render { subject: subject.clone(), error })?;
    warnings.extend(set.warnings.iter().cloned());
    let mut resources = set.into_resources();
    let owner = kustomization.reference();
    for resource in &mut resources {
        dress(&mut resource.object, Kustomization::OWNERSHIP, &owner, spec.common_metadata.as_ref());
    }
    if resources.is_empty() {
        warnings.push("it builds to nothing".into());
    }
    let warnings = warnings.into_iter().map(|warning| format!("{subject}: {warning}")).collect();
    Ok(Rendered { subject, resources, warnings })
}

/// A Kustomization with what the API server would ask for. Fields that say nothing about the build are filled in and told
/// of, so that a draft can be looked at.
struct Completed {
    found: Found,
    warnings: Vec<String>,
}

impl Completed {
    fn of(found: Found) -> Self {
        let source = json!({"kind": "GitRepository", "name": keys::DEFAULT_NAMESPACE});
        let defaults = [("interval", json!("10m")), ("prune", json!(false)), ("sourceRef", source)];
        let mut warnings = Vec::new();
        let edited = found.object.clone().edit(|value| {
            let metadata = &mut value["metadata"];
            if metadata["namespace"].is_null() {
                metadata["namespace"] = keys::DEFAULT_NAMESPACE.into();
            }
            let Some(Value::Object(spec)) = value.get_mut("spec") else { return };
            for (field, default) in defaults {
                if spec.get(field).is_none_or(Value::is_null) {
                    spec.insert(field.into(), default);
                    warnings.push(format!("spec.{field} is missing, so the API server does not take it"));
                }
            }
        });
        let object = edited.unwrap_or_else(|_| found.object.clone());
        Self { found: Found { object, ..found }, warnings }
    }
}

/// `Kustomization/namespace/name in FILE`.
fn subject(found: &Found) -> String {
    let subject = found.object.id().subject();
    if found.file.is_empty() { subject } else { format!("{subject} in {}", found.file) }
}

fn flux(tree: &Tree, path: &str, spec: &Value, inputs: &Inputs) -> Result<ResourceSet, RenderError> {
    let overlay = Overlay::from_spec(spec)?;
    let recipe = kustomize::Recipe { path: path.into(), flavour: Flavour::Flux(Box::new(overlay)) };
    render(tree, &Recipe::Kustomize(recipe), inputs)
}
