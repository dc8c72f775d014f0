//! The values of templates. They know their Go types as far as a template can tell these apart.

mod text;
mod list;
mod map;
mod object;

use std::borrow::Cow;
use std::rc::Rc;
use std::sync::Arc;

pub use list::{List, ListType};
pub use map::{Map, MapType};
pub use object::{Allowance, Args, GoObject, Signature, Type};
pub use text::{Str, live};
pub(in crate::helm) use text::{grow, shrink};

/// How deep a function may follow nested values. A map can contain itself, so a function that walks over a
/// value stops here with [`too_deep`].
pub const DEPTH: usize = 10_000;

/// The error of a walk that reached [`DEPTH`].
pub fn too_deep() -> crate::helm::error::Error {
    crate::helm::error::Error::bound(format!("a value holds itself, or is more than {DEPTH} levels deep"))
}

/// A value of Go.
///
/// Whole numbers of different Go types are different values: literals and `len` are an `int`, most functions
/// of sprig return an `int64`, and every number of a YAML or JSON file is a `float64`.
#[derive(Debug, Clone, Default)]
pub enum Value {
    /// An untyped nil.
    #[default]
    Nil,
    /// `bool`
    Bool(bool),
    /// `int`
    Int(i64),
    /// `int64`
    Int64(i64),
    /// `uint8`: the result of indexing a string.
    Uint8(u8),
    /// `uint64`
    Uint64(u64),
    /// `float64`
    Float(f64),
    /// `complex128`, which only a literal such as `1i` makes: real and imaginary part.
    Complex(Rc<(f64, f64)>),
    /// `string`
    Str(Str),
    /// `[]uint8`, such as a file's content. It shares the content with its tree.
    Bytes(Arc<[u8]>),
    /// A slice.
    List(List),
    /// A map.
    Map(Map),
    /// A value of a type with methods.
    Object(Rc<dyn GoObject>),
}

/// Go's `reflect.Kind`, as far as its kinds occur.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GoKind {
    /// The kind of an untyped nil.
    Invalid,
    /// `bool`
    Bool,
    /// `int`
    Int,
    /// `int64`
    Int64,
    /// `uint8`
    Uint8,
    /// `uint64`
    Uint64,
    /// `float64`
    Float64,
    /// `complex128`
    Complex128,
    /// `string`
    String,
    /// `slice`
    Slice,
    /// `map`
    Map,
    /// `struct`
    Struct,
    /// `ptr`
    Ptr,
}

impl GoKind {
    /// Go's name, as `kindOf` gives it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Int64 => "int64",
            Self::Uint8 => "uint8",
            Self::Uint64 => "uint64",
            Self::Float64 => "float64",
            Self::Complex128 => "complex128",
            Self::String => "string",
            Self::Slice => "slice",
            Self::Map => "map",
            Self::Struct => "struct",
            Self::Ptr => "ptr",
        }
    }
}

impl Value {
    /// A string.
    pub fn str(text: impl Into<Str>) -> Self {
        Self::Str(text.into())
    }

    /// A slice of type `[]interface {}`.
    pub fn list(items: Vec<Value>) -> Self {
        Self::List(List::new(ListType::Any, items))
    }

    /// A slice of type `[]string`.
    pub fn strings<T: Into<Str>>(items: impl IntoIterator<Item = T>) -> Self {
        Self::List(List::new(ListType::Strings, items.into_iter().map(Value::str).collect()))
    }

    /// A map of type `map[string]interface {}`.
    pub fn map<K: Into<Str>>(entries: impl IntoIterator<Item = (K, Value)>) -> Self {
        let entries = entries.into_iter().map(|(key, value)| (key.into(), value)).collect();
        Self::Map(Map::from_entries(MapType::Any, entries))
    }

    /// A value of a type with methods.
    pub fn object(object: impl GoObject + 'static) -> Self {
        Self::Object(Rc::new(object))
    }

