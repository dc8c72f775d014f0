//! `patches`, `patchesStrategicMerge` and `patchesJson6902`: selects the objects of a patch and applies it to
//! them.

use serde_json::{Map, Value};

use super::build::BuildShared;
use super::file::{Patch, PatchOptions};
use super::id::{ResourceId, position, text_of};
use super::json6902;
use super::load::Loader;
use super::merge::{Written, gets_quotes};
use super::parse;
use super::res::Res;
use super::resmap::ResMap;
use super::select::Matcher;
use crate::budget::Cost;
use crate::error::{Fault, Result};
use lockgate_base::model::yaml::{PathStep, Styles, TextStyle, WrittenAs, is_usually_quoted};

/// A strategic merge patch.
#[derive(Debug, Clone)]
pub(crate) struct MergePatch {
    /// The patch.
    pub(crate) value: Value,
    /// The notation of its scalars.
    pub(crate) texts: Vec<WrittenAs>,
    /// The styles of its strings.
    pub(crate) styles: Styles,
    /// The parts, besides content, that it may change.
    pub(crate) options: PatchOptions,
    /// Its place, for messages.
    pub(crate) source: String,
}

/// The work of an entry of `patches`.
pub(crate) enum PatchStep {
    /// Strategic merge patches, each for the object in its own name.
    ByName(Vec<MergePatch>),
    /// A strategic merge patch for all selected objects.
    Merge(MergePatch, Matcher),
    /// A JSON patch for all selected objects.
    Json {
        /// The operations.
        patch: json6902::JsonPatch,
        /// The objects.
        target: Matcher,
        /// Whether the identity is remembered first, as in `patches` and unlike in `patchesJson6902`.
        remember: bool,
        /// Its place, for messages.
        source: String,
    },
    /// Nothing: the patch is empty.
    Nothing,
}

impl PatchStep {
    /// Reads an entry of `patches`; `place` is its place.
    pub(crate) fn of_patch(patch: &Patch, place: &str, loader: &Loader<'_>) -> Result<Self> {
        let inline = patch.content.trim();
        let (text, source, file) = match (inline.is_empty(), patch.path.is_empty()) {
            (true, true) => return Err(Fault::new("one of patch and path is wanted").into()),
            (false, false) => return Err(Fault::new("only one of patch and path may be set").into()),
            (false, true) => (inline.to_owned(), place.to_owned(), String::new()),
            (true, false) => {
                let (file, text) = loader.text(&patch.path)?;
                (text, file.clone(), file)
            }
        };
        let merge = parse::patches(&text, if file.is_empty() { "line" } else { &file }, loader.budget());
        let json = json6902::parse(&text);
        let options = patch.options.clone().unwrap_or_default();
        let target = patch.target.as_ref().map(Matcher::new).transpose()?;
        match (merge, json) {
            (Ok(merge), Ok(json)) if !merge.is_empty() && !json.is_empty() => {
                Err(Fault::new("is both a strategic merge patch and a JSON patch").in_file(&file).into())
            }
            (Ok(objects), _) => Self::merge(objects, &options, &source, target),
            (Err(_), Ok(json)) => match target {
                Some(target) => Ok(Self::Json { patch: json, target, remember: true, source }),
                None => Err(Fault::new("a JSON patch needs a target").in_field("target").into()),
            },
            (Err(merge), Err(json)) => {
                let is_list = text.trim_start().starts_with(['-', '[']);
                let cause = if is_list { json.to_string() } else { merge.to_string() };
                let message = format!("is neither a strategic merge patch nor a JSON patch: {cause}");
                Err(Fault::new(message).into())
            }
        }
    }

    fn merge(
        objects: Vec<parse::ParsedObject>,
        options: &PatchOptions,
        source: &str,
        target: Option<Matcher>,
    ) -> Result<Self> {
        let mut patches: Vec<MergePatch> = objects
            .into_iter()
            .map(|object| MergePatch {
                value: object.value,
                texts: object.texts,
                styles: object.styles,
                options: options.clone(),
                source: source.into(),
            })
            .collect();
        match target {
            _ if patches.is_empty() => Ok(Self::Nothing),
            None => Ok(Self::ByName(patches)),
            Some(_) if patches.len() > 1 => {
                Err(Fault::new("with a target, a file may hold only one strategic merge patch").into())
            }
            Some(target) => Ok(Self::Merge(patches.swap_remove(0), target)),
        }
    }

