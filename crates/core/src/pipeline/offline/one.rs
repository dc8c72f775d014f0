//! Builds one Kustomization of a tree.

use serde_json::{Value, json};

use super::error::{Found, OfflineError, Rendered, subject};
use super::values::{self, Values};
use crate::api::{self, DEFAULT_SOURCE, Kustomization};
use crate::pipeline::build::supported;
use crate::pipeline::dress::dress;
use crate::verdict::Common;
use lockgate_base::keys;
use lockgate_base::tree::Tree;
use lockgate_render::kustomize::{self, Flavour, Overlay};
use lockgate_render::{Inputs, Recipe, RenderError, ResourceSet, render};

/// Builds one Kustomization as the agent would, owner labels and common metadata included.
pub fn kustomization(tree: &Tree, found: &Found, values: &Values) -> Result<Rendered, OfflineError> {
    let Completed { found, mut warnings } = Completed::of(found.clone());
    let subject = subject(&found);
    let kustomization: Kustomization = api::decode(&found.object)
        .map_err(|error| OfflineError::Malformed { file: found.file.clone(), error })?;
    let spec = &kustomization.spec;
    if spec.decryption.is_some() {
        warnings.push("nothing is decrypted here; what is encrypted is shown as it stands".into());
    } else if let Err(Common::Malformed { message }) = supported(&kustomization) {
        warnings.push(format!("the agent does not apply it: {message}"));
    }
    if spec.suspend {
        warnings.push("it is suspended, so the agent leaves it alone".into());
    }
    let variables = values::variables(&kustomization, &found.file, &subject, values, &mut warnings)?;
    let overlay = serde_json::to_value(spec).unwrap_or_default();
    let set =
        flux(tree, &api::folder(spec.path.as_deref().unwrap_or_default()), &overlay, &Inputs { variables });
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
pub(super) struct Completed {
    pub(super) found: Found,
    pub(super) warnings: Vec<String>,
}

impl Completed {
    pub(super) fn of(found: Found) -> Self {
        let source = json!({"kind": DEFAULT_SOURCE, "name": keys::DEFAULT_NAMESPACE});
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

/// Renders a folder as Flux does, with what a Kustomization's spec lays over it.
pub(super) fn flux(
    tree: &Tree,
    path: &str,
    spec: &Value,
    inputs: &Inputs,
) -> Result<ResourceSet, RenderError> {
    let overlay = Overlay::from_spec(spec)?;
    let recipe = kustomize::Recipe { path: path.into(), flavour: Flavour::Flux(Box::new(overlay)) };
    render(tree, &Recipe::Kustomize(recipe), inputs)
}
