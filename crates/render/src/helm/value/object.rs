//! Values of Go types with fields and methods, such as `time.Time` and `.Capabilities`, and what methods and
//! functions take, as their Go sources declare it.

use std::any::Any;
use std::fmt;

use super::list::{List, ListType};
use super::map::{Map, MapType};
use super::text::Str;
use super::{GoKind, Value};
use crate::helm::error::Error;

/// What a method may still use of the render that calls it.
pub trait Allowance {
    /// Asks for room before a string of this many bytes is made.
    fn room(&mut self, bytes: usize) -> Result<(), Error>;
}

/// A value of a Go type that templates see through its fields, its methods and its text only.
///
/// One type implements it for each Go type. A pointer and what it points to are two Go types with different
/// methods.
pub trait GoObject: fmt::Debug {
    /// Go's name of the type, such as `*semver.Version`.
    fn type_name(&self) -> &'static str;

    /// Go's kind: [`Kind::Ptr`], [`Kind::Struct`], or a number's for types such as `time.Duration`.
    fn kind(&self) -> GoKind;

    /// The number, where the kind is one of a whole number.
    fn number(&self) -> Option<i64> {
        None
    }

    /// What `String()` or `Error()` gives, where the type has one: it is what is printed.
    fn text(&self) -> Option<Vec<u8>> {
        None
    }

    /// What `GoString()` gives, where the type has one: what `%#v` prints.
    fn go_text(&self) -> Option<Vec<u8>> {
        None
    }

    /// The exported fields in the order of their declaration.
    fn fields(&self) -> Vec<(&'static str, Value)> {
        Vec::new()
    }

    /// All fields as `%v` shows them, those included that are not exported.
    fn shown(&self) -> Vec<(&'static str, Value)> {
        self.fields()
    }

    /// What `encoding/json` makes of it, where that is not an object of its fields.
    fn json(&self) -> Option<Value> {
        None
    }

    /// What a method takes; `None` where there is no such method.
    fn method(&self, _name: &str) -> Option<Signature> {
        None
    }

    /// Calls a method. The arguments fit what [`Object::method`] says.
    fn call(&self, name: &str, _args: Args<'_>, _allowance: &mut dyn Allowance) -> Result<Value, Error> {
        Err(Error::new(format!("{} has no method {name}", self.type_name())))
    }

    /// What `deepCopy` makes of a pointer, where that is another value: fields that are not exported are not
    /// copied.
    fn copied(&self) -> Option<Value> {
        None
    }

    /// Go's `==` for two values of this type.
    fn equals(&self, other: &dyn GoObject) -> bool;

    /// The value as it is kept in an interface, where that differs: a struct that is reached through a
    /// pointer has the pointer's methods, and the copy in an interface has not.
    fn detached(&self) -> Option<Value> {
        None
    }

    /// For downcasts.
    fn as_any(&self) -> &dyn Any;
}

/// The arguments that a function or a method takes, as its Go source declares them.
#[derive(Debug, Clone, Copy)]
pub struct Signature {
    /// The types of the arguments that must be there.
    pub fixed: &'static [Type],
    /// The type of each further one, where there may be more.
    pub rest: Option<Type>,
}

/// The declared type of an argument. It decides which values are refused and which number a literal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// `interface {}`
    Any,
    /// `bool`
    Bool,
    /// `int`: the argument is [`Value::Int`].
    Int,
    /// `int64`: [`Value::Int64`].
    Int64,
    /// `uint32`: [`Value::Uint64`]. No function gives one, so only a literal fits.
    Uint32,
    /// `float64`
    Float64,
    /// `string`
    String,
    /// `[]interface {}`
    List,
    /// `[]string`
    Strings,
    /// `map[string]interface {}`: nil gives a nil map.
    Map,
    /// `map[string]string`
    StringMap,
    /// A type of [`Object`], by its name.
    Object(&'static str),
}

