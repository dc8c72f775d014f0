//! A resource on its way through a build: its content, and notes about it. Kustomize keeps these notes in
//! annotations of the resource; here they stand beside it.

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::fieldspec::{self, Create, Field};
use super::id::{KindRef, NO_NAMESPACE, ResourceId, annotations_in, position, text_of};
use super::metadata::{ORIGIN, Origin, TRANSFORMATIONS};
use super::provenance::Labels;
use super::twins::Twins;
use crate::error::{Fault, Result};
use lockgate_base::model::yaml::{PathStep, Styles, WrittenAs, reprinted};
use lockgate_base::model::{entry, entry_mut, field};

/// The annotations in which kustomize keeps its notes. It drops them from its output, whoever wrote them.
const BUILD_ANNOTATIONS: [&str; 19] = [
    "internal.config.kubernetes.io/previousKinds",
    "internal.config.kubernetes.io/previousNames",
    "internal.config.kubernetes.io/prefixes",
    "internal.config.kubernetes.io/suffixes",
    "internal.config.kubernetes.io/previousNamespaces",
    "internal.config.kubernetes.io/allowNameChange",
    "internal.config.kubernetes.io/allowKindChange",
    "internal.config.kubernetes.io/refBy",
    "internal.config.kubernetes.io/generatorBehavior",
    "internal.config.kubernetes.io/needsHashSuffix",
    "internal.config.kubernetes.io/path",
    "internal.config.kubernetes.io/index",
    "internal.config.kubernetes.io/seqindent",
    "internal.config.kubernetes.io/id",
    "internal.config.kubernetes.io/annotations-migration-resource-id",
    "internal.config.kubernetes.io/helm-generated",
    "config.kubernetes.io/path",
    "config.kubernetes.io/index",
    "config.k8s.io/id",
];

/// The behaviour of a generator whose object exists already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Behavior {
    /// The object must not exist.
    #[default]
    Create,
    /// The data is added to the object.
    Merge,
    /// The object is replaced.
    Replace,
}

/// An earlier name, effective namespace and kind.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Previous {
    pub(crate) name: String,
    /// Effective namespace.
    pub(crate) namespace: String,
    pub(crate) kind: String,
}

/// A resource.
#[derive(Debug, Clone, Default)]
pub(crate) struct Res {
    /// The content.
    pub(crate) value: Value,
    /// The path of its file.
    pub(crate) file: String,
    /// Its earlier names, the oldest first.
    pub(crate) previous: Vec<Previous>,
    /// The prefixes that its name has got.
    pub(crate) prefixes: Vec<String>,
    /// The suffixes that its name has got.
    pub(crate) suffixes: Vec<String>,
    /// Whether its name gets a hash.
    pub(crate) needs_hash: bool,
    /// The behaviour of its generator.
    pub(crate) behavior: Behavior,
    /// The names of the variables that point to it.
    pub(crate) variables: Vec<String>,
    /// Whether the schema of a kustomization declares its kind as cluster-scoped.
    pub(crate) outside: bool,
    /// Whether kustomize would have created `metadata.annotations` for a note.
    pub(crate) noted: bool,
    /// The origin of its labels.
    pub(crate) labels: Labels,
    /// The labels that a transformer has set.
    pub(crate) set_labels: BTreeSet<String>,
    /// Whether a transformer created its annotations.
    pub(crate) made_annotations: bool,
    /// The content of `config.kubernetes.io/origin`.
    pub(crate) origin: Option<Origin>,
    /// The content of `alpha.config.kubernetes.io/transformations`.
    pub(crate) transformations: Vec<Origin>,
    /// Labels and annotations that stand in several places and share one node.
    pub(crate) twins: Twins,
    /// The notation of scalars whose values do not show it.
    pub(crate) texts: Vec<WrittenAs>,
    /// The styles of strings whose texts do not show them.
    pub(crate) styles: Styles,
    /// Annotations that were not read as strings, with their texts.
    pub(crate) untyped: Vec<(String, String)>,
}

