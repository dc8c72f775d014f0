//! The fields of a HelmRelease that affect its render, in every API version of Flux.

use std::collections::BTreeMap;

use serde_json::Value as Json;
use sha2::{Digest as _, Sha256};

use super::chart::Chart;
use super::error::Error;
use super::postrender::PostRender;
use super::values::references::ValuesReference;

/// How long a release's name may be.
const NAME_LIMIT: usize = 53;

/// The parts of a HelmRelease that rendering needs.
#[derive(Debug, Clone, Default)]
pub struct HelmRelease {
    /// `metadata.name`
    pub name: String,
    /// `metadata.namespace`, or `default`.
    pub namespace: String,
    /// The release's name.
    pub release_name: String,
    /// The namespace that the chart sees.
    pub target_namespace: String,
    /// `spec.values`
    pub values: Json,
    /// `spec.valuesFrom`
    pub references: Vec<ValuesReference>,
    /// Files of the chart that replace its values, later ones over earlier ones; empty if its own values
    /// count.
    pub values_files: Vec<String>,
    /// Whether such files may be missing.
    pub ignores_missing_files: bool,
    /// The changes to make to the documents.
    pub post_render: PostRender,
}

impl HelmRelease {
    /// Reads an object. Fails with the field that is not what it must be.
    pub fn read(object: &Json) -> Result<Self, String> {
        let spec = &object["spec"];
        let text = |value: &Json| value.as_str().filter(|text| !text.is_empty()).map(ToOwned::to_owned);
        let name = text(&object["metadata"]["name"]).ok_or("metadata.name is missing")?;
        let namespace = text(&object["metadata"]["namespace"]).unwrap_or_else(|| "default".into());
        if !(spec["values"].is_null() || spec["values"].is_object()) {
            return Err("spec.values must be a map".into());
        }
        let target = text(&spec["targetNamespace"]);
        let given = text(&spec["releaseName"]);
        let chart = &spec["chart"]["spec"];
        let mut values_files: Vec<String> = list(&chart["valuesFiles"]).filter_map(text).collect();
        if values_files.is_empty() {
            values_files.extend(text(&chart["valuesFile"]));
        }
        let references = list(&spec["valuesFrom"]).enumerate().map(|(at, entry)| {
            reference(entry).map_err(|field| format!("spec.valuesFrom[{at}].{field} is missing"))
        });
        let kustomize = list(&spec["postRenderers"]).map(|renderer| &renderer["kustomize"]);
        let common = &spec["commonMetadata"];
        Ok(Self {
            release_name: release_name(given.as_deref(), target.as_deref(), &name),
            target_namespace: target.unwrap_or_else(|| namespace.clone()),
            values: spec["values"].clone(),
            references: references.collect::<Result<_, _>>()?,
            values_files,
            ignores_missing_files: chart["ignoreMissingValuesFiles"].as_bool().unwrap_or(false),
            post_render: PostRender {
                kustomize: kustomize.filter(|kustomize| !kustomize.is_null()).cloned().collect(),
                labels: texts(&common["labels"]),
                annotations: texts(&common["annotations"]),
                owner: Some((namespace.clone(), name.clone())),
            },
            name,
            namespace,
        })
    }

    /// The chart with the values of `valuesFiles` in place of its own.
    pub fn with_values_files(&self, chart: Chart) -> Result<Chart, Error> {
        if self.values_files.is_empty() {
            return Ok(chart);
        }
        chart.with_values_files(&self.values_files, self.ignores_missing_files)
    }
}

fn list(value: &Json) -> impl Iterator<Item = &Json> {
    value.as_array().into_iter().flatten()
}

fn texts(value: &Json) -> BTreeMap<String, String> {
    let entries = value.as_object().into_iter().flatten();
    entries.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

fn reference(entry: &Json) -> Result<ValuesReference, &'static str> {
    let text = |field: &str| entry[field].as_str().unwrap_or_default().to_owned();
    let (kind, name) = (text("kind"), text("name"));
    if kind.is_empty() {
        return Err("kind");
    }
    if name.is_empty() {
        return Err("name");
    }
    Ok(ValuesReference {
        kind,
        name,
        key: entry["valuesKey"].as_str().map(ToOwned::to_owned),
        target_path: text("targetPath"),
        optional: entry["optional"].as_bool().unwrap_or(false),
        literal: entry["literal"].as_bool().unwrap_or(false),
    })
}

/// The name of a release: the one that is given, or one of the target namespace and the HelmRelease's name.
pub fn release_name(given: Option<&str>, target: Option<&str>, name: &str) -> String {
    match (given, target) {
        (Some(given), _) => shortened(given),
        (None, Some(target)) => shortened(&format!("{target}-{name}")),
        (None, None) => shortened(name),
    }
}

/// A name that fits: its first 40 characters and a part of its digest, where it is too long.
fn shortened(name: &str) -> String {
    if name.len() <= NAME_LIMIT {
        return name.to_owned();
    }
    let digest = hex::encode(Sha256::digest(name.as_bytes()));
    let start: String = name.chars().take(40).collect();
    format!("{start}-{}", &digest[..12])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_release_is_named_as_flux_names_it() {
        let read = |spec: Json| {
            HelmRelease::read(&json!({"metadata": {"name": "web", "namespace": "apps"}, "spec": spec}))
                .unwrap()
        };
        let release = read(json!({}));
        assert_eq!((&*release.release_name, &*release.target_namespace), ("web", "apps"));
        let release = read(json!({"targetNamespace": "shop"}));
        assert_eq!((&*release.release_name, &*release.target_namespace), ("shop-web", "shop"));
        let release = read(json!({"targetNamespace": "shop", "releaseName": "r"}));
        assert_eq!(&*release.release_name, "r");
        let release = read(json!({"releaseName": "a".repeat(54)}));
        assert_eq!(release.release_name, format!("{}-a3f01b693925", "a".repeat(40)));
    }

    #[test]
    fn a_reference_names_its_object() {
        let object = json!({"metadata": {"name": "web"}, "spec": {"valuesFrom": [{"kind": "Secret"}]}});
        assert_eq!(HelmRelease::read(&object).unwrap_err(), "spec.valuesFrom[0].name is missing");
    }
}
