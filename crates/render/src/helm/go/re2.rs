//! Go's syntax of regular expressions, checked with Go's messages and written as a pattern of the `regex`
//! crate.
//!
//! The two differ in the patterns that they accept and in the meaning of `\d`, `\w`, `\s` and `\b`, which are
//! ASCII in Go. Flags are not passed on: each part of the pattern is written with its meaning under the flags
//! that hold there.

use super::re2_class::{take_class, take_class_escape};
use super::re2_escape::{RegexFlags, SyntaxError, character, take_escape};

/// The most repetitions of a part, nested parts included.
const MOST_REPEATS: u32 = 1000;
/// The deepest nesting of groups.
const MOST_DEPTH: usize = 1000;

/// A pattern of the `regex` crate with the same matches as the Go pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Translated {
    /// The pattern.
    pub pattern: String,
    /// The names of the groups in order; empty for groups without a name.
    pub names: Vec<String>,
    /// The most repetitions of any part, including those of the parts around it.
    pub repeats: u32,
}

/// Go's error for a pattern that is too large.
pub fn too_large(pattern: &str) -> SyntaxError {
    SyntaxError::new("expression too large", pattern)
}

/// A group that is open.
struct Group {
    /// The flags that apply again after it.
    flags: RegexFlags,
    /// The most repetitions of any part before it.
    weight: u32,
}

struct Parser<'p> {
    pattern: &'p str,
    rest: &'p str,
    out: String,
    names: Vec<String>,
    flags: RegexFlags,
    groups: Vec<Group>,
    /// The number of repetitions within the last part, if a repetition can follow that part.
    last: Option<u32>,
    /// The most repetitions of any part of the current group.
    weight: u32,
    /// The most repetitions of any part of the pattern.
    most: u32,
}

/// Checks a pattern of Go and translates it.
pub fn translate(pattern: &[u8]) -> Result<Translated, SyntaxError> {
    let Ok(pattern) = std::str::from_utf8(pattern) else {
        return Err(SyntaxError::new("invalid UTF-8", String::from_utf8_lossy(pattern)));
    };
    let mut parser = Parser {
        pattern,
        rest: pattern,
        out: String::new(),
        names: Vec::new(),
        flags: RegexFlags::default(),
        groups: Vec::new(),
        last: None,
        weight: 1,
        most: 1,
    };
    parser.run()?;
    Ok(Translated { pattern: parser.out, names: parser.names, repeats: parser.most })
}

type Done<T> = Result<T, SyntaxError>;

impl<'p> Parser<'p> {
    fn run(&mut self) -> Done<()> {
        // The start of the repetition right before this place.
        let mut last_repeat: Option<&'p str> = None;
        while let Some(c) = self.rest.chars().next() {
            let here = self.rest;
            let mut repeat = None;
            match c {
                '(' => self.open()?,
                ')' => self.close()?,
                '|' => {
                    self.advance(1);
                    self.out.push('|');
                    self.last = None;
                }
                '[' => {
                    let flags = self.flags;
                    let class = take_class(&mut self.rest, flags)?;
                    self.atom(&class);
                }
                '^' => self.symbol(if self.flags.multi_line { "(?m:^)" } else { r"\A" }),
                '$' => self.symbol(if self.flags.multi_line { "(?m:$)" } else { r"\z" }),
                '.' => self.symbol(if self.flags.dot_all { "(?s:.)" } else { "." }),
                '*' | '+' | '?' => {
                    self.advance(1);
                    self.repeat(here, last_repeat, &c.to_string(), 1)?;
                    repeat = Some(here);
                }
                '{' => match counted(here) {
                    Some((least, most, after)) => {
                        let text = &here[..here.len() - after.len()];
                        let is_reversed =
                            matches!((least, most), (Count::Of(least), Count::Of(most)) if least > most);
                        if !least.fits() || !most.fits() || is_reversed {
                            return Err(SyntaxError::new("invalid repeat count", text));
                        }
                        self.rest = after;
                        let count = match (least, most) {
                            (_, Count::Of(count)) | (Count::Of(count), _) => count,
                            _ => 0,
                        };
                        self.repeat(here, last_repeat, text, count)?;
                        repeat = Some(here);
                    }
                    None => self.literal_at_cursor(),
                },
                '\\' => self.escape()?,
                _ => self.literal_at_cursor(),
            }
            last_repeat = repeat;
        }
        if self.groups.is_empty() { Ok(()) } else { Err(SyntaxError::new("missing closing )", self.pattern)) }
    }

