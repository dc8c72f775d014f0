//! Values of Go types with fields and methods, such as `time.Time` and `.Capabilities`, and the parameters of
//! methods and functions as their Go sources declare them.

use std::any::Any;
use std::fmt;

use super::list::{List, ListType};
use super::map::{Map, MapType};
use super::text::Str;
use super::{GoKind, Value};
use crate::helm::error::Error;

/// The remaining budget of the render that calls a method.
pub trait Allowance {
    /// Reserves room for a string of this many bytes before it is made.
    fn room(&mut self, bytes: usize) -> Result<(), Error>;
}

/// A value of a Go type that templates only see through its fields, its methods and its text.
///
/// Each Go type has one type that implements this. A pointer and its target are two Go types with different
/// methods.
pub trait GoObject: fmt::Debug {
    /// Go's name of the type, such as `*semver.Version`.
    fn type_name(&self) -> &'static str;

    /// Go's kind: [`Kind::Ptr`], [`Kind::Struct`], or a number's for types such as `time.Duration`.
    fn kind(&self) -> GoKind;

    /// The number, if the kind is one of a whole number.
    fn number(&self) -> Option<i64> {
        None
    }

    /// The result of `String()` or `Error()`, if the type has one; this is what `print` shows.
    fn text(&self) -> Option<Vec<u8>> {
        None
    }

    /// The result of `GoString()`, if the type has one; this is what `%#v` shows.
    fn go_text(&self) -> Option<Vec<u8>> {
        None
    }

    /// The exported fields in the order of their declaration.
    fn fields(&self) -> Vec<(&'static str, Value)> {
        Vec::new()
    }

    /// All fields as `%v` shows them, including unexported ones.
    fn shown(&self) -> Vec<(&'static str, Value)> {
        self.fields()
    }

    /// The result of `encoding/json`, if that is not an object of its fields.
    fn json(&self) -> Option<Value> {
        None
    }

    /// The parameters of a method; `None` if there is no such method.
    fn method(&self, _name: &str) -> Option<Signature> {
        None
    }

    /// Calls a method with arguments that fit its signature.
    fn call(&self, name: &str, _args: Args<'_>, _allowance: &mut dyn Allowance) -> Result<Value, Error> {
        Err(Error::new(format!("{} has no method {name}", self.type_name())))
    }

    /// The result of `deepCopy` for a pointer, if that is another value: unexported fields are not copied.
    fn copied(&self) -> Option<Value> {
        None
    }

    /// Go's `==` for two values of this type.
    fn equals(&self, other: &dyn GoObject) -> bool;

    /// The value inside an interface, if that differs: a struct behind a pointer has the pointer's methods,
    /// and its copy in an interface does not.
    fn detached(&self) -> Option<Value> {
        None
    }

    /// For downcasts.
    fn as_any(&self) -> &dyn Any;
}

/// The parameters of a function or a method, as its Go source declares them.
#[derive(Debug, Clone, Copy)]
pub struct Signature {
    /// The types of the required parameters.
    pub fixed: &'static [Type],
    /// The type of each further argument, if there may be more.
    pub rest: Option<Type>,
}

/// The declared type of a parameter. It decides which values are refused and which type a literal has.
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
    /// `uint32`: [`Value::Uint64`]. No function returns one, so only a literal fits.
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

    /// Go's zero value of the type, if nil may stand for it.
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

    /// The value as an argument of this type; `None` if Go cannot assign it.
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

/// The arguments of a call, checked against the signature. An argument that is read as another type than
/// declared is the zero value of that type.
#[derive(Clone, Copy)]
pub struct Args<'a>(&'a [Value]);

impl<'a> Args<'a> {
    /// Arguments that fit the signature of the called function.
    pub fn new(values: &'a [Value]) -> Self {
        Self(values)
    }

    /// The number of arguments.
    pub fn len(self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// All arguments from this index on.
    pub fn rest(self, from: usize) -> &'a [Value] {
        self.0.get(from..).unwrap_or(&[])
    }

    /// An argument in its own type.
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
