//! Functions over maps, which are shared: `set`, `unset` and `merge` change the map that they are given.

use super::convert::text_of;
use super::merge::{merge, merge_overwrite, must_merge, must_merge_overwrite};
use crate::helm::context::RenderContext;
use crate::helm::error::Error;
use crate::helm::function::Function;
use crate::helm::value::{Args, Type as T};
use crate::helm::value::{DEPTH, GoKind, List, Map, MapType, Str, Value, too_deep};

type Result = std::result::Result<Value, Error>;
type Ctx<'c, 'i> = &'c mut RenderContext<'i>;

pub(super) const TABLE: &[Function] = &[
    Function::variadic("dict", &[], T::Any, dict),
    Function::new("get", &[T::Map, T::String], |_, a| {
        Ok(a.map(0).get(a.bytes(1)).unwrap_or_else(|| "".into()))
    }),
    Function::new("set", &[T::Map, T::String, T::Any], set),
    Function::new("unset", &[T::Map, T::String], |_, a| {
        a.map(0).remove(a.bytes(1));
        Ok(a.value(0).clone())
    }),
    Function::new("hasKey", &[T::Map, T::String], |_, a| Ok(a.map(0).has(a.bytes(1)).into())),
    Function::variadic("pluck", &[T::String], T::Map, |c, a| {
        c.spend(a.len())?;
        Ok(Value::list(a.rest(1).iter().filter_map(|map| map.as_map()?.get(a.bytes(0))).collect()))
    }),
    Function::variadic("keys", &[], T::Map, keys),
    Function::new("values", &[T::Map], |c, a| {
        c.room_for_items(a.map(0).len())?;
        Ok(Value::list(a.map(0).entries().into_iter().map(|(_, value)| value).collect()))
    }),
    Function::variadic("pick", &[T::Map], T::String, |c, a| {
        c.room_for_items(a.len())?;
        let picked = a
            .rest(1)
            .iter()
            .filter_map(Value::as_str)
            .filter_map(|key| Some((key.clone(), a.map(0).get(key)?)));
        Ok(Value::map(picked))
    }),
    Function::variadic("omit", &[T::Map], T::String, |c, a| {
        c.room_for_items(a.map(0).len().saturating_add(a.len()))?;
        let left_out: std::collections::BTreeSet<&Str> = a.rest(1).iter().filter_map(Value::as_str).collect();
        Ok(Value::map(a.map(0).entries().into_iter().filter(|(key, _)| !left_out.contains(key))))
    }),
    Function::variadic("merge", &[T::Map], T::Map, merge),
    Function::variadic("mustMerge", &[T::Map], T::Map, must_merge),
    Function::variadic("mergeOverwrite", &[T::Map], T::Map, merge_overwrite),
    Function::variadic("mustMergeOverwrite", &[T::Map], T::Map, must_merge_overwrite),
    Function::new("deepCopy", &[T::Any], copy_argument),
    Function::new("mustDeepCopy", &[T::Any], copy_argument),
    Function::variadic("dig", &[], T::Any, dig),
];

fn dict(c: Ctx<'_, '_>, a: Args<'_>) -> Result {
    c.room_for_items(a.len())?;
    let map = Map::new(MapType::Any);
    for pair in a.rest(0).chunks(2) {
        let key = text_of(c, &pair[0])?;
        map.insert(key, pair.get(1).cloned().unwrap_or_else(|| "".into()))?;
    }
    Ok(Value::Map(map))
}

fn set(c: Ctx<'_, '_>, a: Args<'_>) -> Result {
    let map = a.map(0);
    c.memory(a.bytes(1).len())?;
    if matches!(a.value(2).kind(), GoKind::Map | GoKind::Slice) {
        c.changed(&map);
    }
    map.insert(a.str(1), a.value(2).clone())?;
    Ok(a.value(0).clone())
}

fn keys(c: Ctx<'_, '_>, a: Args<'_>) -> Result {
    let mut keys = Vec::new();
    for map in a.rest(0).iter().filter_map(Value::as_map) {
        c.room_for_items(map.len())?;
        keys.extend(map.keys());
    }
    // Go returns them in no particular order.
    super::convert::strings(c, keys)
}

fn copy_argument(c: Ctx<'_, '_>, a: Args<'_>) -> Result {
    if a.value(0).is_nil() {
        return Err(Error::new("reflect: call of reflect.Value.Type on zero Value"));
    }
    deep_copy(c, a.value(0), 0)
}

/// A copy of a value that shares no map with it.
pub(super) fn deep_copy(c: &mut RenderContext<'_>, value: &Value, depth: usize) -> Result {
    if depth > DEPTH {
        return Err(too_deep());
    }
    c.spend(1)?;
    Ok(match value {
        Value::List(list) if list.is_nil() => Value::List(List::nil(list.of())),
        Value::List(list) => {
            c.room_for_items(list.items().len())?;
            let copied: std::result::Result<Vec<Value>, Error> =
                list.items().iter().map(|item| deep_copy(c, item, depth + 1)).collect();
            Value::List(List::new(list.of(), copied?))
        }
        Value::Map(map) if map.is_nil() => Value::Map(Map::nil(map.of())),
        Value::Map(map) => {
            c.room_for_items(map.len().saturating_mul(2))?;
            let copy = Map::new(map.of());
            for (key, value) in map.entries() {
                copy.insert(key, deep_copy(c, &value, depth + 1)?)?;
            }
            Value::Map(copy)
        }
        Value::Object(object) => object.copied().unwrap_or_else(|| value.clone()),
        other => other.clone(),
    })
}

/// A value as one type, or Go's panic.
fn asserted<'v, X>(
    value: &'v Value,
    wanted: &str,
    found: Option<&'v X>,
) -> std::result::Result<&'v X, Error> {
    found.ok_or_else(|| {
        let found = if value.is_nil() { "nil" } else { value.type_name() };
        Error::new(format!("interface conversion: interface {{}} is {found}, not {wanted}"))
    })
}

fn asserted_map(value: &Value) -> std::result::Result<&Map, Error> {
    let found = value.as_map().filter(|map| map.of() == MapType::Any);
    asserted(value, "map[string]interface {}", found)
}

fn dig(c: Ctx<'_, '_>, a: Args<'_>) -> Result {
    let all = a.rest(0);
    let [path @ .., default, map] = all else {
        return Err(Error::new("dig needs at least three arguments"));
    };
    if path.is_empty() {
        return Err(Error::new("dig needs at least three arguments"));
    }
    c.spend(all.len())?;
    let mut map = asserted_map(map)?.clone();
    let keys: std::result::Result<Vec<&Str>, Error> =
        path.iter().map(|key| asserted(key, "string", key.as_str())).collect();
    let keys = keys?;
    let (last, way) = keys.split_last().ok_or_else(|| Error::new("dig needs at least three arguments"))?;
    for key in way {
        match map.get(key) {
            Some(step) => map = asserted_map(&step)?.clone(),
            None => return Ok(default.clone()),
        }
    }
    Ok(map.get(last).unwrap_or_else(|| default.clone()))
}