    fn advance(&mut self, bytes: usize) {
        self.rest = &self.rest[bytes..];
    }

    /// Writes a part that can be repeated.
    fn atom(&mut self, text: &str) {
        self.out.push_str(text);
        self.last = Some(1);
    }

    fn symbol(&mut self, text: &str) {
        self.advance(1);
        self.atom(text);
    }

    fn literal(&mut self, c: char) {
        let text = character(c);
        if self.flags.ignore_case && c.is_alphabetic() {
            self.atom(&format!("(?i:{text})"));
        } else {
            self.atom(&text);
        }
    }

    fn literal_at_cursor(&mut self) {
        if let Some(c) = self.rest.chars().next() {
            self.advance(c.len_utf8());
            self.literal(c);
        }
    }

    /// Writes a repetition after the last part. `count` is the most that it repeats.
    fn repeat(&mut self, here: &'p str, before: Option<&'p str>, written: &str, count: u32) -> Done<()> {
        let is_lazy = self.rest.starts_with('?');
        if is_lazy {
            self.advance(1);
        }
        if let Some(before) = before {
            let part = &before[..before.len() - self.rest.len()];
            return Err(SyntaxError::new("invalid nested repetition operator", part));
        }
        let text = &here[..here.len() - self.rest.len()];
        let Some(inner) = self.last else {
            return Err(SyntaxError::new("missing argument to repetition operator", text));
        };
        let weight = inner.saturating_mul(count);
        if weight > MOST_REPEATS {
            return Err(SyntaxError::new("invalid repeat count", text));
        }
        self.weight = self.weight.max(weight);
        self.most = self.most.max(weight);
        self.last = Some(weight.max(1));
        self.out.push_str(written);
        if is_lazy != self.flags.ungreedy {
            self.out.push('?');
        }
        Ok(())
    }

    fn open(&mut self) -> Done<()> {
        if self.groups.len() >= MOST_DEPTH {
            return Err(SyntaxError::new("expression nests too deeply", self.pattern));
        }
        if self.rest.starts_with("(?") {
            return self.open_special();
        }
        self.advance(1);
        self.names.push(String::new());
        self.push_group("(", self.flags);
        Ok(())
    }

    fn push_group(&mut self, text: &str, flags: RegexFlags) {
        self.groups.push(Group { flags, weight: self.weight });
        self.weight = 1;
        self.out.push_str(text);
        self.last = None;
    }

    fn close(&mut self) -> Done<()> {
        let Some(group) = self.groups.pop() else {
            return Err(SyntaxError::new("unexpected )", self.pattern));
        };
        self.advance(1);
        self.out.push(')');
        self.flags = group.flags;
        self.last = Some(self.weight);
        self.weight = self.weight.max(group.weight);
        Ok(())
    }

