//! The meaning of a scalar in each dialect: the `resolve` of go-yaml v2 and v3, and numbers as Go prints
//! them.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::{Number, Value};

use super::document::Dialect;
use super::time::timestamp;

/// The tags that have a meaning; with any other tag a scalar is a string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tag {
    Str,
    Bool,
    Int,
    Float,
    Null,
    Timestamp,
    Binary,
    Merge,
    Other,
}

impl Tag {
    /// The tag of that name within `tag:yaml.org,2002:`.
    pub(super) fn named(suffix: &str) -> Self {
        match suffix {
            "str" => Self::Str,
            "bool" => Self::Bool,
            "int" => Self::Int,
            "float" => Self::Float,
            "null" => Self::Null,
            "timestamp" => Self::Timestamp,
            "binary" => Self::Binary,
            "merge" => Self::Merge,
            _ => Self::Other,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Str => "!!str",
            Self::Bool => "!!bool",
            Self::Int => "!!int",
            Self::Float => "!!float",
            Self::Null => "!!null",
            Self::Timestamp => "!!timestamp",
            Self::Binary => "!!binary",
            Self::Merge => "!!merge",
            Self::Other => "another tag",
        }
    }
}

/// The resolved type and value of a scalar.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Scalar {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Float(f64),
    Text(String),
    /// Its RFC 3339 form, and the text as written.
    Time(String, String),
    /// The text `<<` of a merge key.
    Merge,
}

impl Scalar {
    /// The tag that go-yaml gives it.
    pub(super) const fn tag(&self) -> Tag {
        match self {
            Self::Null => Tag::Null,
            Self::Bool(_) => Tag::Bool,
            Self::Int(_) | Self::Uint(_) => Tag::Int,
            Self::Float(_) => Tag::Float,
            Self::Text(_) => Tag::Str,
            Self::Time(..) => Tag::Timestamp,
            Self::Merge => Tag::Merge,
        }
    }

    /// The JSON value, or why there is none.
    pub(super) fn value(self, dialect: Dialect) -> Result<Value, String> {
        Ok(match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(value),
            Self::Int(value) => Value::from(value),
            Self::Uint(value) => Value::from(value),
            Self::Float(value) => float_value(value)?,
            Self::Text(text) => Value::String(text),
            Self::Time(time, text) => Value::String(if dialect == Dialect::V3 { time } else { text }),
            Self::Merge => Value::String("<<".into()),
        })
    }
}

/// The meaning of a scalar, with the tag that forces one if `tag` is set.
pub(super) fn resolve(dialect: Dialect, tag: Option<Tag>, text: String) -> Result<Scalar, String> {
    match tag {
        Some(Tag::Str | Tag::Other | Tag::Merge) => return Ok(Scalar::Text(text)),
        Some(Tag::Binary) => return binary(&text).map(Scalar::Text),
        _ => {}
    }
    let (found, text) = plain(dialect, tag, text);
    let Some(wanted) = tag else { return Ok(found) };
    match (wanted, found) {
        (Tag::Float, Scalar::Int(value)) => Ok(Scalar::Float(int_as_float(value))),
        (wanted, found) if found.tag() == wanted => Ok(found),
        (wanted, found) => Err(format!(
            "cannot read the {} '{}' as {}",
            found.tag().name(),
            text.unwrap_or_default(),
            wanted.name()
        )),
    }
}

#[expect(clippy::cast_precision_loss, reason = "as Go's conversion of an integer that is tagged !!float")]
const fn int_as_float(value: i64) -> f64 {
    value as f64
}

/// The meaning of an untagged scalar. The text is returned too if the meaning does not contain it and a tag
/// may refuse it.
fn plain(dialect: Dialect, tag: Option<Tag>, text: String) -> (Scalar, Option<String>) {
    let kept = tag.map(|_| text.clone());
    (special(dialect, tag, &text).unwrap_or(Scalar::Text(text)), kept)
}

/// Whether an untagged scalar is a string.
pub(super) fn is_text(dialect: Dialect, text: &str) -> bool {
    special(dialect, None, text).is_none()
}

