//! `generators`, `transformers` and `validators`: the built-in plugins, each configured by an object of its
//! own.

use serde_json::{Value, json};

use super::decode::{Decode, Strictness, decode, record};
use super::file::{
    FieldSpec, Generator, Image, Meta, Pairs, Patch, PatchOptions, Replacement, Replica, Selector,
};
use super::generators::{self, Product};
use super::images::SetImage;
use super::labels::SetPairs;
use super::load::Loader;
use super::metadata::{Configurer, Origin};
use super::namespace::{Namespace, Subjects};
use super::patches::{self, PatchStep};
use super::prefix::{Affix, NameEnd};
use super::replicas::SetReplicas;
use super::res::Res;
use super::step::Transformer;
use super::value_add::{AddValue, ValueTarget};
use crate::error::{Fault, RenderError, Result};

record! {
    /// The fields of a plugin's configuration besides its own.
    pub(crate) Head {
        /// Name and namespace.
        metadata: Meta = "metadata",
        /// The fields that it changes.
        specs: Option<Vec<FieldSpec>> = "fieldSpecs",
    }
}

record! {
    /// The configuration of the transformers of pairs.
    pub(crate) PairsPlugin {
        labels: Pairs = "labels",
        annotations: Pairs = "annotations",
    }
}

record! {
    /// The configuration of `NamespaceTransformer`.
    pub(crate) NamespacePlugin {
        /// Whether an existing namespace stays.
        unset_only: bool = "unsetOnly",
        /// The subjects that get it.
        subjects: String = "setRoleBindingSubjects",
    }
}

record! {
    /// The configuration of the transformers of names.
    pub(crate) AffixPlugin {
        prefix: String = "prefix",
        suffix: String = "suffix",
    }
}

record! {
    /// The configuration of the transformers that patch.
    pub(crate) PatchPlugin {
        /// File of the patch.
        path: String = "path",
        patch: String = "patch",
        /// The JSON patch.
        json_op: String = "jsonOp",
        /// Files or patches.
        paths: Vec<String> = "paths",
        patches: String = "patches",
        /// The objects.
        target: Option<Selector> = "target",
        /// The parts that the patch may change.
        options: Option<PatchOptions> = "options",
    }
}

record! {
    /// The configuration of the transformers of values.
    pub(crate) ValuePlugin {
        image: Image = "imageTag",
        /// A replica count.
        replica: Replica = "replica",
        replacements: Vec<Replacement> = "replacements",
        /// A value to add.
        value: String = "value",
        /// The places where it is added.
        targets: Vec<ValueTarget> = "targets",
        /// File with these places.
        target_file: String = "targetFilePath",
    }
}

record! {
    /// The configuration of `IAMPolicyGenerator`.
    pub(crate) IamPlugin {
        /// The provider.
        cloud: String = "cloud",
        /// The account in Kubernetes.
        kubernetes: Meta = "kubernetesService",
        /// The account at the provider.
        account: IamAccount = "serviceAccount",
    }
}

record! {
    /// An account at a provider.
    pub(crate) IamAccount {
        name: String = "name",
        project: String = "projectId",
    }
}

/// The identity of a plugin in an object's notes.
pub(crate) fn origin_of(config: &Res) -> Option<Origin> {
    let gvk = config.gvk();
    config.origin.as_ref().map(|origin| Origin {
        path: String::new(),
        configured_in: origin.path.clone(),
        configured_by: Some(Configurer {
            api_version: gvk.version.into(),
            kind: gvk.kind.into(),
            name: config.name().into_owned(),
            namespace: config.namespace().into_owned(),
        }),
    })
}

fn read<T: Decode>(config: &Res) -> Result<T> {
    decode(config.value.clone(), Strictness::Lenient)
        .map_err(|faults| RenderError::of(faults).unwrap_or_else(|| Fault::new("unreadable").into()))
}

/// The objects of a generator.
pub(crate) fn make(loader: &Loader<'_>, config: &Res) -> Result<Vec<Res>> {
    let product = match config.kind() {
        "ConfigMapGenerator" => Product::ConfigMap,
        "SecretGenerator" => Product::Secret,
        "IAMPolicyGenerator" => return iam(&read::<IamPlugin>(config)?, &config.file),
        "HelmChartInflationGenerator" => {
            let message = "Helm charts are not rendered inside a kustomization; use a HelmRelease";
            return Err(Fault::new(message).into());
        }
        _ => return Err(Fault::new("is not a generator").into()),
    };
    let mut generator: Generator = read(config)?;
    let meta = read::<Head>(config)?.metadata;
    for (own, given) in [(&mut generator.name, meta.name), (&mut generator.namespace, meta.namespace)] {
        if own.is_empty() {
            *own = given;
        }
    }
    Ok(vec![generators::make(product, &generator, loader, &config.file)?])
}

fn iam(plugin: &IamPlugin, file: &str) -> Result<Vec<Res>> {
    if plugin.cloud != "gke" {
        return Err(Fault::new(format!("expected gke, found '{}'", plugin.cloud)).in_field("cloud").into());
    }
    let account = format!("{}@{}.iam.gserviceaccount.com", plugin.account.name, plugin.account.project);
    let mut value = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {
        "annotations": {"iam.gke.io/gcp-service-account": account}, "name": plugin.kubernetes.name}});
    if !plugin.kubernetes.namespace.is_empty() {
        value["metadata"]["namespace"] = Value::from(plugin.kubernetes.namespace.as_str());
    }
    Ok(vec![Res::new(value, file)])
}

