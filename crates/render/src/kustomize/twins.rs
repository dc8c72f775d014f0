//! Labels and annotations that stand in several places of an object and share one node.
//!
//! When `commonLabels` or `commonAnnotations` adds a pair to an object, kustomize puts one and the same node
//! into all places. A later change to one place, by `labels`, by a strategic merge patch or by a replacement,
//! shows in all of them, selectors included. A step that rewrites a whole mapping separates its nodes from
//! the others.

use std::borrow::Cow;
use std::fmt::Write as _;

use serde_json::Value;

use super::fieldspec::{Field, selects};
use super::file::Pairs;
use super::id::KindRef;
use lockgate_base::model::entry;

/// The groups of one object.
#[derive(Debug, Clone, Default)]
pub(crate) struct Twins(Vec<Group>);

#[derive(Debug, Clone)]
struct Group {
    value: Value,
    /// The places as JSON pointers.
    places: Vec<String>,
}

/// A key of a pair, and a JSON pointer to it.
pub(crate) type TwinPlace<'p> = (&'p str, String);

/// The places of some pairs' keys in the mappings that field specifications select. Empty if only one
/// specification selects the object, which then has nothing to share.
pub(crate) fn places<'p>(object: &Value, fields: &[Field<'_>], pairs: &'p Pairs) -> Vec<TwinPlace<'p>> {
    let mut found = Vec::new();
    let gvk = KindRef::of(object);
    let meant: Vec<&Field<'_>> = fields.iter().filter(|field| selects(field.spec, gvk)).collect();
    if meant.len() > 1 {
        for field in meant {
            collect(object, &field.path, pairs, &mut String::new(), &mut found);
        }
    }
    found
}

fn collect<'p>(
    value: &Value,
    path: &[String],
    pairs: &'p Pairs,
    pointer: &mut String,
    found: &mut Vec<TwinPlace<'p>>,
) {
    let length = pointer.len();
    match (value, path.split_first()) {
        (Value::Array(items), _) => {
            for (at, item) in items.iter().enumerate() {
                let _ = write!(pointer, "/{at}");
                collect(item, path, pairs, pointer, found);
                pointer.truncate(length);
            }
        }
        (Value::Object(map), None) => {
            let there = pairs.keys().filter(|key| entry(map, key).is_some());
            found.extend(there.map(|key| (key.as_str(), format!("{pointer}/{}", escaped(key)))));
        }
        (Value::Object(map), Some((part, rest))) => {
            let name = part.strip_suffix("[]").unwrap_or(part);
            if let Some(field) = entry(map, name) {
                pointer.push('/');
                pointer.push_str(&escaped(name));
                collect(field, rest, pairs, pointer, found);
                pointer.truncate(length);
            }
        }
        _ => {}
    }
}

fn escaped(key: &str) -> Cow<'_, str> {
    if key.contains(['~', '/']) { key.replace('~', "~0").replace('/', "~1").into() } else { key.into() }
}

/// The value at a JSON pointer. All groups are compared after every step, so this copies nothing, unlike
/// `Value::pointer`.
fn at<'v>(object: &'v Value, pointer: &str) -> Option<&'v Value> {
    pointer.split('/').skip(1).try_fold(object, |value, part| match value {
        Value::Object(map) if part.contains('~') => map.get(&part.replace("~1", "/").replace("~0", "~")),
        Value::Object(map) => entry(map, part),
        Value::Array(items) => items.get(part.parse::<usize>().ok()?),
        _ => None,
    })
}

impl Twins {
    /// Notes the places that exist now and are not in `before`.
    pub(crate) fn note(&mut self, object: &Value, before: &[TwinPlace<'_>], now: Vec<TwinPlace<'_>>) {
        let mut groups: Vec<(&str, Vec<String>)> = Vec::new();
        for (key, pointer) in now.into_iter().filter(|place| !before.contains(place)) {
            match groups.iter_mut().find(|group| group.0 == key) {
                Some((_, places)) if places.contains(&pointer) => {}
                Some((_, places)) => places.push(pointer),
                None => groups.push((key, vec![pointer])),
            }
        }
        for (_, places) in groups.into_iter().filter(|(_, places)| places.len() > 1) {
            if let Some(value) = object.pointer(&places[0]).cloned() {
                self.0.push(Group { value, places });
            }
        }
    }

    /// Copies a change of one place of a group to the others.
    pub(crate) fn settle(&mut self, object: &mut Value) {
        for group in &mut self.0 {
            // The last place whose value has changed wins.
            let mut changed = None;
            group.places.retain(|place| {
                let value = at(object, place);
                changed = value.filter(|value| **value != group.value).or(changed);
                value.is_some()
            });
            let Some(changed) = changed.cloned() else { continue };
            for place in &group.places {
                if let Some(value) = object.pointer_mut(place) {
                    value.clone_from(&changed);
                }
            }
            group.value = changed;
        }
        self.0.retain(|group| group.places.len() > 1);
    }

    /// Separates the places in the annotations of the object itself from the others.
    pub(crate) fn part_annotations(&mut self) {
        for group in &mut self.0 {
            group.places.retain(|place| !place.starts_with("/metadata/annotations/"));
        }
        self.0.retain(|group| group.places.len() > 1);
    }

    /// Separates all places.
    pub(crate) fn part(&mut self) {
        self.0.clear();
    }
}