impl Res {
    /// A resource that was just read from a file.
    pub(crate) fn new(value: Value, file: &str) -> Self {
        Self { value, file: file.into(), ..Self::default() }
    }

    /// `kind`.
    pub(crate) fn kind(&self) -> &str {
        field(&self.value, "kind").and_then(Value::as_str).unwrap_or_default()
    }

    /// Group, version and kind.
    pub(crate) fn gvk(&self) -> KindRef<'_> {
        KindRef::of(&self.value)
    }

    /// `metadata.name`.
    pub(crate) fn name(&self) -> Cow<'_, str> {
        self.metadata("name").map_or(Cow::Borrowed(""), text_of)
    }

    /// `metadata.namespace`; empty if absent.
    pub(crate) fn namespace(&self) -> Cow<'_, str> {
        self.metadata("namespace").map_or(Cow::Borrowed(""), text_of)
    }

    /// The effective namespace.
    pub(crate) fn effective_namespace(&self) -> Cow<'_, str> {
        self.id_parts().2
    }

    /// Whether it is cluster-scoped.
    pub(crate) fn is_cluster_scoped(&self) -> bool {
        self.outside || self.gvk().is_cluster_scoped()
    }

    /// A field of the metadata.
    pub(crate) fn metadata(&self, name: &str) -> Option<&Value> {
        field(field(&self.value, "metadata")?, name)
    }

    /// Its current identity.
    pub(crate) fn id(&self) -> ResourceId {
        let (gvk, name, namespace) = self.id_parts();
        ResourceId {
            group: gvk.group.into(),
            version: gvk.version.into(),
            kind: gvk.kind.into(),
            name: name.into_owned(),
            namespace: namespace.into_owned(),
        }
    }

    /// The parts of its identity: kind, name, effective namespace. They are read often, so nothing is copied.
    pub(crate) fn id_parts(&self) -> (KindRef<'_>, Cow<'_, str>, Cow<'_, str>) {
        let gvk = self.gvk();
        let metadata = field(&self.value, "metadata");
        let text = |name: &str| metadata.and_then(|map| field(map, name)).map_or(Cow::Borrowed(""), text_of);
        let namespace = if self.outside || gvk.is_cluster_scoped() {
            Cow::Borrowed(NO_NAMESPACE)
        } else {
            let namespace = text("namespace");
            if namespace.is_empty() { Cow::Borrowed("default") } else { namespace }
        };
        (gvk, text("name"), namespace)
    }

    /// Whether this is its current identity.
    pub(crate) fn has_id(&self, id: &ResourceId) -> bool {
        self.id_parts() == (id.gvk(), Cow::Borrowed(&*id.name), Cow::Borrowed(&*id.namespace))
    }

    /// Its earlier identities, the oldest first. They have the current group and version, as in kustomize.
    pub(crate) fn previous_ids(&self) -> impl Iterator<Item = ResourceId> + '_ {
        let gvk = self.gvk();
        self.previous.iter().map(move |previous| ResourceId {
            group: gvk.group.into(),
            version: gvk.version.into(),
            kind: previous.kind.clone(),
            name: previous.name.clone(),
            namespace: previous.namespace.clone(),
        })
    }

    /// The kind of its file, with the current group and version.
    pub(crate) fn original_gvk(&self) -> KindRef<'_> {
        let mut gvk = self.gvk();
        if let Some(first) = self.previous.first() {
            gvk.kind = &first.kind;
        }
        gvk
    }

    /// Remembers the current identity before it changes.
    pub(crate) fn remember(&mut self) {
        let (gvk, name, namespace) = self.id_parts();
        let (name, namespace) = (name.into_owned(), namespace.into_owned());
        let previous = Previous { name, namespace, kind: gvk.kind.into() };
        self.previous.push(previous);
        self.noted = true;
        self.labels = Labels::Read;
        self.annotations_were_written();
    }

    /// Forgets its earlier identities. Kustomize keeps them in annotations, which a patch can remove.
    pub(crate) fn forget_previous(&mut self) {
        self.previous.clear();
        self.prefixes.clear();
        self.suffixes.clear();
        self.noted = false;
    }

    /// Notes that kustomize has rewritten all annotations, each in the style of its text. Texts that printing
    /// would change stay noted.
    fn annotations_were_written(&mut self) {
        if let Some(Value::Object(metadata)) = self.value.get_mut("metadata")
            && let Some(annotations) = metadata.get_mut("annotations")
            && annotations.as_array().is_some_and(Vec::is_empty)
        {
            *annotations = Value::Object(Map::new());
        }
        let annotations = annotations_in(&self.value);
        if let Some(styles) = annotations.and_then(|way| self.styles.at_mut(&way)) {
            *styles = Styles::Told;
        }
        self.texts.retain(|written| {
            let is_annotation = matches!(written.way.as_slice(), [PathStep::Key(first), PathStep::Key(second), _]
                if first == "metadata" && second == "annotations");
            !is_annotation || written.text().is_some_and(|text| reprinted(text) != text)
        });
    }

    /// Reads earlier identities from annotations, where another tool may have left them.
    pub(crate) fn take_previous(&mut self) {
        let Some(annotations) = self.metadata("annotations").and_then(Value::as_object) else { return };
        let annotation =
            |name: &str| annotations.get(&format!("internal.config.kubernetes.io/{name}"))?.as_str();
        let all = ["previousNames", "previousNamespaces", "previousKinds"].map(annotation);
        let [Some(names), Some(namespaces), Some(kinds)] = all else { return };
        let parts = names.split(',').zip(namespaces.split(',')).zip(kinds.split(','));
        self.previous = parts
            .map(|((name, namespace), kind)| Previous {
                name: name.into(),
                namespace: namespace.into(),
                kind: kind.into(),
            })
            .collect();
    }

    /// Refuses names with commas, at which kustomize splits its notes of earlier names, and empty names,
    /// which it does not note.
    pub(crate) fn check_names(&self) -> Result<(), Fault> {
        let fault = |message: String| Err(Fault::new(message).on_object(self.subject()));
        for Previous { name, namespace, .. } in &self.previous {
            if name.is_empty() {
                return fault("it had no name when it was renamed".into());
            }
            if name.contains(',') || namespace.contains(',') {
                return fault(format!(
                    "'{name}' contains a comma, which the name of a renamed object must not"
                ));
            }
        }
        Ok(())
    }

    /// The metadata, created if absent.
    pub(crate) fn metadata_mut(&mut self) -> Option<&mut Map<String, Value>> {
        let map = self.value.as_object_mut()?;
        if entry(map, "metadata").is_none_or(Value::is_null) {
            map.insert("metadata".into(), Value::Object(Map::new()));
        }
        entry_mut(map, "metadata")?.as_object_mut()
    }

    /// Runs `set` on every field that the specifications select in an object of this kind.
    pub(crate) fn visit<'f, 's: 'f>(
        &mut self,
        fields: impl IntoIterator<Item = &'f Field<'s>>,
        create: Create,
        set: &mut dyn FnMut(&mut Value) -> Result<(), Fault>,
    ) -> Result<()> {
        fieldspec::visit(&mut self.value, fields, create, set)
            .map_err(|fault| fault.on_object(self.subject()).in_file(&self.file).into())
    }

    /// Notes that labels may come from a patch.
    pub(crate) fn labels_were_read(&mut self) {
        self.labels = Labels::Read;
        self.set_labels.clear();
    }

    /// Sets `metadata.name`.
    pub(crate) fn set_name(&mut self, name: &str) {
        if let Some(metadata) = self.metadata_mut() {
            metadata.insert("name".into(), name.into());
        }
    }

    /// Sets `metadata.namespace`, or removes it when it is empty.
    pub(crate) fn set_namespace(&mut self, namespace: &str) {
        let at = position(Some(&self.value), "metadata");
        let Some(metadata) = self.metadata_mut() else { return };
        if !namespace.is_empty() {
            metadata.insert("namespace".into(), namespace.into());
        } else if let Some(inside) = metadata.keys().position(|key| key == "namespace") {
            metadata.shift_remove("namespace");
            if let Some(at) = at {
                self.styles.remove(&[at, inside]);
            }
        }
    }

    /// Sets a label.
    pub(crate) fn set_label(&mut self, key: &str, value: &str) -> Result<(), Fault> {
        let Some(metadata) = self.metadata_mut() else { return Ok(()) };
        let labels = metadata.entry("labels").or_insert_with(|| Value::Object(Map::new()));
        if labels.is_null() {
            *labels = Value::Object(Map::new());
        }
        match labels {
            Value::Object(labels) => {
                labels.insert(key.into(), value.into());
                Ok(())
            }
            other => {
                let message = format!("expected a mapping, found {}", lockgate_base::model::type_name(other));
                Err(Fault::new(message).in_field("metadata.labels").on_object(self.subject()))
            }
        }
    }

    /// The name in messages.
    pub(crate) fn subject(&self) -> String {
        self.id().subject()
    }

    /// Whether its content is empty.
    pub(crate) fn is_empty(&self) -> bool {
        match &self.value {
            Value::Null => true,
            Value::Object(map) => map.is_empty(),
            Value::Array(items) => items.is_empty(),
            _ => false,
        }
    }

    /// Whether `other` has the same prefixes and suffixes, counted from the last. With `allow_empty`, a
    /// resource without any matches all.
    pub(crate) fn same_affixes(&self, other: &Self, allow_empty: bool) -> bool {
        let same = |a: &[String], b: &[String]| {
            let (short, long) = if a.len() > b.len() { (b, a) } else { (a, b) };
            if short.is_empty() { allow_empty || long.is_empty() } else { long.ends_with(short) }
        };
        same(&self.prefixes, &other.prefixes) && same(&self.suffixes, &other.suffixes)
    }

    /// The labels or annotations as strings.
    pub(crate) fn string_map(&self, field: &str) -> impl Iterator<Item = (&str, Cow<'_, str>)> {
        let map = self.metadata(field).and_then(Value::as_object);
        map.into_iter().flatten().map(|(key, value)| (key.as_str(), text_of(value)))
    }

    /// Notes who made or changed it. Kustomize rewrites all annotations for that.
    pub(crate) fn note(&mut self, by: &Origin) {
        match self.origin {
            // A resource without an origin was made by the transformer itself.
            None => self.origin = Some(by.clone()),
            Some(_) => self.transformations.push(by.clone()),
        }
        self.noted = true;
        self.labels = Labels::Read;
        self.untyped.clear();
        self.annotations_were_written();
        self.twins.part_annotations();
    }

    /// Brings the annotations into the form that kustomize prints: without notes, with all values as strings,
    /// and without an empty map.
    pub(crate) fn finish_annotations(&mut self, extra: Vec<(String, String)>) {
        let Some(metadata) = self.metadata_mut() else { return };
        let mut annotations = match metadata.shift_remove("annotations") {
            Some(Value::Object(annotations)) => annotations,
            // Kustomize reads the items of a list in pairs.
            Some(Value::Array(items)) => {
                let pair = |pair: &[Value]| (text_of(&pair[0]).into_owned(), pair[1].clone());
                items.chunks_exact(2).map(pair).collect()
            }
            _ => Map::new(),
        };
        let is_note = |key: &str| BUILD_ANNOTATIONS.contains(&key) || key == ORIGIN || key == TRANSFORMATIONS;
        annotations.retain(|key, _| !is_note(key));
        for value in annotations.values_mut() {
            if !value.is_string() {
                *value = text_of(value).into_owned().into();
            }
        }
        annotations.extend(extra.into_iter().map(|(key, value)| (key, Value::String(value))));
        if !annotations.is_empty() {
            metadata.insert("annotations".into(), Value::Object(annotations));
        }
    }
}
