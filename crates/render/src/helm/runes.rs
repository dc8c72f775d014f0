//! Characters as Go sees them in a string of bytes, and Unicode's categories as its `unicode` package asks for them.

use std::sync::OnceLock;

use regex_syntax::hir::{Class, HirKind};

/// The first character of a text and how many bytes it takes. Bytes that are no UTF-8 are U+FFFD, one byte each.
pub fn decode(text: &[u8]) -> Option<(char, usize)> {
    let first = *text.first()?;
    if first < 0x80 {
        return Some((char::from(first), 1));
    }
    let width = match first {
        0xC2..=0xDF => 2,
        0xE0..=0xEF => 3,
        0xF0..=0xF4 => 4,
        _ => return Some((char::REPLACEMENT_CHARACTER, 1)),
    };
    let character = text.get(..width).and_then(|bytes| std::str::from_utf8(bytes).ok());
    Some(character.and_then(|text| text.chars().next()).map_or((char::REPLACEMENT_CHARACTER, 1), |c| (c, width)))
}

/// The last character of a text and how many bytes it takes, as [`decode`].
pub fn decode_last(text: &[u8]) -> Option<(char, usize)> {
    let last = *text.last()?;
    if last < 0x80 {
        return Some((char::from(last), 1));
    }
    for width in 2..=4.min(text.len()) {
        let from = text.len() - width;
        if let Some((character, taken)) = decode(&text[from..])
            && taken == width
        {
            return Some((character, width));
        }
    }
    Some((char::REPLACEMENT_CHARACTER, 1))
}

/// The characters of a text, as Go's `range` over a string gives them.
pub fn runes(text: &[u8]) -> impl Iterator<Item = (usize, char)> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        let (character, width) = decode(&text[at..])?;
        let from = at;
        at += width;
        Some((from, character))
    })
}

/// `unicode.IsLetter`
pub fn is_letter(character: char) -> bool {
    static RANGES: OnceLock<Vec<(char, char)>> = OnceLock::new();
    if character.is_ascii() { character.is_ascii_alphabetic() } else { is_in(&RANGES, r"\pL", character) }
}

/// `unicode.IsDigit`
pub fn is_digit(character: char) -> bool {
    static RANGES: OnceLock<Vec<(char, char)>> = OnceLock::new();
    if character.is_ascii() { character.is_ascii_digit() } else { is_in(&RANGES, r"\p{Nd}", character) }
}

/// `unicode.IsPrint`: letters, marks, numbers, punctuation, symbols and the ASCII space.
pub fn is_print(character: char) -> bool {
    static RANGES: OnceLock<Vec<(char, char)>> = OnceLock::new();
    if character.is_ascii() {
        character == ' ' || character.is_ascii_graphic()
    } else {
        is_in(&RANGES, r"[\pL\pM\pN\pP\pS]", character)
    }
}

/// Whether a character is in a class, whose ranges are worked out once.
fn is_in(known: &OnceLock<Vec<(char, char)>>, class: &str, character: char) -> bool {
    let ranges = known.get_or_init(|| {
        let Ok(parsed) = regex_syntax::parse(class) else { return Vec::new() };
        match parsed.into_kind() {
            HirKind::Class(Class::Unicode(class)) => {
                class.ranges().iter().map(|range| (range.start(), range.end())).collect()
            }
            _ => Vec::new(),
        }
    });
    let after = ranges.partition_point(|(start, _)| *start <= character);
    after.checked_sub(1).is_some_and(|at| character <= ranges[at].1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_no_text_are_replaced_one_by_one() {
        let text = b"a\xff\xe2\x82\xac\xe2\x82\xed\xa0\x80";
        let seen: Vec<(usize, char)> = runes(text).collect();
        let bad = char::REPLACEMENT_CHARACTER;
        let expected =
            [(0, 'a'), (1, bad), (2, '€'), (5, bad), (6, bad), (7, bad), (8, bad), (9, bad)];
        assert_eq!(seen, expected);
        assert_eq!(decode_last(b"x\xe2\x82\xac"), Some(('€', 3)));
        assert_eq!(decode_last(b"x\x82\xac"), Some((bad, 1)));
    }

    #[test]
    fn categories_are_unicodes() {
        assert!(is_letter('é') && is_letter('ª') && !is_letter('\u{301}') && !is_letter('Ⅷ'));
        assert!(is_digit('٣') && !is_digit('²'));
        assert!(is_print('\u{301}') && is_print(' ') && !is_print('\u{a0}') && !is_print('\u{ad}'));
    }
}
