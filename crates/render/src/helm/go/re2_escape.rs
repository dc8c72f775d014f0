//! Escapes in Go's regular expressions, and the flags and mistakes that all parts of a pattern share.

type Done<T> = Result<T, SyntaxError>;

/// Why Go refuses a pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("error parsing regexp: {reason}: `{part}`")]
pub struct SyntaxError {
    reason: &'static str,
    part: String,
}

impl SyntaxError {
    pub(super) fn new(reason: &'static str, part: impl Into<String>) -> Self {
        Self { reason, part: part.into() }
    }
}

/// The flags at a place.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "Go has as many flags")]
pub(super) struct RegexFlags {
    pub(super) ignore_case: bool,
    pub(super) multi_line: bool,
    pub(super) dot_all: bool,
    pub(super) ungreedy: bool,
}

/// A character in the notation of the `regex` crate, inside or outside of a class.
pub(super) fn character(c: char) -> String {
    if c.is_ascii_alphanumeric() || !c.is_ascii() {
        c.to_string()
    } else {
        format!("\\x{{{:X}}}", u32::from(c))
    }
}

/// Takes an escape that stands for one character.
pub(super) fn take_escape(rest: &mut &str) -> Done<char> {
    let here = *rest;
    let mut chars = here.chars();
    chars.next();
    let Some(c) = chars.next() else {
        return Err(SyntaxError::new("trailing backslash at end of expression", ""));
    };
    let after = chars.as_str();
    let invalid =
        |after: &str| SyntaxError::new("invalid escape sequence", &here[..here.len() - after.len()]);
    *rest = after;
    Ok(match c {
        // A single digit would be a back reference.
        '1'..='7' if !after.starts_with(|c| matches!(c, '0'..='7')) => return Err(invalid(after)),
        '0'..='7' => {
            let digits = after.bytes().take(2).take_while(|byte| matches!(byte, b'0'..=b'7')).count();
            *rest = &after[digits..];
            let code = u32::from_str_radix(&here[1..2 + digits], 8).unwrap_or_default();
            char::from_u32(code).unwrap_or_default()
        }
        'x' => take_hex(rest, after).ok_or_else(|| {
            // Go's message contains the text that it had read when it gave up.
            invalid(rest)
        })?,
        'a' => '\u{7}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\u{b}',
        c if c.is_ascii() && !c.is_ascii_alphanumeric() => c,
        _ => return Err(invalid(after)),
    })
}

/// `{10FFFF}` or two digits, after `\x`. The text that was read stays taken.
fn take_hex<'t>(rest: &mut &'t str, after: &'t str) -> Option<char> {
    let mut chars = after.chars();
    let first = chars.next();
    *rest = chars.as_str();
    if first != Some('{') {
        let second = chars.next();
        *rest = chars.as_str();
        let code = first?.to_digit(16)? * 16 + second?.to_digit(16)?;
        return char::from_u32(code);
    }
    let (mut code, mut digits) = (0, 0);
    loop {
        let c = chars.next()?;
        *rest = chars.as_str();
        if c == '}' {
            break;
        }
        code = code * 16 + c.to_digit(16)?;
        if code > 0x0010_ffff {
            return None;
        }
        digits += 1;
    }
    // A surrogate is a character to Go, and matches nothing.
    (digits > 0).then(|| char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER))
}
