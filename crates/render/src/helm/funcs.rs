//! The functions that templates call: one table, from name to what each takes and does.
//!
//! Each file of this folder has a constant `TABLE` of [`Function`]s, which stands in [`TABLES`]. A name that
//! is in none is an error when a template is parsed. Go's own functions (`and`, `eq`, `index`, `print`...)
//! are in `builtin`.

mod builtin;
pub mod flow;
mod convert;
mod types;
mod merge;
mod strings;
mod cases;
mod lists;
mod dicts;
mod math;
mod encoding;
mod random;
mod paths;
mod instant;
mod dates;
mod data;
mod semver;
mod regex;
mod url;
mod crypto;
mod certs;

use std::collections::BTreeMap;
use std::sync::OnceLock;

use super::context::Context;
use super::error::Error;
use super::value::{List, ListType, Map, MapType, Object, Str, Value};

/// The tables. The last entry of a name wins.
const TABLES: &[&[Function]] = &[
    builtin::TABLE,
    flow::TABLE,
    strings::TABLE,
    cases::TABLE,
    lists::TABLE,
    dicts::TABLE,
    types::TABLE,
    math::TABLE,
    encoding::TABLE,
    random::TABLE,
    paths::TABLE,
    dates::TABLE,
    data::TABLE,
    semver::TABLE,
    regex::TABLE,
    url::TABLE,
    crypto::TABLE,
    certs::TABLE,
];

/// What a function does. The arguments fit its signature. What it returns is what Go's function returns;
/// where Go's one panics, the error has the panic's text.
pub type Run = fn(&mut Context<'_>, Args<'_>) -> Result<Value, Error>;

/// A function that templates can call.
#[derive(Debug, Clone, Copy)]
pub struct Function {
    /// Its name in templates.
    pub name: &'static str,
    /// What it takes.
    pub signature: Signature,
    /// What it does.
    pub run: Run,
}

impl Function {
    /// A function that takes exactly these arguments.
    pub const fn new(name: &'static str, fixed: &'static [Type], run: Run) -> Self {
        Self { name, signature: Signature { fixed, rest: None }, run }
    }

    /// A function that takes these arguments and then any number of `rest`.
    pub const fn variadic(name: &'static str, fixed: &'static [Type], rest: Type, run: Run) -> Self {
        Self { name, signature: Signature { fixed, rest: Some(rest) }, run }
    }
}

/// The arguments that a function or a method takes, as its Go source declares them.
#[derive(Debug, Clone, Copy)]
pub struct Signature {
    /// Those that must be there.
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
    pub fn object<T: Object + 'static>(self, index: usize) -> Option<&'a T> {
        if let Value::Object(object) = self.value(index) { object.as_any().downcast_ref() } else { None }
    }
}

/// What a name in a template calls.
#[derive(Debug, Clone, Copy)]
pub enum Callee {
    /// One of Go's own functions that see more than values: whether a nil is in an interface, or not all
    /// arguments.
    Builtin(Builtin),
    /// `include`, which needs the set of templates.
    Include,
    /// `tpl`, which needs the set of templates.
    Tpl,
    /// A function of the table.
    Function(&'static Function),
}

/// Go's own functions that take `reflect.Value`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Builtin {
    /// The first false argument, or the last one.
    And,
    /// Calls a function that is a value.
    Call,
    /// Whether the first argument equals any other.
    Eq,
    /// Not less.
    Ge,
    /// Greater.
    Gt,
    /// An item of an item.
    Index,
    /// Less or equal.
    Le,
    /// How many items there are.
    Len,
    /// Less.
    Lt,
    /// Not equal.
    Ne,
    /// Not true.
    Not,
    /// The first true argument, or the last one.
    Or,
}

impl Builtin {
    fn of(name: &str) -> Option<Self> {
        Some(match name {
            "and" => Self::And,
            "call" => Self::Call,
            "eq" => Self::Eq,
            "ge" => Self::Ge,
            "gt" => Self::Gt,
            "index" => Self::Index,
            "le" => Self::Le,
            "len" => Self::Len,
            "lt" => Self::Lt,
            "ne" => Self::Ne,
            "not" => Self::Not,
            "or" => Self::Or,
            _ => return None,
        })
    }

    /// How many arguments there must be, and whether there may be more.
    pub fn arity(self) -> (usize, bool) {
        match self {
            Self::And | Self::Call | Self::Eq | Self::Index | Self::Or => (1, true),
            Self::Len | Self::Not => (1, false),
            Self::Ge | Self::Gt | Self::Le | Self::Lt | Self::Ne => (2, false),
        }
    }
}

/// What this name calls; none where there is no such function.
pub fn callee(name: &str) -> Option<Callee> {
    match name {
        "include" => Some(Callee::Include),
        "tpl" => Some(Callee::Tpl),
        _ => function(name).map(Callee::Function).or_else(|| Builtin::of(name).map(Callee::Builtin)),
    }
}

/// All functions by their names.
fn by_name() -> &'static BTreeMap<&'static str, &'static Function> {
    static BY_NAME: OnceLock<BTreeMap<&'static str, &'static Function>> = OnceLock::new();
    BY_NAME.get_or_init(|| {
        TABLES.iter().flat_map(|table| table.iter()).map(|function| (function.name, function)).collect()
    })
}

/// The function of this name.
pub fn function(name: &str) -> Option<&'static Function> {
    by_name().get(name).copied()
}

/// The names of all functions, in order.
pub fn names() -> impl Iterator<Item = &'static str> {
    by_name().keys().copied()
}
