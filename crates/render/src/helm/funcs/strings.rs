//! Functions over strings, which are bytes. Functions that look at characters take each byte that is no UTF-8
//! for U+FFFD.

use super::convert::{cut, find, strings, text_of, texts_of};
use crate::helm::context::RenderContext;
use crate::helm::error::Error;
use crate::helm::function::Function;
use crate::helm::go::number::parse_int;
use crate::helm::go::quote::quote;
use crate::helm::go::unicode::{self, CharacterClass, decode, mapped};
use crate::helm::go::{number, print};
use crate::helm::value::{Args, Type as T};
use crate::helm::value::{Map, MapType, Str, Value};

type Result = std::result::Result<Value, Error>;
type Ctx<'c, 'i> = &'c mut RenderContext<'i>;

pub(super) const TABLE: &[Function] = &[
    Function::new("hello", &[], |_, _| Ok("Hello!".into())),
    Function::new("abbrev", &[T::Int, T::String], |_, a| Ok(abbreviated(a.bytes(1), 0, a.int(0)))),
    Function::new("abbrevboth", &[T::Int, T::Int, T::String], |_, a| Ok(abbrev_both(a))),
    Function::new("trunc", &[T::Int, T::String], |_, a| Ok(trunc(a))),
    Function::new("trim", &[T::String], |_, a| Ok(trim(a.bytes(0), unicode::is_space))),
    Function::new("upper", &[T::String], |_, a| Ok(cased(a.bytes(0), unicode::to_upper))),
    Function::new("lower", &[T::String], |_, a| Ok(cased(a.bytes(0), unicode::to_lower))),
    Function::new("title", &[T::String], |_, a| Ok(title(a.bytes(0)))),
    Function::new("untitle", &[T::String], |_, a| Ok(untitle(a.bytes(0)))),
    Function::new("swapcase", &[T::String], |_, a| Ok(swap_case(a.bytes(0)))),
    Function::new("substr", &[T::Int, T::Int, T::String], substr),
    Function::new("repeat", &[T::Int, T::String], |c, a| Ok(repeated(c, a.bytes(1), a.int(0))?.into())),
    Function::new("trimall", &[T::String, T::String], |_, a| Ok(trim_all(a))),
    Function::new("trimAll", &[T::String, T::String], |_, a| Ok(trim_all(a))),
    Function::new("trimSuffix", &[T::String, T::String], |_, a| {
        Ok(a.bytes(1).strip_suffix(a.bytes(0)).map_or_else(|| Value::Str(a.str(1)), Value::str))
    }),
    Function::new("trimPrefix", &[T::String, T::String], |_, a| {
        Ok(a.bytes(1).strip_prefix(a.bytes(0)).map_or_else(|| Value::Str(a.str(1)), Value::str))
    }),
    Function::new("nospace", &[T::String], |_, a| Ok(without_space(a.bytes(0)))),
    Function::new("initials", &[T::String], |_, a| Ok(initials(a.bytes(0)))),
    Function::new("wrap", &[T::Int, T::String], |c, a| wrap(c, a.bytes(1), a.int(0), b"\n", false)),
    Function::new("wrapWith", &[T::Int, T::String, T::String], |c, a| {
        let line = if a.bytes(1).is_empty() { b"\n" } else { a.bytes(1) };
        wrap(c, a.bytes(2), a.int(0), line, true)
    }),
    Function::new("contains", &[T::String, T::String], |_, a| {
        Ok(find(a.bytes(1), a.bytes(0)).is_some().into())
    }),
    Function::new("hasPrefix", &[T::String, T::String], |_, a| Ok(a.bytes(1).starts_with(a.bytes(0)).into())),
    Function::new("hasSuffix", &[T::String, T::String], |_, a| Ok(a.bytes(1).ends_with(a.bytes(0)).into())),
    Function::variadic("quote", &[], T::Any, |c, a| {
        joined_quotes(c, a, |c, value| {
            let text = text_of(c, value)?;
            c.room(text.len() * 2)?;
            Ok(quote(&text, false))
        })
    }),
    Function::variadic("squote", &[], T::Any, |c, a| {
        joined_quotes(c, a, |c, value| print::sprintf(c, b"'%v'", std::slice::from_ref(value)))
    }),
    Function::variadic("cat", &[], T::Any, cat),
    Function::new("indent", &[T::Int, T::String], |c, a| Ok(indented(c, a, b"")?.into())),
    Function::new("nindent", &[T::Int, T::String], |c, a| Ok(indented(c, a, b"\n")?.into())),
    Function::new("replace", &[T::String, T::String, T::String], |c, a| {
        Ok(replaced(c, a.bytes(2), a.bytes(0), a.bytes(1))?.into())
    }),
    Function::new("plural", &[T::String, T::String, T::Int], |_, a| {
        Ok(Value::Str(if a.int(2) == 1 { a.str(0) } else { a.str(1) }))
    }),
    Function::new("toString", &[T::Any], |c, a| Ok(Value::Str(text_of(c, a.value(0))?))),
    Function::new("toStrings", &[T::Any], |c, a| {
        let texts = texts_of(c, a.value(0))?;
        strings(c, texts)
    }),
    Function::new("split", &[T::String, T::String], |c, a| split_map(c, a.bytes(1), a.bytes(0), -1)),
    Function::new("splitn", &[T::String, T::Int, T::String], |c, a| {
        split_map(c, a.bytes(2), a.bytes(0), a.int(1))
    }),
    Function::new("splitList", &[T::String, T::String], |c, a| {
        let parts = split(c, a.bytes(1), a.bytes(0), -1)?;
        strings(c, parts.into_iter().map(Str::from).collect())
    }),
    Function::new("join", &[T::String, T::Any], join),
    Function::new("atoi", &[T::String], |_, a| Ok(Value::Int(parse_int(a.bytes(0), 10).0))),
    Function::new("toDecimal", &[T::Any], |c, a| {
        let text = print::display(c, a.value(0))?;
        let (number, error) = number::parse_int(&text, 8);
        Ok(Value::Int64(if error.is_some() { 0 } else { number }))
    }),
];