    /// A named group, a group with flags, or flags for the rest of the group.
    fn open_special(&mut self) -> Done<()> {
        let here = self.rest;
        let named = here.strip_prefix("(?P<").or_else(|| here.strip_prefix("(?<"));
        if let Some(after) = named {
            let Some((name, rest)) = after.split_once('>') else {
                return Err(SyntaxError::new("invalid named capture", here));
            };
            let part = &here[..here.len() - rest.len()];
            let is_name = !name.is_empty() && name.chars().all(|c| c == '_' || c.is_ascii_alphanumeric());
            if !is_name {
                return Err(SyntaxError::new("invalid named capture", part));
            }
            self.names.push(name.to_owned());
            self.rest = rest;
            self.push_group("(", self.flags);
            return Ok(());
        }
        let (mut flags, mut negated, mut has_flag) = (self.flags, false, false);
        for (at, c) in here.char_indices().skip(2) {
            let flag = match c {
                'i' => &mut flags.ignore_case,
                'm' => &mut flags.multi_line,
                's' => &mut flags.dot_all,
                'U' => &mut flags.ungreedy,
                '-' if !negated => {
                    // The following flags are switched off, and there must be one.
                    (negated, has_flag) = (true, false);
                    continue;
                }
                ':' | ')' if !negated || has_flag => {
                    self.rest = &here[at + 1..];
                    if c == ':' {
                        self.push_group("(?:", self.flags);
                    }
                    self.flags = flags;
                    return Ok(());
                }
                _ => {
                    let part = &here[..at + c.len_utf8()];
                    return Err(SyntaxError::new("invalid or unsupported Perl syntax", part));
                }
            };
            *flag = !negated;
            has_flag = true;
        }
        Err(SyntaxError::new("invalid or unsupported Perl syntax", here))
    }

    fn escape(&mut self) -> Done<()> {
        let here = self.rest;
        match here.chars().nth(1) {
            Some('A') => self.symbol_escape(r"\A"),
            Some('z') => self.symbol_escape(r"\z"),
            Some('b') => self.symbol_escape(r"(?-u:\b)"),
            // It holds between the bytes of a character as well, which a search must leave out.
            Some('B') => self.symbol_escape(r"(?-u:\B)"),
            Some('C') => return Err(SyntaxError::new("invalid escape sequence", r"\C")),
            Some('Q') => {
                let text = &here[2..];
                let (quoted, after) = text.split_once(r"\E").unwrap_or((text, ""));
                for c in quoted.chars() {
                    self.literal(c);
                }
                self.rest = after;
            }
            _ => {
                if let Some(class) = take_class_escape(&mut self.rest)? {
                    let fold = if self.flags.ignore_case { "(?i:" } else { "(?:" };
                    self.atom(&format!("{fold}[{class}])"));
                } else {
                    let c = take_escape(&mut self.rest)?;
                    self.literal(c);
                }
            }
        }
        Ok(())
    }

    fn symbol_escape(&mut self, text: &str) {
        self.advance(2);
        self.atom(text);
    }
}

/// The number of a repetition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Count {
    Of(u32),
    /// A number that is too large.
    TooLarge,
    /// No number, so there is no limit.
    Open,
}

impl Count {
    fn fits(self) -> bool {
        matches!(self, Self::Open) || matches!(self, Self::Of(count) if count <= MOST_REPEATS)
    }
}

/// The lower and the upper limit of `{2}`, `{2,}` or `{2,3}`, and the text behind it; `None` if it is no
/// repetition.
fn counted(text: &str) -> Option<(Count, Count, &str)> {
    let mut rest = text.strip_prefix('{')?;
    let least = take_number(&mut rest)?;
    let Some(after) = rest.strip_prefix(',') else {
        return Some((least, least, rest.strip_prefix('}')?));
    };
    if let Some(after) = after.strip_prefix('}') {
        return Some((least, Count::Open, after));
    }
    rest = after;
    let most = take_number(&mut rest)?;
    Some((least, most, rest.strip_prefix('}')?))
}

/// Digits without a leading zero.
fn take_number(rest: &mut &str) -> Option<Count> {
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let (text, after) = rest.split_at(digits);
    if digits == 0 || (digits > 1 && text.starts_with('0')) {
        return None;
    }
    *rest = after;
    Some(text.parse().map_or(Count::TooLarge, Count::Of))
}
