//! Characters and stretches of a template's text.

use crate::helm::go::unicode::{self, CharacterClass, is_print};

pub(super) fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\r' | '\n')
}

pub(super) fn is_space_byte(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

pub(super) fn is_alphanumeric(character: char) -> bool {
    match character {
        '_' => true,
        _ if character.is_ascii() => character.is_ascii_alphanumeric(),
        _ => unicode::is(CharacterClass::Letter, character) || unicode::is(CharacterClass::Digit, character),
    }
}

/// The first character and its width; a byte that is no UTF-8 is U+FFFD.
pub(super) fn decode(text: &[u8]) -> Option<(char, usize)> {
    let first = *text.first()?;
    if first.is_ascii() {
        return Some((char::from(first), 1));
    }
    let (character, width) = unicode::decode(text)?;
    Some((character.unwrap_or(char::REPLACEMENT_CHARACTER), width))
}

/// The last character and its width.
pub(super) fn decode_last(text: &[u8]) -> Option<(char, usize)> {
    let last = *text.last()?;
    if last.is_ascii() {
        return Some((char::from(last), 1));
    }
    let whole = (2..=4.min(text.len()))
        .find_map(|width| decode(&text[text.len() - width..]).filter(|(_, taken)| *taken == width));
    Some(whole.unwrap_or((char::REPLACEMENT_CHARACTER, 1)))
}

pub(super) fn has_left_trim_marker(text: &[u8]) -> bool {
    text.len() >= 2 && text[0] == b'-' && is_space_byte(text[1])
}

pub(super) fn has_right_trim_marker(text: &[u8]) -> bool {
    text.len() >= 2 && is_space_byte(text[0]) && text[1] == b'-'
}

pub(super) fn trim_end(text: &[u8]) -> &[u8] {
    let end = text.iter().rposition(|byte| !is_space_byte(*byte)).map_or(0, |last| last + 1);
    &text[..end]
}

pub(super) fn leading_space(text: &[u8]) -> usize {
    text.iter().position(|byte| !is_space_byte(*byte)).unwrap_or(text.len())
}

/// The place of `needle`, which is not empty, in `text`.
pub(in crate::helm::template) fn find(text: &[u8], needle: &[u8]) -> Option<usize> {
    let mut from = 0;
    while let Some(at) = text[from..].iter().position(|byte| *byte == needle[0]) {
        if text[from + at..].starts_with(needle) {
            return Some(from + at);
        }
        from += at + 1;
    }
    None
}

/// Go's `%#U`, in which the end of the text is -1.
pub(super) fn code_point(character: Option<char>) -> String {
    match character {
        None => "U+FFFFFFFFFFFFFFFF".into(),
        Some(character) if is_print(character) => format!("U+{:04X} '{character}'", u32::from(character)),
        Some(character) => format!("U+{:04X}", u32::from(character)),
    }
}