fn index(number: i64) -> usize {
    usize::try_from(number).unwrap_or_default()
}

/// `goutils.AbbreviateFull`, whose errors are dropped: the text is empty then.
fn abbreviated(text: &[u8], offset: i64, width: i64) -> Value {
    if width < 4 {
        return Value::str(text);
    }
    let length = i64::try_from(text.len()).unwrap_or(i64::MAX);
    if length <= width {
        return Value::str(text);
    }
    let mut offset = offset.min(length);
    if length - offset < width - 3 {
        offset = length - (width - 3);
    }
    if offset <= 4 {
        return [&text[..index(width - 3)], b"..."].concat().into();
    }
    if width < 7 {
        return "".into();
    }
    if offset + width - 3 < length {
        // A width below four leaves nothing of the text.
        let rest = &text[index(offset)..];
        let inner = if width - 3 < 4 { Value::str("") } else { abbreviated(rest, 0, width - 3) };
        return [&b"..."[..], inner.as_str().map_or(&[][..], Str::bytes)].concat().into();
    }
    [b"...", &text[index(length - (width - 3))..]].concat().into()
}

fn abbrev_both(a: Args<'_>) -> Value {
    let (left, right) = (a.int(0), a.int(1));
    if right < 4 || left > 0 && right < 7 {
        return Value::Str(a.str(2));
    }
    abbreviated(a.bytes(2), left, right)
}

fn trunc(a: Args<'_>) -> Value {
    let (count, text) = (a.int(0), a.bytes(1));
    let length = i64::try_from(text.len()).unwrap_or(i64::MAX);
    if count < 0 && length.saturating_add(count) > 0 {
        return Value::str(&text[index(length + count)..]);
    }
    if count >= 0 && length > count {
        return Value::str(&text[..index(count)]);
    }
    Value::Str(a.str(1))
}

/// The text without the characters at both ends for which `drop` returns true.
fn trim(text: &[u8], drop: impl Fn(char) -> bool) -> Value {
    let mut start = 0;
    while let Some((c, width)) = decode(&text[start..]) {
        if !drop(c.unwrap_or(char::REPLACEMENT_CHARACTER)) {
            break;
        }
        start += width;
    }
    let mut end = text.len();
    while end > start {
        let (c, width) = unicode::decode_last(&text[start..end]);
        if !drop(c) {
            break;
        }
        end -= width;
    }
    Value::str(&text[start..end])
}

fn trim_all(a: Args<'_>) -> Value {
    let set: Vec<char> = unicode::chars(a.bytes(0)).collect();
    trim(a.bytes(1), |c| set.contains(&c))
}

fn cased(text: &[u8], change: fn(char) -> char) -> Value {
    mapped(text, change).into()
}