    /// Go's kind.
    pub fn kind(&self) -> GoKind {
        match self {
            Self::Nil => GoKind::Invalid,
            Self::Bool(_) => GoKind::Bool,
            Self::Int(_) => GoKind::Int,
            Self::Int64(_) => GoKind::Int64,
            Self::Uint8(_) => GoKind::Uint8,
            Self::Uint64(_) => GoKind::Uint64,
            Self::Float(_) => GoKind::Float64,
            Self::Complex(_) => GoKind::Complex128,
            Self::Str(_) => GoKind::String,
            Self::Bytes(_) | Self::List(_) => GoKind::Slice,
            Self::Map(_) => GoKind::Map,
            Self::Object(object) => object.kind(),
        }
    }

    /// Go's name of the type, as `%T` and `typeOf` give it; `<nil>` for nil.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Nil => "<nil>",
            Self::Bytes(_) => "[]uint8",
            Self::List(list) => list.of().name(),
            Self::Map(map) => map.of().name(),
            Self::Object(object) => object.type_name(),
            other => other.kind().name(),
        }
    }

    /// Whether it is the untyped nil.
    pub fn is_nil(&self) -> bool {
        matches!(self, Self::Nil)
    }

    /// Go's truth, as in `if`, `and`, `or` and `not`: not the zero value of its type. A struct is always
    /// true.
    pub fn truth(&self) -> bool {
        match self {
            Self::Nil => false,
            Self::Bool(value) => *value,
            Self::Int(value) | Self::Int64(value) => *value != 0,
            Self::Uint8(value) => *value != 0,
            Self::Uint64(value) => *value != 0,
            Self::Float(value) => *value != 0.0,
            Self::Complex(value) => value.0 != 0.0 || value.1 != 0.0,
            Self::Str(text) => !text.is_empty(),
            Self::Bytes(bytes) => !bytes.is_empty(),
            Self::List(list) => !list.items().is_empty(),
            Self::Map(map) => !map.is_empty(),
            Self::Object(object) => object.number() != Some(0),
        }
    }

    /// The length of a string, slice or map.
    pub fn len(&self) -> Option<usize> {
        match self {
            Self::Str(text) => Some(text.len()),
            Self::Bytes(bytes) => Some(bytes.len()),
            Self::List(list) => Some(list.items().len()),
            Self::Map(map) => Some(map.len()),
            _ => None,
        }
    }

    /// Whether it is an empty string, slice or map.
    pub fn is_empty(&self) -> bool {
        self.len() == Some(0)
    }

    /// The items of a slice, `[]uint8` included; `None` for any other value.
    pub fn items(&self) -> Option<Cow<'_, [Value]>> {
        match self {
            Self::List(list) => Some(Cow::Borrowed(list.items())),
            Self::Bytes(bytes) => Some(bytes.iter().map(|byte| Self::Uint8(*byte)).collect()),
            _ => None,
        }
    }

    /// The string, if it is one.
    pub fn as_str(&self) -> Option<&Str> {
        if let Self::Str(text) = self { Some(text) } else { None }
    }

    /// The map, if it is one.
    pub fn as_map(&self) -> Option<&Map> {
        if let Self::Map(map) = self { Some(map) } else { None }
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::str(text)
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::str(text)
    }
}

impl From<Vec<u8>> for Value {
    fn from(bytes: Vec<u8>) -> Self {
        Self::str(bytes)
    }
}

impl From<Str> for Value {
    fn from(text: Str) -> Self {
        Self::Str(text)
    }
}

/// Frees nested values without recursion, since a template nests them as deep as it likes.
fn take_apart(items: impl IntoIterator<Item = Value>) {
    let mut pending: Vec<Value> = Vec::new();
    let holds_more = |value: &Value| matches!(value, Value::List(_) | Value::Map(_));
    pending.extend(items.into_iter().filter(holds_more));
    while let Some(value) = pending.pop() {
        let inner = match value {
            Value::List(list) => list.into_items(),
            Value::Map(map) => map.into_items(),
            _ => None,
        };
        pending.extend(inner.into_iter().flatten().filter(holds_more));
    }
}

#[cfg(test)]
mod tests;
