//! The entries of a mapping while it is being read.

use serde_json::{Map, Value};

/// The largest mapping whose keys are compared one by one. For these, hashing the key would take longer.
const FEW: usize = 16;

/// Entries in the order of the text.
#[derive(Default)]
pub(super) struct MappingEntries {
    /// All entries while they are few, and none after.
    few: Vec<(String, Value)>,
    many: Option<Map<String, Value>>,
}

impl MappingEntries {
    pub(super) fn len(&self) -> usize {
        self.many.as_ref().map_or(self.few.len(), Map::len)
    }

    pub(super) fn contains(&self, key: &str) -> bool {
        match &self.many {
            Some(map) => map.contains_key(key),
            None => self.few.iter().any(|(name, _)| name == key),
        }
    }

    /// Adds an entry with a new key.
    pub(super) fn push(&mut self, key: String, value: Value) {
        if self.many.is_none() && self.few.len() < FEW {
            self.few.push((key, value));
        } else {
            self.as_map_mut().insert(key, value);
        }
    }

    /// The entries as a mapping that may be changed in any way.
    pub(super) fn as_map_mut(&mut self) -> &mut Map<String, Value> {
        self.many.get_or_insert_with(|| std::mem::take(&mut self.few).into_iter().collect())
    }

    /// The mapping without spare capacity, which is an eighth of the memory of a large build.
    pub(super) fn into_map(self) -> Map<String, Value> {
        let mut fitted = Map::with_capacity(self.len());
        match self.many {
            Some(map) => fitted.extend(map),
            None => fitted.extend(self.few),
        }
        fitted
    }
}
