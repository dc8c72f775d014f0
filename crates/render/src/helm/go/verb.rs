//! The verbs of a format of Go's `fmt`: flags, widths, precisions, and the argument that each takes.

use std::ops::Range;

use super::format::VerbFlags;
use super::unicode::decode;
use crate::helm::value::Value;

/// A format, and the place of the reader in it.
pub(super) struct VerbReader<'f> {
    format: &'f [u8],
    pub(super) at: usize,
    /// The index of the next argument.
    pub(super) next: usize,
    count: usize,
    /// Whether an argument was named by its number.
    pub(super) reordered: bool,
    /// Whether all argument numbers since the last `%` were valid.
    pub(super) fits: bool,
    /// Go's texts about invalid widths and precisions.
    pub(super) mistakes: Vec<&'static str>,
}

/// Larger widths and precisions are no numbers to Go.
const MOST: i64 = 1_000_000;

impl<'f> VerbReader<'f> {
    pub(super) fn new(format: &'f [u8], count: usize) -> Self {
        Self { format, at: 0, next: 0, count, reordered: false, fits: true, mistakes: Vec::new() }
    }

    /// Reads flags, width, precision and verb behind a `%`; `None` if the format ends before the verb.
    pub(super) fn verb(&mut self, flags: &mut VerbFlags, arguments: &[Value]) -> Option<char> {
        self.fits = true;
        loop {
            match self.peek() {
                Some(b'#') => flags.sharp = true,
                Some(b'0') => flags.zero = true,
                Some(b'+') => flags.plus = true,
                Some(b'-') => flags.minus = true,
                Some(b' ') => flags.space = true,
                _ => break,
            }
            self.at += 1;
        }
        let mut after_index = self.index();
        if self.peek() == Some(b'*') {
            self.at += 1;
            match self.number_of(arguments) {
                Some(width) => {
                    flags.width = usize::try_from(width.unsigned_abs()).ok();
                    if width < 0 {
                        flags.minus = true;
                        flags.zero = false;
                    }
                }
                None => self.mistakes.push("%!(BADWIDTH)"),
            }
            after_index = false;
        } else {
            flags.width = self.number();
            if after_index && flags.width.is_some() {
                self.fits = false;
            }
        }
        if self.peek() == Some(b'.') && self.at + 1 < self.format.len() {
            self.at += 1;
            if after_index {
                self.fits = false;
            }
            after_index = self.index();
            if self.peek() == Some(b'*') {
                self.at += 1;
                let precision = self.number_of(arguments).and_then(|number| usize::try_from(number).ok());
                if precision.is_none() {
                    self.mistakes.push("%!(BADPREC)");
                }
                flags.precision = precision;
                after_index = false;
            } else {
                flags.precision = Some(self.number().unwrap_or_default());
            }
        }
        if !after_index {
            self.index();
        }
        let (verb, width) = decode(self.format.get(self.at..)?)?;
        self.at += width;
        Some(verb.unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn peek(&self) -> Option<u8> {
        self.format.get(self.at).copied()
    }

    /// The text before the next `%`; `None` at the end.
    pub(super) fn literal(&mut self) -> Option<Range<usize>> {
        let start = self.at;
        if start >= self.format.len() {
            return None;
        }
        let rest = &self.format[start..];
        self.at = start + rest.iter().position(|byte| *byte == b'%').unwrap_or(rest.len());
        Some(start..self.at)
    }

    /// Digits at the cursor. A number that is too large moves the cursor to the end, as in Go.
    fn number(&mut self) -> Option<usize> {
        let (number, end) = number_in(self.format, self.at, self.format.len());
        self.at = end;
        number
    }

    /// The argument of a `*`, if it is a whole number that is not too large.
    fn number_of(&mut self, arguments: &[Value]) -> Option<i64> {
        let argument = arguments.get(self.next)?;
        self.next += 1;
        let number = match argument {
            Value::Int(number) | Value::Int64(number) => *number,
            Value::Uint8(number) => i64::from(*number),
            Value::Uint64(number) => i64::try_from(*number).ok()?,
            Value::Object(object) => object.number()?,
            _ => return None,
        };
        (-MOST..=MOST).contains(&number).then_some(number)
    }

    /// Reads `[3]`, which makes the third argument the next one.
    fn index(&mut self) -> bool {
        if self.peek() != Some(b'[') {
            return false;
        }
        self.reordered = true;
        let rest = &self.format[self.at..];
        let close = if rest.len() < 3 { None } else { rest.iter().position(|byte| *byte == b']') };
        let Some(close) = close else {
            self.at += 1;
            self.fits = false;
            return false;
        };
        let (number, end) = number_in(rest, 1, close);
        self.at += close + 1;
        match number.filter(|_| end == close) {
            Some(number) if number >= 1 && number <= self.count => {
                self.next = number - 1;
                true
            }
            Some(_) => {
                self.fits = false;
                true
            }
            None => {
                self.fits = false;
                false
            }
        }
    }
}

/// The number of the digits from `start` on, and their end.
fn number_in(text: &[u8], start: usize, end: usize) -> (Option<usize>, usize) {
    let mut number = None;
    let mut at = start;
    while at < end && text[at].is_ascii_digit() {
        let so_far = number.unwrap_or(0_usize);
        if i64::try_from(so_far).unwrap_or(i64::MAX) > MOST {
            return (None, end);
        }
        number = Some(so_far * 10 + usize::from(text[at] - b'0'));
        at += 1;
    }
    (number, at)
}
