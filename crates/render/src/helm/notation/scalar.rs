//! How goyaml.v2 writes a text: whether it would be read as something else, and in which styles it can stand.

use crate::helm::go::layout;
use crate::helm::go::number::{parse_int, parse_uint};
use crate::helm::go::parse_float;

/// The style of a scalar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    SingleQuoted,
    DoubleQuoted,
    Literal,
}

/// What goyaml's emitter finds out about a text.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "the emitter's own list")]
pub(super) struct Analysis {
    pub(super) multiline: bool,
    plain_allowed: bool,
    single_quoted_allowed: bool,
    block_allowed: bool,
}

/// Whether goyaml takes the character for printable. Those beyond the first plane are none to it.
pub(super) fn is_printable(c: char) -> bool {
    matches!(c, '\n' | ' '..='~' | '\u{a0}'..='\u{fffd}') && c != '\u{feff}'
}

/// Whether a line ends here in YAML 1.1.
pub(super) fn is_break(c: char) -> bool {
    matches!(c, '\r' | '\n' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

fn is_blank(c: char) -> bool {
    c == ' ' || c == '\t'
}

/// Looks at a text as goyaml's emitter does.
pub(super) fn analyze(text: &str) -> Analysis {
    if text.is_empty() {
        return Analysis {
            multiline: false,
            plain_allowed: true,
            single_quoted_allowed: true,
            block_allowed: false,
        };
    }
    let mut indicators = text.starts_with("---") || text.starts_with("...");
    let (mut line_breaks, mut special) = (false, false);
    let (mut break_space, mut space_break) = (false, false);
    let (mut previous_space, mut previous_break, mut after_blank) = (false, false, true);
    let mut chars = text.chars().peekable();
    let mut is_first = true;
    while let Some(c) = chars.next() {
        let before_blank = chars.peek().is_none_or(|next| is_blank(*next));
        indicators |= match c {
            ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@' | '`' => {
                is_first
            }
            '?' | '-' => is_first && before_blank,
            ':' => before_blank,
            '#' => is_first || after_blank,
            _ => false,
        };
        special |= !is_printable(c);
        if c == ' ' {
            break_space |= previous_break;
        } else if is_break(c) {
            line_breaks = true;
            space_break |= previous_space;
        }
        (previous_space, previous_break) = (c == ' ', is_break(c));
        after_blank = is_blank(c) || is_break(c) || c == '\0';
        is_first = false;
    }
    let at_edge = |c: Option<char>| c.is_some_and(|c| c == ' ' || is_break(c));
    let edges = at_edge(text.chars().next()) || at_edge(text.chars().next_back());
    let folds = break_space || space_break || special;
    Analysis {
        multiline: line_breaks,
        plain_allowed: !(edges || folds || line_breaks || indicators),
        single_quoted_allowed: !folds,
        block_allowed: !(text.ends_with(' ') || space_break || special),
    }
}

/// The style in which goyaml writes a text that it was asked to write in another one.
pub(super) fn select(asked: Style, text: &str, analysis: Analysis, is_simple_key: bool) -> Style {
    let mut style = asked;
    if is_simple_key && analysis.multiline {
        style = Style::DoubleQuoted;
    }
    if style == Style::Plain && (!analysis.plain_allowed || (text.is_empty() && is_simple_key)) {
        style = Style::SingleQuoted;
    }
    if style == Style::SingleQuoted && !analysis.single_quoted_allowed {
        style = Style::DoubleQuoted;
    }
    if style == Style::Literal && (!analysis.block_allowed || is_simple_key) {
        style = Style::DoubleQuoted;
    }
    style
}

/// The style that goyaml asks for: quotes for what would be read as something else than a text.
pub(super) fn asked_style(text: &str) -> Style {
    if text.contains('\n') {
        Style::Literal
    } else if is_read_as_text(text) && !is_base_60(text) {
        Style::Plain
    } else {
        Style::DoubleQuoted
    }
}

const WORDS: [&str; 38] = [
    "y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON", "n", "N", "no", "No", "NO",
    "false", "False", "FALSE", "off", "Off", "OFF", "~", "null", "Null", "NULL", ".nan", ".NaN", ".NAN",
    ".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF", "-.inf", "-.Inf", "-.INF",
];

/// Whether a reader of YAML 1.1 takes the plain text for a string.
fn is_read_as_text(text: &str) -> bool {
    let Some(first) = text.bytes().next() else { return false };
    match first {
        b'y' | b'Y' | b'n' | b'N' | b't' | b'T' | b'f' | b'F' | b'o' | b'O' | b'~' => !WORDS.contains(&text),
        b'.' => !WORDS.contains(&text) && parse_float(text.as_bytes()).is_err(),
        b'+' | b'-' | b'0'..=b'9' => !WORDS.contains(&text) && !is_timestamp(text) && !is_number(text),
        _ => true,
    }
}

fn is_number(text: &str) -> bool {
    let plain = text.replace('_', "");
    let is_int = |text: &[u8], base| parse_int(text, base).1.is_none();
    let is_uint = |text: &[u8], base| parse_uint(text, base).1.is_none();
    if is_int(plain.as_bytes(), 0) || is_uint(plain.as_bytes(), 0) {
        return true;
    }
    if is_float_of_yaml(&plain) && parse_float(plain.as_bytes()).is_ok() {
        return true;
    }
    if let Some(digits) = plain.strip_prefix("0b") {
        return is_int(digits.as_bytes(), 2) || is_uint(digits.as_bytes(), 2);
    }
    plain.strip_prefix("-0b").is_some_and(|digits| is_int(format!("-{digits}").as_bytes(), 2))
}

/// `^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$`
fn is_float_of_yaml(text: &str) -> bool {
    let text = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['-', '+']).unwrap_or(exponent))),
        None => (text, None),
    };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
    let fits = if whole.is_empty() { !fraction.is_empty() && mantissa.contains('.') } else { true };
    fits && digits(whole) && digits(fraction) && exponent.is_none_or(|e| !e.is_empty() && digits(e))
}

const TIMESTAMPS: [&[u8]; 4] = [
    b"2006-1-2T15:4:5.999999999Z07:00",
    b"2006-1-2t15:4:5.999999999Z07:00",
    b"2006-1-2 15:4:5.999999999",
    b"2006-1-2",
];

fn is_timestamp(text: &str) -> bool {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    digits == 4
        && text.as_bytes().get(4) == Some(&b'-')
        && TIMESTAMPS.iter().any(|layout| layout::parse(layout, text.as_bytes()).is_ok())
}

/// `^[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?$`: what YAML 1.1 takes for a number to the base 60.
fn is_base_60(text: &str) -> bool {
    let text = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut parts = whole.split(':');
    let first = parts.next().unwrap_or_default();
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_');
    let is_part = |part: &str| match part.as_bytes() {
        [digit] => digit.is_ascii_digit(),
        [tens, digit] => matches!(tens, b'0'..=b'5') && digit.is_ascii_digit(),
        _ => false,
    };
    let mut count = 0;
    first.starts_with(|c: char| c.is_ascii_digit())
        && is_digits(first)
        && is_digits(fraction)
        && parts.all(|part| {
            count += 1;
            is_part(part)
        })
        && count > 0
}
