//! `ValueAddTransformer`: puts one value into fields, whole or as a part of a path.

use serde_json::{Map, Value};

use super::decode::record;
use super::fieldspec::split_path;
use super::file::Selector;
use super::id::text_of;
use super::namespace::Namespace;
use super::resmap::ResMap;
use super::select::Matcher;
use crate::budget::{Budget, DEPTH_LIMIT, Spent};
use crate::error::{Fault, Result};

record! {
    /// The place of the value.
    pub(crate) ValueTarget {
        /// The objects; all by default.
        selector: Option<Selector> = "selector",
        /// The field, its parts separated by `/`.
        field_path: String = "fieldPath",
        /// The index among the parts of a path, from 1; 0 replaces the whole.
        position: i64 = "filePathPosition",
    }
}

/// Puts a value into fields.
#[derive(Debug, Clone)]
pub(crate) struct AddValue {
    pub(crate) value: String,
    pub(crate) targets: Vec<ValueTarget>,
}

impl AddValue {
    /// Whether it selects any resources.
    pub(crate) fn touches(&self, map: &ResMap) -> bool {
        self.targets.iter().any(|target| match &target.selector {
            Some(selector) => Matcher::new(selector).is_ok_and(|matcher| !matcher.select(map).is_empty()),
            None => !map.items().is_empty(),
        })
    }

    /// Changes every selected resource.
    pub(crate) fn run(&self, map: &mut ResMap, budget: &Budget) -> Result<()> {
        for target in &self.targets {
            let selected = match &target.selector {
                Some(selector) => Matcher::new(selector)?.select(map),
                None => (0..map.items().len()).collect(),
            };
            for at in selected {
                budget.copy_text(&self.value)?;
                let res = &mut map.items_mut()[at];
                res.labels_were_read();
                if target.field_path == "metadata/namespace" {
                    let namespace = Namespace { name: self.value.clone(), ..Namespace::default() };
                    namespace.set_in(res, &[])?;
                } else {
                    let subject = res.subject();
                    self.set(&mut res.value, target, budget)
                        .map_err(|fault| fault.in_field(&target.field_path).on_object(subject))?;
                }
            }
        }
        Ok(())
    }

    fn set(&self, object: &mut Value, target: &ValueTarget, budget: &Budget) -> Result<(), Fault> {
        let mut at = object;
        let path = split_path(&target.field_path, '/');
        if path.len() > DEPTH_LIMIT {
            return Err(Spent::Depth.into());
        }
        for part in path.iter().filter(|part| !part.is_empty()) {
            at = enter(at, part)?;
        }
        if at.is_object() || at.is_array() {
            return Err(Fault::new(format!(
                "expected a scalar, found {}",
                lockgate_base::model::type_name(at)
            )));
        }
        budget.copy_text(&text_of(at))?;
        let new = match usize::try_from(target.position) {
            Ok(position) if position > 0 => insert_part(&text_of(at), position - 1, &self.value),
            _ => self.value.clone(),
        };
        *at = new.into();
        Ok(())
    }
}

fn enter<'v>(value: &'v mut Value, part: &str) -> Result<&'v mut Value, Fault> {
    if let Ok(index) = part.parse::<usize>() {
        let found = lockgate_base::model::type_name(value);
        let items =
            value.as_array_mut().ok_or_else(|| Fault::new(format!("expected a list, found {found}")))?;
        return items.get_mut(index).ok_or_else(|| Fault::new(format!("there is no element {index}")));
    }
    if value.is_null() {
        *value = Value::Object(Map::new());
    }
    let found = lockgate_base::model::type_name(value);
    let map =
        value.as_object_mut().ok_or_else(|| Fault::new(format!("expected a mapping, found {found}")))?;
    Ok(map.entry(part).or_insert(Value::Null))
}

/// Inserts a part into a path; an index beyond its end means the end.
fn insert_part(path: &str, place: usize, part: &str) -> String {
    let absolute = path.starts_with('/');
    let mut parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    parts.insert(place.min(parts.len()), part);
    format!("{}{}", if absolute { "/" } else { "" }, parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_inserted_into_a_path() {
        for (path, place, expected) in
            [("/a/b", 0, "/X/a/b"), ("/a/b", 1, "/a/X/b"), ("a/b", 9, "a/b/X"), ("", 0, "X")]
        {
            assert_eq!(insert_part(path, place, "X"), expected, "{path} {place}");
        }
    }
}
