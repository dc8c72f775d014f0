//! The CustomResourceDefinitions of the served kinds, made from the serde types: one schema a kind, the union of the
//! fields of all its versions, so that an object is stored without loss whichever version it was written in.

mod fields;
mod schema;

use serde_json::{Value, json};

use super::{Column, GitRepositorySpec, Kind, KindInfo, KustomizationSpec, Role};
use lockgate_base::model::Object;

/// The CustomResourceDefinitions of all served kinds.
pub fn definitions() -> Vec<Object> {
    let kinds = [
        definition(KustomizationSpec::INFO, &of_types::<KustomizationSpec>(fields::KUSTOMIZATION)),
        definition(GitRepositorySpec::INFO, &of_types::<GitRepositorySpec>(fields::GIT_REPOSITORY)),
    ];
    kinds.into_iter().filter_map(|definition| Object::parse(definition).ok()).collect()
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
    let category = match info.role {
        Role::Source => Some("fluxcd-sources"),
        Role::Applier(_) => Some("fluxcd-appliers"),
        Role::Neither => None,
    };
    let mut names = json!({
        "kind": kind,
        "listKind": format!("{kind}List"),
        "plural": info.plural,
        "singular": kind.to_lowercase(),
    });
    if !info.short_names.is_empty() {
        names["shortNames"] = json!(info.short_names);
    }
    names["categories"] = ["all", "fluxcd"].into_iter().chain(category).collect();
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": info.definition(),
            "labels": {
                "app.kubernetes.io/name": "lockgate",
                // By this label `flux check` finds the kinds.
                "app.kubernetes.io/part-of": "flux",
                "app.kubernetes.io/component": "crds",
            },
            // A repository that holds these files substitutes variables in them as in any other; patterns in the
            // schema would be read as variables.
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
    let mut schema = object_schema(&schema::of::<K>(), schema::of::<K::Status>());
    for (pointer, change) in overrides {
        schema::merge(&mut schema, pointer, &change());
    }
    schema
}

fn object_schema(spec: &Value, mut status: Value) -> Value {
    status["default"] = json!({"observedGeneration": -1});
    json!({
        "type": "object",
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": spec,
            "status": status,
        },
    })
}

fn column(column: &Column) -> Value {
    let form = if *column == Column::AGE { "date" } else { "string" };
    json!({"name": column.name, "type": form, "jsonPath": column.path})
}

#[cfg(test)]
mod tests;
