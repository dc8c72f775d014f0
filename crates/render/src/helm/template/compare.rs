//! Go's own functions that look at values as `reflect.Value`: comparison, `index`, `len`, `not`.

use std::cmp::Ordering;

use super::exec::count;
use super::field::element;
use super::reflected::Reflected;
use crate::helm::context::RenderContext;
use crate::helm::error::Error;
use crate::helm::funcs::Builtin;
use crate::helm::go::print;
use crate::helm::value::{GoKind, ListType, Value};

type Done<T> = Result<T, Error>;

/// Runs one of Go's own functions, except `and`, `or` and `call`.
pub(super) fn run(
    builtin: Builtin,
    arguments: &[Reflected],
    context: &mut RenderContext<'_>,
) -> Done<Reflected> {
    let first = arguments.first().cloned().unwrap_or_default();
    let second = arguments.get(1).cloned().unwrap_or_default();
    let (a, b) = (&first.value, &second.value);
    let answer = match builtin {
        Builtin::Index => return index(first, &arguments[1..]),
        Builtin::Len => return length(&first).map(|length| Reflected::plain(count(length))),
        Builtin::Not => !a.truth(),
        Builtin::Eq => equal_any(a, &arguments[1..], context)?,
        Builtin::Ne => !equal(a, b, context)?,
        Builtin::Lt => less(a, b)?,
        Builtin::Le => less_or_equal(a, b, context)?,
        Builtin::Gt => !less_or_equal(a, b, context)?,
        Builtin::Ge => !less(a, b)?,
        Builtin::And | Builtin::Or | Builtin::Call => return Ok(first),
    };
    Ok(Reflected::plain(Value::Bool(answer)))
}

/// `call` finds no function, since no value of a chart is one.
pub(super) fn call(callee: &str, function: Option<&Reflected>) -> Done<Value> {
    let Some(function) = function.filter(|function| !function.value.is_nil()) else {
        return Err(Error::new("call of nil"));
    };
    Err(Error::new(format!("non-function {callee} of type {}", function.value.type_name())))
}

/// The type as which two values can be compared.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Basic<'v> {
    Invalid,
    Bool(bool),
    Complex((f64, f64)),
    Int(i64),
    Float(f64),
    String(&'v [u8]),
    Uint(u64),
}

fn basic(value: &Value) -> Basic<'_> {
    match value {
        Value::Bool(value) => Basic::Bool(*value),
        Value::Int(number) | Value::Int64(number) => Basic::Int(*number),
        Value::Uint8(number) => Basic::Uint(u64::from(*number)),
        Value::Uint64(number) => Basic::Uint(*number),
        Value::Float(number) => Basic::Float(*number),
        Value::Complex(number) => Basic::Complex(**number),
        Value::Str(text) => Basic::String(text),
        Value::Object(object) => object.number().map_or(Basic::Invalid, Basic::Int),
        _ => Basic::Invalid,
    }
}

fn equal_any(first: &Value, others: &[Reflected], context: &mut RenderContext<'_>) -> Done<bool> {
    if others.is_empty() {
        return Err(Error::new("missing argument for comparison"));
    }
    for other in others {
        if equal(first, &other.value, context)? {
            return Ok(true);
        }
    }
    Ok(false)
}

#[expect(clippy::float_cmp, reason = "Go compares numbers so")]
fn equal(a: &Value, b: &Value, context: &mut RenderContext<'_>) -> Done<bool> {
    match (basic(a), basic(b)) {
        (Basic::Int(a), Basic::Uint(b)) | (Basic::Uint(b), Basic::Int(a)) => {
            Ok(u64::try_from(a).is_ok_and(|a| a == b))
        }
        (Basic::Bool(a), Basic::Bool(b)) => Ok(a == b),
        (Basic::Complex(a), Basic::Complex(b)) => Ok(a == b),
        (Basic::Int(a), Basic::Int(b)) => Ok(a == b),
        (Basic::Float(a), Basic::Float(b)) => Ok(a == b),
        (Basic::String(a), Basic::String(b)) => Ok(a == b),
        (Basic::Uint(a), Basic::Uint(b)) => Ok(a == b),
        (Basic::Invalid, Basic::Invalid) => equal_other(a, b, context),
        _ if a.is_nil() || b.is_nil() => Ok(false),
        _ => Err(incompatible(a, b)),
    }
}

fn incompatible(a: &Value, b: &Value) -> Error {
    Error::new(format!("incompatible types for comparison: {} and {}", a.type_name(), b.type_name()))
}

