//! Combines the values of a chart and of its subcharts with the values that a user gives: helm's coalescing.
//!
//! A given value wins. A given null removes the chart's default. While dependencies are worked out, nulls are
//! kept instead (`Nulls::Keep`).

use crate::helm::chart::Chart;
use crate::helm::context::RenderContext;
use crate::helm::error::Error;
use crate::helm::go::print;
use crate::helm::value::{Map, MapType, Str, Value};
use crate::helm::values::read::deep_copy_map;

/// The key of the values for all charts.
const GLOBAL: &[u8] = b"global";

/// The effect of a null.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::helm) enum Nulls {
    /// It removes the default.
    Remove,
    /// It stays.
    Keep,
}

type Done<T> = Result<T, Error>;

/// The values of a chart and of all its subcharts. `given` is not changed.
pub(in crate::helm) fn coalesce(
    chart: &Chart,
    given: &Map,
    nulls: Nulls,
    context: &mut RenderContext<'_>,
) -> Done<Map> {
    let values = deep_copy_map(given);
    coalesce_chart(chart, &values, nulls, context)?;
    Ok(values.seen_as(MapType::Values))
}

fn coalesce_chart(chart: &Chart, values: &Map, nulls: Nulls, context: &mut RenderContext<'_>) -> Done<()> {
    context.spend(1 + chart.values.len())?;
    context.memory(0)?;
    coalesce_values(chart, values, nulls)?;
    for part in &chart.dependencies {
        let name = part.name();
        let inner = match values.get(name.as_bytes()) {
            None => {
                let inner = Map::new(MapType::Any);
                values.insert(Str::from(name), Value::Map(inner.clone()))?;
                inner
            }
            Some(Value::Map(inner)) => inner,
            Some(other) => {
                let shown = print::sprintf(context, b"%t", &[other])?;
                let shown = String::from_utf8_lossy(&shown).into_owned();
                return Err(Error::new(format!("type mismatch on {name}: {shown}")));
            }
        };
        coalesce_globals(&inner, values)?;
        coalesce_chart(part, &inner, nulls, context)?;
    }
    Ok(())
}

/// Passes the globals of a chart on to a subchart.
fn coalesce_globals(to: &Map, from: &Map) -> Done<()> {
    let target = match to.get(GLOBAL) {
        None => Map::new(MapType::Any),
        Some(Value::Map(map)) => map,
        Some(_) => return Ok(()),
    };
    let source = match from.get(GLOBAL) {
        None => Map::new(MapType::Any),
        Some(Value::Map(map)) => map,
        Some(_) => return Ok(()),
    };
    for (key, value) in source.entries() {
        let known = target.get(&key);
        match (value, known) {
            (Value::Map(value), None) => {
                target.insert(key, Value::Map(shallow(&value)))?;
            }
            (Value::Map(value), Some(Value::Map(known))) => {
                let copy = shallow(&value);
                coalesce_tables(&copy, &known, Nulls::Keep)?;
                target.insert(key, Value::Map(copy))?;
            }
            // A map and another value never replace each other.
            (Value::Map(_), Some(_)) | (_, Some(Value::Map(_))) => {}
            (value, _) => {
                target.insert(key, value)?;
            }
        }
    }
    to.insert(Str::from(GLOBAL), Value::Map(target))?;
    Ok(())
}

fn shallow(map: &Map) -> Map {
    Map::from_entries(MapType::Any, map.entries().into_iter().collect())
}

/// Lays the given values over the values of the chart.
fn coalesce_values(chart: &Chart, values: &Map, nulls: Nulls) -> Done<()> {
    let defaults = deep_copy_map(&chart.values);
    for (key, default) in defaults.entries() {
        match (values.get(&key), default) {
            (Some(Value::Nil), _) if nulls == Nulls::Remove => {
                values.remove(&key);
            }
            (Some(Value::Map(given)), Value::Map(default)) => {
                // A chart's values for a subchart keep their nulls until the subchart is processed.
                let is_part = chart.dependencies.iter().any(|part| part.name().as_bytes() == &key[..]);
                let nulls = if is_part { Nulls::Keep } else { nulls };
                if nulls == Nulls::Remove {
                    clean_nulls(&default);
                }
                coalesce_tables(&given, &default, nulls)?;
            }
            (Some(_), _) => {}
            (None, Value::Nil) if nulls == Nulls::Remove => {}
            (None, default) => {
                if let (Value::Map(map), Nulls::Remove) = (&default, nulls) {
                    clean_nulls(map);
                }
                values.insert(key, default)?;
            }
        }
    }
    Ok(())
}

/// Merges `from` into `to`: `to` wins, and gets the keys that it lacks. `from` is used up.
pub(in crate::helm) fn coalesce_tables(to: &Map, from: &Map, nulls: Nulls) -> Done<()> {
    let is_set: Vec<Str> =
        from.borrow().iter().filter(|(_, value)| !value.is_nil()).map(|(key, _)| key.clone()).collect();
    for (key, value) in to.entries() {
        if value.is_nil() {
            from.insert(key, Value::Nil)?;
        }
    }
    for (key, value) in from.entries() {
        match (to.get(&key), value) {
            (Some(Value::Nil), _) if nulls == Nulls::Remove && is_set.binary_search(&key).is_ok() => {
                to.remove(&key);
            }
            (None, value) => {
                to.insert(key, value)?;
            }
            (Some(Value::Map(to)), Value::Map(from)) => coalesce_tables(&to, &from, nulls)?,
            // A map and another value never replace each other.
            (Some(_), _) => {}
        }
    }
    Ok(())
}

fn clean_nulls(map: &Map) {
    for (key, value) in map.entries() {
        match value {
            Value::Nil => {
                map.remove(&key);
            }
            Value::Map(inner) => clean_nulls(&inner),
            _ => {}
        }
    }
}
