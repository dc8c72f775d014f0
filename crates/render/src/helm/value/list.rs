//! A slice of Go, which no function changes in place.

use std::fmt;
use std::rc::Rc;

use super::{Value, text};

/// The declared type of a slice: Go distinguishes `[]string` and `[]interface {}` in type names, as arguments
/// and in `toJson`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListType {
    /// `[]interface {}`
    Any,
    /// `[]string`
    Strings,
    /// `[]int`
    Ints,
    /// `[][]interface {}`
    Lists,
    /// `[]map[string]interface {}`
    Maps,
    /// `common.VersionSet`, a `[]string` with the method `Has`
    VersionSet,
}

impl ListType {
    /// Go's name of the type.
    pub fn name(self) -> &'static str {
        match self {
            Self::Any => "[]interface {}",
            Self::Strings => "[]string",
            Self::Ints => "[]int",
            Self::Lists => "[][]interface {}",
            Self::Maps => "[]map[string]interface {}",
            Self::VersionSet => "common.VersionSet",
        }
    }

    /// Go's name of the element type.
    pub fn element(self) -> &'static str {
        match self {
            Self::Any => "interface {}",
            Self::Strings | Self::VersionSet => "string",
            Self::Ints => "int",
            Self::Lists => "[]interface {}",
            Self::Maps => "map[string]interface {}",
        }
    }
}

/// A slice of Go. Functions of helm make new ones and change none, so it is shared and constant.
#[derive(Clone)]
pub struct List(Rc<Cell>);

struct Cell {
    of: ListType,
    is_nil: bool,
    items: Vec<Value>,
}

impl List {
    /// A slice of this type. The items must fit the type.
    pub fn new(of: ListType, items: Vec<Value>) -> Self {
        text::grow(size(&items));
        Self(Rc::new(Cell { of, is_nil: false, items }))
    }

    /// A nil slice: empty, and `null` for `toJson`.
    pub fn nil(of: ListType) -> Self {
        text::grow(size(&Vec::new()));
        Self(Rc::new(Cell { of, is_nil: true, items: Vec::new() }))
    }

    /// The declared type.
    pub fn of(&self) -> ListType {
        self.0.of
    }

    /// Whether it is a nil slice.
    pub fn is_nil(&self) -> bool {
        self.0.is_nil
    }

    /// The items.
    pub fn items(&self) -> &[Value] {
        &self.0.items
    }

    /// Whether both are the same list in memory.
    pub fn is_same(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }

    /// The items, if nobody else holds this list, so that they can be freed without recursion.
    pub(super) fn into_items(self) -> Option<Vec<Value>> {
        let mut cell = Rc::try_unwrap(self.0).ok()?;
        let items = std::mem::take(&mut cell.items);
        text::shrink(size(&items).saturating_sub(size(&cell.items)));
        Some(items)
    }
}

fn size(items: &Vec<Value>) -> usize {
    items.capacity() * size_of::<Value>() + 56
}

impl Drop for Cell {
    fn drop(&mut self) {
        text::shrink(size(&self.items));
        super::take_apart(std::mem::take(&mut self.items));
    }
}

impl FromIterator<Value> for List {
    fn from_iter<I: IntoIterator<Item = Value>>(items: I) -> Self {
        Self::new(ListType::Any, items.into_iter().collect())
    }
}

impl fmt::Debug for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({} items)", self.0.of.name(), self.0.items.len())
    }
}
