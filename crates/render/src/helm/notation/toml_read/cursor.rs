//! The text of a TOML document, character by character, and the lines that Go's reader names.

use crate::helm::go::quote::quote_char;
use crate::helm::go::unicode::decode;

/// The fault of a text, with its line, from 1. If the text ends too early, Go may give the line before the
/// last, or line 0.
#[derive(Debug)]
pub(super) struct TomlFault {
    pub(super) line: usize,
    pub(super) message: String,
}

/// A place in a text.
#[derive(Debug)]
pub(super) struct TomlCursor<'t> {
    text: &'t [u8],
    at: usize,
    line: usize,
}

impl<'t> TomlCursor<'t> {
    pub(super) const fn new(text: &'t [u8]) -> Self {
        Self { text, at: 0, line: 1 }
    }

    /// How many bytes stand before the cursor.
    pub(super) const fn at(&self) -> usize {
        self.at
    }

    /// The line of the cursor, from 1.
    pub(super) const fn line(&self) -> usize {
        self.line
    }

    /// The text between an earlier place and the cursor.
    pub(super) fn since(&self, start: usize) -> &'t [u8] {
        &self.text[start..self.at]
    }

    /// The next character; `None` at the end. What is no UTF-8, and a control character, is a fault.
    pub(super) fn peek(&self) -> Result<Option<char>, TomlFault> {
        let rest = &self.text[self.at..];
        let Some((read, _)) = decode(rest) else { return Ok(None) };
        let c = read.map_err(|byte| self.fault(format!("invalid UTF-8 byte: 0x{byte:02x}")))?;
        let is_half_a_line_end = c == '\r' && rest.get(1) != Some(&b'\n');
        if is_half_a_line_end || (c.is_ascii_control() && !matches!(c, '\t' | '\r' | '\n')) {
            let message = format!("TOML files cannot contain control characters: '0x{:02x}'", u32::from(c));
            return Err(self.fault(message));
        }
        Ok(Some(c))
    }

    /// Goes on by a character.
    pub(super) fn take(&mut self) -> Result<Option<char>, TomlFault> {
        let next = self.peek()?;
        if let Some(c) = next {
            self.at += c.len_utf8();
            self.line += usize::from(c == '\n');
        }
        Ok(next)
    }

    /// Goes on by this character, where it is the next.
    pub(super) fn accept(&mut self, wanted: char) -> Result<bool, TomlFault> {
        let is_next = self.peek()? == Some(wanted);
        if is_next {
            self.take()?;
        }
        Ok(is_next)
    }

    /// Skips all characters of a class.
    pub(super) fn skip(&mut self, is_of_it: impl Fn(char) -> bool) -> Result<(), TomlFault> {
        while self.peek()?.is_some_and(&is_of_it) {
            self.take()?;
        }
        Ok(())
    }

    /// Goes back by so many bytes of this line.
    pub(super) const fn back(&mut self, bytes: usize) {
        self.at -= bytes;
    }

    /// A fault in the line of the cursor.
    pub(super) const fn fault(&self, message: String) -> TomlFault {
        TomlFault { line: self.line, message }
    }

    /// A fault about the last character. At the end of a text, the line is the last that is not empty.
    pub(super) fn fault_of(&self, taken: Option<char>, message: String) -> TomlFault {
        let ends_a_line = taken.is_none() && self.at > 0 && self.text[self.at - 1] == b'\n';
        TomlFault { line: self.line - usize::from(ends_a_line), message }
    }

    /// A fault in the line before that of the cursor.
    pub(super) const fn fault_before(&self, message: String) -> TomlFault {
        TomlFault { line: self.line - 1, message }
    }
}

pub(super) const fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t')
}

pub(super) const fn is_line_end(c: char) -> bool {
    matches!(c, '\n' | '\r')
}

/// A character in quotes, as Go shows it; the end of a text is the character 0.
pub(super) fn shown(c: Option<char>) -> String {
    String::from_utf8_lossy(&quote_char(c.unwrap_or('\0'), false)).into_owned()
}
