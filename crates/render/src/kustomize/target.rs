//! Builds one kustomization: resources first, then generators, components and transformers, as kustomize
//! orders them.

use std::sync::Arc;

use super::accumulator::Accumulator;
use super::build::BuildShared;
use super::config::Config;
use super::configurations;
use super::file::{Kustomization, Patch};
use super::generators::{self, Product};
use super::images::SetImage;
use super::labels::SetPairs;
use super::load::{Loader, ResourceTarget, shown};
use super::metadata::Origin;
use super::namespace::Namespace;
use super::parse;
use super::patches::{self, PatchStep};
use super::plugins;
use super::prefix::{Affix, NameEnd};
use super::replacements;
use super::replicas::SetReplicas;
use super::res::Res;
use super::step::{BuildStep, Transformer};
use super::texts;
use super::validate;
use super::vars;
use crate::error::{Fault, RenderError, Result};

/// A loaded kustomization.
pub(crate) struct Target<'t, 'b> {
    /// The build.
    pub(crate) build: &'b BuildShared<'b>,
    /// Reads relative to its folder.
    pub(crate) loader: Loader<'t>,
    pub(crate) kustomization: Kustomization,
    /// The path of its file in the tree.
    pub(crate) file: String,
    /// Its place relative to the built folder, if that is noted.
    pub(crate) origin: Option<Origin>,
}

impl<'t, 'b> Target<'t, 'b> {
    /// Loads the kustomization of a folder.
    pub(crate) fn load(build: &'b BuildShared<'b>, loader: Loader<'t>) -> Result<Self> {
        let Some((file, text)) = loader.kustomization()? else {
            let message = format!(
                "no kustomization file in '{}': expected kustomization.yaml, kustomization.yml or Kustomization",
                shown(loader.root())
            );
            return Err(Fault::new(message).into());
        };
        let mut warnings = Vec::new();
        let kustomization = Kustomization::parse(&text, &file, &mut warnings, loader.budget())?;
        for warning in warnings {
            build.warn(warning);
        }
        Ok(Self { build, loader, kustomization, file, origin: None })
    }

    /// Everything that the kustomization makes, before the steps at the end.
    pub(crate) fn accumulate(&self) -> Result<Accumulator> {
        self.accumulate_into(Accumulator::new())
    }

    fn accumulate_into(&self, mut all: Accumulator) -> Result<Accumulator> {
        self.refuse_helm()?;
        self.build.open(&self.kustomization, &self.loader).map_err(|error| error.in_file(&self.file))?;
        self.add_resources(&mut all, &self.kustomization.resources, "resources")?;
        let config = configurations::load(&self.kustomization, &self.loader)
            .map_err(|error| error.in_file(&self.file))?;
        Config::merge_shared(&mut all.config, &config).map_err(|error| error.in_file(&self.file))?;
        self.generate(&mut all)?;
        let mut all = self.add_components(all)?;
        let steps = self.steps(&all.config)?;
        for step in &steps {
            step.run(&mut all.map, self.build)?;
        }
        let validators = self.plugin_steps(&self.kustomization.validators, "validators")?;
        validate::run(validators, &mut all.map, self.build, &self.file)?;
        vars::collect(&mut all, self.kustomization.vars.as_deref().unwrap_or_default())
            .map_err(|error| error.in_file(&self.file))?;
        Ok(all)
    }

    fn refuse_helm(&self) -> Result<()> {
        let kustomization = &self.kustomization;
        let field = if !kustomization.helm_charts.is_empty() {
            "helmCharts"
        } else if !kustomization.helm_chart_inflation_generator.is_empty() {
            "helmChartInflationGenerator"
        } else {
            return Ok(());
        };
        let message = "Helm charts are not rendered inside a kustomization; use a HelmRelease";
        Err(Fault::new(message).in_field(field).in_file(&self.file).into())
    }

