//! Lists whose elements are told apart by keys, or, without keys, by their own text.
//!
//! The steps are kyaml's (`associative_sequence.go`), one by one, because their order is what its users see: elements of
//! the patch come first, and an element is lost when only one side states the second key.

use serde_json::Value;

use super::nodes::{Id, Kind, Node};
use super::{Merge, MergeError, Sources, Walked};
use crate::kustomize::schema::Place;

/// The values of an element's merge keys, empty where one is absent.
type Values = Vec<String>;

impl<'s> Merge<'s> {
    pub(super) fn walk_merged_list(
        &mut self,
        [dest, origin]: Sources,
        place: Option<Place<'s>>,
        keys: &[String],
    ) -> Result<Option<Walked>, MergeError> {
        let walked = if self.nodes.is_missing(dest) {
            origin.map(|id| Walked { id, kept: false })
        } else {
            match dest {
                Some(dest) => self.directed(dest, origin)?,
                None => None,
            }
        };
        let Some(walked) = walked else { return Ok(None) };
        let sources = [Some(walked.id), origin];
        if self.nodes.kind(walked.id) != Some(Kind::List) {
            return Ok(Some(walked));
        }
        let (values, keys) = if keys.is_empty() {
            (self.scalars(sources), vec![String::new()])
        } else {
            (self.key_values(sources, keys), keys.to_vec())
        };
        let stated = if keys.len() > 1 { self.stated(origin, &keys) } else { Vec::new() };
        let list = self.merge_elements(sources, place, values, &keys)?;
        self.warn_of_lost(&stated, list, &keys);
        Ok(Some(Walked { id: list, kept: false }))
    }

    fn merge_elements(
        &mut self,
        sources: Sources,
        place: Option<Place<'s>>,
        mut all: Vec<Values>,
        keys: &[String],
    ) -> Result<Id, MergeError> {
        let dest = sources[0].unwrap_or_default();
        if all.is_empty() {
            return Ok(dest);
        }
        let place = place.and_then(Place::elements);
        if keys.len() > 1 {
            unite(&mut all);
        }
        let added = self.nodes.add(Node::List(Vec::new()));
        let mut used = keys.to_vec();
        for values in &all {
            let (keys, values) = used_keys(&all, values, keys);
            let (own_keys, own_values) = used_keys(std::slice::from_ref(&values), &values, &keys);
            let elements = sources.map(|list| self.element(list?, &own_keys, &own_values));
            let merged = self.walk(elements, place)?;
            used.clone_from(&keys);
            let Some(merged) = merged.filter(|m| !self.nodes.is_null(m.id) && !self.nodes.is_empty_map(m.id))
            else {
                for _ in &keys {
                    self.set_element(dest, None, &keys, &values)?;
                }
                continue;
            };
            for (key, value) in keys.iter().zip(&values) {
                if !key.is_empty() && !value.is_empty() && self.nodes.field(merged.id, key).is_none() {
                    let value = self.nodes.add_plain(value);
                    self.nodes.set_field(merged.id, key, value);
                }
            }
            self.set_element(added, Some(merged.id), &keys, &values)?;
        }
        self.append_list(added, dest, &used)?;
        Ok(added)
    }

    /// Puts the elements of `from` behind or in place of those of `to`.
    fn append_list(&mut self, to: Id, from: Id, keys: &[String]) -> Result<(), MergeError> {
        for element in self.nodes.items(from).to_vec() {
            if keys[0].is_empty() {
                let text = self.nodes.text(element).into_owned();
                self.set_element(to, Some(element), keys, &[text])?;
                continue;
            }
            let mut values = Vec::new();
            for key in keys {
                if let Some(value) = self.key_field(element, key)? {
                    values.push(self.nodes.text(value).into_owned());
                } else {
                    let mut items = self.nodes.items(to).to_vec();
                    items.push(element);
                    self.nodes.set_items(to, items);
                }
            }
            if keys.len() > 1 {
                self.set_element(to, None, keys, &values)?;
            }
            self.set_element(to, Some(element), keys, &values)?;
        }
        Ok(())
    }

