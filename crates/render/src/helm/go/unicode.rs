//! Characters as Go's `unicode` and `strconv` class them. Go knows Unicode 15.0; characters of later versions
//! are unassigned to it.

use std::sync::OnceLock;

use regex_syntax::hir::{Class, ClassUnicode, HirKind};

/// Classes of characters that functions use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CharacterClass {
    /// `unicode.IsLetter`
    Letter,
    /// `unicode.IsUpper`
    Upper,
    /// `unicode.IsLower`
    Lower,
    /// `unicode.IsTitle`
    Title,
    /// `unicode.IsNumber`
    Number,
    /// `unicode.IsDigit`
    Digit,
    /// `unicode.IsPunct`
    Punct,
    /// `strconv.IsPrint` beyond the space
    Graphic,
}

const PATTERNS: [(CharacterClass, &str); 8] = [
    (CharacterClass::Letter, r"[\p{L}&&\p{age:15.0}]"),
    (CharacterClass::Upper, r"[\p{Lu}&&\p{age:15.0}]"),
    (CharacterClass::Lower, r"[\p{Ll}&&\p{age:15.0}]"),
    (CharacterClass::Title, r"[\p{Lt}&&\p{age:15.0}]"),
    (CharacterClass::Number, r"[\p{N}&&\p{age:15.0}]"),
    (CharacterClass::Digit, r"[\p{Nd}&&\p{age:15.0}]"),
    (CharacterClass::Punct, r"[\p{P}&&\p{age:15.0}]"),
    (CharacterClass::Graphic, r"[[\p{L}\p{M}\p{N}\p{P}\p{S}]&&\p{age:15.0}]"),
];

/// Whether a character is of a class.
pub fn is(category: CharacterClass, c: char) -> bool {
    static TABLES: OnceLock<Vec<(CharacterClass, ClassUnicode)>> = OnceLock::new();
    let tables = TABLES.get_or_init(|| PATTERNS.iter().map(|(name, text)| (*name, class(text))).collect());
    let table = tables.iter().find(|(name, _)| *name == category);
    table.is_some_and(|(_, class)| {
        let ranges = class.ranges();
        let at = ranges.partition_point(|range| range.end() < c);
        ranges.get(at).is_some_and(|range| range.start() <= c)
    })
}

/// The characters of a class of the `regex` crate; none for an unknown class.
fn class(pattern: &str) -> ClassUnicode {
    match regex_syntax::parse(pattern).map(regex_syntax::hir::Hir::into_kind) {
        Ok(HirKind::Class(Class::Unicode(class))) => class,
        _ => ClassUnicode::empty(),
    }
}

/// `unicode.IsSpace`.
pub fn is_space(c: char) -> bool {
    // Rust's class and Go's have the same characters.
    c.is_whitespace()
}

/// `strconv.IsPrint`: letters, marks, numbers, punctuation, symbols and the ASCII space.
pub fn is_print(c: char) -> bool {
    if c.is_ascii() { (' '..='~').contains(&c) } else { is(CharacterClass::Graphic, c) }
}

/// `unicode.ToUpper`: always one character.
pub fn to_upper(c: char) -> char {
    match c {
        // The full upper case of these has several characters, and Go's simple one is the title case.
        '\u{1f80}'..='\u{1f87}' | '\u{1f90}'..='\u{1f97}' | '\u{1fa0}'..='\u{1fa7}' => shifted(c, 8),
        '\u{1fb3}' | '\u{1fc3}' | '\u{1ff3}' => shifted(c, 9),
        _ => single(c, c.to_uppercase()),
    }
}

/// `unicode.ToLower`.
pub fn to_lower(c: char) -> char {
    if c == '\u{130}' { 'i' } else { single(c, c.to_lowercase()) }
}

/// `unicode.ToTitle`.
pub fn to_title(c: char) -> char {
    match c {
        '\u{1c4}'..='\u{1c6}' => '\u{1c5}',
        '\u{1c7}'..='\u{1c9}' => '\u{1c8}',
        '\u{1ca}'..='\u{1cc}' => '\u{1cb}',
        '\u{1f1}'..='\u{1f3}' => '\u{1f2}',
        // Georgian letters have an upper case that titles do not use.
        '\u{10d0}'..='\u{10fa}' | '\u{10fd}'..='\u{10ff}' => c,
        _ => to_upper(c),
    }
}

fn shifted(c: char, by: u32) -> char {
    char::from_u32(u32::from(c) + by).unwrap_or(c)
}

fn single(c: char, mut mapped: impl Iterator<Item = char>) -> char {
    match (mapped.next(), mapped.next()) {
        (Some(only), None) if is_known(only) => only,
        _ => c,
    }
}

/// Whether Unicode 15.0 has the character. Case pairs that were added later are no pairs to Go.
fn is_known(c: char) -> bool {
    c.is_ascii() || is(CharacterClass::Graphic, c)
}

/// The next character of a string of Go: each byte that is no UTF-8 is one U+FFFD of width 1.
pub fn decode(bytes: &[u8]) -> Option<(Result<char, u8>, usize)> {
    let first = *bytes.first()?;
    if first < 0x80 {
        return Some((Ok(char::from(first)), 1));
    }
    let longest = &bytes[..bytes.len().min(4)];
    let valid = match std::str::from_utf8(longest) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&longest[..error.valid_up_to()]).unwrap_or_default(),
    };
    Some(match valid.chars().next() {
        Some(c) => (Ok(c), c.len_utf8()),
        None => (Err(first), 1),
    })
}

/// The last character of a non-empty string, and its length.
pub fn decode_last(bytes: &[u8]) -> (char, usize) {
    for width in 1..=bytes.len().min(4) {
        if let Some((Ok(c), length)) = decode(&bytes[bytes.len() - width..])
            && length == width
        {
            return (c, width);
        }
    }
    (char::REPLACEMENT_CHARACTER, 1)
}

/// The characters of a string, as `range` returns them in Go.
pub fn chars(bytes: &[u8]) -> impl Iterator<Item = char> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let (c, width) = decode(rest)?;
        rest = &rest[width..];
        Some(c.unwrap_or(char::REPLACEMENT_CHARACTER))
    })
}

/// `utf8.RuneCount`.
pub fn count(bytes: &[u8]) -> usize {
    if bytes.is_ascii() { bytes.len() } else { chars(bytes).count() }
}

/// Every character changed, as `strings.Map`: bytes that are no UTF-8 become U+FFFD.
pub fn mapped(bytes: &[u8], mut change: impl FnMut(char) -> char) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut buffer = [0; 4];
    for c in chars(bytes) {
        out.extend_from_slice(change(c).encode_utf8(&mut buffer).as_bytes());
    }
    out
}