/// The transformers that a configuration describes.
pub(crate) fn transformers(loader: &Loader<'_>, config: &Res) -> Result<Vec<Transformer>> {
    let head: Head = read(config)?;
    let specs = head.specs.clone().unwrap_or_default();
    Ok(vec![match config.kind() {
        "LabelTransformer" => {
            Transformer::Pairs(SetPairs { pairs: read::<PairsPlugin>(config)?.labels, specs })
        }
        "AnnotationsTransformer" => {
            Transformer::Pairs(SetPairs { pairs: read::<PairsPlugin>(config)?.annotations, specs })
        }
        "NamespaceTransformer" => {
            let plugin: NamespacePlugin = read(config)?;
            let subjects = Subjects::parse(&plugin.subjects)?;
            let name = head.metadata.namespace;
            Transformer::Namespace(Namespace { name, specs, unset_only: plugin.unset_only, subjects })
        }
        "PrefixTransformer" | "SuffixTransformer" | "PrefixSuffixTransformer" => {
            return affixes(config, head.specs);
        }
        "PatchTransformer" | "PatchJson6902Transformer" | "PatchStrategicMergeTransformer" => {
            patch(loader, config)?
        }
        "HashTransformer" => Transformer::Hash,
        "ImageTagTransformer"
        | "ReplicaCountTransformer"
        | "ReplacementTransformer"
        | "ValueAddTransformer" => value(loader, config, specs)?,
        _ => return Err(Fault::new("is not a transformer").into()),
    }])
}

fn affixes(config: &Res, specs: Option<Vec<FieldSpec>>) -> Result<Vec<Transformer>> {
    let plugin: AffixPlugin = read(config)?;
    let Some(specs) = specs else {
        return Err(Fault::new("is wanted").in_field("fieldSpecs").into());
    };
    let affix =
        |end, text: &str| Transformer::Affix(Affix { end, text: text.to_owned(), specs: specs.clone() });
    Ok(match config.kind() {
        "PrefixTransformer" => vec![affix(NameEnd::Prefix, &plugin.prefix)],
        "SuffixTransformer" => vec![affix(NameEnd::Suffix, &plugin.suffix)],
        _ => vec![affix(NameEnd::Prefix, &plugin.prefix), affix(NameEnd::Suffix, &plugin.suffix)],
    })
}

fn patch(loader: &Loader<'_>, config: &Res) -> Result<Transformer> {
    let plugin: PatchPlugin = read(config)?;
    let entry = |content: String| Patch {
        path: plugin.path.clone(),
        content,
        target: plugin.target.clone(),
        options: plugin.options.clone(),
    };
    match config.kind() {
        "PatchTransformer" => {
            PatchStep::of_patch(&entry(plugin.patch.clone()), "patch", loader).map(Transformer::Patch)
        }
        "PatchJson6902Transformer" => {
            PatchStep::of_json6902(&entry(plugin.json_op.clone()), "jsonOp", loader).map(Transformer::Patch)
        }
        _ => {
            let mut entries = plugin.paths;
            if !plugin.patches.is_empty() {
                entries.push(plugin.patches);
            }
            patches::strategic_merge(&entries, loader).map(Transformer::StrategicMerge)
        }
    }
}

fn value(loader: &Loader<'_>, config: &Res, specs: Vec<FieldSpec>) -> Result<Transformer> {
    let plugin: ValuePlugin = read(config)?;
    Ok(match config.kind() {
        "ImageTagTransformer" => Transformer::Image(SetImage::new(plugin.image, specs)),
        "ReplicaCountTransformer" => Transformer::Replicas(SetReplicas { replica: plugin.replica, specs }),
        "ReplacementTransformer" => {
            Transformer::Replacements(super::replacements::load(&plugin.replacements, loader)?)
        }
        _ => Transformer::AddValue(add_value(loader, plugin)?),
    })
}

fn add_value(loader: &Loader<'_>, plugin: ValuePlugin) -> Result<AddValue> {
    let mut targets = plugin.targets;
    if !plugin.target_file.is_empty() {
        let (file, text) = loader.text(&plugin.target_file)?;
        let value = super::file::first_document(&text, &file, loader.budget())?;
        let more: ValuePlugin = super::file::decode_file(value, Strictness::Lenient, &text, &file)?;
        targets.extend(more.targets);
    }
    if targets.is_empty() {
        return Err(Fault::new("at least one target is wanted").in_field("targets").into());
    }
    for target in &targets {
        if target.field_path.is_empty() {
            return Err(Fault::new("is wanted").in_field("targets.fieldPath").into());
        }
        if target.position < 0 {
            return Err(Fault::new("cannot be negative").in_field("targets.filePathPosition").into());
        }
    }
    let folder = loader.root().rsplit('/').next().unwrap_or_default();
    let value = plugin.value.trim();
    Ok(AddValue { value: if value.is_empty() { folder } else { value }.to_owned(), targets })
}