    /// Adds the content of files and folders. All unreadable ones are reported at once.
    pub(crate) fn add_resources(&self, all: &mut Accumulator, paths: &[String], field: &str) -> Result<()> {
        let mut failed: Option<RenderError> = None;
        for (index, path) in paths.iter().enumerate() {
            if let Err(error) = self.add_resource(all, path) {
                let error = error.in_field(&format!("{field}[{index}]")).in_file(&self.file);
                failed = Some(match failed {
                    Some(before) => before.and(error),
                    None => error,
                });
                if self.loader.budget().is_over() {
                    break;
                }
            }
        }
        failed.map_or(Ok(()), Err)
    }

    fn add_resource(&self, all: &mut Accumulator, path: &str) -> Result<()> {
        match self.loader.find(path)? {
            ResourceTarget::File(file) => {
                let text = self.loader.text_of(&file)?;
                let origin = self.origin.as_ref().map(|origin| origin.append(path));
                let mut objects = parse::objects(&text, &file, self.loader.budget())?;
                for object in &mut objects {
                    object.untyped.extend(texts::restore(&mut object.value, &object.texts, true));
                }
                let mut objects: Vec<Res> =
                    objects.into_iter().map(|object| resource(object, &file, origin.clone())).collect();
                for res in &mut objects {
                    self.build.meet(res);
                }
                all.map.append_all(objects)
            }
            ResourceTarget::Folder(loader) => {
                let target = self.child(loader, path)?;
                if target.kustomization.is_component() {
                    let message = "is a Component; list it under components, not resources";
                    return Err(Fault::new(message).in_file(&target.file).into());
                }
                all.merge(target.accumulate()?)
            }
        }
    }

    fn child(&self, loader: Loader<'t>, path: &str) -> Result<Self> {
        let mut target = Self::load(self.build, loader)?;
        target.kustomization.build_metadata.clone_from(&self.kustomization.build_metadata);
        target.origin = self.origin.as_ref().map(|origin| origin.append(path));
        Ok(target)
    }

    fn add_components(&self, mut all: Accumulator) -> Result<Accumulator> {
        for (index, path) in self.kustomization.components.iter().enumerate() {
            let place =
                |error: RenderError| error.in_field(&format!("components[{index}]")).in_file(&self.file);
            let loader = self.loader.folder(path).map_err(|fault| place(fault.into()))?;
            let target = self.child(loader, path).map_err(place)?;
            if !target.kustomization.is_component() {
                let message = format!("expected a Component, found a {}", target.kustomization.kind);
                return Err(Fault::new(message).in_file(&target.file).into());
            }
            let merged = target.accumulate_into(all)?;
            all = Accumulator::new();
            all.merge(merged).map_err(place)?;
        }
        Ok(all)
    }

    fn generate(&self, all: &mut Accumulator) -> Result<()> {
        let kustomization = &self.kustomization;
        let products = [
            (Product::ConfigMap, &kustomization.config_map_generator),
            (Product::Secret, &kustomization.secret_generator),
        ];
        for (product, list) in products {
            let origin = self.note(&format!("{}Generator", product.kind()));
            for entry in list {
                let mut entry = entry.clone();
                generators::with_global(&mut entry, kustomization.generator_options.as_ref());
                let mut made = generators::make(product, &entry, &self.loader, &self.file)?;
                made.origin.clone_from(&origin);
                all.map.absorb(made).map_err(|error| error.in_file(&self.file))?;
            }
        }
        self.generate_by_plugins(all)
    }

    /// Runs the generators that configurations describe.
    fn generate_by_plugins(&self, all: &mut Accumulator) -> Result<()> {
        for config in self.configurations(&self.kustomization.generators, "generators")? {
            let place = |error: RenderError| error.on_object(&config.subject()).in_file(&config.file);
            for mut made in plugins::make(&self.loader, &config).map_err(place)? {
                made.origin = plugins::origin_of(&config);
                all.map.absorb(made).map_err(place)?;
            }
        }
        Ok(())
    }

