//! Names in other cases (`snakecase`, `camelcase`, `kebabcase`), as the Go library `xstrings` writes them.

use crate::helm::function::Function;
use crate::helm::go::unicode::{self, CharacterClass, decode};
use crate::helm::value::Type as T;

pub(super) const TABLE: &[Function] = &[
    Function::new("snakecase", &[T::String], |_, a| Ok(lower_words(a.bytes(0), '_').into())),
    Function::new("kebabcase", &[T::String], |_, a| Ok(lower_words(a.bytes(0), '-').into())),
    Function::new("camelcase", &[T::String], |_, a| Ok(pascal_case(a.bytes(0)).into())),
];

fn is_connector(c: char) -> bool {
    c == '-' || c == '_' || unicode::is_space(c)
}

fn is_upper(c: char) -> bool {
    unicode::is(CharacterClass::Upper, c)
}

/// A letter that is no Chinese character.
fn is_alphabet(c: char) -> bool {
    let is_chinese =
        matches!(c, '\u{3400}'..='\u{4d85}' | '\u{4e00}'..='\u{9fcc}' | '\u{20000}'..='\u{2b81d}');
    unicode::is(CharacterClass::Letter, c) && !is_chinese
}

fn pascal_case(text: &[u8]) -> String {
    let mut out = String::new();
    let chars: Vec<char> = unicode::chars(text).collect();
    let lead = chars.iter().take_while(|c| is_connector(**c)).count();
    out.extend(&chars[..lead]);
    let Some(first) = chars.get(lead) else {
        return out_of_connectors(&chars);
    };
    let mut last = unicode::to_upper(*first);
    let mut after_upper = is_upper(*first);
    for c in &chars[lead + 1..] {
        let before = last;
        last = *c;
        if is_connector(last) && is_connector(before) {
            out.push(before);
            continue;
        }
        if is_connector(before) {
            after_upper = is_upper(last);
            last = unicode::to_upper(last);
        } else {
            if after_upper {
                if is_upper(last) {
                    last = unicode::to_lower(last);
                } else {
                    after_upper = false;
                }
            }
            out.push(before);
        }
    }
    out.push(last);
    out
}

/// The result for a text of connectors only: the last one is doubled.
fn out_of_connectors(chars: &[char]) -> String {
    chars.iter().chain(chars.last()).collect()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    /// The text has ended, or its rest is invalid.
    Invalid,
    Number,
    Upper,
    Alphabet,
    Connector,
    Punct,
    Other,
}

/// The next valid character and its end; the previous character if there is none.
fn next_valid(text: &[u8], previous: char) -> (char, usize) {
    let mut size = 0;
    while let Some((c, width)) = decode(&text[size..]) {
        size += width;
        if let Ok(c) = c
            && c != char::REPLACEMENT_CHARACTER
        {
            return (c, size);
        }
    }
    (previous, size)
}

/// Goes on while `fits` returns true; returns the end of that run and the last character.
fn run(text: &[u8], mut at: usize, mut c: char, fits: impl Fn(char) -> bool) -> (usize, char) {
    while at < text.len() {
        let (next, size) = next_valid(&text[at..], c);
        c = next;
        if !fits(c) {
            break;
        }
        at += size;
    }
    (at, c)
}

/// The first word of a text and its length.
fn next_word(text: &[u8]) -> (Word, usize) {
    if text.is_empty() {
        return (Word::Invalid, 0);
    }
    let (c, size) = next_valid(text, char::REPLACEMENT_CHARACTER);
    if c == char::REPLACEMENT_CHARACTER {
        return (Word::Invalid, size);
    }
    if is_connector(c) {
        return (Word::Connector, run(text, size, c, is_connector).0);
    }
    if unicode::is(CharacterClass::Punct, c) {
        return (Word::Punct, run(text, size, c, |c| unicode::is(CharacterClass::Punct, c)).0);
    }
    if is_upper(c) {
        return (Word::Upper, upper_word(text, size, c));
    }
    if is_alphabet(c) {
        return (Word::Alphabet, run(text, size, c, |c| is_alphabet(c) && !is_upper(c)).0);
    }
    if unicode::is(CharacterClass::Number, c) {
        return (Word::Number, run(text, size, c, |c| unicode::is(CharacterClass::Number, c)).0);
    }
    let is_other = |c| {
        let is_word =
            is_alphabet(c) || unicode::is(CharacterClass::Number, c) || unicode::is(CharacterClass::Punct, c);
        !is_connector(c) && !is_word
    };
    (Word::Other, run(text, size, c, is_other).0)
}

