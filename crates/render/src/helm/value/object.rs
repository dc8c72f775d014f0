//! Values of Go types with fields and methods, such as `time.Time` and `.Capabilities`.

use std::any::Any;
use std::fmt;

use super::{Kind, Value};
use crate::helm::context::Context;
use crate::helm::error::Error;
use crate::helm::funcs::{Args, Signature};

/// A value of a Go type that templates see through its fields, its methods and its text only.
///
/// One type implements it for each Go type. A pointer and what it points to are two Go types with different
/// methods.
pub trait Object: fmt::Debug {
    /// Go's name of the type, such as `*semver.Version`.
    fn type_name(&self) -> &'static str;

    /// Go's kind: [`Kind::Ptr`], [`Kind::Struct`], or a number's for types such as `time.Duration`.
    fn kind(&self) -> Kind;

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
    fn call(&self, name: &str, _args: Args<'_>, _context: &mut Context) -> Result<Value, Error> {
        Err(Error::new(format!("{} has no method {name}", self.type_name())))
    }

    /// What `deepCopy` makes of a pointer, where that is another value: fields that are not exported are not
    /// copied.
    fn copied(&self) -> Option<Value> {
        None
    }

    /// Go's `==` for two values of this type.
    fn equals(&self, other: &dyn Object) -> bool;

    /// The value as it is kept in an interface, where that differs: a struct that is reached through a
    /// pointer has the pointer's methods, and the copy in an interface has not.
    fn detached(&self) -> Option<Value> {
        None
    }

    /// For downcasts.
    fn as_any(&self) -> &dyn Any;
}
