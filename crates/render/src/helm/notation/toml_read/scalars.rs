//! Numbers, times and texts of TOML, once it is known where they end.

use crate::helm::go::layout_read::parse_time;
use crate::helm::go::number::{NumberError, parse_int};
use crate::helm::go::quote::quote;
use crate::helm::go::time::{Time, Zone};
use crate::helm::notation::toml::{LOCAL_DATE, LOCAL_DATETIME, LOCAL_TIME};

/// The layouts of a time, and the zone of those without one.
const TIMES: [(&str, Option<&str>); 7] = [
    ("2006-01-02T15:04:05.999999999Z07:00", None),
    ("2006-01-02T15:04:05.999999999", Some(LOCAL_DATETIME)),
    ("2006-01-02", Some(LOCAL_DATE)),
    ("15:04:05.999999999", Some(LOCAL_TIME)),
    ("2006-01-02T15:04Z07:00", None),
    ("2006-01-02T15:04", Some(LOCAL_DATETIME)),
    ("15:04", Some(LOCAL_TIME)),
];

/// A text in Go's quotes.
pub(super) fn in_quotes(text: &str) -> String {
    String::from_utf8_lossy(&quote(text.as_bytes(), false)).into_owned()
}

/// A whole number, or why it is none.
pub(super) fn integer(text: &str) -> Result<i64, String> {
    let invalid = |why: &str| Err(format!("Invalid integer {}: {why}", in_quotes(text)));
    if !underscores_fit(text) {
        return invalid("underscores must be surrounded by digits");
    }
    if has_leading_zero(text) {
        return invalid("cannot have leading zeroes");
    }
    match parse_int(text.as_bytes(), 0) {
        (number, None) => Ok(number),
        (_, Some(NumberError::Range)) => Err(format!("{text} is out of range for int64")),
        (_, Some(NumberError::Syntax)) => invalid("it is no number"),
    }
}

/// A float, or why it is none.
pub(super) fn float(text: &str) -> Result<f64, String> {
    let invalid = |why: &str| Err(format!("Invalid float {}: {why}", in_quotes(text)));
    let parts: Vec<&str> = text.split(['.', 'e', 'E']).filter(|part| !part.is_empty()).collect();
    if !parts.iter().all(|part| underscores_fit(part)) {
        return invalid("underscores must be surrounded by digits");
    }
    if parts.first().is_some_and(|part| has_leading_zero(part)) {
        return invalid("cannot have leading zeroes");
    }
    let is_followed = |(at, _): (usize, &str)| text[at + 1..].starts_with(|c: char| c.is_ascii_digit());
    if !text.match_indices('.').all(is_followed) {
        return invalid("'.' must be followed by one or more digits");
    }
    let plain = text.replace('_', "");
    let is_word = plain.contains(['n', 'i']);
    let is_known = ["nan", "inf"].contains(&plain.trim_start_matches(['+', '-']));
    match plain.parse::<f64>() {
        Ok(number) if number.is_infinite() && !is_word => Err(format!("{text} is out of range for float64")),
        Ok(number) if !is_word || is_known => Ok(number),
        _ => Err(format!("Invalid float value: {}", in_quotes(text))),
    }
}

/// Whether each underscore stands between digits; those of hexadecimal numbers are digits everywhere.
fn underscores_fit(text: &str) -> bool {
    if ["nan", "inf"].contains(&text.strip_prefix(['+', '-']).unwrap_or(text)) {
        return true;
    }
    let mut is_after_digit = false;
    for c in text.chars() {
        if c == '_' && !is_after_digit {
            return false;
        }
        is_after_digit = c.is_ascii_hexdigit();
    }
    is_after_digit
}

/// Whether a number begins with a 0 that means nothing.
fn has_leading_zero(text: &str) -> bool {
    match text.as_bytes() {
        [b'0', next, ..] => !matches!(next, b'b' | b'o' | b'x'),
        [b'+' | b'-', b'0', _, ..] => true,
        _ => false,
    }
}

/// A time, or why it is none.
pub(super) fn time(text: &str) -> Result<Time, String> {
    let text = text.replace('z', "Z").replace(['t', ' '], "T");
    let wrong = || format!("invalid datetime: {}", in_quotes(&text));
    for (layout, zone) in TIMES {
        let Ok(mut time) = parse_time(layout.as_bytes(), text.as_bytes()) else { continue };
        // Go reads numbers that lack a digit, too; then what parts them stands elsewhere.
        let parts = layout.bytes().take_while(|byte| !matches!(byte, b'.' | b'Z'));
        let is_moved =
            |(at, part): (usize, u8)| !part.is_ascii_digit() && text.as_bytes().get(at) != Some(&part);
        if parts.enumerate().any(is_moved) {
            return Err(wrong());
        }
        if let Some(zone) = zone {
            time.zone = Zone::Fixed(zone.into(), 0);
        }
        return Ok(time);
    }
    Err(wrong())
}

/// A text of several lines without the line feed that it begins with.
pub(super) fn without_first_line_end(text: &str) -> &str {
    text.strip_prefix('\n').or_else(|| text.strip_prefix("\r\n")).unwrap_or(text)
}

/// A text without each backslash that ends a line, and the blanks and line ends behind it.
pub(super) fn without_escaped_line_ends(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('\\') {
        out.push_str(before);
        let next = behind.trim_start_matches([' ', '\t', '\r', '\n']);
        let blanks = &behind[..behind.len() - next.len()];
        if blanks.contains('\n') {
            rest = next;
            continue;
        }
        out.push('\\');
        rest = behind;
        if let Some(escaped) = behind.strip_prefix('\\') {
            out.push('\\');
            rest = escaped;
        }
    }
    out.push_str(rest);
    out
}

/// A string with its escapes resolved. Their digits have been checked before.
pub(super) fn unescaped(text: &str) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('\\') {
        out.push_str(before);
        let mut chars = behind.chars();
        let kind = chars.next().unwrap_or_default();
        rest = chars.as_str();
        let plain = match kind {
            'b' => Some('\u{8}'),
            't' => Some('\t'),
            'n' => Some('\n'),
            'f' => Some('\u{c}'),
            'r' => Some('\r'),
            'e' => Some('\u{1b}'),
            'x' | 'u' | 'U' => None,
            ' ' | '\t' => return Err(format!("invalid escape: '\\{kind}'")),
            other => Some(other),
        };
        if let Some(plain) = plain {
            out.push(plain);
            continue;
        }
        let length = match kind {
            'x' => 2,
            'u' => 4,
            _ => 8,
        };
        let (digits, behind) = rest.split_at_checked(length).unwrap_or((rest, ""));
        let c = u32::from_str_radix(digits, 16).ok().and_then(char::from_u32);
        out.push(c.ok_or_else(|| format!("Escaped character '\\u{digits}' is not valid UTF-8."))?);
        rest = behind;
    }
    out.push_str(rest);
    Ok(out)
}
