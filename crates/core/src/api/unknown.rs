//! Finds misspelt kinds, versions and fields in objects of Flux's groups.

use std::sync::LazyLock;

use serde_json::Value;

use super::crd::schema_of;
use super::kinds::KINDS;
use lockgate_base::model::Object;

/// The schemas of all kinds, in the order of the table.
static SCHEMAS: LazyLock<Vec<Value>> = LazyLock::new(|| KINDS.iter().map(|info| schema_of(info)).collect());

/// A line for each unknown kind, version or field of an object; no line for objects outside of Flux's groups.
pub fn unknown(object: &Object) -> Vec<String> {
    let (group, version, kind) = (object.group(), object.version(), object.kind());
    let Some(at) = KINDS.iter().position(|info| info.is_of(object)) else {
        let mut known: Vec<&str> =
            KINDS.iter().filter(|info| info.id.group == group).map(|info| info.id.kind).collect();
        known.sort_unstable();
        let line = || format!("{group} has no kind {kind}; it has {}", known.join(", "));
        return if known.is_empty() { Vec::new() } else { vec![line()] };
    };
    let mut lines = Vec::new();
    let versions = KINDS[at].versions;
    if !versions.contains(&version) {
        lines.push(format!("a {kind} has no version {version}, only {}", versions.join(", ")));
    }
    let mut fields = Vec::new();
    if let Some(schema) = SCHEMAS.get(at) {
        gather(schema, object.value(), "", &mut fields);
    }
    lines.extend(fields.into_iter().map(|field| format!("a {kind} has no field {field}")));
    lines
}

/// Collects the paths of the fields that a schema does not have.
fn gather(schema: &Value, value: &Value, path: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            let properties = schema["properties"].as_object();
            let others = schema["additionalProperties"].as_object();
            let keeps = schema["x-kubernetes-preserve-unknown-fields"] == true;
            for (name, value) in fields {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                // These fields belong to every object, so the schema need not have them.
                let is_common = matches!(path.as_str(), "apiVersion" | "kind" | "metadata" | "status");
                match properties.and_then(|properties| properties.get(name)) {
                    _ if is_common => {}
                    Some(schema) => gather(schema, value, &path, found),
                    None if others.is_some() => gather(&schema["additionalProperties"], value, &path, found),
                    None if properties.is_some() && !keeps => found.push(path),
                    None => {}
                }
            }
        }
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                gather(&schema["items"], item, &format!("{path}[{at}]"), found);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(api_version: &str, kind: &str, spec: impl Into<Value>) -> Vec<String> {
        let spec = spec.into();
        let metadata = json!({"name": "a", "annotations": {"b": "c"}});
        let object = json!({"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec});
        unknown(&Object::parse(object).unwrap())
    }

    #[test]
    fn misspelt_kinds_versions_and_fields_are_found() {
        let group = "kustomize.toolkit.fluxcd.io";
        let spec = json!({"interval": "1m", "prune": true, "pth": "./a", "dependsOn": [{"nam": "b"}],
                          "postBuild": {"substitute": {"any": "name"}, "subst": {}},
                          "patches": [{"patch": "x", "target": {"kind": "A"}}]});
        assert_eq!(
            told(&format!("{group}/v1"), "Kustomization", spec),
            [
                "a Kustomization has no field spec.pth",
                "a Kustomization has no field spec.dependsOn[0].nam",
                "a Kustomization has no field spec.postBuild.subst",
            ]
        );
        assert_eq!(
            told(&format!("{group}/v2"), "Kustomization", json!({})),
            ["a Kustomization has no version v2, only v1, v1beta2, v1beta1"]
        );
        assert_eq!(
            told(&format!("{group}/v1"), "Kustomisation", json!({})),
            ["kustomize.toolkit.fluxcd.io has no kind Kustomisation; it has Kustomization"]
        );
        assert_eq!(told("apps/v1", "Kustomisation", json!({"x": 1})), [""; 0]);
        let values = json!({"interval": "1m", "values": {"any": {"thing": 1}}, "chartt": {}});
        assert_eq!(
            told("helm.toolkit.fluxcd.io/v2", "HelmRelease", values),
            ["a HelmRelease has no field spec.chartt"]
        );
    }
}