    /// Reads an entry of `patchesJson6902`; `place` is its place.
    pub(crate) fn of_json6902(patch: &Patch, place: &str, loader: &Loader<'_>) -> Result<Self> {
        let Some(target) = &patch.target else {
            return Err(Fault::new("a target is wanted").in_field("target").into());
        };
        if target.name.is_empty() {
            return Err(Fault::new("the target's name is wanted").in_field("target.name").into());
        }
        let (text, source) = match (patch.content.is_empty(), patch.path.is_empty()) {
            (true, true) => return Err(Fault::new("one of patch and path is wanted").into()),
            (false, false) => return Err(Fault::new("only one of patch and path may be set").into()),
            (false, true) => (patch.content.clone(), place.to_owned()),
            (true, false) => {
                let (file, text) = loader.text(&patch.path)?;
                (text, file)
            }
        };
        let json = json6902::parse(&text).map_err(|error| Fault::new(format!("{source}: {error}")))?;
        if json.is_empty() {
            return Err(Fault::new(format!("{source}: the patch is empty")).into());
        }
        Ok(Self::Json { patch: json, target: Matcher::new(target)?, remember: false, source })
    }

    /// Whether it selects any resources.
    pub(crate) fn touches(&self, map: &ResMap) -> bool {
        match self {
            Self::Nothing => false,
            Self::ByName(patches) => !patches.is_empty(),
            Self::Merge(_, target) | Self::Json { target, .. } => !target.select(map).is_empty(),
        }
    }

    /// Changes the selected resources.
    pub(crate) fn run(&self, map: &mut ResMap, build: &BuildShared<'_>) -> Result<()> {
        match self {
            Self::Nothing => Ok(()),
            Self::ByName(patches) => patches.iter().try_for_each(|patch| by_name(map, patch, build)),
            Self::Merge(patch, target) => {
                build.budget.spend(Cost::Steps, map.items().len())?;
                let selected = target.select(map);
                merge_all(map, &selected, patch, build)
            }
            Self::Json { patch, target, remember, source } => {
                build.budget.spend(Cost::Steps, map.items().len())?;
                let selected = target.select(map);
                apply_all(map, &selected, patch, *remember, build).map_err(|error| error.in_field(source))
            }
        }
    }
}

/// Reads the entries of `patchesStrategicMerge`, each a path or a patch.
pub(crate) fn strategic_merge(entries: &[String], loader: &Loader<'_>) -> Result<Vec<MergePatch>> {
    let mut patches = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        let (objects, source) = match parse::patches(entry, "inline patch", loader.budget()) {
            Ok(objects) => (objects, format!("patchesStrategicMerge[{index}]")),
            Err(error) if entry.trim().contains('\n') => return Err(error),
            Err(_) => {
                let (file, text) = loader.text(entry)?;
                (parse::patches(&text, &file, loader.budget())?, file)
            }
        };
        let patch = |object: parse::ParsedObject| MergePatch {
            value: object.value,
            texts: object.texts,
            styles: object.styles,
            options: PatchOptions::default(),
            source: source.clone(),
        };
        patches.extend(objects.into_iter().map(patch));
    }
    if patches.is_empty() {
        return Err(Fault::new("the patches are empty").into());
    }
    Ok(patches)
}

/// Applies the patches of `patchesStrategicMerge`.
pub(crate) fn run_strategic_merge(
    patches: &[MergePatch],
    map: &mut ResMap,
    build: &BuildShared<'_>,
) -> Result<()> {
    for patch in patches {
        let target = unique_target(map, patch, build)?;
        merge_all(map, &[target], patch, build)?;
    }
    Ok(())
}

fn by_name(map: &mut ResMap, patch: &MergePatch, build: &BuildShared<'_>) -> Result<()> {
    let target = unique_target(map, patch, build)?;
    let before = map.items()[target].id();
    let known = map.items()[target].previous.len();
    merge_one(map.content_mut(target), &before, &patch.value, patch, build)
        .map_err(|error| error.in_field(&patch.source))?;
    forget_if_changed(map, target, &before);
    if map.items()[target].previous.len() < known {
        map.forget_index();
    }
    Ok(())
}

fn forget_if_changed(map: &mut ResMap, at: usize, before: &ResourceId) {
    let res = &map.items()[at];
    if res.is_empty() || !res.has_id(before) {
        map.forget_index();
    }
}

/// The one object in the name of a patch without a target.
fn unique_target(map: &ResMap, patch: &MergePatch, build: &BuildShared<'_>) -> Result<usize> {
    let mut described = Res::new(patch.value.clone(), &patch.source);
    build.meet(&mut described);
    let id = described.id();
    let fault =
        |message: String| Fault::new(message).on_object(id.subject()).in_field(patch.source.as_str()).into();
    match map.by_any_id(&id) {
        [only] => Ok(*only),
        [] => Err(fault(format!(
            "the patch has no target: at this step no {}, Kind={} has this name and namespace",
            id.gvk().api_version(),
            id.kind
        ))),
        several => {
            let subjects: Vec<String> = several.iter().map(|at| map.items()[*at].subject()).collect();
            Err(fault(format!("the patch could be for several objects: {}", subjects.join(", "))))
        }
    }
}

