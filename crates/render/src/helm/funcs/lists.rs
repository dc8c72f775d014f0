//! Functions over lists. Go's panics and errors have the same texts, so that `must…` and the others are one
//! function.

use super::convert::{is_empty, nil_dereference, strings, text_of, texts_of, to_int};
use super::types::deep_equal;
use crate::helm::context::RenderContext;
use crate::helm::error::Error;
use crate::helm::function::Function;
use crate::helm::go::number::{float_to_int, int_to_float};
use crate::helm::value::{Args, Type as T};
use crate::helm::value::{GoKind, List, ListType, Value};

type Result = std::result::Result<Value, Error>;
type Ctx<'c, 'i> = &'c mut RenderContext<'i>;

pub(super) const TABLE: &[Function] = &[
    Function::variadic("list", &[], T::Any, |_, a| Ok(Value::list(a.rest(0).to_vec()))),
    Function::variadic("tuple", &[], T::Any, |_, a| Ok(Value::list(a.rest(0).to_vec()))),
    Function::new("append", &[T::Any, T::Any], push),
    Function::new("push", &[T::Any, T::Any], push),
    Function::new("mustAppend", &[T::Any, T::Any], push),
    Function::new("mustPush", &[T::Any, T::Any], push),
    Function::new("prepend", &[T::Any, T::Any], prepend),
    Function::new("mustPrepend", &[T::Any, T::Any], prepend),
    Function::new("first", &[T::Any], first),
    Function::new("mustFirst", &[T::Any], first),
    Function::new("last", &[T::Any], last),
    Function::new("mustLast", &[T::Any], last),
    Function::new("rest", &[T::Any], rest),
    Function::new("mustRest", &[T::Any], rest),
    Function::new("initial", &[T::Any], initial),
    Function::new("mustInitial", &[T::Any], initial),
    Function::new("reverse", &[T::Any], reverse),
    Function::new("mustReverse", &[T::Any], reverse),
    Function::new("compact", &[T::Any], compact),
    Function::new("mustCompact", &[T::Any], compact),
    Function::new("uniq", &[T::Any], uniq),
    Function::new("mustUniq", &[T::Any], uniq),
    Function::variadic("without", &[T::Any], T::Any, without),
    Function::variadic("mustWithout", &[T::Any], T::Any, without),
    Function::new("has", &[T::Any, T::Any], has),
    Function::new("mustHas", &[T::Any, T::Any], has),
    Function::variadic("slice", &[T::Any], T::Any, slice),
    Function::variadic("mustSlice", &[T::Any], T::Any, slice),
    Function::variadic("concat", &[], T::Any, concat),
    Function::new("chunk", &[T::Int, T::Any], chunk),
    Function::new("mustChunk", &[T::Int, T::Any], chunk),
    Function::new("sortAlpha", &[T::Any], sort_alpha),
    Function::new("until", &[T::Int], until),
    Function::new("untilStep", &[T::Int, T::Int, T::Int], |c, a| {
        let numbers = until_step(c, a.int(0), a.int(1), a.int(2))?;
        Ok(Value::List(List::new(ListType::Ints, numbers.into_iter().map(Value::Int).collect())))
    }),
    Function::variadic("seq", &[], T::Int, seq),
];

/// The items of a list, or Go's error: `action` is the function's word for its work.
fn items<'v>(
    c: Ctx<'_, '_>,
    value: &'v Value,
    action: &str,
) -> std::result::Result<std::borrow::Cow<'v, [Value]>, Error> {
    if value.is_nil() {
        return Err(nil_dereference());
    }
    let length = value.len().unwrap_or_default();
    match value.kind() {
        GoKind::Slice => c.room_for_items(length)?,
        kind => return Err(Error::new(format!("{action}{}", kind.name()))),
    }
    Ok(value.items().unwrap_or_default())
}

fn push(c: Ctx<'_, '_>, a: Args<'_>) -> Result {
    let mut items = items(c, a.value(0), "Cannot push on type ")?.into_owned();
    items.push(a.value(1).clone());
    Ok(Value::list(items))
}

