//! Builds Kustomizations of a tree with no cluster at hand. What the agent would read from the cluster, the values to
//! substitute, comes from the caller, from the tree, and from what was built before.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::dress::dress;
use crate::api::{self, Kind as _, Kustomization, SubstituteFrom, SubstituteStrategy};
use crate::model::yaml::{self, Dialect};
use crate::model::{Object, ObjectId};
use crate::render::kustomize::{self, Flavour, Overlay};
use crate::render::substitute::{SubstituteError, Variables};
use crate::render::{Inputs, Recipe, RenderError, ResourceSet, render};
use crate::tree::Tree;

#[cfg(test)]
mod tests;

/// Values to substitute.
#[derive(Debug, Clone, Default)]
pub struct Values {
    /// ConfigMaps and Secrets that `substituteFrom` may name. The namespace counts only where one has it.
    pub objects: Vec<Object>,
    /// Single values, which win over all others.
    pub set: BTreeMap<String, String>,
}

/// What was built for one Kustomization, or for the folder that was asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Rendered {
    /// `Kustomization/namespace/name`, or the folder.
    pub subject: String,
    /// The objects in their order.
    pub objects: Vec<Object>,
    /// What people should know.
    pub warnings: Vec<String>,
}

/// Why something cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum OfflineError {
    /// The files do not build.
    #[error("{subject}: {error}")]
    Render {
        /// `Kustomization/namespace/name`, or the folder.
        subject: String,
        /// Why.
        error: RenderError,
    },
    /// The Kustomization is not one.
    #[error("{0}")]
    Malformed(#[from] api::Malformed),
    /// The values cannot be substituted.
    #[error("{subject}: {error}")]
    Substitute {
        /// `Kustomization/namespace/name`.
        subject: String,
        /// Why.
        error: SubstituteError,
    },
    /// Values that are named and not at hand.
    #[error("{subject}: substitute from {}: not found in the tree, or there more than once; give it with --substitute-from", .missing.join(", "))]
    MissingValues {
        /// `Kustomization/namespace/name`.
        subject: String,
        /// `Kind/name` of each.
        missing: Vec<String>,
    },
    /// There is no Kustomization of that name.
    #[error("the tree has no Kustomization '{0}'")]
    NotFound(String),
    /// There is more than one.
    #[error("the tree has more than one Kustomization '{name}': {}; name a file", .files.join(", "))]
    Ambiguous {
        /// As asked for.
        name: String,
        /// Where they are.
        files: Vec<String>,
    },
}

/// The Kustomization of a name, or of `namespace/name`, wherever in the tree it stands, with its file.
pub fn find(tree: &Tree, name: &str) -> Result<(String, Object), OfflineError> {
    let is_wanted = |id: &ObjectId| id.name == name || format!("{}/{}", id.namespace, id.name) == name;
    let mut found = objects(tree, |kind| kind == Kustomization::KIND);
    found.retain(|(_, object)| object.group() == Kustomization::GROUP && is_wanted(&object.id()));
    match found.len() {
        1 => Ok(found.swap_remove(0)),
        0 => Err(OfflineError::NotFound(name.into())),
        _ => {
            let files = found.into_iter().map(|(file, _)| file).collect();
            Err(OfflineError::Ambiguous { name: name.into(), files })
        }
    }
}

/// The ConfigMaps and Secrets that stand in the tree as they are. What a build would make of them is not known here.
///
/// A repository holds one of a name for each of its clusters: of those, the one in the folder that has most in common
/// with `near` is taken. Where two are equally near, neither is, since the choice would be a guess.
pub fn values_in(tree: &Tree, near: &str) -> Vec<Object> {
    let mut nearest: BTreeMap<ObjectId, (usize, Vec<Object>)> = BTreeMap::new();
    for (file, object) in objects(tree, |kind| kind == "ConfigMap" || kind == "Secret") {
        let shared = near.split('/').zip(file.split('/')).take_while(|(a, b)| a == b).count();
        let best = nearest.entry(object.id()).or_default();
        if shared > best.0 {
            *best = (shared, vec![object]);
        } else if shared == best.0 && !best.1.contains(&object) {
            best.1.push(object);
        }
    }
    let alone = nearest.into_values().filter(|(_, objects)| objects.len() == 1);
    alone.flat_map(|(_, objects)| objects).collect()
}

/// Builds one Kustomization as the agent would, owner labels and common metadata included.
pub fn kustomization(tree: &Tree, object: &Object, values: &Values) -> Result<Rendered, OfflineError> {
    let subject = object.id().subject();
    let kustomization: Kustomization = api::decode(object)?;
    let spec = &kustomization.spec;
    let mut warnings = Vec::new();
    if spec.decryption.is_some() {
        warnings
            .push(format!("{subject}: nothing is decrypted here; what is encrypted is shown as it stands"));
    }
    let variables = variables(&kustomization, &subject, values)?;
    let overlay = serde_json::to_value(spec).unwrap_or_default();
    let set = flux(tree, spec.path.as_deref().unwrap_or_default(), &overlay, &Inputs { variables });
    let set = set.map_err(|error| OfflineError::Render { subject: subject.clone(), error })?;
    warnings.extend(set.warnings.iter().cloned());
    let mut objects: Vec<Object> = set.into_resources().into_iter().map(|resource| resource.object).collect();
    for object in &mut objects {
        dress(object, &kustomization);
    }
    Ok(Rendered { subject, objects, warnings })
}

