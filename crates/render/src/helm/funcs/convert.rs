//! Conversions that many functions share: the ones of the Go library `cast`, and sprig's texts of values.

use crate::helm::context::RenderContext;
use crate::helm::error::Error;
use crate::helm::go::number::{float_to_int, int_to_float, parse_int};
use crate::helm::go::{parse_float, print};
use crate::helm::value::{List, ListType, Str, Value};

/// `cast.ToInt64`, and on a 64-bit machine also `cast.ToInt`: zero for a value that is no number.
pub(super) fn to_int(value: &Value) -> i64 {
    match value {
        Value::Int(number) | Value::Int64(number) => *number,
        Value::Uint8(number) => i64::from(*number),
        Value::Uint64(number) => number.cast_signed(),
        Value::Float(number) => float_to_int(*number),
        Value::Bool(value) => i64::from(*value),
        Value::Str(text) => match parse_int(without_zero_decimals(text), 0) {
            (number, None) => number,
            _ => 0,
        },
        Value::Object(object) => calendar_number(object.type_name(), object.number()),
        _ => 0,
    }
}

/// `cast` knows weekdays and months, and no other named type.
fn calendar_number(name: &str, number: Option<i64>) -> i64 {
    number.filter(|_| matches!(name, "time.Month" | "time.Weekday")).unwrap_or_default()
}

/// `cast.ToFloat64`.
pub(super) fn to_float(value: &Value) -> f64 {
    match value {
        Value::Int(number) | Value::Int64(number) => int_to_float(*number),
        Value::Uint8(number) => f64::from(*number),
        #[expect(clippy::cast_precision_loss, reason = "the nearest float is what Go takes too")]
        Value::Uint64(number) => *number as f64,
        Value::Float(number) => *number,
        Value::Bool(value) => f64::from(u8::from(*value)),
        Value::Str(text) => parse_float(text).unwrap_or_default(),
        Value::Object(object) => int_to_float(calendar_number(object.type_name(), object.number())),
        _ => 0.0,
    }
}

/// A number's text without `.000` at its end.
fn without_zero_decimals(text: &[u8]) -> &[u8] {
    let kept = text.iter().rposition(|byte| *byte != b'0').map_or(0, |at| at + 1);
    match kept.checked_sub(1) {
        Some(point) if text[point] == b'.' && kept < text.len() => &text[..point],
        _ => text,
    }
}

/// sprig's `strval`: a string as it is, everything else as `%v`.
pub(super) fn text_of(context: &mut RenderContext<'_>, value: &Value) -> Result<Str, Error> {
    match value {
        Value::Str(text) => Ok(text.clone()),
        Value::Bytes(bytes) => Ok(Str::from(&bytes[..])),
        Value::Object(object) => match object.text() {
            Some(text) => Ok(text.into()),
            None => Ok(print::display(context, value)?.into()),
        },
        _ => Ok(print::display(context, value)?.into()),
    }
}

/// sprig's `strslice`: the texts of a list's items without nil, or the text of a single value.
pub(super) fn texts_of(context: &mut RenderContext<'_>, value: &Value) -> Result<Vec<Str>, Error> {
    match value.items() {
        Some(items) => {
            let mut texts = Vec::with_capacity(items.len());
            for item in items.iter().filter(|item| !item.is_nil()) {
                context.spend(1)?;
                texts.push(text_of(context, item)?);
            }
            Ok(texts)
        }
        None if value.is_nil() => Ok(Vec::new()),
        None => Ok(vec![text_of(context, value)?]),
    }
}

/// A list of type `[]string`.
pub(super) fn strings(context: &mut RenderContext<'_>, texts: Vec<Str>) -> Result<Value, Error> {
    context.room_for_items(texts.len())?;
    Ok(Value::List(List::new(ListType::Strings, texts.into_iter().map(Value::Str).collect())))
}

/// sprig's `empty`: nil, or the zero of its type; a struct is never empty.
pub(super) fn is_empty(value: &Value) -> bool {
    !value.truth()
}

/// Go's panic for the type of a nil.
pub(super) fn nil_dereference() -> Error {
    Error::new("runtime error: invalid memory address or nil pointer dereference")
}

/// The result of Go's `text[from..to]`, or Go's panic. A missing end is `None`.
pub(super) fn cut(text: &[u8], from: Option<i64>, to: Option<i64>) -> Result<&[u8], Error> {
    let length = i64::try_from(text.len()).unwrap_or(i64::MAX);
    let out_of_range = |what: String| Error::new(format!("runtime error: slice bounds out of range [{what}"));
    let (start, end) = (from.unwrap_or(0), to.unwrap_or(length));
    if end < 0 {
        return Err(out_of_range(format!(":{end}]")));
    }
    if end > length {
        return Err(out_of_range(format!(":{end}] with length {length}")));
    }
    if start < 0 {
        return Err(out_of_range(format!("{start}:]")));
    }
    if start > end {
        return Err(out_of_range(format!("{start}:{end}]")));
    }
    let index = |at: i64| usize::try_from(at).unwrap_or_default();
    Ok(&text[index(start)..index(end)])
}

/// Finds a text in another one.
pub(super) fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    memchr::memmem::find(text, part)
}
