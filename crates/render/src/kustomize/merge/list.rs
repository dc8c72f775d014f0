//! Lists whose elements are told apart by keys or, without keys, by their own text. The functions find
//! elements in such lists and put elements into them, under kyaml's names (`associative_sequence.go`).

use serde_json::Value;

use super::nodes::{MergeNodeId, NodeKind, Nodes};

/// The values of an element's merge keys; empty for an absent key.
pub(super) type MergeKeyValues = Vec<String>;

/// An element that is no mapping, and so has no keys.
pub(super) struct Unkeyed {
    /// The key that it should have.
    pub(super) key: String,
    /// The type of the element.
    pub(super) found: &'static str,
}

impl Nodes {
    /// Puts the elements of `from` behind those of `to`, or in their place.
    pub(super) fn append_list(
        &mut self,
        to: MergeNodeId,
        from: MergeNodeId,
        keys: &[String],
    ) -> Result<(), Unkeyed> {
        for element in self.items(from).to_vec() {
            if keys[0].is_empty() {
                let text = self.text(element).into_owned();
                self.set_element(to, Some(element), keys, &[text])?;
                continue;
            }
            let mut values = Vec::new();
            for key in keys {
                if let Some(value) = self.key_field(element, key)? {
                    values.push(self.text(value).into_owned());
                } else {
                    let mut items = self.items(to).to_vec();
                    items.push(element);
                    self.set_items(to, items);
                }
            }
            if keys.len() > 1 {
                self.set_element(to, None, keys, &values)?;
            }
            self.set_element(to, Some(element), keys, &values)?;
        }
        Ok(())
    }

    /// kyaml's `ElementSetter`: replaces the matching elements, appends the element if none matches, and
    /// removes them if there is no element to set. Null and empty elements are removed too.
    pub(super) fn set_element(
        &mut self,
        list: MergeNodeId,
        element: Option<MergeNodeId>,
        keys: &[String],
        values: &[String],
    ) -> Result<(), Unkeyed> {
        let by_mapping = !keys[0].is_empty() && values.first().is_some_and(|value| !value.is_empty());
        let (mut kept, mut found_any) = (Vec::new(), false);
        for &item in self.items(list) {
            if self.is_null(item) || self.is_empty_map(item) {
                continue;
            }
            if by_mapping && self.kind(item) != Some(NodeKind::Map) {
                kept.push(item);
                continue;
            }
            if self.matches(item, keys, values)? {
                found_any = true;
                kept.extend(element);
            } else if !values.is_empty() {
                kept.push(item);
            }
        }
        if let Some(element) = element.filter(|element| !found_any && !self.is_null(*element)) {
            kept.push(element);
        }
        self.set_items(list, kept);
        Ok(())
    }

    fn matches(&self, item: MergeNodeId, keys: &[String], values: &[String]) -> Result<bool, Unkeyed> {
        // A key without a value counts as the one before it, and an element without any key matches nothing.
        let mut matched = false;
        for (at, key) in keys.iter().enumerate() {
            if let Some(value) = values.get(at) {
                matched = if key.is_empty() {
                    self.kind(item) == Some(NodeKind::Scalar) && self.text(item) == *value
                } else {
                    let field = self.key_field(item, key)?;
                    field.is_some_and(|field| value.is_empty() || self.text(field) == *value)
                };
            }
            if !matched {
                return Ok(false);
            }
        }
        Ok(matched)
    }

    fn key_field(&self, item: MergeNodeId, key: &str) -> Result<Option<MergeNodeId>, Unkeyed> {
        match self.kind(item) {
            Some(NodeKind::Map) => Ok(self.field(item, key)),
            None => Ok(None),
            Some(kind) => Err(Unkeyed { key: key.into(), found: kind.name() }),
        }
    }

    /// The first element of a list whose keys have these values.
    pub(super) fn element(
        &self,
        list: MergeNodeId,
        keys: &[String],
        values: &[String],
    ) -> Option<MergeNodeId> {
        let mut items = self.items(list).iter().copied();
        if keys[0].is_empty() {
            return items.find(|item| self.text(*item) == values[0]);
        }
        items.find(|item| {
            self.kind(*item) == Some(NodeKind::Map)
                && keys.iter().zip(values).all(|(key, value)| {
                    self.field(*item, key).is_some_and(|field| self.text(field) == *value)
                })
        })
    }