fn title(text: &[u8]) -> Value {
    let mut previous = ' ';
    let separates = |c: char| match c {
        _ if c.is_ascii() => !c.is_ascii_alphanumeric() && c != '_',
        _ if unicode::is(CharacterClass::Letter, c) || unicode::is(CharacterClass::Digit, c) => false,
        _ => unicode::is_space(c),
    };
    mapped(text, |c| {
        let starts = separates(std::mem::replace(&mut previous, c));
        if starts { unicode::to_title(c) } else { c }
    })
    .into()
}

fn untitle(text: &[u8]) -> Value {
    let mut starts = true;
    mapped(text, |c| {
        if unicode::is_space(c) {
            starts = true;
            return c;
        }
        if std::mem::take(&mut starts) { unicode::to_lower(c) } else { c }
    })
    .into()
}

fn swap_case(text: &[u8]) -> Value {
    let mut after_space = true;
    mapped(text, |c| {
        if unicode::is(CharacterClass::Upper, c) || unicode::is(CharacterClass::Title, c) {
            after_space = false;
            unicode::to_lower(c)
        } else if unicode::is(CharacterClass::Lower, c) {
            if std::mem::take(&mut after_space) { unicode::to_title(c) } else { unicode::to_upper(c) }
        } else {
            after_space = unicode::is_space(c);
            c
        }
    })
    .into()
}

fn substr(_: Ctx<'_, '_>, a: Args<'_>) -> Result {
    let (start, end, text) = (a.int(0), a.int(1), a.bytes(2));
    let length = i64::try_from(text.len()).unwrap_or(i64::MAX);
    let part = if start < 0 {
        cut(text, None, Some(end))
    } else if end < 0 || end > length {
        cut(text, Some(start), None)
    } else {
        cut(text, Some(start), Some(end))
    };
    part.map(Value::str)
}

/// `strings.Repeat`.
fn repeated(c: Ctx<'_, '_>, text: &[u8], count: i64) -> std::result::Result<Vec<u8>, Error> {
    let Ok(count) = usize::try_from(count) else {
        return Err(Error::new("strings: negative Repeat count"));
    };
    match count.checked_mul(text.len()).filter(|bytes| i64::try_from(*bytes).is_ok()) {
        Some(bytes) => c.room(bytes)?,
        None => return Err(Error::new("strings: Repeat output length overflow")),
    }
    Ok(text.repeat(count))
}

/// `goutils.DeleteWhiteSpace`, which takes bytes for characters of Latin-1.
fn without_space(text: &[u8]) -> Value {
    let is_space = |byte: &u8| unicode::is_space(char::from(*byte));
    if !text.iter().any(is_space) {
        return Value::str(text);
    }
    text.iter().filter(|byte| !is_space(byte)).map(|byte| char::from(*byte)).collect::<String>().into()
}

/// `goutils.Initials`, which takes bytes for characters of Latin-1.
fn initials(text: &[u8]) -> Value {
    let mut after_gap = true;
    let first_of_word = |byte: &&u8| {
        let is_space = unicode::is_space(char::from(**byte));
        std::mem::replace(&mut after_gap, is_space) && !is_space
    };
    text.iter().filter(first_of_word).map(|byte| char::from(*byte)).collect::<String>().into()
}

/// `goutils.WrapCustom`.
fn wrap(c: Ctx<'_, '_>, text: &[u8], width: i64, line: &[u8], long_words: bool) -> Result {
    let width = usize::try_from(width.max(1)).unwrap_or(usize::MAX);
    let mut out = Vec::new();
    let mut offset = 0;
    while text.len() - offset > width {
        c.spend(1)?;
        if text[offset] == b' ' {
            offset += 1;
            continue;
        }
        let space = text[offset..=offset + width].iter().rposition(|byte| *byte == b' ');
        let (end, next) = match space {
            Some(at) => (offset + at, offset + at + 1),
            None if long_words => (offset + width, offset + width),
            None => {
                if let Some(at) = text[offset + width..].iter().position(|byte| *byte == b' ') {
                    (offset + width + at, offset + width + at + 1)
                } else {
                    out.extend_from_slice(&text[offset..]);
                    offset = text.len();
                    break;
                }
            }
        };
        c.room(out.len() + (end - offset) + line.len())?;
        out.extend_from_slice(&text[offset..end]);
        out.extend_from_slice(line);
        offset = next;
    }
    out.extend_from_slice(&text[offset..]);
    Ok(out.into())
}

