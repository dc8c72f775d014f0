//! The parts of an OpenAPI document that concern the merging of lists, by kind and field path, and the scope
//! of kinds.
//!
//! `schema.txt` holds these parts of the document that is built into kustomize 5.8.1 (Kubernetes 1.21.2). It
//! is read at the first use in a process, so its format is cheap to read.

use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

use serde_json::{Map, Value};

use super::id::KindRef;

/// The built-in document.
const BUILT_IN: &str = include_str!("schema.txt");

/// The beginning of the names of its definitions, which only another document can refer to.
const NAMES: &str = "[names]";

/// The longest chain of references.
const REFERENCE_LIMIT: usize = 32;

/// An OpenAPI document, as far as merging needs it.
#[derive(Debug, Default)]
pub(crate) struct Schema {
    definitions: HashMap<String, Shape>,
    /// The kinds of all groups and versions, by their names.
    kinds: HashMap<String, Vec<Kind>>,
    /// Whether the built-in document completes this one.
    beside_built_in: bool,
}

/// The description of one kind.
#[derive(Debug)]
struct Kind {
    group: String,
    version: String,
    namespaced: Option<bool>,
    /// The name of the definition.
    definition: Option<String>,
}

/// The description of one field.
#[derive(Debug, Default)]
struct Shape {
    /// The name of its definition.
    reference: Option<String>,
    fields: BTreeMap<String, Shape>,
    values: Option<Box<Shape>>,
    items: Option<Box<Shape>>,
    is_list: bool,
    merges: bool,
    keys: Vec<String>,
}

/// A place in a document, with its fields and elements.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SchemaPlace<'s> {
    schema: &'s Schema,
    shape: &'s Shape,
}

impl KindRef<'_> {
    /// Whether the API is known to have this kind as cluster-scoped.
    pub(crate) fn is_cluster_scoped(self) -> bool {
        Schema::built_in().is_namespaced(self) == Some(false)
    }
}

impl Schema {
    /// The document that kustomize has built in.
    pub(crate) fn built_in() -> &'static Self {
        static SCHEMA: LazyLock<Schema> = LazyLock::new(|| Schema::of_table(BUILT_IN));
        &SCHEMA
    }

    fn of_table(table: &str) -> Self {
        let mut schema = Self::default();
        let mut in_kinds = true;
        for line in table.lines().filter(|line| !line.starts_with('#')) {
            if line == NAMES {
                break;
            }
            if line.starts_with('[') {
                in_kinds = line == "[kinds]";
                continue;
            }
            let mut parts = line.split(' ');
            let mut next = || parts.next().filter(|part| *part != "-").unwrap_or_default();
            if in_kinds {
                let (kind, version, group, scope, definition) = (next(), next(), next(), next(), next());
                let kind = schema.kind_mut(KindRef { group, version, kind });
                kind.namespaced = (!scope.is_empty()).then_some(scope == "namespaced");
                kind.definition = (!definition.is_empty()).then(|| definition.into());
            } else {
                let name = next().to_owned();
                let fields = parts.filter_map(|part| part.split_once(':'));
                let fields = fields.map(|(name, field)| (name.to_owned(), Shape::of_table(field))).collect();
                schema.definitions.insert(name, Shape { fields, ..Shape::default() });
            }
        }
        schema
    }

    /// A definition of the built-in document by its name.
    fn built_in_definition(name: &str) -> Option<SchemaPlace<'static>> {
        let (_, names) = BUILT_IN.split_once(NAMES)?;
        let line = names.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
        let schema = Self::built_in();
        schema.definitions.get(line).map(|shape| SchemaPlace { schema, shape })
    }

    /// A document that replaces the built-in one for merging, or stands beside it. Parts with another form
    /// are skipped.
    pub(crate) fn from_openapi(document: &Value, beside_built_in: bool) -> Self {
        let mut schema = Self { beside_built_in, ..Self::default() };
        for (name, definition) in entries(document, "definitions") {
            schema.definitions.insert(name.clone(), Shape::parse(definition));
            let kinds = definition.get("x-kubernetes-group-version-kind").and_then(Value::as_array);
            for kind in kinds.into_iter().flatten().filter_map(type_of) {
                schema.kind_mut(kind).definition = Some(name.clone());
            }
        }
        for (path, item) in entries(document, "paths") {
            let Some(kind) = item.pointer("/get/x-kubernetes-group-version-kind").and_then(type_of) else {
                continue;
            };
            *schema.kind_mut(kind).namespaced.get_or_insert(false) |= path.contains("namespaces/{namespace}");
        }
        schema
    }

    fn kind(&self, kind: KindRef<'_>) -> Option<&Kind> {
        let versions = self.kinds.get(kind.kind)?;
        versions.iter().find(|known| known.version == kind.version && known.group == kind.group)
    }

    fn kind_mut(&mut self, kind: KindRef<'_>) -> &mut Kind {
        let versions = self.kinds.entry(kind.kind.to_owned()).or_default();
        let known =
            versions.iter().position(|known| known.version == kind.version && known.group == kind.group);
        let at = known.unwrap_or_else(|| {
            let (group, version) = (kind.group.to_owned(), kind.version.to_owned());
            versions.push(Kind { group, version, namespaced: None, definition: None });
            versions.len() - 1
        });
        &mut versions[at]
    }

    /// The top of a kind's objects; `None` if the document does not describe the kind.
    pub(crate) fn of_kind(&self, kind: KindRef<'_>) -> Option<SchemaPlace<'_>> {
        let name = self.kind(kind)?.definition.as_ref()?;
        self.definitions.get(name).map(|shape| SchemaPlace { schema: self, shape })
    }

    /// Whether objects of a kind have a namespace; `None` for an unknown kind. The built-in document comes
    /// first.
    pub(crate) fn is_namespaced(&self, kind: KindRef<'_>) -> Option<bool> {
        let in_document = |schema: &Self| schema.kind(kind).and_then(|known| known.namespaced);
        in_document(Self::built_in()).or_else(|| in_document(self))
    }
}