    /// kyaml's `ElementSetter`: replaces the elements that match, appends when none does, removes them when there is no
    /// element to set. Null and empty elements go on the way.
    pub(super) fn set_element(
        &mut self,
        list: Id,
        element: Option<Id>,
        keys: &[String],
        values: &[String],
    ) -> Result<(), MergeError> {
        let by_mapping = !keys[0].is_empty() && values.first().is_some_and(|value| !value.is_empty());
        let (mut kept, mut found_any) = (Vec::new(), false);
        for &item in self.nodes.items(list) {
            if self.nodes.is_null(item) || self.nodes.is_empty_map(item) {
                continue;
            }
            if by_mapping && self.nodes.kind(item) != Some(Kind::Map) {
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
        if let Some(element) = element.filter(|element| !found_any && !self.nodes.is_null(*element)) {
            kept.push(element);
        }
        self.nodes.set_items(list, kept);
        Ok(())
    }

    fn matches(&self, item: Id, keys: &[String], values: &[String]) -> Result<bool, MergeError> {
        // A key without a value is as the one before it, and no key at all matches nothing.
        let mut matched = false;
        for (at, key) in keys.iter().enumerate() {
            if let Some(value) = values.get(at) {
                matched = if key.is_empty() {
                    self.nodes.kind(item) == Some(Kind::Scalar) && self.nodes.text(item) == *value
                } else {
                    let field = self.key_field(item, key)?;
                    field.is_some_and(|field| value.is_empty() || self.nodes.text(field) == *value)
                };
            }
            if !matched {
                return Ok(false);
            }
        }
        Ok(matched)
    }

    fn key_field(&self, item: Id, key: &str) -> Result<Option<Id>, MergeError> {
        match self.nodes.kind(item) {
            Some(Kind::Map) => Ok(self.nodes.field(item, key)),
            None => Ok(None),
            Some(kind) => Err(MergeError::Element { path: self.path(), key: key.into(), found: kind.name() }),
        }
    }

    /// The first element of a list whose keys have these values.
    fn element(&self, list: Id, keys: &[String], values: &[String]) -> Option<Id> {
        let mut items = self.nodes.items(list).iter().copied();
        if keys[0].is_empty() {
            return items.find(|item| self.nodes.text(*item) == values[0]);
        }
        items.find(|item| {
            self.nodes.kind(*item) == Some(Kind::Map)
                && keys.iter().zip(values).all(|(key, value)| {
                    self.nodes.field(*item, key).is_some_and(|field| self.nodes.text(field) == *value)
                })
        })
    }

    /// The values of the keys in all elements, those of the patch first, each once.
    fn key_values(&self, [dest, origin]: Sources, keys: &[String]) -> Vec<Values> {
        let mut all: Vec<Values> = Vec::new();
        for &item in [origin, dest].into_iter().flatten().flat_map(|list| self.nodes.items(list)) {
            let values: Values = keys.iter().map(|key| self.key_text(item, key)).collect();
            if !all.contains(&values) {
                all.push(values);
            }
        }
        all
    }

    fn key_text(&self, item: Id, key: &str) -> String {
        let field = self.nodes.field(item, key).filter(|field| !self.nodes.is_null(*field));
        field.map(|field| self.nodes.text(field).into_owned()).unwrap_or_default()
    }

    /// The texts of the elements, those of the patch first, each once.
    fn scalars(&self, [dest, origin]: Sources) -> Vec<Values> {
        let mut all: Vec<Values> = Vec::new();
        for &item in [origin, dest].into_iter().flatten().flat_map(|list| self.nodes.items(list)) {
            let values = vec![self.nodes.text(item).into_owned()];
            if !all.contains(&values) {
                all.push(values);
            }
        }
        all
    }

    /// What the patch states about elements that it does not delete, before the merge changes it.
    fn stated(&self, origin: Option<Id>, keys: &[String]) -> Vec<Value> {
        let items = origin.map(|list| self.nodes.items(list)).unwrap_or_default();
        let stated = items.iter().map(|item| self.nodes.value(*item));
        stated
            .filter(|item| item.get("$patch").is_none() && keys.iter().any(|key| item.get(key).is_some()))
            .collect()
    }

    /// Warns of elements of the patch that are in no element of the result.
    fn warn_of_lost(&mut self, stated: &[Value], list: Id, keys: &[String]) {
        if stated.is_empty() {
            return;
        }
        let Value::Array(result) = self.nodes.value(list) else { return };
        for element in stated.iter().filter(|element| !result.iter().any(|found| holds(found, element))) {
            let named: Vec<String> =
                keys.iter().filter_map(|key| Some(format!("{key}: {}", element.get(key)?))).collect();
            self.warnings.push(format!(
                "{}: the patch's element {{{}}} is lost, because only one of object and patch states {}; state it in both",
                self.path(),
                named.join(", "),
                keys[1..].join(" and "),
            ));
        }
    }
}

/// Whether all scalars that `element` states are so in `found`.
fn holds(found: &Value, element: &Value) -> bool {
    let Value::Object(fields) = element else { return found == element };
    fields.iter().filter(|(_, value)| !value.is_object() && !value.is_array() && !value.is_null()).all(
        |(key, value)| {
            found.get(key).is_some_and(|found| found == value || found.as_str() == Some(&value.to_string()))
        },
    )
}

/// Elements whose keys differ only where one of them is absent are taken for one, which gets all of them.
fn unite(all: &mut [Values]) {
    for first in 0..all.len() {
        for second in 0..all.len() {
            if let Some(united) = united(&all[first], &all[second]) {
                all[first].clone_from(&united);
                all[second] = united;
            }
        }
    }
}

fn united(first: &Values, second: &Values) -> Option<Values> {
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

/// The keys that some element states, with the values of one element; all keys where none is stated.
fn used_keys(all: &[Values], values: &[String], keys: &[String]) -> (Vec<String>, Values) {
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
