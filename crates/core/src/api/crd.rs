//! The CustomResourceDefinitions of the served kinds, made from the serde types or from an outline of their
//! fields. A kind has one schema, the union of the fields of all its versions, so that an object is stored
//! without loss in whichever version it was written.

mod fields;
mod types;
mod outline;

use serde_json::{Map, Value, json};

use super::{Column, GitRepositorySpec, KINDS, Kind, KindInfo, KustomizationSpec};
use lockgate_base::model::Object;

/// The CustomResourceDefinitions of all served kinds.
pub fn definitions() -> Vec<Object> {
    let kinds = KINDS.iter().map(|info| definition(info, &schema_of(info)));
    kinds.filter_map(|definition| Object::parse(definition).ok()).collect()
}

/// The schema that all versions of a kind share.
pub(super) fn schema_of(info: &KindInfo) -> Value {
    match info.outline {
        Some(outline) => with_metadata(outline::fields_of(outline)),
        None if info.id == KustomizationSpec::INFO.id => of_types::<KustomizationSpec>(fields::KUSTOMIZATION),
        None => of_types::<GitRepositorySpec>(fields::GIT_REPOSITORY),
    }
}

fn definition(info: &KindInfo, schema: &Value) -> Value {
    let (group, kind) = (info.id.group, info.id.kind);
    let columns: Vec<Value> = info.columns.iter().map(column).collect();
    let versions: Vec<Value> = info
        .versions
        .iter()
        .enumerate()
        .map(|(index, version)| {
            let stored = index == 0;
            let mut entry = json!({"name": version, "served": true, "storage": stored});
            if !stored {
                entry["deprecated"] = true.into();
                let current = info.versions[0];
                let warning =
                    format!("{group}/{version} {kind} is deprecated; {group}/{current} reads the same");
                entry["deprecationWarning"] = warning.into();
            }
            entry["subresources"] = json!({"status": {}});
            entry["additionalPrinterColumns"] = columns.clone().into();
            entry["schema"] = json!({"openAPIV3Schema": schema});
            entry
        })
        .collect();
    let mut names = json!({
        "kind": kind,
        "listKind": format!("{kind}List"),
        "plural": info.plural,
        "singular": kind.to_lowercase(),
    });
    if !info.short_names.is_empty() {
        names["shortNames"] = json!(info.short_names);
    }
    names["categories"] = json!(["all", "fluxcd", info.category]);
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": info.definition(),
            "labels": {
                "app.kubernetes.io/name": "lockgate",
                // `flux check` finds the kinds by this label.
                "app.kubernetes.io/part-of": "flux",
                "app.kubernetes.io/component": "crds",
            },
            // Disables substitution: in a repository that contains these files, patterns of the schema would
            // otherwise be taken for variables.
            "annotations": {lockgate_base::keys::SUBSTITUTE: "disabled"},
        },
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": names,
            "conversion": {"strategy": "None"},
            "versions": versions,
        },
    })
}

fn of_types<K: Kind>(overrides: &[fields::Override]) -> Value {
    let mut status = types::of::<K::Status>();
    status["default"] = json!({"observedGeneration": -1});
    let fields = [("spec".to_owned(), types::of::<K>()), ("status".to_owned(), status)];
    let mut schema = with_metadata(fields.into_iter().collect());
    for (pointer, change) in overrides {
        types::merge(&mut schema, pointer, &change());
    }
    schema
}

/// The schema of an object, from the schemas of its other fields.
fn with_metadata(fields: Map<String, Value>) -> Value {
    let text = json!({"type": "string"});
    let mut properties = json!({"apiVersion": text, "kind": text, "metadata": {"type": "object"}});
    if let Some(properties) = properties.as_object_mut() {
        properties.extend(fields);
    }
    json!({"type": "object", "properties": properties})
}

fn column(column: &Column) -> Value {
    let form = if *column == Column::AGE { "date" } else { "string" };
    let mut printed = json!({"name": column.name, "type": form, "jsonPath": column.path});
    if column.is_wide {
        printed["priority"] = 1.into();
    }
    printed
}

#[cfg(test)]
mod tests;
