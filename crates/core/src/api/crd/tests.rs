//! The API server's rules for a structural schema, and the properties that Flux's users rely on.

use serde_json::Value;

use super::*;

fn schema(plural: &str, pointer: &str) -> Value {
    let definitions = definitions();
    let definition =
        definitions.iter().find(|object| object.text("/spec/names/plural") == Some(plural)).unwrap();
    let path = format!("/spec/versions/0/schema/openAPIV3Schema{pointer}");
    definition.pointer(&path).cloned().unwrap_or_else(|| panic!("{plural} has no {path}"))
}

/// Every schema below a root, each with its path.
fn visit(path: &str, schema: &Value, found: &mut Vec<(String, Value)>) {
    found.push((path.into(), schema.clone()));
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        visit(&format!("{path}.{name}"), property, found);
    }
    for key in ["items", "additionalProperties"] {
        if let Some(inner) = schema.get(key) {
            visit(&format!("{path}.{key}"), inner, found);
        }
    }
}

#[test]
fn every_schema_is_structural() {
    let least = |plural| match plural {
        "kustomizations" | "gitrepositories" => 60,
        _ => 15,
    };
    for plural in KINDS.iter().map(|info| info.plural) {
        let mut found = Vec::new();
        visit("", &schema(plural, ""), &mut found);
        assert!(found.len() > least(plural), "{plural} has only {} fields", found.len());
        for (path, schema) in found {
            let preserves = schema.get("x-kubernetes-preserve-unknown-fields").is_some();
            assert!(schema["type"].is_string() || preserves, "{plural}{path} has no type: {schema}");
            for word in ["$ref", "$schema", "anyOf", "oneOf", "allOf", "const", "title", "nullable"] {
                assert!(schema.get(word).is_none(), "{plural}{path} has {word}");
            }
        }
    }
}

#[test]
fn required_fields_and_rules_are_flux_s() {
    let cases = [
        ("kustomizations", "/properties/spec/required", json!(["interval", "sourceRef", "prune"])),
        ("gitrepositories", "/properties/spec/required", json!(["url", "interval"])),
        (
            "kustomizations",
            "/properties/spec/properties/timeout/pattern",
            json!(r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$"),
        ),
        ("gitrepositories", "/properties/spec/properties/url/pattern", json!("^(http|https|ssh)://.*$")),
        (
            "kustomizations",
            "/properties/spec/properties/deletionPolicy/enum",
            json!(["MirrorPrune", "Delete", "WaitForTermination", "Orphan"]),
        ),
        ("kustomizations", "/properties/spec/properties/targetNamespace/maxLength", json!(63)),
        ("kustomizations", "/properties/status/default", json!({"observedGeneration": -1})),
        ("kustomizations", "/properties/spec/properties/force/default", json!(false)),
        (
            "kustomizations",
            "/properties/spec/properties/sourceRef/properties/kind/enum",
            json!(["OCIRepository", "GitRepository", "Bucket", "ExternalArtifact"]),
        ),
        ("kustomizations", "/properties/spec/properties/dependsOn/items/required", json!(["name"])),
    ];
    for (plural, pointer, expected) in cases {
        assert_eq!(schema(plural, pointer), expected, "{plural}{pointer}");
    }
}

#[test]
fn every_version_has_the_same_schema_and_the_first_is_stored() {
    let expected = |plural: &str| -> &[&str] {
        match plural {
            "helmreleases" => &["v2", "v2beta2", "v2beta1"],
            "alerts" | "providers" => &["v1", "v1beta3", "v1beta2", "v1beta1"],
            "ocirepositories" => &["v1", "v1beta2"],
            "externalartifacts" => &["v1"],
            _ => &["v1", "v1beta2", "v1beta1"],
        }
    };
    assert_eq!(definitions().len(), 14);
    for definition in definitions() {
        let versions = definition.pointer("/spec/versions").unwrap().as_array().unwrap();
        let names: Vec<&str> = versions.iter().map(|version| version["name"].as_str().unwrap()).collect();
        assert_eq!(names, expected(definition.text("/spec/names/plural").unwrap()));
        for (index, version) in versions.iter().enumerate() {
            assert_eq!(version["schema"], versions[0]["schema"]);
            assert_eq!(version["served"], json!(true));
            assert_eq!(version["storage"], json!(index == 0));
            assert_eq!(version.get("deprecated"), (index > 0).then_some(&json!(true)));
        }
    }
}
