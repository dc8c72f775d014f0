//! Prints a value as YAML that both dialects, and other readers of YAML 1.1 and 1.2, read back equal.

use std::fmt::Write as _;

use serde_json::Value;

use super::Dialect;
use super::scalar::{float_text, is_text};

/// The longest key, as it is written, that needs no `?` before it; parsers look 1024 characters ahead.
const SIMPLE_KEY_LIMIT: usize = 900;

/// The value as one YAML document in block style, with keys in the order in which they stand.
///
/// A float without a fraction reads back as an integer, since neither reader tells the two apart.
pub fn to_string(value: &Value) -> String {
    let mut out = String::new();
    match value {
        Value::Object(map) if !map.is_empty() => mapping(&mut out, value, 0),
        Value::Array(items) if !items.is_empty() => sequence(&mut out, items, 0),
        Value::String(text) => {
            // A block scalar at the top has no parent to be indented under.
            if text.contains('\n') {
                double_quoted(&mut out, text);
            } else {
                string(&mut out, text, 0);
            }
            out.push('\n');
        }
        other => {
            atom(&mut out, other, 0);
            out.push('\n');
        }
    }
    out
}

/// Whether a string is written without quotes.
pub fn writes_plain(text: &str) -> bool {
    style(text) == Style::Plain
}

/// The entries of a mapping, the first of which the cursor stands before.
fn mapping(out: &mut String, value: &Value, indent: usize) {
    let Value::Object(map) = value else { return };
    for (at, (key, value)) in map.iter().enumerate() {
        if at > 0 {
            pad(out, indent);
        }
        let start = out.len();
        flow_string(out, key);
        if out.len() - start > SIMPLE_KEY_LIMIT {
            out.insert_str(start, "? ");
            out.push('\n');
            pad(out, indent);
        }
        out.push(':');
        match value {
            Value::Object(inner) if !inner.is_empty() => {
                out.push('\n');
                pad(out, indent + 2);
                mapping(out, value, indent + 2);
            }
            Value::Array(items) if !items.is_empty() => {
                out.push('\n');
                pad(out, indent);
                sequence(out, items, indent);
            }
            scalar => {
                out.push(' ');
                atom(out, scalar, indent + 2);
                out.push('\n');
            }
        }
    }
}

/// The items of a list, the first of which the cursor stands before.
fn sequence(out: &mut String, items: &[Value], indent: usize) {
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            pad(out, indent);
        }
        out.push_str("- ");
        match item {
            Value::Object(map) if !map.is_empty() => mapping(out, item, indent + 2),
            Value::Array(items) if !items.is_empty() => sequence(out, items, indent + 2),
            scalar => {
                atom(out, scalar, indent + 2);
                out.push('\n');
            }
        }
    }
}

fn pad(out: &mut String, indent: usize) {
    out.extend(std::iter::repeat_n(' ', indent));
}

/// Whatever fits on the line, and block scalars, whose lines are indented by `indent`.
fn atom(out: &mut String, value: &Value, indent: usize) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Number(number) => match number.as_f64() {
            Some(float) if number.is_f64() => out.push_str(&float_text(float)),
            _ => out.push_str(&number.to_string()),
        },
        Value::String(text) => string(out, text, indent),
        Value::Array(_) => out.push_str("[]"),
        Value::Object(_) => out.push_str("{}"),
    }
}

/// A string as a value; the lines of a block scalar are indented by `indent`.
fn string(out: &mut String, text: &str, indent: usize) {
    match style(text) {
        Style::Literal => block(out, text, indent),
        style => on_one_line(out, text, style),
    }
}

/// A string on one line.
fn flow_string(out: &mut String, text: &str) {
    on_one_line(out, text, style(text));
}

fn on_one_line(out: &mut String, text: &str, style: Style) {
    match style {
        Style::Plain => out.push_str(text),
        Style::Single => {
            out.push('\'');
            out.push_str(&text.replace('\'', "''"));
            out.push('\'');
        }
        Style::Double | Style::Literal => double_quoted(out, text),
    }
}

/// How a string is written. The choice is that of go-yaml v2, because Flux replaces variables in the text that it writes,
/// and it is by the quotes around a variable what its value may do.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    Plain,
    Single,
    Double,
    Literal,
}

