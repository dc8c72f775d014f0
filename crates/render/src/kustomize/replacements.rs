//! `replacements`: copies the value of one object's field into fields of other objects.

use serde_json::Value;

use super::carried::{Carried, Live, is_float, typed_as};
use super::decode::{Strictness, record};
use super::fieldpath::{self, Hop, Shape};
use super::file::{FieldOptions, Replacement, Selector, Source, Target, decode_file, first_document};
use super::id::{ResourceId, text_of};
use super::load::Loader;
use super::provenance::{Labels, is_quoted};
use super::res::Res;
use super::resmap::ResMap;
use super::select::Matcher;
use super::structured;
use crate::budget::{Budget, Cost, DEPTH_LIMIT, Spent, check_depth};
use crate::error::{Fault, Result};
use lockgate_base::model::yaml::{Form, WrittenAs, is_date};

const DEFAULT_PATH: &str = "metadata.name";

record! {
    /// A replacement in its own file, where a number counts as the text of a value.
    pub(crate) InFile {
        source: Option<Source> = "source",
        /// A literal value.
        source_value: Option<String> = "sourceValue",
        targets: Option<Vec<Target>> = "targets",
    }
}

impl From<InFile> for Replacement {
    fn from(read: InFile) -> Self {
        let InFile { source, source_value, targets } = read;
        Self { path: String::new(), source, source_value, targets }
    }
}

/// Reads replacements; an entry with a path stands for the ones in that file.
pub(crate) fn load(entries: &[Replacement], loader: &Loader<'_>) -> Result<Vec<Replacement>> {
    let mut all = Vec::new();
    for entry in entries {
        if entry.path.is_empty() {
            all.push(entry.clone());
            continue;
        }
        if entry.source.is_some() || entry.targets.as_ref().is_some_and(|targets| !targets.is_empty()) {
            return Err(Fault::new("only one of path and the replacement itself may be set").into());
        }
        let (file, text) = loader.text(&entry.path)?;
        let value = first_document(&text, &file, loader.budget())?;
        match value {
            Value::Array(_) => {
                let read: Vec<InFile> = decode_file(value, Strictness::Lenient, &text, &file)?;
                all.extend(read.into_iter().map(Replacement::from));
            }
            Value::Object(_) => {
                let read: InFile = decode_file(value, Strictness::Lenient, &text, &file)?;
                all.push(read.into());
            }
            other => {
                let found = lockgate_base::model::type_name(&other);
                let message = format!("expected a replacement or a list of them, found {found}");
                return Err(Fault::new(message).in_file(&file).into());
            }
        }
    }
    Ok(all)
}

/// Carries out all replacements in order.
pub(crate) fn run(replacements: &[Replacement], map: &mut ResMap, budget: &Budget) -> Result<()> {
    for (index, replacement) in replacements.iter().enumerate() {
        replace(replacement, map, budget)
            .map_err(|error| error.in_field(&format!("replacements[{index}]")))?;
    }
    Ok(())
}

fn replace(replacement: &Replacement, map: &mut ResMap, budget: &Budget) -> Result<()> {
    let (Some(targets), true) =
        (&replacement.targets, replacement.source.is_some() || replacement.source_value.is_some())
    else {
        return Err(Fault::new("a source and at least one target are wanted").into());
    };
    let mut found = match (&replacement.source, &replacement.source_value) {
        (Some(_), Some(_)) => return Err(Fault::new("only one of source and sourceValue may be set").into()),
        (Some(source), None) => take(source, map)?,
        (None, value) => Carried::loose(value.as_deref().unwrap_or_default(), true),
    };
    for target in targets {
        put(&mut found, target, map, budget)?;
    }
    Ok(())
}

/// The value of the single source.
fn take(source: &Source, map: &ResMap) -> Result<Carried> {
    let candidates = if source.name.is_empty() {
        (0..map.items().len()).collect()
    } else {
        map.by_any_name(&source.name).to_vec()
    };
    let meant: Vec<usize> =
        candidates.into_iter().filter(|at: &usize| is_source(source, &map.items()[*at])).collect();
    let described = || {
        let parts = [&source.kind, &source.namespace, &source.name];
        parts.into_iter().filter(|part| !part.is_empty()).cloned().collect::<Vec<_>>().join("/")
    };
    let at = match meant.as_slice() {
        [only] => *only,
        [] => return Err(Fault::new(format!("the source '{}' is no object here", described())).into()),
        several => {
            let subjects: Vec<String> = several.iter().map(|at| map.items()[*at].subject()).collect();
            let message =
                format!("the source '{}' could be several objects: {}", described(), subjects.join(", "));
            return Err(Fault::new(message).into());
        }
    };
    let res = &map.items()[at];
    let path = if source.field_path.is_empty() { DEFAULT_PATH } else { &source.field_path };
    let found = fieldpath::lookup_way(&res.value, &fieldpath::split(path))
        .map_err(|fault| fault.on_object(res.subject()))?;
    let is_there = |found: &(Vec<Hop>, &Value)| match found.1 {
        Value::Null => false,
        Value::Object(map) => !map.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => true,
    };
    let Some((way, value)) = found.filter(is_there) else {
        return Err(Fault::new(format!("the source has no field '{path}'")).on_object(res.subject()).into());
    };
    if let Some(options) = source.options.as_ref().filter(|options| !options.delimiter.is_empty()) {
        return part_of(res, value, options).map_err(|fault| fault.on_object(res.subject()).into());
    }
    let live = Some(Live { at, way });
    Ok(Carried { value: value.clone(), text: res.text_in(value), untyped: false, live })
}

