//! The changes that a HelmRelease makes to a rendered chart, in Flux's order: kustomize patches and images,
//! common metadata, and the owner labels.

use std::collections::BTreeMap;

use lockgate_base::model::yaml::to_string;
use lockgate_base::tree::Tree;
use serde_json::{Map as JsonMap, Value as Json, json};

use super::error::Error;
use super::manifest::{self, Manifests};
use crate::budget::Budget;
use crate::kustomize::{Flavour, KustomizeRecipe, Overlay, build_within};

/// The annotation that carries a document's file through kustomize. Its name is helm's.
const FILE: &str = "postrenderer.helm.sh/postrender-filename";
/// The group of the owner labels.
const GROUP: &str = "helm.toolkit.fluxcd.io";

/// The changes to the documents of a release.
#[derive(Debug, Clone, Default)]
pub struct PostRender {
    /// The `kustomize` of each of `spec.postRenderers`.
    pub kustomize: Vec<Json>,
    /// `spec.commonMetadata.labels`
    pub labels: BTreeMap<String, String>,
    /// `spec.commonMetadata.annotations`
    pub annotations: BTreeMap<String, String>,
    /// Namespace and name of the HelmRelease.
    pub owner: Option<(String, String)>,
}

/// Applies the changes with the rest of the render's budget, and sorts the documents again, hooks included.
pub fn apply(manifests: &Manifests, wanted: &PostRender, budget: &Budget) -> Result<Manifests, Error> {
    let plain = manifests.plain.iter().map(|manifest| (&manifest.path, manifest.value()));
    let hooks = manifests.hooks.iter().map(|hook| (&hook.path, hook.value()));
    let mut documents: Vec<(&String, Result<Json, Error>)> = plain.chain(hooks).collect();
    documents.sort_by(|a, b| a.0.cmp(b.0));
    let mut objects = Vec::new();
    for (path, value) in documents {
        let mut value = value?;
        if !value.is_null() {
            annotate(&mut value, path)?;
            objects.push(value);
        }
    }
    for overlay in &wanted.kustomize {
        objects = kustomized(&objects, overlay, budget)?;
    }
    let origin = wanted.owner.iter().flat_map(|(namespace, name)| {
        [(format!("{GROUP}/name"), name.clone()), (format!("{GROUP}/namespace"), namespace.clone())]
    });
    let labels: Vec<(String, String)> = wanted.labels.clone().into_iter().chain(origin).collect();
    let mut files: BTreeMap<String, String> = BTreeMap::new();
    for mut object in objects {
        put(&mut object, "labels", &labels)?;
        put(&mut object, "annotations", &wanted.annotations.clone().into_iter().collect::<Vec<_>>())?;
        let path = file_of(&mut object);
        object.sort_all_objects();
        let text = files.entry(path).or_default();
        if !text.is_empty() {
            text.push_str("---\n");
        }
        text.push_str(&to_string(&object));
    }
    manifest::sort(files)
}

fn kustomized(objects: &[Json], overlay: &Json, budget: &Budget) -> Result<Vec<Json>, Error> {
    const INPUT: &str = "helm-output.yaml";
    let failed =
        |error: crate::RenderError| Error::new(format!("error while running post render on files: {error}"));
    let text = objects.iter().map(to_string).collect::<Vec<_>>().join("---\n");
    let kustomization = json!({
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [INPUT],
    });
    let tree = Tree::in_memory([
        (INPUT.to_owned(), text),
        ("kustomization.yaml".to_owned(), to_string(&kustomization)),
    ]);
    let overlay = Overlay::from_spec(overlay).map_err(failed)?;
    let recipe = KustomizeRecipe { path: String::new(), flavour: Flavour::Flux(Box::new(overlay)) };
    let built = build_within(&tree, &recipe, budget).map_err(failed)?;
    Ok(built.objects.into_iter().map(|built| built.value).collect())
}

fn object(value: &mut Json) -> Result<&mut JsonMap<String, Json>, Error> {
    value.as_object_mut().ok_or_else(|| Error::new("error merging manifests: a document is no object"))
}

/// The map at a key, which is created if it is missing or null.
fn map<'j>(fields: &'j mut JsonMap<String, Json>, key: &str) -> Result<&'j mut JsonMap<String, Json>, Error> {
    let slot = fields.entry(key).or_insert(Json::Null);
    if slot.is_null() {
        *slot = json!({});
    }
    slot.as_object_mut().ok_or_else(|| Error::new(format!("error merging manifests: {key} is no map")))
}

fn annotate(value: &mut Json, path: &str) -> Result<(), Error> {
    let metadata = map(object(value)?, "metadata")?;
    map(metadata, "annotations")?.insert(FILE.into(), json!(path));
    Ok(())
}

fn put(value: &mut Json, field: &str, entries: &[(String, String)]) -> Result<(), Error> {
    if entries.is_empty() {
        return Ok(());
    }
    let into = map(map(object(value)?, "metadata")?, field)?;
    for (key, value) in entries {
        into.insert(key.clone(), json!(value));
    }
    Ok(())
}

/// Removes the file's name from a document and returns it. A document that a patch added comes from no file
/// of the chart.
fn file_of(value: &mut Json) -> String {
    let Some(metadata) = value.get_mut("metadata").and_then(Json::as_object_mut) else {
        return "generated-by-postrender".into();
    };
    let annotations = metadata.get_mut("annotations").and_then(Json::as_object_mut);
    let path = annotations.and_then(|annotations| annotations.remove(FILE));
    if metadata.get("annotations").and_then(Json::as_object).is_some_and(JsonMap::is_empty) {
        metadata.remove("annotations");
    }
    match path {
        Some(Json::String(path)) => path,
        _ => "generated-by-postrender".into(),
    }
}

#[cfg(test)]
mod tests;
