//! The origin of a value: the chart's own file, a file or flag that the user gave, or a field of a
//! HelmRelease.

use super::read::deep_copy_map;
use crate::helm::value::{Map, Value};

/// The values of one place.
#[derive(Debug, Clone)]
struct Layer {
    name: String,
    values: Map,
}

/// The places of values, each with its values; a later one is laid over an earlier one.
#[derive(Debug, Clone, Default)]
pub struct Origins(Vec<Layer>);

impl Origins {
    /// Adds a place, which messages call `name`. The values are copied, since maps that are laid over each
    /// other are changed.
    pub(super) fn add(&mut self, name: impl Into<String>, values: &Map) {
        self.0.push(Layer { name: name.into(), values: deep_copy_map(values) });
    }

    /// These places after others; the last one wins.
    #[must_use]
    pub(in crate::helm) fn over(&self, defaults: impl IntoIterator<Item = (String, Map)>) -> Self {
        let below = defaults.into_iter().map(|(name, values)| Layer { name, values });
        Self(below.chain(self.0.iter().cloned()).collect())
    }

    /// The names of the places that the value at this path comes from: one that has the same value, otherwise
    /// all that have any value there. `is_same` compares with the value in question.
    pub(in crate::helm) fn of(&self, path: &[String], is_same: impl Fn(&Value) -> bool) -> Vec<&str> {
        let found: Vec<(&str, Value)> =
            self.0.iter().rev().filter_map(|layer| Some((&*layer.name, at(&layer.values, path)?))).collect();
        match found.iter().find(|(_, value)| is_same(value)) {
            Some((name, _)) => vec![name],
            None => found.into_iter().map(|(name, _)| name).collect(),
        }
    }
}

/// The value at a path of keys and of list indexes as numbers.
fn at(values: &Map, path: &[String]) -> Option<Value> {
    path.iter().try_fold(Value::Map(values.clone()), |value, step| match value {
        Value::Map(map) => map.get(step.as_bytes()),
        Value::List(list) => list.items().get(step.parse::<usize>().ok()?).cloned(),
        _ => None,
    })
}