fn is_source(source: &Source, res: &Res) -> bool {
    res.previous_ids().chain([res.id()]).any(|id| {
        (source.name.is_empty() || source.name == id.name)
            && (source.namespace.is_empty() || source.namespace == id.namespace)
            && id.gvk().is_selected(&source.group, &source.version, &source.kind)
    })
}

/// The part of a value that the options select. It keeps the type of the whole if it can be read as that
/// type.
fn part_of(res: &Res, value: &Value, options: &FieldOptions) -> Result<Carried, Fault> {
    if value.is_object() || value.is_array() {
        return Err(Fault::new("a delimiter needs a scalar"));
    }
    let text = res.text_in(value);
    let parts: Vec<&str> = text.split(options.delimiter.as_str()).collect();
    let part = usize::try_from(options.index).ok().and_then(|index| parts.get(index));
    let part = part.ok_or_else(|| {
        Fault::new(format!("index {} is beyond the {} parts of the value", options.index, parts.len()))
    })?;
    Ok(Carried::loose(part, false))
}

fn put(found: &mut Carried, target: &Target, map: &mut ResMap, budget: &Budget) -> Result<()> {
    let Some(select) = &target.select else {
        return Err(Fault::new("a target must select objects").in_field("targets.select").into());
    };
    let wanted = Matcher::new(select)?;
    let rejected: Vec<(Matcher, &Selector)> = target
        .reject
        .iter()
        .map(|selector| Ok((Matcher::new(selector)?, selector)))
        .collect::<Result<_>>()?;
    budget.spend(Cost::Steps, map.items().len())?;
    for at in wanted.candidates(map) {
        let res = &map.items()[at];
        if !is_target(&wanted, &rejected, res) {
            continue;
        }
        let before = res.id();
        let outcome = put_in(found, target, map.content_mut(at), at, budget);
        outcome.map_err(|fault| fault.on_object(before.subject()))?;
        if !map.items()[at].has_id(&before) {
            map.forget_index();
        }
    }
    Ok(())
}

/// Whether one of the identities of an object, old or new, is selected and none is rejected.
fn is_target(wanted: &Matcher, rejected: &[(Matcher, &Selector)], res: &Res) -> bool {
    if !wanted.means_metadata(res) {
        return false;
    }
    let now = res.id();
    let namespace = res.namespace().into_owned();
    let ids: Vec<(ResourceId, String)> = std::iter::once((now, namespace))
        .chain(res.previous_ids().map(|id| {
            let namespace = id.namespace.clone();
            (id, namespace)
        }))
        .collect();
    let means = |matcher: &Matcher| ids.iter().any(|(id, namespace)| matcher.means_id(id, namespace));
    let is_rejected = rejected.iter().any(|(matcher, selector)| {
        let by_metadata = !selector.label_selector.is_empty() || !selector.annotation_selector.is_empty();
        let names = [&selector.group, &selector.version, &selector.kind, &selector.name, &selector.namespace];
        let by_id = names.iter().any(|part| !part.is_empty());
        (by_metadata && matcher.means_metadata(res)) || (by_id && means(matcher))
    });
    !is_rejected && means(wanted)
}

