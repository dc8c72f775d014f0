//! The resources of a build in their order. Lookups by identity use indexes that are made on demand.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value, json};

use super::id::ResourceId;
use super::res::{Behavior, Res};
use crate::error::{Fault, Result};

/// Resources in order.
#[derive(Debug, Default)]
pub(crate) struct ResMap {
    items: Vec<Res>,
    current: OnceCell<HashMap<ResourceId, Vec<usize>>>,
    any: OnceCell<HashMap<ResourceId, Vec<usize>>>,
    names: OnceCell<HashMap<String, Vec<usize>>>,
}

impl ResMap {
    /// All resources.
    pub(crate) fn items(&self) -> &[Res] {
        &self.items
    }

    /// All resources, for any change: the indexes are rebuilt afterwards.
    pub(crate) fn items_mut(&mut self) -> &mut Vec<Res> {
        self.forget_index();
        &mut self.items
    }

    /// One resource, for a change that keeps its identities.
    pub(crate) fn content_mut(&mut self, index: usize) -> &mut Res {
        &mut self.items[index]
    }

    /// Drops the indexes after identities have changed.
    pub(crate) fn forget_index(&mut self) {
        self.current = OnceCell::new();
        self.any = OnceCell::new();
        self.names = OnceCell::new();
    }

    /// The resources, by value.
    pub(crate) fn into_items(self) -> Vec<Res> {
        self.items
    }

    /// The resources that have this identity now.
    pub(crate) fn by_current_id(&self, id: &ResourceId) -> &[usize] {
        let index = self.current.get_or_init(|| {
            let mut index: HashMap<ResourceId, Vec<usize>> = HashMap::with_capacity(self.items.len());
            for (at, res) in self.items.iter().enumerate() {
                index.entry(res.id()).or_default().push(at);
            }
            index
        });
        index.get(id).map_or(&[], Vec::as_slice)
    }

    /// The resources that have or had this identity.
    pub(crate) fn by_any_id(&self, id: &ResourceId) -> &[usize] {
        let index = self.any.get_or_init(|| {
            let mut index: HashMap<ResourceId, Vec<usize>> = HashMap::with_capacity(self.items.len() * 2);
            for (at, res) in self.items.iter().enumerate().filter(|(_, res)| !res.is_empty()) {
                for id in res.previous_ids().chain([res.id()]) {
                    let places = index.entry(id).or_default();
                    if places.last() != Some(&at) {
                        places.push(at);
                    }
                }
            }
            index
        });
        index.get(id).map_or(&[], Vec::as_slice)
    }

    /// The resources that have or had this name, in order.
    pub(crate) fn by_any_name(&self, name: &str) -> &[usize] {
        let index = self.names.get_or_init(|| {
            let mut index: HashMap<String, Vec<usize>> = HashMap::with_capacity(self.items.len());
            for (at, res) in self.items.iter().enumerate() {
                note_names(&mut index, at, res);
            }
            index
        });
        index.get(name).map_or(&[], Vec::as_slice)
    }

    /// Adds a resource whose identity must be new.
    pub(crate) fn append(&mut self, res: Res) -> Result<()> {
        let id = res.id();
        if let Some(&first) = self.by_current_id(&id).first() {
            return Err(duplicate(&self.items[first], &res, &id).into());
        }
        let at = self.items.len();
        if let Some(index) = self.any.get_mut() {
            for id in res.previous_ids().chain([id.clone()]) {
                let places = index.entry(id).or_default();
                if places.last() != Some(&at) {
                    places.push(at);
                }
            }
        }
        if let Some(index) = self.current.get_mut() {
            index.entry(id).or_default().push(at);
        }
        if let Some(index) = self.names.get_mut() {
            note_names(index, at, &res);
        }
        self.items.push(res);
        Ok(())
    }

