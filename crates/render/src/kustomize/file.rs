//! The fields of a kustomization file, and the rules that it must keep before anything is built.

use std::collections::BTreeMap;

use serde_json::Value;

use super::decode::{Strictness, decode, record};
use crate::budget::Budget;
use crate::error::{Fault, RenderError, Result};
use lockgate_base::model::yaml::{self, Dialect};

/// The names a kustomization file may have.
pub(crate) const FILE_NAMES: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// String keys and values.
pub(crate) type Pairs = BTreeMap<String, String>;

record! {
    /// Metadata, which only some built-in plugin configurations use.
    pub(crate) Meta {
        name: String = "name",
        namespace: String = "namespace",
        labels: Pairs = "labels",
        annotations: Pairs = "annotations",
    }
}

record! {
    /// A field of the objects of some kinds.
    pub(crate) FieldSpec {
        /// API group; empty for any.
        group: String = "=group",
        /// API version; empty for any.
        version: String = "=version",
        /// Kind; empty for any.
        kind: String = "=kind",
        /// The field, its parts separated by `/`.
        path: String = "path",
        /// Whether an absent field is created.
        create: bool = "create",
    }
}

record! {
    /// An entry of `labels`.
    pub(crate) Label {
        /// The labels.
        pairs: Pairs = "pairs",
        /// Whether selectors and templates get them too.
        include_selectors: bool = "includeSelectors",
        /// Whether templates get them too.
        include_templates: bool = "includeTemplates",
        /// Further fields that get them.
        fields: Vec<FieldSpec> = "fields",
    }
}

record! {
    /// Selects objects by regular expressions and selectors.
    pub Selector {
        /// API group.
        group: String = "=group",
        /// API version.
        version: String = "=version",
        /// Kind.
        kind: String = "=kind",
        /// Name.
        name: String = "=name",
        /// Namespace.
        namespace: String = "=namespace",
        /// Kubernetes selector over annotations.
        annotation_selector: String = "annotationSelector",
        /// Kubernetes selector over labels.
        label_selector: String = "labelSelector",
    }
}

record! {
    /// The parts of an object, besides its content, that a patch may change.
    pub(crate) PatchOptions {
        /// Whether it may change the name.
        allow_name_change: bool = "allowNameChange",
        /// Whether it may change the kind.
        allow_kind_change: bool = "allowKindChange",
    }
}

record! {
    /// An entry of `patches` or `patchesJson6902`.
    pub(crate) Patch {
        /// File of the patch.
        path: String = "path",
        /// The patch itself.
        content: String = "patch",
        /// The objects that it applies to.
        target: Option<Selector> = "target",
        /// The parts that it may change.
        options: Option<PatchOptions> = "options",
    }
}

record! {
    /// An entry of `images`.
    pub Image {
        /// Regular expression for the image's name.
        name: String = "name",
        /// The new name.
        new_name: String = "newName",
        /// Appended to the tag.
        tag_suffix: String = "tagSuffix",
        /// The new tag.
        new_tag: String = "newTag",
        /// The new digest.
        digest: String = "digest",
    }
}

record! {
    /// An entry of `replicas`.
    pub(crate) Replica {
        /// Name of the object.
        name: String = "name",
        /// The number of replicas.
        count: i64 = "count",
    }
}

record! {
    /// The part of a value that a replacement takes or replaces.
    pub(crate) FieldOptions {
        /// The separator of the parts.
        delimiter: String = "delimiter",
        /// The index of the part, from 0.
        index: i64 = "index",
        /// Accepted and without effect, as in kustomize.
        encoding: String = "encoding",
        /// Whether a missing field is created.
        create: bool = "create",
    }
}

record! {
    /// The source of a replacement's value.
    pub(crate) Source {
        group: String = "=group",
        version: String = "=version",
        kind: String = "=kind",
        name: String = "=name",
        namespace: String = "=namespace",
        field_path: String = "fieldPath",
        /// The part of the field.
        options: Option<FieldOptions> = "options",
    }
}