/// Whether two values are equal that are no numbers, texts or booleans.
fn equal_other(a: &Value, b: &Value, context: &mut RenderContext<'_>) -> Done<bool> {
    let is_nil = |value: &Value| match value {
        Value::Nil => true,
        Value::List(list) => list.is_nil(),
        Value::Map(map) => map.is_nil(),
        _ => false,
    };
    let (kind_a, kind_b) = (a.kind(), b.kind());
    if kind_a != kind_b && kind_a != GoKind::Invalid && kind_b != GoKind::Invalid {
        let text_a = print::sprintf(context, b"%s", std::slice::from_ref(a))?;
        let text_b = print::sprintf(context, b"%v", std::slice::from_ref(b))?;
        let (text_a, text_b) = (String::from_utf8_lossy(&text_a), String::from_utf8_lossy(&text_b));
        let (type_a, type_b) = (a.type_name(), b.type_name());
        return Err(Error::new(format!("non-comparable types {text_a}: {type_a}, {type_b}: {text_b}")));
    }
    if is_nil(a) || is_nil(b) {
        return Ok(is_nil(a) == is_nil(b));
    }
    if matches!(kind_b, GoKind::Slice | GoKind::Map) {
        let text = print::sprintf(context, b"%s", std::slice::from_ref(b))?;
        let text = String::from_utf8_lossy(&text);
        return Err(Error::new(format!("non-comparable type {text}: {}", b.type_name())));
    }
    match (a, b) {
        (Value::Object(a), Value::Object(b)) => Ok(a.type_name() == b.type_name() && a.equals(b.as_ref())),
        _ => Ok(false),
    }
}

fn less(a: &Value, b: &Value) -> Done<bool> {
    let bad = || Error::new("invalid type for comparison");
    let ordering = match (basic(a), basic(b)) {
        (Basic::Int(a), Basic::Uint(b)) => return Ok(u64::try_from(a).map_or(true, |a| a < b)),
        (Basic::Uint(a), Basic::Int(b)) => return Ok(u64::try_from(b).is_ok_and(|b| a < b)),
        (Basic::Invalid, _)
        | (_, Basic::Invalid)
        | (Basic::Bool(_), Basic::Bool(_))
        | (Basic::Complex(_), Basic::Complex(_)) => return Err(bad()),
        (Basic::Float(a), Basic::Float(b)) => a.partial_cmp(&b),
        (Basic::Int(a), Basic::Int(b)) => Some(a.cmp(&b)),
        (Basic::Uint(a), Basic::Uint(b)) => Some(a.cmp(&b)),
        (Basic::String(a), Basic::String(b)) => Some(a.cmp(b)),
        _ => return Err(incompatible(a, b)),
    };
    Ok(ordering == Some(Ordering::Less))
}

fn less_or_equal(a: &Value, b: &Value, context: &mut RenderContext<'_>) -> Done<bool> {
    Ok(less(a, b)? || equal(a, b, context)?)
}

fn length(item: &Reflected) -> Done<usize> {
    if item.value.is_nil() {
        let message = if item.in_interface {
            "len of nil pointer"
        } else {
            "reflect: call of reflect.Value.Type on zero Value"
        };
        return Err(Error::new(message));
    }
    let of_type = || Error::new(format!("len of type {}", pointed_at(&item.value)));
    item.value.len().ok_or_else(of_type)
}

/// The name of a type, or of the type behind a pointer.
fn pointed_at(value: &Value) -> &'static str {
    value.type_name().trim_start_matches('*')
}

fn index(item: Reflected, indexes: &[Reflected]) -> Done<Reflected> {
    if item.value.is_nil() {
        return Err(Error::new("index of untyped nil"));
    }
    let mut item = item;
    for index in indexes {
        item = match &item.value {
            Value::Nil => return Err(Error::new("index of nil pointer")),
            Value::Str(text) => {
                let at = place(&index.value, text.len())?;
                let byte = text.get(at).ok_or_else(|| Error::new("reflect: string index out of range"))?;
                Reflected::plain(Value::Uint8(*byte))
            }
            Value::Bytes(bytes) => {
                let at = place(&index.value, bytes.len())?;
                let byte = bytes.get(at).ok_or_else(|| Error::new("reflect: slice index out of range"))?;
                Reflected::plain(Value::Uint8(*byte))
            }
            Value::List(list) => {
                let at = place(&index.value, list.items().len())?;
                let value = list.items().get(at);
                let value = value.ok_or_else(|| Error::new("reflect: slice index out of range"))?.clone();
                Reflected { value, in_interface: list.of() == ListType::Any }
            }
            Value::Map(map) => match &index.value {
                Value::Str(key) => element(map.of(), map.get(key)),
                Value::Nil => return Err(Error::new("value is nil; should be of type string")),
                other => {
                    let name = other.type_name();
                    return Err(Error::new(format!("value has type {name}; should be string")));
                }
            },
            other => return Err(Error::new(format!("can't index item of type {}", pointed_at(other)))),
        };
    }
    Ok(item)
}

/// An index of a list of this length. The index behind the last item passes here, and fails when it is read.
fn place(index: &Value, length: usize) -> Done<usize> {
    let at = match basic(index) {
        Basic::Int(at) => at,
        Basic::Uint(at) => at.cast_signed(),
        _ if index.is_nil() => return Err(Error::new("cannot index slice/array with nil")),
        _ => {
            let name = index.type_name();
            return Err(Error::new(format!("cannot index slice/array with type {name}")));
        }
    };
    let place = usize::try_from(at).ok().filter(|at| *at <= length);
    place.ok_or_else(|| Error::new(format!("index out of range: {at}")))
}