/// Applies one patch to several resources, whose identities must stay distinct.
fn merge_all(map: &mut ResMap, targets: &[usize], patch: &MergePatch, build: &BuildShared<'_>) -> Result<()> {
    let patch = &through_string_maps(patch);
    let mut value = patch.value.clone();
    let mut changed = false;
    for &at in targets {
        let before = map.items()[at].id();
        let res = map.content_mut(at);
        let api_version = res.value.get("apiVersion").cloned();
        if let (Value::Object(patch), Some(api_version)) = (&mut value, api_version) {
            patch.insert("apiVersion".into(), api_version);
        }
        merge_one(res, &before, &value, patch, build).map_err(|error| error.in_field(&patch.source))?;
        changed |= res.is_empty() || !res.has_id(&before);
    }
    if changed {
        map.forget_index();
        map.drop_empty();
        map.check_unique()?;
    }
    Ok(())
}

/// A patch whose labels and annotations kustomize has passed through string maps, where each scalar becomes
/// its text.
fn through_string_maps(patch: &MergePatch) -> MergePatch {
    let mut patch = patch.clone();
    for field in ["labels", "annotations"] {
        let Some(at) = position(Some(&patch.value), "metadata") else { break };
        let Some(Value::Object(metadata)) = patch.value.get_mut("metadata") else { break };
        let Some(inside) = metadata.keys().position(|key| key == field) else { continue };
        let pairs = match metadata.get_mut(field) {
            Some(Value::Object(pairs)) if !pairs.is_empty() => pairs,
            Some(Value::Object(_) | Value::Null) => {
                metadata.shift_remove(field);
                patch.styles.remove(&[at, inside]);
                continue;
            }
            _ => continue,
        };
        let step = |name: &str| PathStep::Key(name.to_owned());
        let map = [step("metadata"), step(field)];
        let mut styles = Vec::new();
        for (index, (key, value)) in (0..).zip(pairs.iter_mut()) {
            let way = [&map[..], &[step(key)]].concat();
            let written = patch.texts.iter().find(|written| written.way == way);
            let text = match written.and_then(WrittenAs::text) {
                Some(text) => text.to_owned(),
                None if value.is_null() => "null".to_owned(),
                None => text_of(value).into_owned(),
            };
            // The text gets quotes only if YAML 1.1 takes it for another type, and is a block if it has
            // several lines.
            if is_usually_quoted(&text) && !text.contains('\n') && !gets_quotes(&text) {
                styles.push((index, Styles::Own(TextStyle::Plain)));
            }
            *value = text.into();
        }
        patch.texts.retain(|written| !written.way.starts_with(&map));
        patch.styles.set(&[at, inside], Styles::inside(styles));
    }
    patch
}

/// Merges the content of a patch into one resource with the identity `id`. Name and kind stay unless the
/// options say otherwise; the namespace always stays.
fn merge_one(
    res: &mut Res,
    id: &ResourceId,
    content: &Value,
    patch: &MergePatch,
    build: &BuildShared<'_>,
) -> Result<()> {
    let options = &patch.options;
    let (namespace, kind) = (res.namespace().into_owned(), res.value.get("kind").cloned());
    if options.allow_name_change || options.allow_kind_change {
        res.remember();
    }
    if content.pointer("/metadata/labels").is_some() {
        res.labels_were_read();
    }
    let written = Written { texts: &patch.texts, styles: &patch.styles };
    build.merge(res, content, written, id).map_err(|fault| fault.on_object(id.subject()))?;
    if res.is_empty() {
        res.value = Value::Null;
        return Ok(());
    }
    if content.pointer("/metadata/annotations").is_some_and(Value::is_null) {
        res.forget_previous();
    }
    if let (false, Some(kind), Value::Object(map)) = (options.allow_kind_change, kind, &mut res.value) {
        map.insert("kind".into(), kind);
    }
    if !options.allow_name_change {
        res.set_name(&id.name);
    }
    res.set_namespace(&namespace);
    Ok(())
}

fn apply_all(
    map: &mut ResMap,
    targets: &[usize],
    patch: &json6902::JsonPatch,
    remember: bool,
    build: &BuildShared<'_>,
) -> Result<()> {
    for &at in targets {
        let before = map.items()[at].id();
        let res = map.content_mut(at);
        if remember {
            res.remember();
        }
        if res.noted {
            // Kustomize keeps notes here, so a patch finds an existing map.
            if let Some(metadata) = res.metadata_mut() {
                let annotations = metadata.entry("annotations").or_insert(Value::Null);
                if annotations.is_null() {
                    *annotations = Value::Object(Map::new());
                }
            }
        }
        res.twins.part();
        res.retype_annotations();
        // The patch works on JSON, which has no notation.
        res.texts.clear();
        res.styles = Styles::Told;
        res.labels_were_read();
        json6902::apply(patch, &mut res.value, build.budget)
            .map_err(|error| Fault::new(error.to_string()).on_object(before.subject()))?;
        if !res.value.is_object() {
            return Err(Fault::new("the result of the patch is no mapping")
                .on_object(before.subject())
                .into());
        }
        res.write_annotations();
        forget_if_changed(map, at, &before);
    }
    Ok(())
}