fn style(text: &str) -> Style {
    if is_word(text) {
        return if is_ambiguous(text) { Style::Double } else { Style::Plain };
    }
    // Most texts are ASCII, which is taken apart faster by its bytes.
    let analysis = if text.is_ascii() {
        Analysis::of(text, text.bytes().map(char::from))
    } else {
        Analysis::of(text, text.chars())
    };
    if analysis.line_feeds {
        if analysis.fits_block { Style::Literal } else { Style::Double }
    } else if is_ambiguous(text) {
        Style::Double
    } else if analysis.fits_plain {
        Style::Plain
    } else if analysis.fits_single {
        Style::Single
    } else {
        Style::Double
    }
}

/// Whether a text is one of the most frequent kind, in which no sign has a meaning: names, kinds, versions, paths.
fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'/'))
}

/// What libyaml's emitter finds out about a string, for a value outside of flow collections.
struct Analysis {
    line_feeds: bool,
    fits_plain: bool,
    fits_single: bool,
    fits_block: bool,
}

impl Analysis {
    fn of(text: &str, chars: impl Iterator<Item = char>) -> Self {
        let is_break = |c: char| matches!(c, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}');
        let is_blank = |c: char| matches!(c, ' ' | '\t') || is_break(c);
        let mut indicators = text.starts_with("---") || text.starts_with("...");
        let (mut special, mut line_feeds, mut other_breaks) = (false, false, false);
        let (mut space_then_break, mut break_then_space) = (false, false);
        let mut previous: Option<char> = None;
        let mut chars = chars.peekable();
        while let Some(c) = chars.next() {
            // Most signs are letters, which mean nothing.
            if c.is_ascii_alphanumeric() {
                previous = Some(c);
                continue;
            }
            indicators |= match c {
                '#' => previous.is_none_or(is_blank),
                ':' => chars.peek().is_none_or(|next| is_blank(*next)),
                '?' | '-' => previous.is_none() && chars.peek().is_none_or(|next| is_blank(*next)),
                ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@' | '`' => {
                    previous.is_none()
                }
                _ => false,
            };
            special |= c != '\n' && needs_escape(c);
            line_feeds |= c == '\n';
            other_breaks |= c != '\n' && is_break(c);
            break_then_space |= c == ' ' && previous.is_some_and(is_break);
            space_then_break |= is_break(c) && previous == Some(' ');
            previous = Some(c);
        }
        let at_edge = |c: char| c == ' ' || is_break(c);
        let edges = text.starts_with(at_edge) || text.ends_with(at_edge);
        let quotable = !space_then_break && !special;
        let breaks = line_feeds || other_breaks;
        Self {
            line_feeds,
            fits_plain: quotable && !edges && !break_then_space && !breaks && !indicators,
            fits_single: quotable && !break_then_space,
            fits_block: quotable && previous != Some(' ') && !other_breaks,
        }
    }
}

/// Whether some reader takes the text for something else than a string when it is not quoted.
fn is_ambiguous(text: &str) -> bool {
    let other = |dialect| !is_text(dialect, text);
    // Sexagesimal numbers and further forms of YAML 1.1 and 1.2 begin as numbers do.
    let numeric = text.trim_start_matches(['+', '-', '.']).starts_with(|c: char| c.is_ascii_digit())
        && text
            .chars()
            .all(|c| c.is_ascii_hexdigit() || matches!(c, '+' | '-' | '.' | ':' | '_' | 'x' | 'X' | 'o'));
    text == "=" || numeric || other(Dialect::V2) || other(Dialect::V3)
}

/// Characters that only double quotes can hold, or that some reader does not take as they are.
fn needs_escape(c: char) -> bool {
    !matches!(c, ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}')
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}')
}

fn double_quoted(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if needs_escape(c) => {
                let code = u32::from(c);
                // Writing to a string does not fail.
                let _ = match code {
                    0..=0xff => write!(out, "\\x{code:02X}"),
                    0x100..=0xffff => write!(out, "\\u{code:04X}"),
                    _ => write!(out, "\\U{code:08X}"),
                };
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

fn block(out: &mut String, text: &str, indent: usize) {
    let body = text.trim_end_matches('\n');
    out.push('|');
    if text.starts_with([' ', '\n']) {
        // The first line cannot show where the indentation ends.
        out.push('2');
    }
    match text.len() - body.len() {
        0 => out.push('-'),
        1 if !body.is_empty() => {}
        _ => out.push('+'),
    }
    for line in text.strip_suffix('\n').unwrap_or(text).split('\n') {
        out.push('\n');
        if !line.is_empty() {
            pad(out, indent);
            out.push_str(line);
        }
    }
}
