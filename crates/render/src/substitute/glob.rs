//! Globs as envsubst matches them: `*`, `?`, classes such as `[a-c]` and `[^x]`, and a backslash before a
//! literal character. They match bytes. A malformed glob matches nothing, because the matching would have to
//! pass the mistake.

use crate::budget::{Budget, Cost, Spent};

/// A parsed glob: the chunks between its stars.
#[derive(Debug)]
pub(super) struct ShellGlob(Vec<Chunk>);

#[derive(Debug)]
struct Chunk {
    /// Whether a star precedes it.
    star: bool,
    elements: Vec<Element>,
}

#[derive(Debug)]
enum Element {
    Byte(u8),
    /// `?`: one character.
    Any,
    /// A class: one character that is, or is not, in one of the ranges.
    Class {
        ranges: Vec<(char, char)>,
        negated: bool,
    },
}

impl ShellGlob {
    /// Reads a glob; `None` if a class or an escape is not closed.
    pub(super) fn read(pattern: &str) -> Option<Self> {
        let mut pattern = pattern.as_bytes();
        let mut chunks = Vec::new();
        while !pattern.is_empty() {
            let (star, chunk, rest) = next_chunk(pattern);
            chunks.push(Chunk { star, elements: elements(chunk)? });
            pattern = rest;
        }
        Some(Self(chunks))
    }

    /// The length of the shortest or longest start of `text` that the glob matches; 0 if it matches only the
    /// empty one.
    pub(super) fn start(&self, text: &[u8], longest: bool, budget: &Budget) -> Result<usize, Spent> {
        let is_byte = |element: &Element| matches!(element, Element::Byte(_));
        if text.is_ascii() || self.0.iter().flat_map(|chunk| &chunk.elements).all(is_byte) {
            return self.even_start(text, longest, budget);
        }
        // A character that is cut by the end of a start counts as several, so each start is matched by
        // itself.
        let mut found = 0;
        for length in (1..=text.len()).rev() {
            if self.matches(&text[..length], budget)? {
                found = length;
                if longest {
                    break;
                }
            }
        }
        Ok(found)
    }

    /// [`Glob::start`] for globs whose elements each take one byte. Then a chunk before the last star has the
    /// same first place in every start that contains it, so one pass finds these places for all starts.
    fn even_start(&self, text: &[u8], longest: bool, budget: &Budget) -> Result<usize, Spent> {
        let Some((last, before)) = self.0.split_last() else { return Ok(0) };
        let Some(from) = Self::end_of(before, text, budget)? else { return Ok(0) };
        let size = last.elements.len();
        let Some(to) = text.len().checked_sub(size).filter(|to| *to >= from) else { return Ok(0) };
        // An empty start does not count.
        let first = from.max(usize::from(size == 0));
        let mut places = first..=if last.star { to } else { from };
        while let Some(place) = if longest { places.next_back() } else { places.next() } {
            if last.end(&text[place..], budget)?.is_some() {
                return Ok(place + size);
            }
        }
        Ok(0)
    }

