//! The tokens of a document: names, strings, numbers, words and times.

use super::cursor::{TomlCursor, TomlFault, is_line_end, shown};
use super::scalars::in_quotes;
use crate::helm::go::unicode::{CharacterClass, is};

/// The kind of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TomlTokenKind {
    /// A string without escapes.
    Raw,
    /// A string of several lines without escapes.
    RawLines,
    /// A text with escapes.
    Text,
    /// A text with escapes, of several lines.
    Lines,
    Bool,
    Integer,
    Float,
    Time,
}

/// A piece of a document.
#[derive(Debug)]
pub(super) struct TomlToken<'t> {
    pub(super) kind: TomlTokenKind,
    pub(super) text: &'t str,
    /// The line in which it ends.
    pub(super) line: usize,
}

type Taken<'t> = Result<TomlToken<'t>, TomlFault>;

impl<'t> TomlCursor<'t> {
    fn token(&self, kind: TomlTokenKind, text: &'t [u8]) -> TomlToken<'t> {
        // Each character was read as UTF-8 on the way.
        TomlToken { kind, text: std::str::from_utf8(text).unwrap_or_default(), line: self.line() }
    }

    /// A name without quotes, which may be empty.
    pub(super) fn bare(&mut self) -> Taken<'t> {
        let start = self.at();
        self.skip(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))?;
        Ok(self.token(TomlTokenKind::Raw, self.since(start)))
    }

    /// A text in one of its four forms, behind its first quote.
    pub(super) fn text(&mut self, quote: char) -> Taken<'t> {
        if self.accept(quote)? {
            if self.accept(quote)? {
                return self.lines(quote);
            }
            self.back(1);
        }
        self.quoted(quote)
    }

    /// A text on one line, behind the quote that it begins with.
    pub(super) fn quoted(&mut self, quote: char) -> Taken<'t> {
        let start = self.at();
        loop {
            match self.take()? {
                None => {
                    let wanted = if quote == '"' { "'\"'" } else { "\"'\"" };
                    return Err(self.fault_of(None, format!("unexpected EOF; expected {wanted}")));
                }
                Some(c) if is_line_end(c) => {
                    return Err(self.fault_before("strings cannot contain newlines".into()));
                }
                Some('\\') if quote == '"' => self.escape(start)?,
                Some(c) if c == quote => {
                    let text = self.since(start);
                    let kind = if quote == '"' { TomlTokenKind::Text } else { TomlTokenKind::Raw };
                    return Ok(self.token(kind, &text[..text.len() - 1]));
                }
                Some(_) => {}
            }
        }
    }

    /// A text of several lines, behind the three quotes that it begins with. It may end with two quotes of
    /// its own.
    fn lines(&mut self, quote: char) -> Taken<'t> {
        let start = self.at();
        let (is_basic, three) = (quote == '"', quote.to_string().repeat(3));
        loop {
            match self.take()? {
                None => {
                    let wanted = if is_basic { format!("'{three}'") } else { format!("\"{three}\"") };
                    return Err(self.fault_of(None, format!("unexpected EOF; expected {wanted}")));
                }
                Some('\\') if is_basic => {
                    if self.peek()?.is_some_and(is_line_end) {
                        self.take()?;
                    } else {
                        self.escape(start)?;
                    }
                }
                Some(c) if c == quote && self.accept(quote)? => {
                    if !self.accept(quote)? {
                        self.back(1);
                        continue;
                    }
                    let text = self.since(start);
                    if self.peek()? != Some(quote) {
                        let kind = if is_basic { TomlTokenKind::Lines } else { TomlTokenKind::RawLines };
                        return Ok(self.token(kind, &text[..text.len() - 3]));
                    }
                    let six = three.repeat(2);
                    let five = text.ends_with(&six.as_bytes()[1..]);
                    let is_escaped = is_basic && text.ends_with(b"\\\"\"\"\"\"");
                    if five && !is_escaped {
                        let told = if is_basic { format!("'{six}'") } else { format!("\"{six}\"") };
                        return Err(self.fault(format!("unexpected {told}")));
                    }
                    self.back(2);
                }
                Some(_) => {}
            }
        }
    }

    /// An escape in a string that begins at `start`, after its backslash.
    fn escape(&mut self, start: usize) -> Result<(), TomlFault> {
        let (digits, told) = match self.take()? {
            Some('b' | 't' | 'n' | 'f' | 'r' | 'e' | '"' | '\\' | ' ' | '\t') => return Ok(()),
            Some('x') => (2, "two hexadecimal digits after '\\x'"),
            Some('u') => (4, "four hexadecimal digits after '\\u'"),
            Some('U') => (8, "eight hexadecimal digits after '\\U'"),
            other => {
                let message = format!("invalid escape in string '\\{}'", other.unwrap_or_default());
                return Err(if other.is_none() { self.fault_before(message) } else { self.fault(message) });
            }
        };
        for _ in 0..digits {
            let taken = self.take()?;
            if !taken.is_some_and(|c| c.is_ascii_hexdigit()) {
                let read = in_quotes(&String::from_utf8_lossy(self.since(start)));
                return Err(self.fault_of(taken, format!("expected {told}, but got {read} instead")));
            }
        }
        Ok(())
    }

    /// A number, a word or a time. What no value begins with is a fault.
    pub(super) fn scalar(&mut self) -> Taken<'t> {
        let start = self.at();
        let first = self.take()?;
        match first {
            Some('0'..='9') => self.number(start, first),
            Some('+' | '-') => self.signed(start),
            Some('.') => Err(self.fault("floats must start with a digit, not '.'".into())),
            Some('i' | 'n')
                if (self.accept('n')? && self.accept('f')?) || (self.accept('a')? && self.accept('n')?) =>
            {
                Ok(self.token(TomlTokenKind::Float, self.since(start)))
            }
            Some(c) if is_letter(c) => {
                // For a word that begins like one of these floats, only its end is checked.
                let goes_on = self.since(start).len() > c.len_utf8();
                self.back(if goes_on { 1 } else { c.len_utf8() });
                let word = self.at();
                self.skip(is_letter)?;
                match self.since(word) {
                    b"true" | b"false" => Ok(self.token(TomlTokenKind::Bool, self.since(word))),
                    other => {
                        let other = in_quotes(&String::from_utf8_lossy(other));
                        let message = format!("expected value but found {other} instead");
                        Err(self.fault(message))
                    }
                }
            }
            None => Err(self.fault_of(None, "unexpected EOF; expected value".into())),
            Some('\n') => Err(self.fault_before("expected value but found '\\n' instead".into())),
            other => {
                let message = format!("expected value but found {} instead", shown(other));
                Err(self.fault_of(other, message))
            }
        }
    }

    /// A token that begins with a digit, which was taken.
    fn number(&mut self, start: usize, first: Option<char>) -> Taken<'t> {
        if first == Some('0') {
            let bases: [(char, &str, fn(char) -> bool); 3] = [
                ('b', "a binary", |c| matches!(c, '0' | '1')),
                ('o', "an octal", |c| matches!(c, '0'..='7')),
                ('x', "a hexadecimal", |c| c.is_ascii_hexdigit()),
            ];
            let next = self.peek()?;
            if let Some((_, name, is_digit)) = bases.into_iter().find(|(mark, ..)| Some(*mark) == next) {
                self.take()?;
                let digit = self.peek()?;
                if !digit.is_some_and(is_digit) {
                    return Err(self.not_of_base(start, &format!("not {name} number"), digit));
                }
                self.skip(|c| is_digit(c) || c == '_')?;
                return Ok(self.token(TomlTokenKind::Integer, self.since(start)));
            }
            if !next.is_some_and(|c| c.is_ascii_digit()) {
                return self.decimal(start);
            }
        }
        self.skip(|c| c.is_ascii_digit())?;
        if self.peek()?.is_some_and(|c| matches!(c, '-' | ':')) {
            self.skip(|c| {
                c.is_ascii_digit() || matches!(c, '-' | ':' | 'T' | 't' | ' ' | '.' | 'Z' | 'z' | '+')
            })?;
            return Ok(self.token(TomlTokenKind::Time, self.since(start).trim_ascii()));
        }
        self.decimal(start)
    }

    fn not_of_base(&self, start: usize, what: &str, next: Option<char>) -> TomlFault {
        let read = String::from_utf8_lossy(self.since(start)).into_owned();
        self.fault(format!("{what}: '{read}{}'", next.unwrap_or_default()))
    }

    /// The rest of a decimal number: a float, if it has a point or an exponent.
    fn decimal(&mut self, start: usize) -> Taken<'t> {
        self.skip(|c| c.is_ascii_digit() || c == '_')?;
        if !self.peek()?.is_some_and(|c| matches!(c, '.' | 'e' | 'E')) {
            return Ok(self.token(TomlTokenKind::Integer, self.since(start)));
        }
        self.skip(|c| c.is_ascii_digit() || matches!(c, '_' | '.' | '-' | '+' | 'e' | 'E'))?;
        Ok(self.token(TomlTokenKind::Float, self.since(start)))
    }

    /// A number after its sign.
    fn signed(&mut self, start: usize) -> Taken<'t> {
        let first = self.take()?;
        match first {
            Some(word @ ('i' | 'n')) => {
                let rest = if word == 'i' { ['n', 'f'] } else { ['a', 'n'] };
                if self.accept(rest[0])? && self.accept(rest[1])? {
                    return Ok(self.token(TomlTokenKind::Float, self.since(start)));
                }
                let read = String::from_utf8_lossy(self.since(start)).into_owned();
                Err(self.fault(format!("invalid float: '{read}'")))
            }
            Some('.') => Err(self.fault("floats must start with a digit, not '.'".into())),
            Some(c) if c.is_ascii_digit() => {
                let next = self.peek()?;
                if c == '0' && next.is_some_and(|c| matches!(c, 'b' | 'o' | 'x')) {
                    return Err(self.not_of_base(start, "cannot use sign with non-decimal numbers", next));
                }
                self.decimal(start)
            }
            other => Err(self.fault_of(other, format!("expected a digit but got {}", shown(other)))),
        }
    }
}

fn is_letter(c: char) -> bool {
    is(CharacterClass::Letter, c)
}