fn put_in(
    found: &mut Carried,
    target: &Target,
    res: &mut Res,
    at: usize,
    budget: &Budget,
) -> Result<(), Fault> {
    let (object, texts, labels) = (&mut res.value, &mut res.texts, &mut res.labels);
    let default = [DEFAULT_PATH.to_owned()];
    let paths = if target.field_paths.is_empty() { &default[..] } else { &target.field_paths };
    let creates = target.options.as_ref().is_some_and(|options| options.create);
    for path in paths {
        let create = creates.then(|| Shape::of(&found.value));
        if create.is_some() && path.is_empty() {
            return Err(Fault::new("the path is empty").in_field("fieldPaths"));
        }
        let parts = fieldpath::split(path);
        let in_path = |fault: Fault| fault.in_field(format!("'{path}'"));
        let spent = |spent: Spent| in_path(spent.into());
        if parts.len() > DEPTH_LIMIT {
            return Err(spent(Spent::Depth));
        }
        if let Some(outcome) = structured::put(object, &parts, found, create) {
            outcome.map_err(in_path)?;
            budget.copy_text(&found.text)?;
            check_depth(object)?;
            found.refresh(at, object);
            continue;
        }
        let matches = fieldpath::find(object, &parts, create, texts).map_err(in_path)?;
        found.refresh(at, object);
        if matches.is_empty() {
            let more = if create.is_some() { ", and it cannot be created there" } else { "" };
            return Err(in_path(Fault::new(format!("the target has no such field{more}"))));
        }
        for place in &matches {
            let Some(field) = fieldpath::at(object, &place.hops) else { continue };
            let in_flow = is_in_flow(texts, &place.hops);
            if place.detached {
                if place.made && in_flow && field.is_null() {
                    *field = "".into();
                }
                continue;
            }
            let written = texts.iter().find(|written| written.way == place.hops);
            let made = as_written(field, written, &found.text).map_err(in_path)? || place.made;
            let was_scalar = !field.is_object() && !field.is_array();
            let is_label = matches!(place.hops.as_slice(), [Hop::Key(first), Hop::Key(second), ..]
                if first == "metadata" && second == "labels");
            let was_quoted = is_label && is_quoted(&text_of(field));
            budget.copy(&found.value).and_then(|()| budget.copy_text(&found.text)).map_err(spent)?;
            let old_text = target.options.is_some().then(|| budget.copy_text(&text_of(field)));
            old_text.transpose().map_err(spent)?;
            set(field, made, in_flow, found, target.options.as_ref()).map_err(in_path)?;
            if is_label && (place.made || was_quoted != is_quoted(&text_of(field))) {
                *labels = Labels::Read;
            }
            if place.made || (found.untyped && !was_scalar) {
                texts.retain(|written| !written.way.starts_with(&place.hops));
                texts.push(WrittenAs { way: place.hops.clone(), form: Form::Untagged });
            }
            found.leave(at, &place.hops);
            check_depth(object).map_err(spent)?;
            found.refresh(at, object);
        }
    }
    Ok(())
}

/// Whether a place lies in a collection in flow style.
fn is_in_flow(texts: &[WrittenAs], place: &[Hop]) -> bool {
    let around = |written: &WrittenAs| written.way.len() < place.len() && place.starts_with(&written.way);
    texts.iter().any(|written| written.form == Form::Flow && around(written))
}

/// Sets a field. An existing scalar keeps its type; a new one has the type that its text has in YAML.
fn set(
    field: &mut Value,
    made: bool,
    in_flow: bool,
    found: &Carried,
    options: Option<&FieldOptions>,
) -> Result<(), Fault> {
    let mut text = found.text.clone();
    let is_scalar = !field.is_object() && !field.is_array();
    let mut joined = false;
    if let Some(options) = options.filter(|options| !options.delimiter.is_empty()) {
        if !is_scalar {
            return Err(Fault::new("a delimiter needs a scalar"));
        }
        text = join(&text_of(field), &text, options);
        joined = true;
    }
    if is_scalar && !made {
        *field = typed_as(field, &text)?;
    } else if is_scalar || joined || found.untyped {
        *field = if in_flow { plain_in_flow(&text) } else { fieldpath::plain(&text) };
    } else {
        field.clone_from(&found.value);
    }
    Ok(())
}

/// The value of a text without quotes, for a printer that quotes an empty text and one with a colon.
fn plain_in_flow(text: &str) -> Value {
    match fieldpath::plain(text) {
        Value::String(_) if text.contains(':') => text.into(),
        Value::Null if text.is_empty() => text.into(),
        value => value,
    }
}

fn join(old: &str, part: &str, options: &FieldOptions) -> String {
    let delimiter = options.delimiter.as_str();
    let mut parts: Vec<&str> = old.split(delimiter).collect();
    match usize::try_from(options.index) {
        Err(_) => parts.insert(0, part),
        Ok(index) if index < parts.len() => parts[index] = part,
        Ok(_) => parts.push(part),
    }
    parts.join(delimiter)
}

/// Handles scalars whose value does not show their type: a whole number in the notation of a fraction, or a
/// date. Returns whether it is a date, which the next value replaces with the type of its own text.
fn as_written(field: &mut Value, written: Option<&WrittenAs>, new: &str) -> Result<bool, Fault> {
    match (&*field, written.map(|written| &written.form)) {
        (Value::Number(number), Some(Form::Text(old))) if is_float(old) => {
            if let Some(float) = number.as_f64() {
                *field = Value::from(float);
            }
        }
        (_, Some(Form::Untagged)) => return Ok(true),
        (Value::String(_), Some(Form::Text(old))) if is_date(old) => {
            if !is_date(new) {
                return Err(Fault::new("the field is a date, and the value is not"));
            }
            return Ok(true);
        }
        _ => {}
    }
    Ok(false)
}
