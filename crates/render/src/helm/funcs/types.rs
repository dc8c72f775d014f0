//! The types of values, and whether values are equal or empty: reflection and defaults.

use super::convert::is_empty;
use crate::helm::context::RenderContext;
use crate::helm::error::Error;
use crate::helm::function::Function;
use crate::helm::value::Type as T;
use crate::helm::value::{DEPTH, List, Map, Value, too_deep};

type Ctx<'c, 'i> = &'c mut RenderContext<'i>;

pub(super) const TABLE: &[Function] = &[
    Function::new("typeOf", &[T::Any], |_, a| Ok(a.value(0).type_name().into())),
    Function::new("typeIs", &[T::String, T::Any], |_, a| {
        Ok((a.bytes(0) == a.value(1).type_name().as_bytes()).into())
    }),
    Function::new("typeIsLike", &[T::String, T::Any], |_, a| {
        let name = a.value(1).type_name().as_bytes();
        Ok((a.bytes(0) == name || [b"*", a.bytes(0)].concat() == name).into())
    }),
    Function::new("kindOf", &[T::Any], |_, a| Ok(a.value(0).kind().name().into())),
    Function::new("kindIs", &[T::String, T::Any], |_, a| {
        Ok((a.bytes(0) == a.value(1).kind().name().as_bytes()).into())
    }),
    Function::new("deepEqual", &[T::Any, T::Any], |c, a| Ok(deep_equal(c, a.value(0), a.value(1))?.into())),
    Function::variadic("default", &[T::Any], T::Any, |_, a| {
        Ok(a.rest(1).first().filter(|given| !is_empty(given)).unwrap_or(a.value(0)).clone())
    }),
    Function::new("empty", &[T::Any], |_, a| Ok(is_empty(a.value(0)).into())),
    Function::variadic("coalesce", &[], T::Any, |_, a| {
        Ok(a.rest(0).iter().find(|value| !is_empty(value)).cloned().unwrap_or_default())
    }),
    Function::variadic("all", &[], T::Any, |_, a| Ok((!a.rest(0).iter().any(is_empty)).into())),
    Function::variadic("any", &[], T::Any, |_, a| Ok((!a.rest(0).iter().all(is_empty)).into())),
    Function::new("ternary", &[T::Any, T::Any, T::Bool], |_, a| Ok(a.value(usize::from(!a.bool(2))).clone())),
];

/// `reflect.DeepEqual`: equal types and equal contents; NaN differs from itself.
pub(super) fn deep_equal(
    c: &mut RenderContext<'_>,
    left: &Value,
    right: &Value,
) -> std::result::Result<bool, Error> {
    equal(c, left, right, 0)
}

fn equal(c: Ctx<'_, '_>, left: &Value, right: &Value, depth: usize) -> std::result::Result<bool, Error> {
    if depth > DEPTH {
        return Err(too_deep());
    }
    c.spend(1)?;
    Ok(match (left, right) {
        (Value::Nil, Value::Nil) => true,
        (Value::Bool(left), Value::Bool(right)) => left == right,
        (Value::Int(left), Value::Int(right)) | (Value::Int64(left), Value::Int64(right)) => left == right,
        (Value::Uint8(left), Value::Uint8(right)) => left == right,
        (Value::Uint64(left), Value::Uint64(right)) => left == right,
        #[expect(clippy::float_cmp, reason = "Go compares them so")]
        (Value::Float(left), Value::Float(right)) => left == right,
        (Value::Complex(left), Value::Complex(right)) => left == right,
        (Value::Str(left), Value::Str(right)) => {
            c.spend(left.len() / 64)?;
            left == right
        }
        (Value::Bytes(left), Value::Bytes(right)) => left == right,
        (Value::List(left), Value::List(right)) => return equal_lists(c, left, right, depth),
        (Value::Map(left), Value::Map(right)) => return equal_maps(c, left, right, depth),
        (Value::Object(left), Value::Object(right)) => {
            left.type_name() == right.type_name() && left.equals(right.as_ref())
        }
        _ => false,
    })
}

fn equal_lists(c: Ctx<'_, '_>, left: &List, right: &List, depth: usize) -> std::result::Result<bool, Error> {
    let (a, b) = (left.items(), right.items());
    if left.of() != right.of() || left.is_nil() != right.is_nil() || a.len() != b.len() {
        return Ok(false);
    }
    if left.is_same(right) {
        return Ok(true);
    }
    for (left, right) in a.iter().zip(b) {
        if !equal(c, left, right, depth + 1)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn equal_maps(c: Ctx<'_, '_>, left: &Map, right: &Map, depth: usize) -> std::result::Result<bool, Error> {
    if left.of() != right.of() || left.is_nil() != right.is_nil() || left.len() != right.len() {
        return Ok(false);
    }
    if left.is_same(right) {
        return Ok(true);
    }
    for (key, value) in left.entries() {
        let Some(other) = right.get(&key) else { return Ok(false) };
        if !equal(c, &value, &other, depth + 1)? {
            return Ok(false);
        }
    }
    Ok(true)
}
