//! The CustomResourceDefinitions of the served kinds, made from the serde types: one schema a kind, the union of the
//! fields of all its versions, so that an object is stored without loss whichever version it was written in.

mod fields;
mod schema;

use schemars::JsonSchema;
use serde_json::{Value, json};

use super::{
    GitRepository, GitRepositorySpec, GitRepositoryStatus, Kind, Kustomization, KustomizationSpec,
    KustomizationStatus,
};
use lockgate_base::model::Object;

/// The CustomResourceDefinitions of all served kinds.
pub fn definitions() -> Vec<Object> {
    let kinds = [kustomization(), git_repository()];
    kinds.into_iter().filter_map(|definition| Object::parse(definition).ok()).collect()
}

fn kustomization() -> Value {
    definition::<Kustomization, KustomizationSpec, KustomizationStatus>(&Names {
        short: "ks",
        category: "fluxcd-appliers",
        leading_columns: json!([]),
        overrides: fields::KUSTOMIZATION,
    })
}

fn git_repository() -> Value {
    definition::<GitRepository, GitRepositorySpec, GitRepositoryStatus>(&Names {
        short: "gitrepo",
        category: "fluxcd-sources",
        leading_columns: json!([{"name": "URL", "type": "string", "jsonPath": ".spec.url"}]),
        overrides: fields::GIT_REPOSITORY,
    })
}

/// What the types do not say about a kind.
struct Names {
    short: &'static str,
    category: &'static str,
    leading_columns: Value,
    overrides: &'static [fields::Override],
}

fn definition<K: Kind, Spec: JsonSchema, Status: JsonSchema>(names: &Names) -> Value {
    let singular = K::KIND.to_lowercase();
    let schema = object_schema::<Spec, Status>(names.overrides);
    let columns = columns(&names.leading_columns);
    let versions: Vec<Value> = K::VERSIONS
        .iter()
        .enumerate()
        .map(|(index, version)| {
            let stored = index == 0;
            let mut entry = json!({"name": version, "served": true, "storage": stored});
            if !stored {
                entry["deprecated"] = true.into();
                let warning = format!(
                    "{0}/{version} {1} is deprecated; {0}/{2} reads the same",
                    K::GROUP,
                    K::KIND,
                    K::VERSIONS[0]
                );
                entry["deprecationWarning"] = warning.into();
            }
            entry["subresources"] = json!({"status": {}});
            entry["additionalPrinterColumns"] = columns.clone();
            entry["schema"] = json!({"openAPIV3Schema": schema});
            entry
        })
        .collect();
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": K::definition(),
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
            "group": K::GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": K::KIND,
                "listKind": format!("{}List", K::KIND),
                "plural": K::PLURAL,
                "singular": singular,
                "shortNames": [names.short],
                "categories": ["all", "fluxcd", names.category],
            },
            "conversion": {"strategy": "None"},
            "versions": versions,
        },
    })
}

fn object_schema<Spec: JsonSchema, Status: JsonSchema>(overrides: &[fields::Override]) -> Value {
    let mut status = schema::of::<Status>();
    status["default"] = json!({"observedGeneration": -1});
    let mut schema = json!({
        "type": "object",
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": schema::of::<Spec>(),
            "status": status,
        },
    });
    for (pointer, change) in overrides {
        schema::merge(&mut schema, pointer, &change());
    }
    schema
}

fn columns(leading: &Value) -> Value {
    let mut columns = leading.as_array().cloned().unwrap_or_default();
    let condition = |field: &str| format!(".status.conditions[?(@.type==\"Ready\")].{field}");
    columns.push(json!({"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}));
    columns.push(json!({"name": "Ready", "type": "string", "jsonPath": condition("status")}));
    columns.push(json!({"name": "Status", "type": "string", "jsonPath": condition("message")}));
    columns.into()
}

#[cfg(test)]
mod tests;