/// Builds a folder, every Kustomization that is in what was built, and so on. One whose dependencies and values come
/// from the others finds them, since all are built in the order in which they are found.
pub fn recursive(tree: &Tree, path: &str, values: &Values) -> Result<Vec<Rendered>, OfflineError> {
    let set = flux(tree, path, &json!({}), &Inputs::default());
    let set = set.map_err(|error| OfflineError::Render { subject: path.to_owned(), error })?;
    let warnings = set.warnings.clone();
    let objects = set.into_resources().into_iter().map(|resource| resource.object).collect();
    let mut rendered = vec![Rendered { subject: path.to_owned(), objects, warnings }];
    let mut known = values.clone();
    let mut seen = BTreeSet::new();
    let mut pending: VecDeque<Object> = VecDeque::new();
    loop {
        if let Some(last) = rendered.last() {
            for object in &last.objects {
                if object.group() == Kustomization::GROUP && object.kind() == Kustomization::KIND {
                    pending.extend(seen.insert(object.id()).then(|| object.clone()));
                }
                if object.api_version() == "v1" && ["ConfigMap", "Secret"].contains(&object.kind()) {
                    known.objects.push(object.clone());
                }
            }
        }
        let Some(next) = pending.pop_front() else { return Ok(rendered) };
        if next.text("/spec/sourceRef/kind") == Some(api::GitRepository::KIND) {
            rendered.push(kustomization(tree, &next, &known)?);
        } else {
            let subject = next.id().subject();
            let warnings = vec![format!("{subject}: its source is not a GitRepository, so it is not built")];
            rendered.push(Rendered { subject, objects: Vec::new(), warnings });
        }
    }
}

fn flux(tree: &Tree, path: &str, spec: &Value, inputs: &Inputs) -> Result<ResourceSet, RenderError> {
    let overlay = Overlay::from_spec(spec)?;
    let recipe = kustomize::Recipe { path: path.into(), flavour: Flavour::Flux(Box::new(overlay)) };
    render(tree, &Recipe::Kustomize(recipe), inputs)
}

/// The values in Flux's order: those of `substituteFrom`, the later winning, then those of the object itself, then those
/// that the caller has set.
fn variables(
    kustomization: &Kustomization,
    subject: &str,
    values: &Values,
) -> Result<Option<Variables>, OfflineError> {
    let Some(post_build) = &kustomization.spec.post_build else { return Ok(None) };
    let mut merged = BTreeMap::new();
    let mut secret = BTreeSet::new();
    let mut missing = Vec::new();
    for from in &post_build.substitute_from {
        match values
            .objects
            .iter()
            .rev()
            .find(|object| is_named(object, from, &kustomization.metadata.namespace))
        {
            Some(object) => {
                for (name, value) in data(object) {
                    if from.kind == "Secret" {
                        secret.insert(name.clone());
                    } else {
                        secret.remove(&name);
                    }
                    merged.insert(name, value);
                }
            }
            None if from.optional => {}
            None => missing.push(format!("{}/{}", from.kind, from.name)),
        }
    }
    // Who sets single values may mean them to stand for what is not at hand.
    if !missing.is_empty() && values.set.is_empty() {
        return Err(OfflineError::MissingValues { subject: subject.into(), missing });
    }
    for (name, value) in post_build.substitute.iter().chain(&values.set) {
        secret.remove(name);
        merged.insert(name.clone(), value.clone());
    }
    let always = post_build.substitute_strategy == Some(SubstituteStrategy::Always);
    if merged.is_empty() && !always {
        return Ok(None);
    }
    let made = Variables::new(merged, secret, true);
    made.map(Some).map_err(|error| OfflineError::Substitute { subject: subject.into(), error })
}

fn is_named(object: &Object, from: &SubstituteFrom, namespace: &str) -> bool {
    let id = object.id();
    id.kind == from.kind && id.name == from.name && (id.namespace.is_empty() || id.namespace == namespace)
}

/// `data`, decoded for a Secret, with `stringData` over it.
fn data(object: &Object) -> BTreeMap<String, String> {
    let is_secret = object.kind() == "Secret";
    let entries = |field: &str| object.pointer(field).and_then(Value::as_object).into_iter().flatten();
    let mut data = BTreeMap::new();
    for (name, value) in entries("/data") {
        let Some(text) = value.as_str() else { continue };
        let decoded = || STANDARD.decode(text).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let text = if is_secret { decoded().unwrap_or_default() } else { text.to_owned() };
        data.insert(name.clone(), text);
    }
    for (name, value) in entries("/stringData") {
        data.extend(value.as_str().map(|text| (name.clone(), text.to_owned())));
    }
    data
}

/// The objects of some kinds in the YAML files of a tree, each with its file. Files that do not read are passed over:
/// they need not be manifests.
fn objects(tree: &Tree, is_wanted: impl Fn(&str) -> bool) -> Vec<(String, Object)> {
    let reader = tree.reader();
    let files = tree.entries().map(|(path, _)| path);
    let yaml = files.filter(|path| [".yaml", ".yml"].iter().any(|ending| path.ends_with(ending)));
    let mut found = Vec::new();
    for path in yaml {
        let Ok(text) = reader.text(path) else { continue };
        // Most files hold none, and reading them as YAML is what takes the time.
        if !text
            .lines()
            .any(|line| line.trim_start().strip_prefix("kind:").is_some_and(|kind| is_wanted(word(kind))))
        {
            continue;
        }
        for document in yaml::documents(&text, Dialect::V3).unwrap_or_default() {
            if let Ok(object) = Object::parse(document.value)
                && is_wanted(object.kind())
            {
                found.push((path.to_owned(), object));
            }
        }
    }
    found
}

/// A scalar without the quotes and the comment that may be around it.
fn word(text: &str) -> &str {
    let text = text.split(" #").next().unwrap_or_default().trim();
    text.trim_matches(['"', '\''])
}
