//! What an OpenAPI document says about merging lists, by kind and field path, and which kinds are namespaced.
//!
//! `schema.json` holds that part of the document which kustomize 5.8.1 has built in (Kubernetes 1.21.2), in the same
//! form as a document that a kustomization names in `openapi: {path: ..}`. A test writes it anew from kustomize's own.

use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

use serde_json::{Map, Value};

/// The document that is built in.
const BUILT_IN: &str = include_str!("schema.json");

/// How many references may lead on to others.
const REFERENCE_LIMIT: usize = 32;

/// An OpenAPI document, as far as merging needs it.
#[derive(Debug, Default)]
pub(crate) struct Schema {
    definitions: BTreeMap<String, Shape>,
    /// By `apiVersion` and `kind`, the name of the definition.
    kinds: HashMap<(String, String), String>,
    /// By `apiVersion` and `kind`.
    namespaced: HashMap<(String, String), bool>,
}

/// What is known about one field.
#[derive(Debug, Default)]
struct Shape {
    reference: Option<String>,
    fields: BTreeMap<String, Shape>,
    values: Option<Box<Shape>>,
    items: Option<Box<Shape>>,
    is_list: bool,
    merges: bool,
    keys: Vec<String>,
}

/// A place in a document, from which fields and elements lead on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'s> {
    schema: &'s Schema,
    shape: &'s Shape,
}

impl Schema {
    /// The document that kustomize has built in.
    pub(crate) fn built_in() -> &'static Self {
        static SCHEMA: LazyLock<Schema> = LazyLock::new(|| {
            let document = serde_json::from_str(BUILT_IN).unwrap_or_default();
            Schema::from_openapi(&document)
        });
        &SCHEMA
    }

    /// A document that takes the place of the built-in one for merging. What is not of the expected form is passed over.
    pub(crate) fn from_openapi(document: &Value) -> Self {
        let mut schema = Self::default();
        for (name, definition) in entries(document, "definitions") {
            schema.definitions.insert(name.clone(), Shape::parse(definition));
            let kinds = definition.get("x-kubernetes-group-version-kind").and_then(Value::as_array);
            for kind in kinds.into_iter().flatten().filter_map(type_of) {
                schema.kinds.insert(kind, name.clone());
            }
        }
        for (path, item) in entries(document, "paths") {
            let Some(kind) = item.pointer("/get/x-kubernetes-group-version-kind").and_then(type_of) else {
                continue;
            };
            let namespaced = schema.namespaced.entry(kind).or_insert(false);
            *namespaced |= path.contains("namespaces/{namespace}");
        }
        for (api_version, kinds) in entries(document, "namespaced") {
            for (kind, namespaced) in kinds.as_object().into_iter().flatten() {
                let namespaced = namespaced.as_bool().unwrap_or_default();
                schema.namespaced.insert((api_version.clone(), kind.clone()), namespaced);
            }
        }
        schema
    }

    /// The top of a kind's objects; `None` for a kind that the document does not describe.
    pub(crate) fn of_kind(&self, api_version: &str, kind: &str) -> Option<Place<'_>> {
        let name = self.kinds.get(&(api_version.to_owned(), kind.to_owned()))?;
        self.definitions.get(name).map(|shape| Place { schema: self, shape })
    }

    /// The kinds that lie outside of namespaces in some version of some API.
    pub(crate) fn cluster_scoped_kinds(&self) -> impl Iterator<Item = &str> {
        self.namespaced.iter().filter(|(_, namespaced)| !**namespaced).map(|((_, kind), _)| kind.as_str())
    }

    /// Whether objects of a kind have a namespace; `None` for a kind that is not known. The built-in document is asked
    /// first.
    pub(crate) fn is_namespaced(&self, api_version: &str, kind: &str) -> Option<bool> {
        let key = (api_version.to_owned(), kind.to_owned());
        Self::built_in().namespaced.get(&key).or_else(|| self.namespaced.get(&key)).copied()
    }
}

impl<'s> Place<'s> {
    /// A field of a mapping.
    pub(crate) fn field(self, name: &str) -> Option<Self> {
        self.resolve(self.shape.fields.get(name).or(self.shape.values.as_deref())?)
    }

    /// The elements of a list.
    pub(crate) fn elements(self) -> Option<Self> {
        if !self.shape.is_list {
            return None;
        }
        self.resolve(self.shape.items.as_deref()?)
    }

    /// The keys by which the elements of a list are told apart when it is merged, none for a list of scalars; `None` for
    /// a list that is replaced whole.
    pub(crate) fn merge_keys(self) -> Option<&'s [String]> {
        self.shape.merges.then_some(self.shape.keys.as_slice())
    }

    fn resolve(self, mut shape: &'s Shape) -> Option<Self> {
        for _ in 0..REFERENCE_LIMIT {
            let Some(reference) = &shape.reference else { return Some(Self { schema: self.schema, shape }) };
            shape = self.schema.definitions.get(reference.strip_prefix("#/definitions/")?)?;
        }
        None
    }
}