    /// Whether the glob matches a whole text.
    fn matches(&self, text: &[u8], budget: &Budget) -> Result<bool, Spent> {
        let Some((last, before)) = self.0.split_last() else { return Ok(text.is_empty()) };
        let Some(from) = Self::end_of(before, text, budget)? else { return Ok(false) };
        if last.star && last.elements.is_empty() {
            return Ok(true);
        }
        for place in from..=if last.star { text.len() } else { from } {
            if last.end(&text[place..], budget)? == Some(text.len() - place) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The end of the chunks if each has its first possible place; `None` if one has no place.
    fn end_of(chunks: &[Chunk], text: &[u8], budget: &Budget) -> Result<Option<usize>, Spent> {
        let mut at = 0;
        for chunk in chunks {
            let mut places = at..=if chunk.star { text.len() } else { at };
            at = loop {
                let Some(place) = places.next() else { return Ok(None) };
                if let Some(length) = chunk.end(&text[place..], budget)? {
                    break place + length;
                }
            };
        }
        Ok(Some(at))
    }
}

impl Chunk {
    /// The number of bytes that it takes at the start of a text; `None` if it does not match there.
    fn end(&self, text: &[u8], budget: &Budget) -> Result<Option<usize>, Spent> {
        let (mut at, mut steps) = (0, 1);
        let mut matched = true;
        for element in &self.elements {
            steps += 1;
            let Some(length) = element.length(&text[at..]) else {
                matched = false;
                break;
            };
            at += length;
        }
        budget.spend(Cost::Steps, steps)?;
        Ok(matched.then_some(at))
    }
}

impl Element {
    /// The number of bytes that it takes at the start of a text; `None` if it does not match there.
    fn length(&self, text: &[u8]) -> Option<usize> {
        let first = *text.first()?;
        match self {
            Self::Byte(byte) => (*byte == first).then_some(1),
            Self::Any => Some(first_char(text).1),
            Self::Class { ranges, negated } => {
                let (c, length) = first_char(text);
                let found = ranges.iter().any(|(low, high)| (low..=high).contains(&&c));
                (found != *negated).then_some(length)
            }
        }
    }
}

/// Whether the pattern begins with stars, the text up to the next star, and the rest.
fn next_chunk(pattern: &[u8]) -> (bool, &[u8], &[u8]) {
    let stars = pattern.iter().take_while(|byte| **byte == b'*').count();
    let pattern = &pattern[stars..];
    let (mut in_class, mut at) = (false, 0);
    while at < pattern.len() {
        match pattern[at] {
            b'\\' if at + 1 < pattern.len() => at += 1,
            b'[' => in_class = true,
            b']' => in_class = false,
            b'*' if !in_class => break,
            _ => {}
        }
        at += 1;
    }
    (stars > 0, &pattern[..at], &pattern[at..])
}

/// Reads a chunk, which has no stars; `None` if a class or an escape is not closed.
fn elements(mut chunk: &[u8]) -> Option<Vec<Element>> {
    let mut elements = Vec::with_capacity(chunk.len());
    while let [first, rest @ ..] = chunk {
        let (element, rest) = match first {
            b'[' => class(rest)?,
            b'?' => (Element::Any, rest),
            b'\\' => {
                let (escaped, rest) = rest.split_first()?;
                (Element::Byte(*escaped), rest)
            }
            byte => (Element::Byte(*byte), rest),
        };
        elements.push(element);
        chunk = rest;
    }
    Some(elements)
}

/// A class, whose bracket has been read, and the rest of the pattern.
fn class(mut pattern: &[u8]) -> Option<(Element, &[u8])> {
    let negated = pattern.first() == Some(&b'^');
    if negated {
        pattern = &pattern[1..];
    }
    let mut ranges = Vec::new();
    loop {
        if let ([b']', rest @ ..], false) = (pattern, ranges.is_empty()) {
            return Some((Element::Class { ranges, negated }, rest));
        }
        let (low, rest) = class_char(pattern)?;
        let (high, rest) = if rest[0] == b'-' { class_char(&rest[1..])? } else { (low, rest) };
        ranges.push((low, high));
        pattern = rest;
    }
}

/// A character of a class, and the rest of the pattern, which is never empty.
fn class_char(pattern: &[u8]) -> Option<(char, &[u8])> {
    let pattern = match pattern {
        [] | [b'-' | b']', ..] => return None,
        [b'\\', rest @ ..] => rest,
        other => other,
    };
    if pattern.is_empty() {
        return None;
    }
    let (c, length) = first_char(pattern);
    match &pattern[length..] {
        [] => None,
        rest => Some((c, rest)),
    }
}

/// The first character and its length; an invalid byte counts as one character.
fn first_char(text: &[u8]) -> (char, usize) {
    let start = &text[..text.len().min(4)];
    let valid = match std::str::from_utf8(start) {
        Ok(valid) => valid,
        Err(error) => std::str::from_utf8(&start[..error.valid_up_to()]).unwrap_or_default(),
    };
    valid.chars().next().map_or((char::REPLACEMENT_CHARACTER, 1), |c| (c, c.len_utf8()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(pattern: &str, text: &str, longest: bool) -> Option<usize> {
        let glob = ShellGlob::read(pattern)?;
        Some(glob.start(text.as_bytes(), longest, &Budget::default()).unwrap())
    }

    #[test]
    fn globs_match_as_a_shell_does() {
        for (pattern, text, shortest, longest) in [
            ("*", "ab", 1, 2),
            ("", "ab", 0, 0),
            ("a*c", "abcbcb", 3, 5),
            ("a*b*c", "aXbYbZcc", 7, 8),
            ("*b*", "abcbc", 2, 5),
            ("*b", "abcbc", 2, 4),
            ("a?c", "ac", 0, 0),
            ("a?c", "a\u{e9}c", 4, 4),
            ("*?", "\u{e9}x", 1, 3),
            (r"\*", "*", 1, 1),
            (r"\*", "a", 0, 0),
            ("[a-c]x", "bx", 2, 2),
            ("[^a-c]x", "bx", 0, 0),
            (r"[\]]", "]", 1, 1),
            ("[a*]", "*", 1, 1),
            ("a*a", "a", 0, 0),
            ("a*a", "aaa", 2, 3),
        ] {
            assert_eq!(start(pattern, text, false), Some(shortest), "{pattern} {text}");
            assert_eq!(start(pattern, text, true), Some(longest), "{pattern} {text}");
        }
        for malformed in ["[a", "[]", "a[", "\\", "[^]*", "[a-]"] {
            assert!(ShellGlob::read(malformed).is_none(), "{malformed}");
        }
    }

    #[test]
    fn a_star_takes_steps_in_proportion_to_the_text() {
        let text = "a".repeat(100_000);
        for pattern in ["*b", "*a", "*a*b", "*[a-z]*[0-9]", "*?*b"] {
            for longest in [false, true] {
                let budget = Budget::default();
                ShellGlob::read(pattern).unwrap().start(text.as_bytes(), longest, &budget).unwrap();
                let steps = budget.spent(Cost::Steps);
                assert!(steps < 500_000, "{pattern} takes {steps} steps");
            }
        }
        let long = format!("*{}b", "a".repeat(50_000));
        let spent = ShellGlob::read(&long).unwrap().start(text.as_bytes(), false, &Budget::default());
        assert_eq!(spent, Err(Spent::Count(Cost::Steps)));
    }
}