    /// The transformers that configurations describe.
    fn plugin_steps(&self, entries: &[String], field: &str) -> Result<Vec<BuildStep>> {
        let mut steps = Vec::new();
        for config in self.configurations(entries, field)? {
            let transformers = plugins::transformers(&self.loader, &config)
                .map_err(|error| error.on_object(&config.subject()).in_file(&config.file))?;
            for transformer in transformers {
                steps.push(BuildStep {
                    transformer,
                    origin: plugins::origin_of(&config),
                    file: config.file.clone(),
                });
            }
        }
        Ok(steps)
    }

    /// The configuration objects: first inline ones, then those in files and folders.
    fn configurations(&self, entries: &[String], field: &str) -> Result<Vec<Res>> {
        if entries.is_empty() {
            return Ok(Vec::new());
        }
        let mut all = Accumulator::new();
        let mut paths = Vec::new();
        for entry in entries {
            match parse::objects(entry, &self.file, self.loader.budget()) {
                Ok(objects) => {
                    let name = self.file.rsplit('/').next().unwrap_or(&self.file);
                    let origin = self.origin.as_ref().map(|origin| origin.append(name));
                    let objects =
                        objects.into_iter().map(|object| resource(object, &self.file, origin.clone()));
                    all.map.append_all(objects.collect()).map_err(|error| error.in_file(&self.file))?;
                }
                Err(error) if entry.trim().contains('\n') => return Err(error.in_field(field)),
                Err(_) => paths.push(entry.clone()),
            }
        }
        self.add_resources(&mut all, &paths, field)?;
        let configs = all.map.into_items();
        for config in &configs {
            let gvk = config.gvk();
            if !gvk.group.is_empty() || gvk.version != "builtin" {
                let message =
                    "is not a built-in plugin; plugins that run programs or containers are not supported";
                return Err(Fault::new(message)
                    .in_field(field)
                    .on_object(config.subject())
                    .in_file(&config.file)
                    .into());
            }
        }
        Ok(configs)
    }

    /// The identity of a field of this kustomization in an object's notes.
    pub(crate) fn note(&self, kind: &str) -> Option<Origin> {
        let name = self.file.rsplit('/').next().unwrap_or(&self.file);
        self.origin.as_ref().map(|origin| origin.built_in(name, kind))
    }

    fn steps(&self, config: &Arc<Config>) -> Result<Vec<BuildStep>> {
        let mut steps = Steps { target: self, steps: Vec::new() };
        steps.patches()?;
        steps.names(config);
        steps.pairs(config)?;
        steps.values(config)?;
        let mut steps = steps.steps;
        steps.extend(self.plugin_steps(&self.kustomization.transformers, "transformers")?);
        Ok(steps)
    }
}

/// A resource from a file, with the notes that its author may have written.
pub(crate) fn resource(object: parse::ParsedObject, file: &str, origin: Option<Origin>) -> Res {
    let parse::ParsedObject { value, texts, styles, untyped, .. } = object;
    let enabled = |note: &str| {
        let annotations = value.get("metadata").and_then(|metadata| metadata.get("annotations"));
        annotations.and_then(|map| map.get(note)).and_then(serde_json::Value::as_str) == Some("enabled")
    };
    let needs_hash = enabled("internal.config.kubernetes.io/needsHashSuffix");
    let mut res = Res { needs_hash, texts, styles, untyped, ..Res::new(value, file) };
    res.take_previous();
    if let Some(origin) = origin {
        res.note(&origin);
    }
    res
}

/// Collects the transformers of the fields of a kustomization.
struct Steps<'a, 't, 'b> {
    target: &'a Target<'t, 'b>,
    steps: Vec<BuildStep>,
}