impl Shape {
    fn parse(value: &Value) -> Self {
        let inner = |field: &str| {
            value.get(field).filter(|inner| inner.is_object()).map(|inner| Box::new(Self::parse(inner)))
        };
        let text = |field: &str| value.get(field).and_then(Value::as_str);
        // Two keys, as the ports of a Service have them, stand in an extension of their own.
        let keys = match value.get("x-kubernetes-list-map-keys").and_then(Value::as_array) {
            Some(keys) => keys.iter().filter_map(Value::as_str).map(Into::into).collect(),
            None => text("x-kubernetes-patch-merge-key").map(Into::into).into_iter().collect(),
        };
        Self {
            reference: text("$ref").map(Into::into),
            fields: entries(value, "properties")
                .map(|(name, field)| (name.clone(), Self::parse(field)))
                .collect(),
            values: inner("additionalProperties"),
            items: inner("items"),
            is_list: text("type") == Some("array"),
            merges: text("x-kubernetes-patch-strategy")
                .is_some_and(|text| text.split(',').any(|part| part == "merge")),
            keys,
        }
    }
}

fn entries<'v>(value: &'v Value, field: &str) -> impl Iterator<Item = (&'v String, &'v Value)> {
    value.get(field).and_then(Value::as_object).into_iter().flat_map(Map::iter)
}

/// The `apiVersion` and `kind` of a group-version-kind extension.
fn type_of(value: &Value) -> Option<(String, String)> {
    let text = |field: &str| value.get(field).and_then(Value::as_str);
    let (version, kind) = (text("version")?, text("kind")?);
    let group = text("group").unwrap_or_default();
    let api_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    Some((api_version, kind.to_owned()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn keys(api_version: &str, kind: &str, path: &[&str]) -> Option<Vec<String>> {
        let mut place = Schema::built_in().of_kind(api_version, kind)?;
        for part in path {
            place = if *part == "[]" { place.elements()? } else { place.field(part)? };
        }
        place.merge_keys().map(<[String]>::to_vec)
    }

    #[test]
    fn built_in_lists_have_their_merge_keys() {
        let pod: Vec<&'static str> = "spec template spec".split(' ').collect();
        let at = |rest: &[&'static str]| [pod.as_slice(), rest].concat();
        let cases: [(&str, &str, Vec<&str>, Option<&[&str]>); 9] = [
            ("apps/v1", "Deployment", at(&["containers"]), Some(&["name"])),
            ("apps/v1", "Deployment", at(&["containers", "[]", "env"]), Some(&["name"])),
            (
                "apps/v1",
                "Deployment",
                at(&["containers", "[]", "ports"]),
                Some(&["containerPort", "protocol"]),
            ),
            ("apps/v1", "Deployment", at(&["containers", "[]", "volumeMounts"]), Some(&["mountPath"])),
            ("apps/v1", "Deployment", at(&["containers", "[]", "args"]), None),
            ("apps/v1", "Deployment", at(&["tolerations"]), None),
            ("v1", "Service", vec!["spec", "ports"], Some(&["port", "protocol"])),
            ("v1", "Pod", vec!["metadata", "finalizers"], Some(&[])),
            ("example.com/v1", "Foo", vec!["metadata", "finalizers"], None),
        ];
        for (api_version, kind, path, expected) in cases {
            let expected = expected.map(|keys| keys.iter().map(ToString::to_string).collect());
            assert_eq!(keys(api_version, kind, &path), expected, "{kind} {path:?}");
        }
    }

    #[test]
    fn kinds_of_another_document_are_described_by_it_alone() {
        let schema = Schema::from_openapi(&json!({
            "definitions": {
                "x.Foo": {
                    "properties": {"spec": {"$ref": "#/definitions/x.Spec"}},
                    "x-kubernetes-group-version-kind": [{"group": "x", "version": "v1", "kind": "Foo"}],
                },
                "x.Spec": {"properties": {"list": {
                    "type": "array", "items": {"properties": {}},
                    "x-kubernetes-patch-strategy": "merge", "x-kubernetes-patch-merge-key": "id",
                }}},
                "x.Loop": {"$ref": "#/definitions/x.Loop"},
            },
            "paths": {"/apis/x/v1/namespaces/{namespace}/foos": {
                "get": {"x-kubernetes-group-version-kind": {"group": "x", "version": "v1", "kind": "Foo"}},
            }},
        }));
        let list = schema.of_kind("x/v1", "Foo").unwrap().field("spec").unwrap().field("list").unwrap();
        assert_eq!(list.merge_keys(), Some(["id".to_owned()].as_slice()));
        assert!(schema.of_kind("apps/v1", "Deployment").is_none());
        assert_eq!(schema.is_namespaced("x/v1", "Foo"), Some(true));
        assert_eq!(schema.is_namespaced("v1", "Namespace"), Some(false));
        assert_eq!(schema.is_namespaced("y/v1", "Foo"), None);
    }
}