    /// The key values of all elements, each once, those of the patch first.
    pub(super) fn key_values(
        &self,
        [dest, origin]: [Option<MergeNodeId>; 2],
        keys: &[String],
    ) -> Vec<MergeKeyValues> {
        let mut all: Vec<MergeKeyValues> = Vec::new();
        for &item in [origin, dest].into_iter().flatten().flat_map(|list| self.items(list)) {
            let values: MergeKeyValues = keys.iter().map(|key| self.key_text(item, key)).collect();
            if !all.contains(&values) {
                all.push(values);
            }
        }
        all
    }

    fn key_text(&self, item: MergeNodeId, key: &str) -> String {
        let field = self.field(item, key).filter(|field| !self.is_null(*field));
        field.map(|field| self.text(field).into_owned()).unwrap_or_default()
    }

    /// The texts of the elements, each once, those of the patch first.
    pub(super) fn scalars(&self, [dest, origin]: [Option<MergeNodeId>; 2]) -> Vec<MergeKeyValues> {
        let mut all: Vec<MergeKeyValues> = Vec::new();
        for &item in [origin, dest].into_iter().flatten().flat_map(|list| self.items(list)) {
            let values = vec![self.text(item).into_owned()];
            if !all.contains(&values) {
                all.push(values);
            }
        }
        all
    }

    /// The elements of the patch that it does not delete, before the merge changes them.
    pub(super) fn stated(&self, origin: Option<MergeNodeId>, keys: &[String]) -> Vec<Value> {
        let items = origin.map(|list| self.items(list)).unwrap_or_default();
        let stated = items.iter().map(|item| self.value(*item));
        stated
            .filter(|item| item.get("$patch").is_none() && keys.iter().any(|key| item.get(key).is_some()))
            .collect()
    }
}

/// The keys and values of the patch's elements that are missing in the result.
pub(super) fn lost(stated: &[Value], result: &Value, keys: &[String]) -> Vec<String> {
    let Value::Array(result) = result else { return Vec::new() };
    let lost = stated.iter().filter(|element| !result.iter().any(|found| holds(found, element)));
    let named = |element: &Value| {
        let pairs = keys.iter().filter_map(|key| Some(format!("{key}: {}", element.get(key)?)));
        pairs.collect::<Vec<_>>().join(", ")
    };
    lost.map(named).collect()
}

/// Whether `found` has all scalars of `element`.
fn holds(found: &Value, element: &Value) -> bool {
    let Value::Object(fields) = element else { return found == element };
    fields.iter().filter(|(_, value)| !value.is_object() && !value.is_array() && !value.is_null()).all(
        |(key, value)| {
            found.get(key).is_some_and(|found| found == value || found.as_str() == Some(&value.to_string()))
        },
    )
}

/// Unites elements whose keys differ only because one of them is absent; the united element has all keys.
pub(super) fn unite(all: &mut [MergeKeyValues]) {
    for first in 0..all.len() {
        for second in 0..all.len() {
            if let Some(united) = united(&all[first], &all[second]) {
                all[first].clone_from(&united);
                all[second] = united;
            }
        }
    }
}

fn united(first: &MergeKeyValues, second: &MergeKeyValues) -> Option<MergeKeyValues> {
    let (mut common, mut values) = (false, Vec::new());
    for (a, b) in first.iter().zip(second) {
        match (a.is_empty(), b.is_empty()) {
            _ if a == b => common = true,
            (false, false) => return None,
            _ => {}
        }
        values.push(if a.is_empty() { b.clone() } else { a.clone() });
    }
    common.then_some(values)
}

/// The keys that at least one element sets, with the values of one element; all keys if none is set.
pub(super) fn used_keys(
    all: &[MergeKeyValues],
    values: &[String],
    keys: &[String],
) -> (Vec<String>, MergeKeyValues) {
    let used: Vec<bool> = (0..keys.len())
        .map(|at| all.iter().any(|values| values.get(at).is_some_and(|value| !value.is_empty())))
        .collect();
    if !used.contains(&true) {
        return (keys.to_vec(), values.to_vec());
    }
    let valid_keys = keys.iter().zip(&used).filter(|(_, used)| **used).map(|(key, _)| key.clone()).collect();
    let valid_values = values.iter().zip(&used).filter(|(value, used)| !value.is_empty() || **used);
    (valid_keys, valid_values.map(|(value, _)| value.clone()).collect())
}
