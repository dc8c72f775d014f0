//! Texts in quotes, as Go's `strconv` writes them.

use super::unicode::{decode, is_print};

/// `strconv.Quote`, or `QuoteToASCII`.
pub fn quote(bytes: &[u8], ascii: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + 2);
    out.push(b'"');
    let mut rest = bytes;
    while let Some((c, width)) = decode(rest) {
        match c {
            Ok(c) => push(&mut out, c, '"', ascii),
            Err(byte) => out.extend_from_slice(format!("\\x{byte:02x}").as_bytes()),
        }
        rest = &rest[width..];
    }
    out.push(b'"');
    out
}

/// `strconv.QuoteRune`, or `QuoteRuneToASCII`.
pub fn quote_char(c: char, ascii: bool) -> Vec<u8> {
    let mut out = vec![b'\''];
    push(&mut out, c, '\'', ascii);
    out.push(b'\'');
    out
}

fn push(out: &mut Vec<u8>, c: char, quote: char, ascii: bool) {
    let escaped = match c {
        _ if c == quote || c == '\\' => format!("\\{c}"),
        _ if (c.is_ascii() || !ascii) && is_print(c) => c.to_string(),
        '\u{7}' => "\\a".into(),
        '\u{8}' => "\\b".into(),
        '\u{c}' => "\\f".into(),
        '\n' => "\\n".into(),
        '\r' => "\\r".into(),
        '\t' => "\\t".into(),
        '\u{b}' => "\\v".into(),
        _ if c < ' ' || c == '\u{7f}' => format!("\\x{:02x}", u32::from(c)),
        _ if u32::from(c) < 0x10000 => format!("\\u{:04x}", u32::from(c)),
        _ => format!("\\U{:08x}", u32::from(c)),
    };
    out.extend_from_slice(escaped.as_bytes());
}

/// `strconv.CanBackquote`: whether the text can stand between backquotes unchanged.
pub fn can_backquote(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    while let Some((c, width)) = decode(rest) {
        let fits = match c {
            Ok('\u{feff}' | '`' | '\u{7f}') | Err(_) => false,
            Ok(c) => c >= ' ' || c == '\t',
        };
        if !fits {
            return false;
        }
        rest = &rest[width..];
    }
    true
}