/// The meaning of an untagged scalar that is no string.
fn special(dialect: Dialect, tag: Option<Tag>, text: &str) -> Option<Scalar> {
    match text.as_bytes().first() {
        None => Some(Scalar::Null),
        Some(b'y' | b'Y' | b'n' | b'N' | b't' | b'T' | b'f' | b'F' | b'o' | b'O' | b'~') => {
            word(dialect, text)
        }
        Some(b'.') => dotted(text).map(Scalar::Float),
        Some(b'0'..=b'9' | b'+' | b'-') => {
            let time = if matches!(tag, None | Some(Tag::Timestamp)) { timestamp(text) } else { None };
            time.map(|time| Scalar::Time(time, text.to_owned())).or_else(|| number(dialect, text))
        }
        Some(b'<') if text == "<<" => Some(Scalar::Merge),
        Some(_) => None,
    }
}

fn word(dialect: Dialect, text: &str) -> Option<Scalar> {
    Some(match text {
        "true" | "True" | "TRUE" => Scalar::Bool(true),
        "false" | "False" | "FALSE" => Scalar::Bool(false),
        "~" | "null" | "Null" | "NULL" => Scalar::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" if dialect == Dialect::V2 => {
            Scalar::Bool(true)
        }
        "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" if dialect == Dialect::V2 => {
            Scalar::Bool(false)
        }
        _ => return None,
    })
}

/// A text that starts with a point.
fn dotted(text: &str) -> Option<f64> {
    match text {
        ".nan" | ".NaN" | ".NAN" => Some(f64::NAN),
        ".inf" | ".Inf" | ".INF" => Some(f64::INFINITY),
        _ if is_float(text) => parse_float(text),
        // Go takes underscores there as in its own numbers.
        _ if text.contains('_') && parts_digits(text) => dotted(&text.replace('_', "")),
        _ => None,
    }
}

/// Whether every underscore stands between two digits.
fn parts_digits(text: &str) -> bool {
    let bytes = text.as_bytes();
    let is_digit = |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_digit);
    let mut underscores = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'_');
    underscores.all(|(at, _)| is_digit(at.checked_sub(1)) && is_digit(at.checked_add(1)))
}

/// A text that starts with a digit or a sign.
fn number(dialect: Dialect, text: &str) -> Option<Scalar> {
    match text {
        "+.inf" | "+.Inf" | "+.INF" => return Some(Scalar::Float(f64::INFINITY)),
        "-.inf" | "-.Inf" | "-.INF" => return Some(Scalar::Float(f64::NEG_INFINITY)),
        _ => {}
    }
    let plain = text.replace('_', "");
    if let Some(value) = parse_int(&plain) {
        return Some(value);
    }
    if is_float(&plain)
        && let Some(value) = parse_float(&plain)
    {
        return Some(Scalar::Float(value));
    }
    if let Some(found) = signed_after_prefix(&plain, "0b", 2) {
        return Some(found);
    }
    if dialect == Dialect::V3 { signed_after_prefix(&plain, "0o", 8) } else { None }
}

/// go-yaml's second try at `0b` and `0o`, which also accepts a sign behind the prefix: `0b-1` is -1.
fn signed_after_prefix(text: &str, prefix: &str, radix: u32) -> Option<Scalar> {
    if let Some(digits) = text.strip_prefix(prefix) {
        return int_in(digits, radix);
    }
    let digits = text.strip_prefix('-')?.strip_prefix(prefix)?;
    if digits.starts_with(['+', '-']) {
        return None;
    }
    i64::from_str_radix(&format!("-{digits}"), radix).ok().map(Scalar::Int)
}

/// Go's `ParseInt(text, 0, 64)`, then `ParseUint`.
fn parse_int(text: &str) -> Option<Scalar> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (radix, digits) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &digits[2..]),
        [b'0', b'o' | b'O', ..] => (8, &digits[2..]),
        [b'0', b'b' | b'B', ..] => (2, &digits[2..]),
        [b'0', _, ..] => (8, &digits[1..]),
        _ => (10, digits),
    };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    if negative {
        return i64::from_str_radix(&format!("-{digits}"), radix).ok().map(Scalar::Int);
    }
    match int_in(digits, radix)? {
        // ParseUint takes no sign.
        Scalar::Uint(_) if text.starts_with('+') => None,
        found => Some(found),
    }
}