impl Type {
    /// Go's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Any => "interface {}",
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Int64 => "int64",
            Self::Uint32 => "uint32",
            Self::Float64 => "float64",
            Self::String => "string",
            Self::List => "[]interface {}",
            Self::Strings => "[]string",
            Self::Map => "map[string]interface {}",
            Self::StringMap => "map[string]string",
            Self::Object(name) => name,
        }
    }

    /// Go's zero of the type where nil may stand for it.
    pub fn zero_of_nil(self) -> Option<Value> {
        match self {
            Self::Any => Some(Value::Nil),
            Self::List => Some(Value::List(List::nil(ListType::Any))),
            Self::Strings => Some(Value::List(List::nil(ListType::Strings))),
            Self::Map => Some(Value::Map(Map::nil(MapType::Any))),
            Self::StringMap => Some(Value::Map(Map::nil(MapType::Strings))),
            _ => None,
        }
    }

    /// The value as an argument of this type: `None` where Go cannot assign it.
    pub fn assign(self, value: &Value) -> Option<Value> {
        let fits = match (self, value) {
            (Self::Any, Value::Object(object)) => return object.detached().or_else(|| Some(value.clone())),
            (Self::Any, _)
            | (Self::Bool, Value::Bool(_))
            | (Self::Int, Value::Int(_))
            | (Self::Int64, Value::Int64(_))
            | (Self::Float64, Value::Float(_))
            | (Self::String, Value::Str(_)) => true,
            (Self::List, Value::List(list)) => list.of() == ListType::Any,
            (Self::Strings, Value::List(list)) => {
                matches!(list.of(), ListType::Strings | ListType::VersionSet)
            }
            (Self::Map, Value::Map(map)) => {
                let fits = matches!(map.of(), MapType::Any | MapType::Values);
                return fits.then(|| Value::Map(map.seen_as(MapType::Any)));
            }
            (Self::StringMap, Value::Map(map)) => map.of() == MapType::Strings,
            (Self::Object(name), Value::Object(object)) => object.type_name() == name,
            _ => false,
        };
        fits.then(|| value.clone())
    }
}

/// The arguments of a call, checked against the signature. What is asked for with a type that the signature
/// does not say is the zero of that type.
#[derive(Clone, Copy)]
pub struct Args<'a>(&'a [Value]);

impl<'a> Args<'a> {
    /// Arguments that fit the signature of who gets them.
    pub fn new(values: &'a [Value]) -> Self {
        Self(values)
    }

    /// How many there are.
    pub fn len(self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// All from the one with this index on.
    pub fn rest(self, from: usize) -> &'a [Value] {
        self.0.get(from..).unwrap_or(&[])
    }

    /// An argument as it is.
    pub fn value(self, index: usize) -> &'a Value {
        self.0.get(index).unwrap_or(&Value::Nil)
    }

    /// A string's bytes.
    pub fn bytes(self, index: usize) -> &'a [u8] {
        self.value(index).as_str().map_or(&[], Str::bytes)
    }

    /// A string.
    pub fn str(self, index: usize) -> Str {
        self.value(index).as_str().cloned().unwrap_or_else(|| Str::from(""))
    }

    /// A number of type `int`, `int64` or `uint32`.
    pub fn int(self, index: usize) -> i64 {
        match self.value(index) {
            Value::Int(number) | Value::Int64(number) => *number,
            Value::Uint64(number) => i64::try_from(*number).unwrap_or(i64::MAX),
            _ => 0,
        }
    }

    /// A number of type `float64`.
    pub fn float(self, index: usize) -> f64 {
        if let Value::Float(number) = self.value(index) { *number } else { 0.0 }
    }

    /// A `bool`.
    pub fn bool(self, index: usize) -> bool {
        matches!(self.value(index), Value::Bool(true))
    }

    /// The items of a slice.
    pub fn items(self, index: usize) -> &'a [Value] {
        if let Value::List(list) = self.value(index) { list.items() } else { &[] }
    }

    /// A map.
    pub fn map(self, index: usize) -> Map {
        self.value(index).as_map().cloned().unwrap_or_else(|| Map::nil(MapType::Any))
    }

    /// A value of a type of this program.
    pub fn object<T: GoObject + 'static>(self, index: usize) -> Option<&'a T> {
        if let Value::Object(object) = self.value(index) { object.as_any().downcast_ref() } else { None }
    }
}