/// The length of a word that begins with an upper letter: `HTTP` of `HTTPStatus`, `Status` of `StatusCode`.
fn upper_word(text: &[u8], first: usize, c: char) -> usize {
    if first >= text.len() {
        return first;
    }
    let (second, size) = next_valid(&text[first..], c);
    if is_upper(second) {
        let mut at = first + size;
        let mut previous = size;
        let mut last = second;
        while at < text.len() {
            let (next, size) = next_valid(&text[at..], last);
            last = next;
            if !is_upper(next) {
                break;
            }
            previous = size;
            at += size;
        }
        // The last upper letter begins the next word.
        return if at < text.len() && is_alphabet(last) { at - previous } else { at };
    }
    if is_alphabet(second) {
        return run(text, first + size, second, |c| is_alphabet(c) && !is_upper(c)).0;
    }
    first
}

/// Writes the words of a text in lower case with a connector between them.
struct Words<'t> {
    rest: &'t [u8],
    kind: Word,
    word: &'t [u8],
    out: Vec<u8>,
    connector: char,
}

impl<'t> Words<'t> {
    fn step(&mut self) {
        let (kind, length) = next_word(self.rest);
        self.kind = kind;
        (self.word, self.rest) = self.rest.split_at(length);
    }

    fn push(&mut self, c: char) {
        self.out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    }

    fn write(&mut self, kind: Word, word: &'t [u8]) {
        if kind != Word::Upper && kind != Word::Connector {
            self.out.extend_from_slice(word);
            return;
        }
        for c in unicode::chars(word) {
            let c = if is_connector(c) { self.connector } else { c };
            self.push(if is_upper(c) { unicode::to_lower(c) } else { c });
        }
    }

    fn write_while_alphanumeric(&mut self) {
        while matches!(self.kind, Word::Alphabet | Word::Number) {
            self.write(self.kind, self.word);
            self.step();
        }
        if !matches!(self.kind, Word::Invalid | Word::Punct | Word::Connector) {
            self.push(self.connector);
        }
    }

    /// Handles the text between a word and the next one, which may be a number that belongs to the word.
    fn after_word(&mut self) {
        if self.kind != Word::Number {
            if self.kind != Word::Connector && self.kind != Word::Punct {
                self.push(self.connector);
            }
            return;
        }
        if self.rest.is_empty() {
            return;
        }
        let number = self.word;
        self.step();
        if self.kind != Word::Alphabet {
            self.write(Word::Number, number);
            if self.kind != Word::Connector && self.kind != Word::Punct {
                self.push(self.connector);
            }
            return;
        }
        self.push(self.connector);
        self.write(Word::Number, number);
        self.write_while_alphanumeric();
    }
}

fn lower_words(text: &[u8], connector: char) -> Vec<u8> {
    if text.is_empty() {
        return Vec::new();
    }
    let mut words = Words { rest: text, kind: Word::Invalid, word: &[], out: Vec::new(), connector };
    words.step();
    while !words.rest.is_empty() {
        if words.kind != Word::Connector {
            words.write(words.kind, words.word);
        }
        let (previous, word) = (words.kind, words.word);
        words.step();
        match previous {
            Word::Number => words.write_while_alphanumeric(),
            Word::Connector => words.write(previous, word),
            Word::Punct => {}
            _ => words.after_word(),
        }
    }
    words.write(words.kind, words.word);
    words.out
}