fn int_in(digits: &str, radix: u32) -> Option<Scalar> {
    match i64::from_str_radix(digits, radix) {
        Ok(value) => Some(Scalar::Int(value)),
        Err(_) if digits.starts_with('+') => None,
        Err(_) => u64::from_str_radix(digits, radix).ok().map(Scalar::Uint),
    }
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`
fn is_float(text: &str) -> bool {
    let text = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = text.split_once(['e', 'E']).map_or((text, None), |(m, e)| (m, Some(e)));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mantissa_ok = digits(whole) && digits(fraction) && !(whole.is_empty() && fraction.is_empty());
    let exponent_ok = exponent.is_none_or(|exponent| {
        let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        !exponent.is_empty() && digits(exponent)
    });
    mantissa_ok && exponent_ok
}

/// A float; `None` beyond the range, as for Go's `ParseFloat`.
fn parse_float(text: &str) -> Option<f64> {
    text.parse().ok().filter(|value: &f64| value.is_finite())
}

/// Decodes base64 as Go does: line breaks may be anywhere, and the bits left over are ignored. A byte that is
/// no UTF-8 becomes one replacement character, as in Go's JSON.
fn binary(text: &str) -> Result<String, String> {
    let config = GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical);
    let compact: String = text.chars().filter(|c| !matches!(c, '\n' | '\r')).collect();
    let bytes = GeneralPurpose::new(&alphabet::STANDARD, config)
        .decode(compact)
        .map_err(|_| "a !!binary value is not valid base64".to_owned())?;
    let mut decoded = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        decoded.push_str(chunk.valid());
        decoded.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    Ok(decoded)
}

/// Go's JSON writes a whole float below 1e21 without a point, so that it is read back as an integer.
fn float_value(value: f64) -> Result<Value, String> {
    if !value.is_finite() {
        return Err(
            "infinity and not-a-number have no form in JSON; quote the value if it is meant as text".into()
        );
    }
    if value.fract() == 0.0 && value.abs() < 1e20 {
        // The shortest digits are filled up with zeros. That is Go's way, and not always the exact value.
        let digits = format!("{value}");
        if let Ok(value) = digits.parse::<i64>() {
            return Ok(Value::from(value));
        }
        if let Ok(value) = digits.parse::<u64>() {
            return Ok(Value::from(value));
        }
    }
    Number::from_f64(value).map(Value::Number).ok_or_else(|| "a number has no form in JSON".into())
}

/// A float as Go's JSON prints it.
pub(super) fn float_text(value: f64) -> String {
    let size = value.abs();
    if value == 0.0 || (1e-6..1e21).contains(&size) {
        return format!("{value}");
    }
    let text = format!("{value:e}");
    if size < 1.0 { text } else { text.replace('e', "e+") }
}

/// Go's `FormatFloat(value, 'g', -1, 64)`, as go-yaml prints floats.
pub(super) fn general_float_text(value: f64) -> String {
    if value == 0.0 {
        return if value.is_sign_negative() { "-0".into() } else { "0".into() };
    }
    general(&format!("{value:e}"), || format!("{value}"))
}

/// A float as a key: Go's `FormatFloat(value, 'g', -1, 32)`, with go-yaml's words for infinities and NaN.
#[expect(clippy::cast_possible_truncation, reason = "sigs.k8s.io/yaml prints keys with 32 bits")]
pub(super) fn float_key(value: f64) -> String {
    let single = value as f32;
    if single.is_nan() {
        return ".nan".into();
    }
    if single.is_infinite() {
        return if single > 0.0 { ".inf".into() } else { "-.inf".into() };
    }
    if single == 0.0 {
        return if single.is_sign_negative() { "-0".into() } else { "0".into() };
    }
    general(&format!("{single:e}"), || format!("{single}"))
}

/// Go's format `g` of the shortest digits of a float. An exponent below -4 or above 5 is written, with at
/// least two digits.
fn general(scientific: &str, decimal: impl FnOnce() -> String) -> String {
    let Some((mantissa, exponent)) = scientific.split_once('e') else { return decimal() };
    let exponent = exponent.parse::<i32>().unwrap_or_default();
    if (-4..6).contains(&exponent) {
        return decimal();
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.abs())
}

/// Whether a scalar without quotes or tag is a date.
pub fn is_date(text: &str) -> bool {
    matches!(resolve(Dialect::V3, None, text.to_owned()), Ok(Scalar::Time(..)))
}

/// The value of a scalar without quotes or tag.
pub fn plain_value(text: &str, dialect: Dialect) -> Result<Value, String> {
    resolve(dialect, None, text.to_owned())?.value(dialect)
}