impl Steps<'_, '_, '_> {
    fn push(&mut self, kind: &str, transformer: Transformer) {
        let (origin, file) = (self.target.note(kind), self.target.file.clone());
        self.steps.push(BuildStep { transformer, origin, file });
    }

    fn place<T>(&self, field: &str, result: Result<T>) -> Result<T> {
        result.map_err(|error| error.in_field(field).in_file(&self.target.file))
    }

    fn patches(&mut self) -> Result<()> {
        let target = self.target;
        let kustomization = &target.kustomization;
        if let Some(entries) =
            kustomization.patches_strategic_merge.as_ref().filter(|entries| !entries.is_empty())
        {
            let patches =
                self.place("patchesStrategicMerge", patches::strategic_merge(entries, &target.loader))?;
            self.push("PatchStrategicMergeTransformer", Transformer::StrategicMerge(patches));
        }
        for (index, patch) in kustomization.patches.iter().enumerate() {
            let field = format!("patches[{index}]");
            let step = self.place(&field, PatchStep::of_patch(patch, &field, &target.loader))?;
            self.push("PatchTransformer", Transformer::Patch(step));
        }
        Ok(())
    }

    fn names(&mut self, config: &Config) {
        let kustomization = &self.target.kustomization;
        if !kustomization.namespace.is_empty() {
            let namespace = Namespace {
                name: kustomization.namespace.clone(),
                specs: config.namespace.clone(),
                ..Namespace::default()
            };
            self.push("NamespaceTransformer", Transformer::Namespace(namespace));
        }
        let affixes = [
            (NameEnd::Prefix, &kustomization.name_prefix, &config.name_prefix, "PrefixTransformer"),
            (NameEnd::Suffix, &kustomization.name_suffix, &config.name_suffix, "SuffixTransformer"),
        ];
        for (end, text, specs, kind) in affixes {
            if !text.is_empty() {
                let affix = Affix { end, text: text.clone(), specs: specs.clone() };
                self.push(kind, Transformer::Affix(affix));
            }
        }
    }

    fn pairs(&mut self, config: &Config) -> Result<()> {
        let kustomization = &self.target.kustomization;
        let common = kustomization.common_labels.clone().unwrap_or_default();
        if !kustomization.labels.is_empty() || !common.is_empty() {
            for (index, label) in kustomization.labels.iter().enumerate() {
                let pairs = self.place(&format!("labels[{index}]"), SetPairs::of_label(label, config))?;
                self.push("LabelTransformer", Transformer::Pairs(pairs));
            }
            let pairs = SetPairs { pairs: common, specs: config.common_labels.clone() };
            self.push("LabelTransformer", Transformer::Pairs(pairs));
        }
        if !kustomization.common_annotations.is_empty() {
            let pairs = SetPairs {
                pairs: kustomization.common_annotations.clone(),
                specs: config.common_annotations.clone(),
            };
            self.push("AnnotationsTransformer", Transformer::Pairs(pairs));
        }
        Ok(())
    }

    fn values(&mut self, config: &Config) -> Result<()> {
        let target = self.target;
        let kustomization = &target.kustomization;
        let json: &[Patch] = kustomization.patches_json6902.as_deref().unwrap_or_default();
        for (index, patch) in json.iter().enumerate() {
            let field = format!("patchesJson6902[{index}]");
            let step = self.place(&field, PatchStep::of_json6902(patch, &field, &target.loader))?;
            self.push("PatchJson6902Transformer", Transformer::Patch(step));
        }
        for replica in &kustomization.replicas {
            let replicas = SetReplicas { replica: replica.clone(), specs: config.replicas.clone() };
            self.push("ReplicaCountTransformer", Transformer::Replicas(replicas));
        }
        for image in &kustomization.images {
            let image = SetImage::new(image.clone(), config.images.clone());
            self.push("ImageTagTransformer", Transformer::Image(image));
        }
        if !kustomization.replacements.is_empty() {
            let mut entries = kustomization.replacements.clone();
            for entry in &mut entries {
                // Only in its own configuration an empty list counts as a list.
                entry.targets = entry.targets.take().filter(|targets| !targets.is_empty());
            }
            let replacements = replacements::load(&entries, &target.loader);
            let replacements = self.place("replacements", replacements)?;
            self.push("ReplacementTransformer", Transformer::Replacements(replacements));
        }
        Ok(())
    }
}
