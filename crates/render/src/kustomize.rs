//! Kustomize: builds objects from folders of files, with the same result as its command line or as Flux's
//! kustomize-controller.
//!
//! Every field of a kustomization has its file here; `target` runs them in kustomize's order. Within a folder
//! that order is: resources, configurations, generators, components, transformers, validators. Four steps run
//! once at the end: they add hashes to generated names, update references to names that changed, replace
//! variables, and drop objects that are only for local use.

mod decode;
mod file;
mod id;
mod schema;
mod config;
mod fieldspec;
mod pattern;
mod fieldpath;
mod keys;
mod metadata;
mod provenance;
mod twins;
mod res;
mod texts;
mod resmap;
mod select;
mod hash;
mod json6902;
mod merge;
mod load;
mod build;
mod configurations;
mod parse;
mod patches;
mod generators;
mod namespace;
mod prefix;
mod labels;
mod replicas;
mod images;
mod carried;
mod structured;
mod replacements;
mod value_add;
mod step;
mod plugins;
mod validate;
mod accumulator;
mod vars;
mod names;
mod order;
mod target;
mod flux;

use serde_json::Value;

use super::budget::{Budget, Cost, Size, Spent, check_depth};
use super::error::{Fault, RenderError, Result};
use lockgate_base::tree::{Footprint, Tree};

pub use file::{Image, Selector};
pub use flux::{Overlay, OverlayJson6902, OverlayPatch};
pub use select::Selection;

/// Whether Kubernetes is known to have a kind as cluster-scoped.
pub fn is_cluster_scoped(api_version: &str, kind: &str) -> bool {
    id::KindRef::new(api_version, kind).is_cluster_scoped()
}

/// The folder to build, and the flavour.
#[derive(Debug, Clone)]
pub struct KustomizeRecipe {
    /// The folder in the tree; empty or `.` for its root.
    pub path: String,
    /// The flavour of the build.
    pub flavour: Flavour,
}

/// The program whose behaviour a build has.
#[derive(Debug, Clone)]
pub enum Flavour {
    /// The behaviour of the command line: strict, files only in or below the folder of their kustomization,
    /// sorted by kind.
    Cli,
    /// The behaviour of kustomize-controller: with the fields of the Kustomization object, files anywhere in
    /// the tree, in the order in which they are read.
    Flux(Box<Overlay>),
}

/// One object of a build. The command line also prints objects that an API server would refuse.
#[derive(Debug, Clone, PartialEq)]
pub struct Built {
    /// The object.
    pub value: Value,
    /// The path of its file.
    pub origin: String,
}

/// The objects of a build in their order.
#[derive(Debug, Clone, Default)]
pub struct Output {
    /// The objects.
    pub objects: Vec<Built>,
    /// The paths that were read, and those that were looked up and are missing.
    pub footprint: Footprint,
    /// Warnings.
    pub warnings: Vec<String>,
}

/// The label that `buildMetadata: [managedByLabel]` sets.
const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "kustomize-v5.8.1");

/// Builds a folder of a tree.
pub fn build(tree: &Tree, recipe: &KustomizeRecipe) -> Result<Output> {
    build_within(tree, recipe, &Budget::default())
}

/// Builds a folder of a tree with the rest of a budget.
pub fn build_within(tree: &Tree, recipe: &KustomizeRecipe, budget: &Budget) -> Result<Output> {
    let reader = tree.reader();
    let build = build::BuildShared::new(matches!(recipe.flavour, Flavour::Flux(_)), budget);
    let restricted = matches!(recipe.flavour, Flavour::Cli);
    let loader = load::Loader::new(&reader, budget, &recipe.path, restricted)?;
    let mut target = match &recipe.flavour {
        Flavour::Cli => target::Target::load(&build, loader)?,
        Flavour::Flux(overlay) => flux::load(&build, loader, overlay)?,
    };
    if !target.kustomization.build_metadata.is_empty() {
        target.origin = Some(metadata::Origin::default());
    }
    let map = finish(&target, recipe)?;
    for res in map.items() {
        let spent = weigh(&res.value, budget);
        spent.map_err(|spent| Fault::from(spent).on_object(res.subject()).in_file(&res.file))?;
    }
    let objects = map.into_items().into_iter().map(|res| Built { value: res.value, origin: res.file });
    Ok(Output { objects: objects.collect(), footprint: reader.footprint(), warnings: build.into_warnings() })
}

/// Spends the size of a resulting object.
fn weigh(object: &Value, budget: &Budget) -> Result<(), Spent> {
    check_depth(object)?;
    budget.spend(Cost::Objects, 1)?;
    budget.spend(Cost::RenderedBytes, Size::of(object).bytes)
}

/// Accumulates everything, and runs the steps at the end.
fn finish(target: &target::Target<'_, '_>, recipe: &KustomizeRecipe) -> Result<resmap::ResMap> {
    let mut all = target.accumulate()?;
    let in_file = |error: RenderError| error.in_file(&target.file);
    hash::run(&mut all.map).map_err(in_file)?;
    names::run(&mut all.map, &all.config)?;
    vars::run(&mut all, target.build).map_err(in_file)?;
    let mut map = all.map;
    drop_local(&mut map)?;
    map.check_unique()?;
    match (&target.kustomization.sort_options, &recipe.flavour) {
        (Some(options), _) => order::apply(options, &mut map).map_err(in_file)?,
        (None, Flavour::Cli) => order::by_default(&mut map),
        (None, Flavour::Flux(_)) => {}
    }
    let wants = |option: &str| target.kustomization.build_metadata.iter().any(|wanted| wanted == option);
    let (origins, transformations, managed) =
        (wants("originAnnotations"), wants("transformerAnnotations"), wants("managedByLabel"));
    for res in map.items_mut() {
        if managed {
            res.set_label(MANAGED_BY.0, MANAGED_BY.1).map_err(|fault| fault.in_file(&res.file))?;
            res.twins.settle(&mut res.value);
        }
        if res
            .metadata("annotations")
            .and_then(Value::as_array)
            .is_some_and(|items| res.noted || items.len() % 2 > 0)
        {
            let fault = Fault::new("expected a mapping, found a list").in_field("metadata.annotations");
            return Err(fault.on_object(res.subject()).in_file(&res.file).into());
        }
        let mut extra = Vec::new();
        if let (true, Some(origin)) = (origins, &res.origin) {
            extra.push((metadata::ORIGIN.to_owned(), origin.text()));
        }
        if transformations && !res.transformations.is_empty() {
            extra.push((metadata::TRANSFORMATIONS.to_owned(), metadata::list_text(&res.transformations)));
        }
        res.finish_annotations(extra);
        for (key, _) in res.string_map("annotations") {
            keys::check(key).map_err(|error| error.on_object(&res.subject()).in_file(&res.file))?;
        }
    }
    Ok(map)
}

/// Drops the objects that are only for local use, and checks that patches left the others whole.
fn drop_local(map: &mut resmap::ResMap) -> Result<()> {
    let mut faults = Vec::new();
    map.items_mut().retain(|res| {
        if let Err(fault) = parse::check(&res.value).and_then(|()| res.check_names()) {
            faults.push(fault.in_file(&res.file));
        }
        let mut annotations = res.string_map("annotations");
        !annotations.any(|(key, value)| key == "config.kubernetes.io/local-config" && value != "false")
    });
    RenderError::of(faults).map_or(Ok(()), Err)
}
