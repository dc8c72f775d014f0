//! A map of Go with strings as keys, shared and changed in place.

use std::cell::{Ref, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;

use super::{Str, Value, text};
use crate::helm::error::Error;

/// The declared type of a map. It belongs to the reference and not to the map: Go converts `common.Values` to
/// `map[string]interface {}` if a function takes one, and both are still the same map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MapType {
    /// `map[string]interface {}`
    Any,
    /// `map[string]string`
    Strings,
    /// `common.Values`, with the methods `AsMap`, `PathValue`, `Table` and `YAML`
    Values,
    /// `engine.files`, a map of byte slices with the methods of `.Files`
    Files,
}

impl MapType {
    /// Go's name of the type.
    pub fn name(self) -> &'static str {
        match self {
            Self::Any => "map[string]interface {}",
            Self::Strings => "map[string]string",
            Self::Values => "common.Values",
            Self::Files => "engine.files",
        }
    }
}

/// A map of Go, in the order of its keys. A copy is another reference to the same map.
#[derive(Clone)]
pub struct Map {
    of: MapType,
    cell: Rc<Cell>,
}

struct Cell {
    is_nil: bool,
    entries: RefCell<BTreeMap<Str, Value>>,
}

/// The size of an entry without its key's bytes and its value's content.
const ENTRY: usize = 64;

impl Map {
    /// An empty map.
    pub fn new(of: MapType) -> Self {
        Self::from_entries(of, BTreeMap::new())
    }

    /// A map of these entries. The values must fit the type.
    pub fn from_entries(of: MapType, entries: BTreeMap<Str, Value>) -> Self {
        text::grow(ENTRY * (entries.len() + 1));
        Self { of, cell: Rc::new(Cell { is_nil: false, entries: RefCell::new(entries) }) }
    }

    /// A nil map: empty, `null` for `toJson`, and nothing can be put into it.
    pub fn nil(of: MapType) -> Self {
        text::grow(ENTRY);
        Self { of, cell: Rc::new(Cell { is_nil: true, entries: RefCell::default() }) }
    }

    /// The declared type of this reference.
    pub fn of(&self) -> MapType {
        self.of
    }

    /// This map with another declared type.
    #[must_use]
    pub fn seen_as(&self, of: MapType) -> Self {
        Self { of, cell: Rc::clone(&self.cell) }
    }

    /// Whether it is a nil map.
    pub fn is_nil(&self) -> bool {
        self.cell.is_nil
    }

    /// The number of entries.
    pub fn len(&self) -> usize {
        self.cell.entries.borrow().len()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value of a key. A key with a nil value exists: `Some(Value::Nil)`.
    pub fn get(&self, key: &[u8]) -> Option<Value> {
        self.cell.entries.borrow().get(key).cloned()
    }

    /// Whether the key exists.
    pub fn has(&self, key: &[u8]) -> bool {
        self.cell.entries.borrow().contains_key(key)
    }

    /// Inserts a value, and returns the one that it replaces. Fails on a nil map, with Go's words.
    pub fn insert(&self, key: Str, value: Value) -> Result<Option<Value>, Error> {
        if self.cell.is_nil {
            return Err(Error::new("assignment to entry in nil map"));
        }
        let old = self.cell.entries.borrow_mut().insert(key, value);
        if old.is_none() {
            text::grow(ENTRY);
        }
        Ok(old)
    }

    /// Removes a key and returns its value.
    pub fn remove(&self, key: &[u8]) -> Option<Value> {
        let old = self.cell.entries.borrow_mut().remove(key);
        if old.is_some() {
            text::shrink(ENTRY);
        }
        old
    }

    /// Removes all values, which frees a map that contains itself.
    pub fn clear(&self) {
        let entries = std::mem::take(&mut *self.cell.entries.borrow_mut());
        text::shrink(ENTRY * entries.len());
    }

    /// The keys in order.
    pub fn keys(&self) -> Vec<Str> {
        self.cell.entries.borrow().keys().cloned().collect()
    }

    /// The current entries in the order of their keys. The map may be changed while a caller reads them.
    pub fn entries(&self) -> Vec<(Str, Value)> {
        self.cell.entries.borrow().iter().map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    /// The entries themselves. The map must not be changed while they are borrowed.
    pub fn borrow(&self) -> Ref<'_, BTreeMap<Str, Value>> {
        self.cell.entries.borrow()
    }

    /// Whether both are the same map in memory.
    pub fn is_same(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.cell, &other.cell)
    }

    /// The values, if nobody else holds this map.
    pub(super) fn into_items(self) -> Option<Vec<Value>> {
        let cell = Rc::try_unwrap(self.cell).ok()?;
        let entries = std::mem::take(&mut *cell.entries.borrow_mut());
        text::shrink(ENTRY * entries.len());
        Some(entries.into_values().collect())
    }
}

impl Drop for Cell {
    fn drop(&mut self) {
        let entries = std::mem::take(self.entries.get_mut());
        text::shrink(ENTRY * (entries.len() + 1));
        super::take_apart(entries.into_values());
    }
}

impl fmt::Debug for Map {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({} entries)", self.of.name(), self.len())
    }
}
