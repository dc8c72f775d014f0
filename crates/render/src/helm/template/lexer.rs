//! Cuts a template into tokens, as `text/template/parse` does.

mod text;
mod token;

use crate::helm::go::quote::quote;

pub(super) use text::find;
use text::{
    code_point, decode, decode_last, has_left_trim_marker, has_right_trim_marker, is_alphanumeric, is_space,
    leading_space, trim_end,
};
pub(super) use token::{Item, TokenKind};

const TRIM_MARKER_LEN: usize = 2;

/// The state in which the lexer continues.
enum Step {
    Text,
    LeftDelim,
    Comment,
    RightDelim,
    Done,
}

pub(super) struct Lexer<'s> {
    input: &'s [u8],
    pos: usize,
    start: usize,
    at_eof: bool,
    paren_depth: usize,
    line: usize,
    start_line: usize,
    item: Item,
    inside_action: bool,
}

impl<'s> Lexer<'s> {
    pub(super) fn new(input: &'s [u8]) -> Self {
        let item = Item { kind: TokenKind::Eof, pos: 0, end: 0, line: 1, message: None };
        Self {
            input,
            pos: 0,
            start: 0,
            at_eof: false,
            paren_depth: 0,
            line: 1,
            start_line: 1,
            item,
            inside_action: false,
        }
    }

    pub(super) fn next_item(&mut self) -> Item {
        self.item = Item {
            kind: TokenKind::Eof,
            pos: self.pos,
            end: self.pos,
            line: self.start_line,
            message: Some("EOF".into()),
        };
        let mut step = if self.inside_action { self.lex_inside_action() } else { Step::Text };
        loop {
            step = match step {
                Step::Text => self.lex_text(),
                Step::LeftDelim => self.lex_left_delim(),
                Step::Comment => self.lex_comment(),
                Step::RightDelim => self.lex_right_delim(),
                Step::Done => return self.item.clone(),
            };
        }
    }

