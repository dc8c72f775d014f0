//! Chooses the subcharts that are rendered, their names, and the values that each exports to its parent.

use lockgate_base::model::version::{Range, Version};

use super::Chart;
use super::metadata::{ChartMetadata, Dependency};
use crate::helm::chart::coalesce::{Nulls, coalesce, coalesce_tables};
use crate::helm::context::RenderContext;
use crate::helm::error::Error;
use crate::helm::go::print;
use crate::helm::value::{Map, MapType, Str, Value};
use crate::helm::values::methods::{path_value, table};
use crate::helm::values::read::deep_copy_map;

type Done<T> = Result<T, Error>;

/// Works out the subcharts of a chart: conditions, tags, aliases, and imported values.
pub(in crate::helm) fn process(chart: &mut Chart, given: &Map, context: &mut RenderContext<'_>) -> Done<()> {
    enable(chart, given, "", context)?;
    import(chart, context)
}

/// Removes disabled subcharts, and gives the others their aliases.
fn enable(chart: &mut Chart, given: &Map, path: &str, context: &mut RenderContext<'_>) -> Done<()> {
    let Some(mut wanted) = chart.metadata.dependencies.take() else { return Ok(()) };
    context.spend(1 + wanted.len().saturating_mul(chart.dependencies.len()))?;
    chart.dependencies = chosen(&chart.dependencies, &mut wanted);
    for dependency in &mut wanted {
        dependency.enabled = true;
    }
    let values = coalesce(chart, given, Nulls::Remove, context)?;
    apply_tags(&mut wanted, &values);
    apply_conditions(&mut wanted, &values, path);
    let is_off = |name: &str| wanted.iter().any(|dependency| !dependency.enabled && dependency.name == name);
    chart.dependencies.retain(|part| !is_off(part.name()));
    for part in &mut chart.dependencies {
        let path = format!("{path}{}.", part.name());
        enable(part, &values, &path, context)?;
    }
    let off: Vec<String> =
        wanted.iter().filter(|dependency| !dependency.enabled).map(|off| off.name.clone()).collect();
    wanted.retain(|dependency| !off.contains(&dependency.name));
    chart.metadata.dependencies = if wanted.is_empty() { None } else { Some(wanted) };
    Ok(())
}

/// The subcharts that no dependency names, and then those of the dependencies, with their aliases as names.
fn chosen(parts: &[Chart], wanted: &mut [Dependency]) -> Vec<Chart> {
    let fits = |part: &Chart, dependency: &Dependency| {
        part.name() == dependency.name && is_compatible(&dependency.version, part.version())
    };
    let is_named = |part: &&Chart| wanted.iter().any(|dependency| fits(part, dependency));
    let mut chosen: Vec<Chart> = parts.iter().filter(|part| !is_named(part)).cloned().collect();
    for dependency in wanted {
        if let Some(part) = parts.iter().find(|part| fits(part, dependency)) {
            let mut part = part.clone();
            if !dependency.alias.is_empty() {
                part.metadata.name.clone_from(&dependency.alias);
            }
            chosen.push(part);
        }
        if !dependency.alias.is_empty() {
            dependency.name.clone_from(&dependency.alias);
        }
    }
    chosen
}

/// Whether a version is in a range; false if either is invalid.
pub(in crate::helm) fn is_compatible(range: &str, version: &str) -> bool {
    match (Range::parse(range), Version::parse(version)) {
        (Ok(range), Ok(version)) => range.contains(&version),
        _ => false,
    }
}

fn apply_tags(wanted: &mut [Dependency], values: &Map) {
    let Ok(tags) = table(values, b"tags") else { return };
    for dependency in wanted {
        let said: Vec<bool> = dependency
            .tags
            .iter()
            .filter_map(|tag| match tags.get(tag.as_bytes()) {
                Some(Value::Bool(value)) => Some(value),
                _ => None,
            })
            .collect();
        dependency.enabled = said.is_empty() || said.contains(&true);
    }
}

fn apply_conditions(wanted: &mut [Dependency], values: &Map, path: &str) {
    for dependency in wanted {
        let paths = dependency.condition.trim().split(',').filter(|condition| !condition.is_empty());
        // The first path that leads to a bool decides.
        let mut said =
            paths.filter_map(|condition| match path_value(values, format!("{path}{condition}").as_bytes()) {
                Ok(Value::Bool(value)) => Some(value),
                _ => None,
            });
        if let Some(value) = said.next() {
            dependency.enabled = value;
        }
    }
}

/// Exports values of subcharts to their parents, deepest first.
fn import(chart: &mut Chart, context: &mut RenderContext<'_>) -> Done<()> {
    for part in &mut chart.dependencies {
        import(part, context)?;
    }
    if chart.metadata.dependencies.is_none() {
        return Ok(());
    }
    let values = coalesce(chart, &Map::new(MapType::Any), Nulls::Keep, context)?;
    let imported = Map::new(MapType::Any);
    let ChartMetadata { dependencies, .. } = &mut chart.metadata;
    for dependency in dependencies.iter_mut().flatten() {
        let mut told = Vec::new();
        for import in &dependency.import_values {
            let (child, parent) = match import {
                Value::Map(map) => (way(map, "child", context)?, way(map, "parent", context)?),
                Value::Str(text) => ([b"exports.", text.bytes()].concat(), b".".to_vec()),
                _ => continue,
            };
            let entries = [("child", child.clone()), ("parent", parent.clone())];
            let entries = entries.into_iter().map(|(key, text)| (Str::from(key), Value::from(text)));
            told.push(Value::Map(Map::from_entries(MapType::Strings, entries.collect())));
            let path = [dependency.name.as_bytes(), b".", &child].concat();
            let Ok(found) = table(&values, &path) else { continue };
            let placed = place(&parent, &found.seen_as(MapType::Any));
            coalesce_tables(&imported, &placed, Nulls::Keep)?;
        }
        dependency.import_values = told;
    }
    // The chart's own values win over imported ones.
    let own = deep_copy_map(&values.seen_as(MapType::Any));
    coalesce_tables(&own, &imported, Nulls::Keep)?;
    chart.values = own;
    Ok(())
}

/// A path of an import, as Go prints it.
fn way(map: &Map, key: &str, context: &mut RenderContext<'_>) -> Done<Vec<u8>> {
    print::sprintf(context, b"%v", &[map.get(key.as_bytes()).unwrap_or_default()])
}

/// New maps around `map`, so that it stands at this path.
fn place(path: &[u8], map: &Map) -> Map {
    if path == b"." {
        return map.clone();
    }
    let mut placed = map.clone();
    for part in path.split(|byte| *byte == b'.').rev() {
        let outer = [(Str::from(part), Value::Map(placed))].into_iter().collect();
        placed = Map::from_entries(MapType::Any, outer);
    }
    placed
}