fn prepend(c: Ctx<'_, '_>, a: Args<'_>) -> Result {
    let mut items = items(c, a.value(0), "Cannot prepend on type ")?.into_owned();
    items.insert(0, a.value(1).clone());
    Ok(Value::list(items))
}

fn first(c: Ctx<'_, '_>, a: Args<'_>) -> Result {
    Ok(items(c, a.value(0), "Cannot find first on type ")?.first().cloned().unwrap_or_default())
}

fn last(c: Ctx<'_, '_>, a: Args<'_>) -> Result {
    Ok(items(c, a.value(0), "Cannot find last on type ")?.last().cloned().unwrap_or_default())
}

/// A part of a list; nil if the list had no items.
fn part(before: &[Value], part: Option<&[Value]>) -> Value {
    match part {
        Some(part) if !before.is_empty() => Value::list(part.to_vec()),
        _ => Value::List(List::nil(ListType::Any)),
    }
}

fn rest(c: Ctx<'_, '_>, a: Args<'_>) -> Result {
    let items = items(c, a.value(0), "Cannot find rest on type ")?;
    Ok(part(&items, items.get(1..)))
}

fn initial(c: Ctx<'_, '_>, a: Args<'_>) -> Result {
    let items = items(c, a.value(0), "Cannot find initial on type ")?;
    Ok(part(&items, items.get(..items.len().saturating_sub(1))))
}

fn reverse(c: Ctx<'_, '_>, a: Args<'_>) -> Result {
    Ok(items(c, a.value(0), "Cannot find reverse on type ")?.iter().rev().cloned().collect::<List>().into())
}

fn compact(c: Ctx<'_, '_>, a: Args<'_>) -> Result {
    let items = items(c, a.value(0), "Cannot compact on type ")?;
    Ok(items.iter().filter(|item| !is_empty(item)).cloned().collect::<List>().into())
}

fn uniq(c: Ctx<'_, '_>, a: Args<'_>) -> Result {
    let mut seen: Vec<Value> = Vec::new();
    for item in items(c, a.value(0), "Cannot find uniq on type ")?.iter() {
        if !is_among(c, &seen, item)? {
            seen.push(item.clone());
        }
    }
    Ok(Value::list(seen))
}