    /// Adds resources whose identities must be new. All duplicates are reported at once.
    pub(crate) fn append_all(&mut self, others: Vec<Res>) -> Result<()> {
        let mut failed: Option<crate::RenderError> = None;
        for res in others {
            if let Err(error) = self.append(res) {
                failed = Some(match failed {
                    Some(before) => before.and(error),
                    None => error,
                });
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// Checks that no identity occurs twice.
    pub(crate) fn check_unique(&self) -> Result<()> {
        let mut seen = HashMap::with_capacity(self.items.len());
        for res in &self.items {
            if let Some(first) = seen.insert(res.id_parts(), res) {
                return Err(duplicate(first, res, &res.id()).into());
            }
        }
        Ok(())
    }

    /// Drops the resources whose content is empty.
    pub(crate) fn drop_empty(&mut self) {
        if self.items.iter().any(Res::is_empty) {
            self.items_mut().retain(|res| !res.is_empty());
        }
    }

    /// Adds a generated object, as its behaviour says.
    pub(crate) fn absorb(&mut self, mut res: Res) -> Result<()> {
        let id = res.id();
        let found = self.by_any_id(&id).to_vec();
        match (found.as_slice(), res.behavior) {
            ([], Behavior::Create) => self.append(res),
            ([], Behavior::Merge | Behavior::Replace) => {
                let message = "there is no such object to merge with or to replace; \
                               its name is looked up as it is before prefixes, suffixes and hashes";
                Err(Fault::new(message).on_object(id.subject()).into())
            }
            ([at], behavior) => {
                let old = &self.items[*at];
                if behavior == Behavior::Create {
                    return Err(duplicate(old, &res, &id).into());
                }
                take_over(&mut res, old, behavior);
                // It has all identities of the old one now, so the indexes stay right.
                self.items[*at] = res;
                Ok(())
            }
            (several, _) => {
                let message =
                    format!("{} objects match; a merge or replacement needs exactly one", several.len());
                Err(Fault::new(message).on_object(id.subject()).into())
            }
        }
    }
}

/// Gives a generated object the identity and metadata of the one it merges with or replaces.
fn take_over(new: &mut Res, old: &Res, behavior: Behavior) {
    for field in ["labels", "annotations"] {
        let mut merged: BTreeMap<String, String> =
            old.string_map(field).map(|(key, value)| (key.into(), value.into_owned())).collect();
        merged.extend(new.string_map(field).map(|(key, value)| (key.to_owned(), value.into_owned())));
        if let Some(metadata) = new.metadata_mut() {
            metadata.shift_remove(field);
            if !merged.is_empty() {
                metadata.insert(field.into(), json!(merged));
            }
        }
    }
    let (name, namespace) = (old.name().into_owned(), old.namespace().into_owned());
    new.set_name(&name);
    new.set_namespace(&namespace);
    new.previous.clone_from(&old.previous);
    new.prefixes.clone_from(&old.prefixes);
    new.suffixes.clone_from(&old.suffixes);
    new.variables.clone_from(&old.variables);
    new.transformations.clone_from(&old.transformations);
    new.needs_hash &= old.needs_hash;
    if behavior == Behavior::Merge {
        for field in ["data", "binaryData"] {
            merge_data(new, old, field);
        }
        if old.origin.is_some() {
            new.origin.clone_from(&old.origin);
        }
    }
    new.behavior = old.behavior;
    new.file.clone_from(&old.file);
}

fn merge_data(new: &mut Res, old: &Res, field: &str) {
    let entries = |res: &Res| -> Vec<(String, Value)> {
        let map = res.value.get(field).and_then(Value::as_object);
        map.into_iter().flatten().map(|(key, value)| (key.clone(), res.text_in(value).into())).collect()
    };
    let mut merged: Map<String, Value> = entries(old).into_iter().collect();
    merged.extend(entries(new));
    if let Value::Object(map) = &mut new.value {
        map.shift_remove(field);
        if !merged.is_empty() {
            map.insert(field.into(), Value::Object(merged));
        }
    }
}

fn note_names(index: &mut HashMap<String, Vec<usize>>, at: usize, res: &Res) {
    let before = res.previous.iter().map(|previous| Cow::Borrowed(previous.name.as_str()));
    for name in before.chain([res.name()]) {
        let places = index.entry(name.into_owned()).or_default();
        if places.last() != Some(&at) {
            places.push(at);
        }
    }
}

fn duplicate(first: &Res, second: &Res, id: &ResourceId) -> Fault {
    let message = if first.file == second.file {
        format!("may not add resource with an already registered id: it is defined twice in {}", first.file)
    } else {
        format!(
            "may not add resource with an already registered id: it is defined in {} and again in {}",
            first.file, second.file
        )
    };
    Fault::new(message).on_object(id.subject())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn named(name: &str) -> Res {
        Res::new(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}), "f.yaml")
    }

    #[test]
    fn a_resource_is_found_by_the_names_it_has_and_had() {
        let mut map = ResMap::default();
        map.append(named("a")).unwrap();
        assert_eq!((map.by_any_name("a"), map.by_any_name("b")), ([0].as_slice(), [].as_slice()));
        map.append(named("b")).unwrap();
        assert_eq!(map.by_any_name("b"), [1]);
        for res in map.items_mut() {
            res.remember();
            res.set_name(&format!("{}-c", res.name()));
        }
        assert_eq!((map.by_any_name("a"), map.by_any_name("b-c")), ([0].as_slice(), [1].as_slice()));
        map.content_mut(0).set_name("d");
        map.forget_index();
        assert_eq!((map.by_any_name("a-c"), map.by_any_name("d")), ([].as_slice(), [0].as_slice()));
    }
}