record! {
    /// The targets of a replacement's value.
    pub(crate) Target {
        /// The objects.
        select: Option<Selector> = "select",
        /// The objects that are excluded.
        reject: Vec<Selector> = "reject",
        field_paths: Vec<String> = "fieldPaths",
        /// The part of the fields to replace.
        options: Option<FieldOptions> = "options",
    }
}

record! {
    /// An entry of `replacements`.
    pub(crate) Replacement {
        /// File with one or several replacements.
        path: String = "path",
        /// The source.
        source: Option<Source> = "=source",
        /// A literal value.
        source_value: Option<String> = "=sourceValue",
        /// The targets.
        targets: Option<Vec<Target>> = "=targets",
    }
}

record! {
    /// The object of a variable.
    pub(crate) ObjectRef {
        /// Group and version.
        api_version: String = "apiVersion",
        group: String = "=group",
        version: String = "=version",
        kind: String = "=kind",
        name: String = "name",
        namespace: String = "namespace",
    }
}

record! {
    /// The field of a variable.
    pub(crate) FieldRef {
        /// Dotted path; the name by default.
        field_path: String = "fieldPath",
    }
}

record! {
    /// An entry of `vars`.
    pub(crate) Var {
        name: String = "name",
        /// The object.
        objref: ObjectRef = "objref",
        /// The field.
        fieldref: FieldRef = "fieldref",
    }
}

record! {
    /// The lists of `sortOptions`.
    pub(crate) LegacySort {
        /// Kinds that come first.
        order_first: Vec<String> = "orderFirst",
        /// Kinds that come last.
        order_last: Vec<String> = "orderLast",
    }
}

record! {
    /// `sortOptions`.
    pub(crate) SortOptions {
        /// `legacy` or `fifo`.
        order: String = "order",
        /// Replaces the built-in lists.
        legacy: Option<LegacySort> = "legacySortOptions",
    }
}

record! {
    /// Options of generators.
    pub(crate) GeneratorOptions {
        /// Labels of the generated objects.
        labels: Pairs = "labels",
        /// Annotations of the generated objects.
        annotations: Pairs = "annotations",
        /// Whether the name gets no hash.
        disable_name_suffix_hash: bool = "disableNameSuffixHash",
        /// Whether the generated objects are immutable.
        immutable: bool = "immutable",
    }
}

record! {
    /// An entry of `configMapGenerator` or `secretGenerator`.
    pub(crate) Generator {
        name: String = "=name",
        namespace: String = "=namespace",
        /// `create`, `merge` or `replace`.
        behavior: String = "=behavior",
        /// Type of a Secret.
        kind: Option<String> = "type",
        /// `key=value`.
        literals: Vec<String> = "=literals",
        /// `[key=]path`.
        files: Vec<String> = "=files",
        /// Paths of files with `key=value` lines.
        envs: Vec<String> = "=envs",
        /// A single path of that kind.
        env: String = "=env",
        /// Options of this generator.
        options: Option<GeneratorOptions> = "=options",
    }
}