    fn rest(&self) -> &'s [u8] {
        &self.input[self.pos..]
    }

    fn next(&mut self) -> Option<char> {
        let Some((character, width)) = decode(self.rest()) else {
            self.at_eof = true;
            return None;
        };
        self.pos += width;
        if character == '\n' {
            self.line += 1;
        }
        Some(character)
    }

    fn peek(&mut self) -> Option<char> {
        let next = self.next();
        self.backup();
        next
    }

    fn backup(&mut self) {
        if self.at_eof || self.pos == 0 {
            return;
        }
        if let Some((character, width)) = decode_last(&self.input[..self.pos]) {
            self.pos -= width;
            if character == '\n' {
                self.line -= 1;
            }
        }
    }

    fn this_item(&mut self, kind: TokenKind) -> Item {
        let item = Item { kind, pos: self.start, end: self.pos, line: self.start_line, message: None };
        self.start = self.pos;
        self.start_line = self.line;
        item
    }

    fn emit(&mut self, kind: TokenKind) -> Step {
        self.item = self.this_item(kind);
        Step::Done
    }

    fn count_lines(&mut self) {
        let passed = &self.input[self.start..self.pos];
        self.line += memchr::memchr_iter(b'\n', passed).count();
    }

    fn ignore(&mut self) {
        self.count_lines();
        self.start = self.pos;
        self.start_line = self.line;
    }

    fn accept(&mut self, valid: &str) -> bool {
        if self.next().is_some_and(|character| valid.contains(character)) {
            return true;
        }
        self.backup();
        false
    }

    fn accept_run(&mut self, valid: &str) {
        while self.next().is_some_and(|character| valid.contains(character)) {}
        self.backup();
    }

    fn error(&mut self, message: impl Into<String>) -> Step {
        let message = Some(message.into());
        self.item =
            Item { kind: TokenKind::Error, pos: self.start, end: self.start, line: self.start_line, message };
        self.start = 0;
        self.pos = 0;
        self.input = &[];
        Step::Done
    }

    fn lex_text(&mut self) -> Step {
        if let Some(at) = find(self.rest(), b"{{") {
            if at > 0 {
                self.pos += at;
                let before = &self.input[self.start..self.pos];
                let has_marker = has_left_trim_marker(&self.input[self.pos + 2..]);
                let trimmed = if has_marker { before.len() - trim_end(before).len() } else { 0 };
                self.pos -= trimmed;
                self.count_lines();
                let item = self.this_item(TokenKind::Text);
                self.pos += trimmed;
                self.ignore();
                if item.end > item.pos {
                    self.item = item;
                    return Step::Done;
                }
            }
            return Step::LeftDelim;
        }
        self.pos = self.input.len();
        if self.pos > self.start {
            self.count_lines();
            return self.emit(TokenKind::Text);
        }
        self.emit(TokenKind::Eof)
    }

    /// Whether the lexer is at a right delimiter, and whether that one trims.
    fn at_right_delim(&self) -> Option<bool> {
        let rest = self.rest();
        if has_right_trim_marker(rest) && rest[TRIM_MARKER_LEN..].starts_with(b"}}") {
            return Some(true);
        }
        rest.starts_with(b"}}").then_some(false)
    }

    fn lex_left_delim(&mut self) -> Step {
        self.pos += 2;
        let after_marker = if has_left_trim_marker(self.rest()) { TRIM_MARKER_LEN } else { 0 };
        if self.rest()[after_marker..].starts_with(b"/*") {
            self.pos += after_marker;
            self.ignore();
            return Step::Comment;
        }
        let item = self.this_item(TokenKind::LeftDelim);
        self.inside_action = true;
        self.pos += after_marker;
        self.ignore();
        self.paren_depth = 0;
        self.item = item;
        Step::Done
    }

    fn lex_comment(&mut self) -> Step {
        self.pos += 2;
        let Some(at) = find(self.rest(), b"*/") else { return self.error("unclosed comment") };
        self.pos += at + 2;
        let Some(trims) = self.at_right_delim() else {
            return self.error("comment ends before closing delimiter");
        };
        self.count_lines();
        self.start = self.pos;
        self.start_line = self.line;
        if trims {
            self.pos += TRIM_MARKER_LEN;
        }
        self.pos += 2;
        if trims {
            self.pos += leading_space(self.rest());
        }
        self.ignore();
        Step::Text
    }

    fn lex_right_delim(&mut self) -> Step {
        let trims = self.at_right_delim() == Some(true);
        if trims {
            self.pos += TRIM_MARKER_LEN;
            self.ignore();
        }
        self.pos += 2;
        let item = self.this_item(TokenKind::RightDelim);
        if trims {
            self.pos += leading_space(self.rest());
            self.ignore();
        }
        self.inside_action = false;
        self.item = item;
        Step::Done
    }

    fn lex_inside_action(&mut self) -> Step {
        if self.at_right_delim().is_some() {
            if self.paren_depth == 0 {
                return Step::RightDelim;
            }
            return self.error("unclosed left paren");
        }
        let Some(character) = self.next() else { return self.error("unclosed action") };
        match character {
            ' ' | '\t' | '\r' | '\n' => {
                self.backup();
                self.lex_space()
            }
            '=' => self.emit(TokenKind::Assign),
            ':' if self.next() == Some('=') => self.emit(TokenKind::Declare),
            ':' => self.error("expected :="),
            '|' => self.emit(TokenKind::Pipe),
            '"' => self.lex_quote('"', "unterminated quoted string", TokenKind::String),
            '`' => self.lex_raw_quote(),
            '$' if self.at_terminator() => self.emit(TokenKind::Variable),
            '$' => self.lex_field_or_variable(TokenKind::Variable),
            '\'' => self.lex_quote('\'', "unterminated character constant", TokenKind::CharConstant),
            '.' if self.rest().first().is_some_and(|byte| !byte.is_ascii_digit()) => {
                self.lex_field_or_variable(TokenKind::Field)
            }
            '.' | '+' | '-' | '0'..='9' => {
                self.backup();
                self.lex_number()
            }
            _ if is_alphanumeric(character) => {
                self.backup();
                self.lex_identifier()
            }
            '(' => {
                self.paren_depth += 1;
                self.emit(TokenKind::LeftParen)
            }
            ')' => {
                let Some(depth) = self.paren_depth.checked_sub(1) else {
                    return self.error("unexpected right paren");
                };
                self.paren_depth = depth;
                self.emit(TokenKind::RightParen)
            }
            _ if character == ' ' || character.is_ascii_graphic() => self.emit(TokenKind::Char),
            _ => self.error(format!("unrecognized character in action: {}", code_point(Some(character)))),
        }
    }

    fn lex_space(&mut self) -> Step {
        let mut spaces = 0;
        while self.peek().is_some_and(is_space) {
            self.next();
            spaces += 1;
        }
        // The space before a trimming delimiter belongs to the delimiter.
        let last = &self.input[self.pos - 1..];
        if has_right_trim_marker(last) && last[TRIM_MARKER_LEN..].starts_with(b"}}") {
            self.backup();
            if spaces == 1 {
                return Step::RightDelim;
            }
        }
        self.emit(TokenKind::Space)
    }

    fn lex_identifier(&mut self) -> Step {
        let after = self.skip_alphanumeric();
        let word = &self.input[self.start..self.pos];
        if !self.at_terminator() {
            return self.error(format!("bad character {}", code_point(after)));
        }
        match word {
            b"true" | b"false" => self.emit(TokenKind::Bool),
            _ => self.emit(TokenKind::keyword(word).unwrap_or(TokenKind::Identifier)),
        }
    }

    fn lex_field_or_variable(&mut self, kind: TokenKind) -> Step {
        if self.at_terminator() {
            return self.emit(if kind == TokenKind::Variable { TokenKind::Variable } else { TokenKind::Dot });
        }
        let after = self.skip_alphanumeric();
        if !self.at_terminator() {
            return self.error(format!("bad character {}", code_point(after)));
        }
        self.emit(kind)
    }

    /// Skips letters, digits and underscores, and returns the next character.
    fn skip_alphanumeric(&mut self) -> Option<char> {
        loop {
            let next = self.next();
            if !next.is_some_and(is_alphanumeric) {
                self.backup();
                return next;
            }
        }
    }

    fn at_terminator(&mut self) -> bool {
        match self.peek() {
            None | Some(' ' | '\t' | '\r' | '\n' | '.' | ',' | '|' | ':' | ')' | '(') => true,
            Some(_) => self.rest().starts_with(b"}}"),
        }
    }

    fn lex_number(&mut self) -> Step {
        if !self.scan_number() {
            return self.bad_number();
        }
        if matches!(self.peek(), Some('+' | '-')) {
            if !self.scan_number() || self.input[self.pos - 1] != b'i' {
                return self.bad_number();
            }
            return self.emit(TokenKind::Complex);
        }
        self.emit(TokenKind::Number)
    }

    fn bad_number(&mut self) -> Step {
        let text = quote(&self.input[self.start..self.pos], false);
        self.error(format!("bad number syntax: {}", String::from_utf8_lossy(&text)))
    }

    fn scan_number(&mut self) -> bool {
        self.accept("+-");
        let mut digits = "0123456789_";
        if self.accept("0") {
            if self.accept("xX") {
                digits = "0123456789abcdefABCDEF_";
            } else if self.accept("oO") {
                digits = "01234567_";
            } else if self.accept("bB") {
                digits = "01_";
            }
        }
        self.accept_run(digits);
        if self.accept(".") {
            self.accept_run(digits);
        }
        let exponent = match digits.len() {
            11 => "eE",
            23 => "pP",
            _ => "",
        };
        if !exponent.is_empty() && self.accept(exponent) {
            self.accept("+-");
            self.accept_run("0123456789_");
        }
        self.accept("i");
        if self.peek().is_some_and(is_alphanumeric) {
            self.next();
            return false;
        }
        true
    }

    /// A quoted string or a character constant.
    fn lex_quote(&mut self, quote: char, unterminated: &str, kind: TokenKind) -> Step {
        loop {
            match self.next() {
                Some('\\') if !matches!(self.next(), None | Some('\n')) => {}
                None | Some('\n' | '\\') => return self.error(unterminated),
                Some(character) if character == quote => return self.emit(kind),
                Some(_) => {}
            }
        }
    }

    fn lex_raw_quote(&mut self) -> Step {
        loop {
            match self.next() {
                None => return self.error("unterminated raw quoted string"),
                Some('`') => return self.emit(TokenKind::RawString),
                Some(_) => {}
            }
        }
    }
}
