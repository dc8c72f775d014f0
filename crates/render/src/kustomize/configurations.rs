//! `configurations` and `crds`: more fields for the transformers to change.

use std::sync::Arc;

use serde_json::Value;

use super::config::{BackReference, Config, merge_spec};
use super::decode::Strictness;
use super::file::{FieldSpec, Kustomization, decode_file, first_document};
use super::load::Loader;
use crate::error::{Fault, Result};

/// The longest chain of definitions that refer to each other.
const DEPTH_LIMIT: usize = 50;

/// The built-in fields and those of one kustomization.
pub(crate) fn load(kustomization: &Kustomization, loader: &Loader<'_>) -> Result<Arc<Config>> {
    let mut config = Config::built_in();
    for (index, path) in kustomization.configurations.iter().enumerate() {
        let field = format!("configurations[{index}]");
        let (file, text) = loader.text(path).map_err(|fault| fault.in_field(&field))?;
        let mut read: Config =
            decode_file(first_document(&text, &file, loader.budget())?, Strictness::Strict, &text, &file)?;
        read.sort();
        Arc::make_mut(&mut config).merge(&read).map_err(|error| error.in_file(&file))?;
    }
    for (index, path) in kustomization.crds.iter().enumerate() {
        let field = format!("crds[{index}]");
        let (file, text) = loader.text(path).map_err(|fault| fault.in_field(&field))?;
        if text.is_empty() {
            return Err(Fault::new("the file is empty").in_file(&file).into());
        }
        let definitions = first_document(&text, &file, loader.budget())?;
        let read = of_definitions(&definitions).map_err(|error| error.in_file(&file))?;
        Arc::make_mut(&mut config).merge(&read)?;
    }
    Ok(config)
}

/// The fields that `OpenAPI` definitions mark by their extensions.
fn of_definitions(definitions: &Value) -> Result<Config> {
    let mut all = Config::default();
    let map = match definitions {
        Value::Object(map) => map,
        Value::Null => return Ok(all),
        other => {
            let found = lockgate_base::model::type_name(other);
            return Err(Fault::new(format!("expected a mapping of definitions, found {found}")).into());
        }
    };
    for (name, definition) in map {
        if !definition.is_object() && !definition.is_null() {
            let found = lockgate_base::model::type_name(definition);
            let message = format!("expected an OpenAPI definition, found {found}");
            return Err(Fault::new(message).in_field(name).into());
        }
        let Some(properties) = properties(definition) else { continue };
        if !["kind", "apiVersion", "metadata"].iter().all(|field| properties.contains_key(*field)) {
            continue;
        }
        let kind = name.rsplit('.').next().unwrap_or(name);
        let mut config = Config::default();
        collect(&mut config, kind, definitions, name, &mut Vec::new())?;
        all.merge(&config)?;
    }
    Ok(all)
}

fn properties(definition: &Value) -> Option<&serde_json::Map<String, Value>> {
    let map = definition.as_object()?;
    let schema = map.iter().find(|(key, _)| key.eq_ignore_ascii_case("schema"))?.1;
    schema.get("properties")?.as_object()
}

fn collect(
    config: &mut Config,
    kind: &str,
    definitions: &Value,
    name: &str,
    path: &mut Vec<String>,
) -> Result<()> {
    let Some(properties) = definitions.get(name).and_then(properties) else { return Ok(()) };
    if path.len() > DEPTH_LIMIT {
        let message = format!("definitions refer to definitions more than {DEPTH_LIMIT} deep");
        return Err(Fault::new(message).in_field(name).into());
    }
    for (field, property) in properties {
        let says = |extension: &str| property.get(extension).and_then(Value::as_str);
        path.push(field.clone());
        let spec =
            |path: &[String]| FieldSpec { kind: kind.into(), path: path.join("/"), ..FieldSpec::default() };
        if says("x-kubernetes-annotation").is_some() {
            merge_spec(&mut config.common_annotations, &spec(path))?;
        }
        if says("x-kubernetes-label-selector").is_some() {
            merge_spec(&mut config.common_labels, &spec(path))?;
        }
        if says("x-kubernetes-identity").is_some() {
            merge_spec(&mut config.name_prefix, &spec(path))?;
        }
        let version = says("x-kubernetes-object-ref-api-version");
        if let (Some(version), Some(target)) = (version, says("x-kubernetes-object-ref-kind")) {
            let key = says("x-kubernetes-object-ref-name-key").unwrap_or("name");
            let mut referrer = spec(path);
            referrer.path = format!("{}/{key}", referrer.path);
            let reference = BackReference {
                version: version.into(),
                kind: target.into(),
                referrers: vec![referrer],
                ..BackReference::default()
            };
            config.merge(&Config { name_reference: vec![reference], ..Config::default() })?;
        }
        if let Some(next) = says("$ref") {
            collect(config, kind, definitions, next, path)?;
        }
        path.pop();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn extensions_of_definitions_become_fields() {
        let definitions = json!({
            "x.y.Bee": {"Schema": {"properties": {
                "kind": {}, "apiVersion": {}, "metadata": {}, "spec": {"$ref": "x.y.BeeSpec"}}}},
            "x.y.BeeSpec": {"Schema": {"properties": {
                "hive": {"x-kubernetes-object-ref-api-version": "v1", "x-kubernetes-object-ref-kind": "Hive"},
                "marks": {"x-kubernetes-label-selector": ""}}}},
        });
        let config = of_definitions(&definitions).unwrap();
        assert_eq!(config.name_reference[0].referrers[0].path, "spec/hive/name");
        assert_eq!(config.name_reference[0].kind, "Hive");
        assert_eq!(config.common_labels[0].path, "spec/marks");
    }

    #[test]
    fn definitions_in_a_circle_are_refused() {
        let definitions = json!({"A": {"schema": {"properties": {
            "kind": {}, "apiVersion": {}, "metadata": {}, "next": {"$ref": "A"}}}}});
        let error = of_definitions(&definitions).unwrap_err().to_string();
        assert!(error.contains("more than 50 deep"), "{error}");
    }
}
