//! `merge` and `mergeOverwrite`, as the Go library `mergo` merges maps: in place, sharing the values that are
//! taken over.

use crate::helm::context::RenderContext;
use crate::helm::error::Error;
use crate::helm::value::Args;
use crate::helm::value::{DEPTH, GoKind, List, Map, MapType, Value, too_deep};

type Result = std::result::Result<Value, Error>;
type Ctx<'c, 'i> = &'c mut RenderContext<'i>;

/// The end of a merge before its completion.
enum Stop {
    /// An error that mergo returns; `merge` gives an empty text then.
    Refused(Error),
    /// A panic or a bound, which ends the render.
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

pub(super) fn merge(c: Ctx<'_, '_>, a: Args<'_>) -> Result {
    merged(c, a, false, false)
}

pub(super) fn must_merge(c: Ctx<'_, '_>, a: Args<'_>) -> Result {
    merged(c, a, false, true)
}

pub(super) fn merge_overwrite(c: Ctx<'_, '_>, a: Args<'_>) -> Result {
    merged(c, a, true, false)
}

pub(super) fn must_merge_overwrite(c: Ctx<'_, '_>, a: Args<'_>) -> Result {
    merged(c, a, true, true)
}

fn merged(c: Ctx<'_, '_>, a: Args<'_>, overwrite: bool, must: bool) -> Result {
    let mut target = a.map(0);
    for source in a.rest(1).iter().filter_map(Value::as_map) {
        if target.is_nil() && !source.is_nil() {
            target = Map::new(MapType::Any);
        }
        match merge_maps(c, &target, source, overwrite, 0) {
            Ok(()) => {}
            Err(Stop::Failed(error)) => return Err(error),
            Err(Stop::Refused(error)) if must => return Err(error),
            Err(Stop::Refused(_)) => return Ok("".into()),
        }
    }
    Ok(Value::Map(target))
}

/// Merges the entries of one map into another one, which is not nil unless the source is.
fn merge_maps(
    c: &mut RenderContext<'_>,
    target: &Map,
    source: &Map,
    overwrite: bool,
    depth: usize,
) -> std::result::Result<(), Stop> {
    if depth > DEPTH {
        return Err(too_deep().into());
    }
    c.spend(1 + source.len())?;
    for (key, value) in source.entries() {
        let old = target.get(&key);
        if value.is_nil() {
            if overwrite {
                put(c, target, &key, value)?;
            }
            continue;
        }
        match value.kind() {
            GoKind::Map | GoKind::Struct | GoKind::Ptr => {
                if let Some(old) = &old {
                    merge_values(c, old, &value, overwrite, depth + 1)?;
                }
            }
            GoKind::Slice if overwrite || target.is_empty() => put(c, target, &key, value.clone())?,
            GoKind::Slice if old.as_ref().is_none_or(Value::is_nil) => {
                let empty = match &value {
                    Value::List(list) => Value::List(List::new(list.of(), Vec::new())),
                    _ => Value::Bytes([].into()),
                };
                put(c, target, &key, empty)?;
            }
            _ => {}
        }
        if let Some(old) = old.as_ref().filter(|old| old.truth()) {
            let both_maps = value.kind() == GoKind::Map && old.kind() == GoKind::Map;
            if value.kind() == GoKind::Slice || both_maps {
                continue;
            }
        }
        if overwrite || old.is_none_or(|old| !old.truth()) {
            put(c, target, &key, value)?;
        }
    }
    Ok(())
}

/// Merges the values of one key.
fn merge_values(
    c: &mut RenderContext<'_>,
    old: &Value,
    new: &Value,
    overwrite: bool,
    depth: usize,
) -> std::result::Result<(), Stop> {
    match (old, new) {
        (Value::Map(old), Value::Map(new)) if !old.is_nil() || new.is_nil() => {
            merge_maps(c, old, new, overwrite, depth)
        }
        // A pointer cannot take a value of another type.
        (Value::Object(object), new)
            if object.kind() == GoKind::Ptr && new.kind() != GoKind::Ptr && !overwrite =>
        {
            Err(Stop::Refused(Error::new("src and dst must be of same type")))
        }
        _ => Ok(()),
    }
}

fn put(
    c: &mut RenderContext<'_>,
    map: &Map,
    key: &crate::helm::value::Str,
    value: Value,
) -> std::result::Result<(), Stop> {
    if map.of() == MapType::Strings && value.as_str().is_none() {
        let error = "reflect.Value.SetMapIndex: value of type interface {} is not assignable to type string";
        return Err(Error::new(error).into());
    }
    if matches!(value.kind(), GoKind::Map | GoKind::Slice) {
        c.changed(map);
    }
    c.memory(key.len())?;
    map.insert(key.clone(), value)?;
    Ok(())
}