fn is_among(c: Ctx<'_, '_>, items: &[Value], wanted: &Value) -> std::result::Result<bool, Error> {
    for item in items {
        if deep_equal(c, wanted, item)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn without(c: Ctx<'_, '_>, a: Args<'_>) -> Result {
    let mut kept = Vec::new();
    for item in items(c, a.value(0), "Cannot find without on type ")?.iter() {
        if !is_among(c, a.rest(1), item)? {
            kept.push(item.clone());
        }
    }
    Ok(Value::list(kept))
}

fn has(c: Ctx<'_, '_>, a: Args<'_>) -> Result {
    if a.value(1).is_nil() {
        return Ok(false.into());
    }
    let items = items(c, a.value(1), "Cannot find has on type ")?;
    Ok(is_among(c, &items, a.value(0))?.into())
}

fn slice(c: Ctx<'_, '_>, a: Args<'_>) -> Result {
    let list = a.value(0);
    let items = items(c, list, "list should be type of slice or array but ")?;
    if items.is_empty() {
        return Ok(Value::Nil);
    }
    let length = i64::try_from(items.len()).unwrap_or(i64::MAX);
    let start = a.rest(1).first().map_or(0, to_int);
    let end = a.rest(2).first().map_or(length, to_int);
    if start < 0 || end < start || end > length {
        return Err(Error::new("reflect.Value.Slice: slice index out of bounds"));
    }
    let index = |at: i64| usize::try_from(at).unwrap_or_default();
    let range = index(start)..index(end);
    Ok(match list {
        Value::Bytes(bytes) => Value::Bytes(bytes[range].into()),
        Value::List(list) => Value::List(List::new(list.of(), items[range].to_vec())),
        _ => Value::Nil,
    })
}

fn concat(c: Ctx<'_, '_>, a: Args<'_>) -> Result {
    let mut all = Vec::new();
    for list in a.rest(0) {
        if !list.is_nil() && list.kind() != GoKind::Slice {
            let kind = list.kind().name();
            return Err(Error::new(format!("Cannot concat type {kind} as list")));
        }
        all.extend_from_slice(&items(c, list, "")?);
    }
    Ok(Value::List(if all.is_empty() { List::nil(ListType::Any) } else { List::new(ListType::Any, all) }))
}

fn chunk(c: Ctx<'_, '_>, a: Args<'_>) -> Result {
    let size = a.int(0);
    let items = items(c, a.value(1), "Cannot chunk type ")?;
    let out_of_range = || Error::new("runtime error: makeslice: len out of range");
    let length = int_to_float(i64::try_from(items.len()).unwrap_or(i64::MAX));
    let count = float_to_int(((length - 1.0) / int_to_float(size)).floor() + 1.0);
    let count = usize::try_from(count).map_err(|_| out_of_range())?;
    c.room_for_items(count)?;
    let mut chunks = Vec::with_capacity(count);
    let mut start = 0;
    for number in 0..count {
        let left = float_to_int((length % int_to_float(size)).floor());
        let wanted = if number + 1 == count && left != 0 { left } else { size };
        let wanted = usize::try_from(wanted).map_err(|_| out_of_range())?;
        let chunk = items.get(start..start + wanted).unwrap_or_default();
        start += wanted;
        chunks.push(Value::list(chunk.to_vec()));
    }
    Ok(Value::List(List::new(ListType::Lists, chunks)))
}

fn sort_alpha(c: Ctx<'_, '_>, a: Args<'_>) -> Result {
    if a.value(0).kind() != GoKind::Slice {
        let text = text_of(c, a.value(0))?;
        return strings(c, vec![text]);
    }
    let mut texts = texts_of(c, a.value(0))?;
    texts.sort();
    strings(c, texts)
}

fn until(c: Ctx<'_, '_>, a: Args<'_>) -> Result {
    let count = a.int(0);
    let numbers = until_step(c, 0, count, if count < 0 { -1 } else { 1 })?;
    Ok(Value::List(List::new(ListType::Ints, numbers.into_iter().map(Value::Int).collect())))
}

fn until_step(c: Ctx<'_, '_>, start: i64, end: i64, step: i64) -> std::result::Result<Vec<i64>, Error> {
    let goes_down = end < start;
    if if goes_down { step >= 0 } else { step <= 0 } {
        return Ok(Vec::new());
    }
    let count =
        (i128::from(end) - i128::from(start)).unsigned_abs().div_ceil(u128::from(step.unsigned_abs()));
    c.room_for_items(usize::try_from(count).unwrap_or(usize::MAX))?;
    let mut numbers = Vec::new();
    let mut number = Some(start);
    while let Some(current) = number.filter(|number| if goes_down { *number > end } else { *number < end }) {
        numbers.push(current);
        number = current.checked_add(step);
    }
    Ok(numbers)
}

fn seq(c: Ctx<'_, '_>, a: Args<'_>) -> Result {
    let number = |index| a.int(index);
    let (start, step, end) = match a.len() {
        1 => (1, if number(0) < 1 { -1 } else { 1 }, number(0)),
        2 => (number(0), if number(1) < number(0) { -1 } else { 1 }, number(1)),
        3 if number(2) < number(0) && number(1) > 0 => return Ok("".into()),
        3 => (number(0), number(1), number(2)),
        _ => return Ok("".into()),
    };
    let beyond = end.wrapping_add(if end < start { -1 } else { 1 });
    let numbers = until_step(c, start, beyond, step)?;
    c.room(numbers.len().saturating_mul(21))?;
    Ok(numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ").into())
}

impl From<List> for Value {
    fn from(list: List) -> Self {
        Self::List(list)
    }
}