record! {
    /// A kustomization file.
    pub(crate) Kustomization {
        api_version: String = "=apiVersion",
        /// `Kustomization` or `Component`.
        kind: String = "=kind",
        /// Without effect.
        metadata: Option<Meta> = "metadata",
        /// `path` of a schema file.
        openapi: Pairs = "openapi",
        /// Prefix of names.
        name_prefix: String = "namePrefix",
        /// Suffix of names.
        name_suffix: String = "nameSuffix",
        /// Namespace of everything.
        namespace: String = "namespace",
        /// Labels, which selectors get too.
        common_labels: Option<Pairs> = "commonLabels",
        labels: Vec<Label> = "labels",
        common_annotations: Pairs = "commonAnnotations",
        /// Strategic merge patches.
        patches_strategic_merge: Option<Vec<String>> = "patchesStrategicMerge",
        /// JSON patches.
        patches_json6902: Option<Vec<Patch>> = "patchesJson6902",
        /// Patches of either kind.
        patches: Vec<Patch> = "patches",
        images: Vec<Image> = "images",
        /// The old name of `images`.
        image_tags: Option<Vec<Image>> = "imageTags",
        replacements: Vec<Replacement> = "replacements",
        replicas: Vec<Replica> = "replicas",
        vars: Option<Vec<Var>> = "vars",
        /// Order of the result.
        sort_options: Option<SortOptions> = "sortOptions",
        /// Files and folders.
        resources: Vec<String> = "resources",
        /// Folders of components.
        components: Vec<String> = "components",
        /// `OpenAPI` definitions of custom resources.
        crds: Vec<String> = "crds",
        /// The old name of folders in `resources`.
        bases: Option<Vec<String>> = "bases",
        /// `ConfigMap` objects.
        config_map_generator: Vec<Generator> = "configMapGenerator",
        /// Secrets.
        secret_generator: Vec<Generator> = "secretGenerator",
        /// Accepted and without effect.
        helm_globals: Option<Value> = "helmGlobals",
        /// Refused.
        helm_charts: Vec<Value> = "helmCharts",
        /// Refused.
        helm_chart_inflation_generator: Vec<Value> = "helmChartInflationGenerator",
        /// Options of all generators.
        generator_options: Option<GeneratorOptions> = "generatorOptions",
        /// Transformer configurations.
        configurations: Vec<String> = "configurations",
        /// Generator configurations.
        generators: Vec<String> = "generators",
        /// Transformer plugin configurations.
        transformers: Vec<String> = "transformers",
        /// Validator plugin configurations.
        validators: Vec<String> = "validators",
        /// The notes about their origin that objects get.
        build_metadata: Vec<String> = "buildMetadata",
    }
}

const API_VERSION: &str = "kustomize.config.k8s.io/v1beta1";
const COMPONENT_API_VERSION: &str = "kustomize.config.k8s.io/v1alpha1";
const COMPONENT: &str = "Component";

impl Kustomization {
    /// Reads the text of a kustomization file strictly, and adds warnings about deprecated fields to
    /// `warnings`.
    pub(crate) fn parse(text: &str, file: &str, warnings: &mut Vec<String>, budget: &Budget) -> Result<Self> {
        let value = first_document(text, file, budget)?;
        let empty = is_empty(&value);
        let mut kustomization: Self = decode_file(value, Strictness::Strict, text, file)?;
        warnings.extend(kustomization.deprecations(file));
        kustomization.fix();
        if empty {
            return Err(Fault::new(
                "the kustomization is empty: it names no field besides apiVersion and kind",
            )
            .in_file(file)
            .into());
        }
        kustomization.enforce(file)?;
        // One record serves both generators, and only Secrets have a type.
        let mut generators = kustomization.config_map_generator.iter();
        if let Some(index) = generators.position(|generator| generator.kind.is_some()) {
            let fault = Fault::new("unknown field; only a secretGenerator has one");
            return Err(fault.in_field(format!("configMapGenerator[{index}].type")).in_file(file).into());
        }
        Ok(kustomization)
    }

    /// Reads the text of a kustomization file as Flux reads that of the built folder: unknown fields are
    /// dropped, and it may be empty.
    pub(crate) fn parse_lenient(text: &str, file: &str, budget: &Budget) -> Result<Self> {
        decode_file(first_document(text, file, budget)?, Strictness::Lenient, text, file)
    }

    /// Whether this is a component.
    pub(crate) fn is_component(&self) -> bool {
        self.kind == COMPONENT
    }

    /// Moves deprecated fields into their replacements.
    pub(crate) fn fix(&mut self) {
        if self.kind.is_empty() {
            self.kind = "Kustomization".into();
        }
        if self.api_version.is_empty() {
            self.api_version = if self.is_component() { COMPONENT_API_VERSION } else { API_VERSION }.into();
        }
        self.resources.extend(self.bases.take().into_iter().flatten());
        self.images.extend(self.image_tags.take().into_iter().flatten());
        for generator in self.config_map_generator.iter_mut().chain(&mut self.secret_generator) {
            if !generator.env.is_empty() {
                generator.envs.push(std::mem::take(&mut generator.env));
            }
        }
    }

