//! The objects that a Kustomization manages, as `status.inventory` holds them.

use std::collections::BTreeMap;

use crate::api::{InventoryEntry, InventoryStatus};
use lockgate_base::model::{Object, ObjectId};

/// The identities of the managed objects, each with the API version in which it was last written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Inventory(BTreeMap<ObjectId, String>);

impl Inventory {
    /// Reads a stored inventory. An entry that is not of the form `<namespace>_<name>_<group>_<kind>` names
    /// no object and is left out.
    pub fn read(entries: &[InventoryEntry]) -> Self {
        let read = |entry: &InventoryEntry| Some((entry.id.parse().ok()?, entry.v.clone()));
        Self(entries.iter().filter_map(read).collect())
    }

    /// The entries of the stored inventory.
    pub fn entries(&self) -> Vec<InventoryEntry> {
        self.0.iter().map(|(id, version)| InventoryEntry { id: id.to_string(), v: version.clone() }).collect()
    }

    /// The inventory as a status stores it.
    pub fn status(&self) -> InventoryStatus {
        InventoryStatus { entries: self.entries() }
    }

    /// Adds an object. The given version replaces an existing one.
    pub fn insert(&mut self, id: ObjectId, version: impl Into<String>) {
        self.0.insert(id, version.into());
    }

    /// Removes an object.
    pub fn remove(&mut self, id: &ObjectId) {
        self.0.remove(id);
    }

    /// Whether the inventory contains an object.
    pub fn contains(&self, id: &ObjectId) -> bool {
        self.0.contains_key(id)
    }

    /// The API version an object was last written in.
    pub fn version(&self, id: &ObjectId) -> Option<&str> {
        self.0.get(id).map(String::as_str)
    }

    /// The number of objects.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether the inventory is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The objects and their versions.
    pub fn iter(&self) -> impl Iterator<Item = (&ObjectId, &str)> {
        self.0.iter().map(|(id, version)| (id, version.as_str()))
    }

    /// The objects of this inventory and of `newer`, which decides the versions. The union is stored before
    /// the first write. It names every object that may exist afterwards, so that a killed agent orphans none.
    #[must_use]
    pub fn union(&self, newer: &Self) -> Self {
        let mut union = self.clone();
        union.0.extend(newer.0.iter().map(|(id, version)| (id.clone(), version.clone())));
        union
    }

    /// The objects of this inventory that are not in `other`.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        let only = self.0.iter().filter(|(id, _)| !other.contains(id));
        Self(only.map(|(id, version)| (id.clone(), version.clone())).collect())
    }
}

impl FromIterator<(ObjectId, String)> for Inventory {
    fn from_iter<I: IntoIterator<Item = (ObjectId, String)>>(entries: I) -> Self {
        Self(entries.into_iter().collect())
    }
}

impl<'a> FromIterator<&'a Object> for Inventory {
    fn from_iter<I: IntoIterator<Item = &'a Object>>(objects: I) -> Self {
        objects.into_iter().map(|object| (object.id(), object.version().to_owned())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inventory(text: &str) -> Inventory {
        let entry = |part: &str| {
            let (id, v) = part.split_once('@').unwrap();
            InventoryEntry { id: id.into(), v: v.into() }
        };
        Inventory::read(&text.split_whitespace().map(entry).collect::<Vec<_>>())
    }

    fn print(inventory: &Inventory) -> String {
        inventory
            .entries()
            .iter()
            .map(|entry| format!("{}@{}", entry.id, entry.v))
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn the_stored_form_is_that_of_flux() {
        let text = "_crds__Namespace@v1 default_podinfo_apps_Deployment@v1 default_podinfo__Service@v1";
        let stored = serde_json::to_value(inventory(text).status()).unwrap();
        assert_eq!(
            stored,
            serde_json::json!({"entries": [
                {"id": "_crds__Namespace", "v": "v1"},
                {"id": "default_podinfo__Service", "v": "v1"},
                {"id": "default_podinfo_apps_Deployment", "v": "v1"},
            ]})
        );
    }

    #[test]
    fn an_entry_that_names_no_object_is_left_out() {
        assert_eq!(print(&inventory("nonsense@v1 a_b__C@v1")), "a_b__C@v1");
    }

    #[test]
    fn the_union_holds_both_and_the_newer_versions() {
        let (old, new) = (inventory("a_gone__C@v1 a_kept_g_C@v1"), inventory("a_kept_g_C@v2 a_new__C@v1"));
        assert_eq!(print(&old.union(&new)), "a_gone__C@v1 a_kept_g_C@v2 a_new__C@v1");
    }

    #[test]
    fn a_change_of_version_is_no_difference() {
        let (old, new) = (inventory("a_gone__C@v1 a_kept_g_C@v1"), inventory("a_kept_g_C@v2"));
        assert_eq!(print(&old.difference(&new)), "a_gone__C@v1");
    }
}