fn joined_quotes(
    c: Ctx<'_, '_>,
    a: Args<'_>,
    one: impl Fn(&mut RenderContext<'_>, &Value) -> std::result::Result<Vec<u8>, Error>,
) -> Result {
    let mut parts = Vec::new();
    for value in a.rest(0).iter().filter(|value| !value.is_nil()) {
        parts.push(one(c, value)?);
    }
    c.room(parts.iter().map(|part| part.len() + 1).sum())?;
    Ok(parts.join(&b' ').into())
}

fn cat(c: Ctx<'_, '_>, a: Args<'_>) -> Result {
    let values: Vec<Value> = a.rest(0).iter().filter(|value| !value.is_nil()).cloned().collect();
    let format = "%v ".repeat(values.len());
    Ok(print::sprintf(c, format.trim().as_bytes(), &values)?.into())
}

fn indented(c: Ctx<'_, '_>, a: Args<'_>, before: &[u8]) -> std::result::Result<Vec<u8>, Error> {
    let (spaces, text) = (a.int(0), a.bytes(1));
    let pad = repeated(c, b" ", spaces)?;
    let lines = memchr::memchr_iter(b'\n', text).count() + 1;
    c.room(lines.saturating_mul(pad.len()).saturating_add(text.len()))?;
    let mut out = Vec::with_capacity(text.len() + lines * pad.len() + 1);
    out.extend_from_slice(before);
    for (number, line) in text.split(|byte| *byte == b'\n').enumerate() {
        if number > 0 {
            out.push(b'\n');
        }
        out.extend_from_slice(&pad);
        out.extend_from_slice(line);
    }
    Ok(out)
}

/// `strings.ReplaceAll`: an empty text occurs before every character and at the end.
fn replaced(c: Ctx<'_, '_>, text: &[u8], old: &[u8], new: &[u8]) -> std::result::Result<Vec<u8>, Error> {
    let pieces: Vec<&[u8]> = if old.is_empty() {
        let mut pieces = vec![&[][..]];
        pieces.extend(characters(text));
        pieces
    } else {
        pieces(text, old, usize::MAX)
    };
    let growth = pieces.len().saturating_sub(1).saturating_mul(new.len());
    c.room(text.len().saturating_add(growth))?;
    let mut out = pieces.join(new);
    if old.is_empty() && !text.is_empty() {
        out.extend_from_slice(new);
    } else if old.is_empty() {
        out = new.to_vec();
    }
    Ok(out)
}

/// The characters of a text; each byte that is no UTF-8 is one character.
fn characters(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (_, width) = decode(rest)?;
        let (first, tail) = rest.split_at(width);
        rest = tail;
        Some(first)
    })
}

/// The texts between separators, in at most this many pieces.
fn pieces<'t>(text: &'t [u8], separator: &[u8], most: usize) -> Vec<&'t [u8]> {
    let mut pieces = Vec::new();
    let mut start = 0;
    for at in memchr::memmem::find_iter(text, separator) {
        if pieces.len() + 1 >= most {
            break;
        }
        pieces.push(&text[start..at]);
        start = at + separator.len();
    }
    pieces.push(&text[start..]);
    pieces
}

/// `strings.SplitN`: all pieces for a negative number.
fn split<'t>(
    c: Ctx<'_, '_>,
    text: &'t [u8],
    separator: &[u8],
    most: i64,
) -> std::result::Result<Vec<&'t [u8]>, Error> {
    c.spend(text.len() / 16)?;
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    if most == 0 {
        return Ok(Vec::new());
    }
    if !separator.is_empty() {
        return Ok(pieces(text, separator, most));
    }
    let mut parts = Vec::new();
    let mut taken = 0;
    for part in characters(text) {
        if parts.len() + 1 == most {
            parts.push(&text[taken..]);
            break;
        }
        taken += part.len();
        parts.push(part);
    }
    Ok(parts)
}

fn split_map(c: Ctx<'_, '_>, text: &[u8], separator: &[u8], most: i64) -> Result {
    let parts = split(c, text, separator, most)?;
    c.room_for_items(parts.len())?;
    let entries = parts.into_iter().enumerate().map(|(at, part)| (format!("_{at}").into(), Value::str(part)));
    Ok(Value::Map(Map::from_entries(MapType::Strings, entries.collect())))
}

fn join(c: Ctx<'_, '_>, a: Args<'_>) -> Result {
    let separator = a.bytes(0);
    let texts = texts_of(c, a.value(1))?;
    let separators = texts.len().saturating_sub(1).saturating_mul(separator.len());
    c.room(texts.iter().map(|text| text.len()).sum::<usize>().saturating_add(separators))?;
    let texts: Vec<&[u8]> = texts.iter().map(Str::bytes).collect();
    Ok(texts.join(separator).into())
}