    /// Checks kind and version.
    pub(crate) fn enforce(&self, file: &str) -> Result<()> {
        let mut faults = Vec::new();
        if self.kind != "Kustomization" && !self.is_component() {
            let message = format!("expected Kustomization or Component, found '{}'", self.kind);
            faults.push(Fault::new(message).in_field("kind").in_file(file));
        }
        let wanted = if self.is_component() { COMPONENT_API_VERSION } else { API_VERSION };
        if self.api_version != wanted {
            let message = format!("expected {wanted} for a {}, found '{}'", self.kind, self.api_version);
            faults.push(Fault::new(message).in_field("apiVersion").in_file(file));
        }
        RenderError::of(faults).map_or(Ok(()), Err)
    }

    /// Warnings about deprecated fields; must be called before [`Self::fix`].
    pub(crate) fn deprecations(&self, file: &str) -> Vec<String> {
        let fields = [
            (self.bases.is_some(), "bases", "resources"),
            (self.common_labels.is_some(), "commonLabels", "labels"),
            (self.image_tags.is_some(), "imageTags", "images"),
            (self.patches_json6902.is_some(), "patchesJson6902", "patches"),
            (self.patches_strategic_merge.is_some(), "patchesStrategicMerge", "patches"),
            (self.vars.is_some(), "vars", "replacements"),
        ];
        let used = fields.into_iter().filter(|(used, ..)| *used);
        used.map(|(_, old, new)| format!("{file}: {old} is deprecated, use {new}")).collect()
    }
}

/// The first document of a text in YAML 1.1, which is the only one that counts.
pub(crate) fn first_document(text: &str, file: &str, budget: &Budget) -> Result<Value> {
    let documents = budget.reading(|left| yaml::documents_within(text, Dialect::V2, left));
    let documents = documents.map_err(|spent| Fault::from(spent).in_file(file))?.map_err(|error| {
        let message = format!("column {}: {}", error.column, error.message);
        Fault::new(message).in_file(file).at_line(error.line)
    })?;
    Ok(documents.into_iter().next().map_or(Value::Null, |document| document.value))
}

/// Reads a record and names file and line in its faults.
pub(crate) fn decode_file<T: super::decode::Decode>(
    value: Value,
    strictness: Strictness,
    text: &str,
    file: &str,
) -> Result<T> {
    decode(value, strictness).map_err(|faults| {
        let faults = faults.into_iter().map(|fault| locate(fault, text).in_file(file));
        RenderError::of(faults.collect()).unwrap_or_else(|| Fault::new("unreadable").in_file(file).into())
    })
}

/// Adds the line of a fault's field if the key occurs once in the text.
fn locate(fault: Fault, text: &str) -> Fault {
    let key = fault.field.as_deref().and_then(|field| {
        field.rsplit('.').find_map(|part| part.split('[').next().filter(|key| !key.is_empty()))
    });
    let Some(key) = key else { return fault };
    let is_key = |line: &str| {
        let line = line.trim_start_matches(|c: char| c.is_whitespace() || "-{\"'".contains(c));
        let rest = line.strip_prefix(key).map(|rest| rest.trim_start_matches(['"', '\'', ' ']));
        rest.is_some_and(|rest| rest.starts_with(':'))
    };
    let mut lines = text.lines().enumerate().filter(|(_, line)| is_key(line)).map(|(index, _)| index + 1);
    match (lines.next(), lines.next()) {
        (Some(line), None) => fault.at_line(line),
        _ => fault,
    }
}

/// Whether a kustomization has no field besides its type: kustomize refuses such a file.
fn is_empty(value: &Value) -> bool {
    let Value::Object(map) = value else { return value.is_null() };
    map.iter().all(|(key, value)| {
        let about_type = key.eq_ignore_ascii_case("apiVersion") || key.eq_ignore_ascii_case("kind");
        about_type || value.is_null() || value.as_str() == Some("")
    })
}