impl<'s> SchemaPlace<'s> {
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

    /// The keys that identify the elements of a list when it is merged; none for a list of scalars; `None`
    /// for a list that is replaced as a whole.
    pub(crate) fn merge_keys(self) -> Option<&'s [String]> {
        self.shape.merges.then_some(self.shape.keys.as_slice())
    }

    fn resolve(self, mut shape: &'s Shape) -> Option<Self> {
        for _ in 0..REFERENCE_LIMIT {
            let Some(reference) = &shape.reference else { return Some(Self { schema: self.schema, shape }) };
            shape = match self.schema.definitions.get(reference) {
                Some(shape) => shape,
                None if self.schema.beside_built_in => return Schema::built_in_definition(reference),
                None => return None,
            };
        }
        None
    }
}

impl Shape {
    /// A field in the notation of `schema.txt`: the name of a definition, with the keys of a list before it
    /// in brackets.
    fn of_table(field: &str) -> Self {
        let reference = |name: &str| (!name.is_empty()).then(|| name.to_owned());
        let list = field.strip_prefix('[').and_then(|field| field.split_once(']'));
        let Some((keys, items)) = list else {
            return Self { reference: reference(field), ..Self::default() };
        };
        let keys_of_elements = keys.split(',').filter(|key| !matches!(*key, "" | "*"));
        Self {
            items: reference(items).map(|items| Box::new(Self { reference: Some(items), ..Self::default() })),
            is_list: true,
            merges: !keys.is_empty(),
            keys: keys_of_elements.map(Into::into).collect(),
            ..Self::default()
        }
    }

    /// A field in the notation of an OpenAPI document.
    fn parse(value: &Value) -> Self {
        let inner = |field: &str| {
            value.get(field).filter(|inner| inner.is_object()).map(|inner| Box::new(Self::parse(inner)))
        };
        let text = |field: &str| value.get(field).and_then(Value::as_str);
        // Two keys, as in the ports of a Service, are in an extension of their own.
        let keys = match value.get("x-kubernetes-list-map-keys").and_then(Value::as_array) {
            Some(keys) => keys.iter().filter_map(Value::as_str).map(Into::into).collect(),
            None => text("x-kubernetes-patch-merge-key").map(Into::into).into_iter().collect(),
        };
        Self {
            // A reference of another form has no target.
            reference: text("$ref")
                .map(|path| path.strip_prefix("#/definitions/").unwrap_or_default().to_owned()),
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

/// The kind that a group-version-kind extension names.
fn type_of(value: &Value) -> Option<KindRef<'_>> {
    let text = |field: &str| value.get(field).and_then(Value::as_str);
    Some(KindRef { group: text("group").unwrap_or_default(), version: text("version")?, kind: text("kind")? })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn keys(api_version: &str, kind: &str, path: &[&str]) -> Option<Vec<String>> {
        let mut place = Schema::built_in().of_kind(KindRef::new(api_version, kind))?;
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
        let schema = Schema::from_openapi(
            &json!({
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
            }),
            false,
        );
        let list = schema
            .of_kind(KindRef::new("x/v1", "Foo"))
            .unwrap()
            .field("spec")
            .unwrap()
            .field("list")
            .unwrap();
        assert_eq!(list.merge_keys(), Some(["id".to_owned()].as_slice()));
        assert!(schema.of_kind(KindRef::new("apps/v1", "Deployment")).is_none());
        assert_eq!(schema.is_namespaced(KindRef::new("x/v1", "Foo")), Some(true));
        assert_eq!(schema.is_namespaced(KindRef::new("v1", "Namespace")), Some(false));
        assert_eq!(schema.is_namespaced(KindRef::new("y/v1", "Foo")), None);
    }
}
