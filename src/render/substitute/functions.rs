//! What the operators of envsubst do, with limits on size and work.

use std::cell::Cell;
use std::fmt;

use super::expression::{Node, Operator};

/// How many steps the patterns of one object may take together.
const STEP_LIMIT: usize = 20_000_000;

/// Why an expression cannot be evaluated. No message shows a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// A variable that is not defined.
    Undefined(String),
    /// `${name:1:-1}`: a length below zero.
    NegativeLength(String),
    /// A substring that cuts a character in two.
    SplitCharacter(String),
    /// The text becomes too large.
    TooLarge,
    /// A pattern that takes too long.
    TooMuchWork(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Undefined(name) => write!(f, "'{name}' is not defined"),
            Self::NegativeLength(name) => write!(f, "the length of a substring of '{name}' is below zero"),
            Self::SplitCharacter(name) => write!(f, "a substring of '{name}' cuts a character in two; it counts bytes"),
            Self::TooLarge => f.write_str("the object becomes too large once its variables are replaced"),
            Self::TooMuchWork(name) => write!(f, "a pattern on '{name}' takes too many steps"),
        }
    }
}

/// The text that nodes make with the values of `lookup`, of at most `limit` bytes.
pub(super) fn evaluate<'v>(
    nodes: &[Node],
    lookup: &dyn Fn(&str) -> Option<&'v str>,
    limit: usize,
) -> Result<String, Failure> {
    Evaluation { lookup, limit, steps: Cell::new(0) }.text(nodes)
}

struct Evaluation<'l, 'v> {
    lookup: &'l dyn Fn(&str) -> Option<&'v str>,
    limit: usize,
    steps: Cell<usize>,
}

impl Evaluation<'_, '_> {
    fn text(&self, nodes: &[Node]) -> Result<String, Failure> {
        let mut text = String::new();
        for node in nodes {
            match node {
                Node::Text(piece) => text.push_str(piece),
                Node::Call { name, operator, arguments } => text.push_str(&self.call(name, *operator, arguments)?),
            }
            if text.len() > self.limit {
                return Err(Failure::TooLarge);
            }
        }
        Ok(text)
    }

    fn call(&self, name: &str, operator: Operator, arguments: &[Node]) -> Result<String, Failure> {
        let mut texts = Vec::with_capacity(arguments.len());
        for argument in arguments {
            texts.push(self.text(std::slice::from_ref(argument))?);
        }
        let value = match (self.lookup)(name) {
            Some(value) => value,
            None if operator.gives_default() => "",
            None => return Err(Failure::Undefined(name.into())),
        };
        let first = texts.first().map_or("", String::as_str);
        Ok(match operator {
            Operator::Value => value.to_owned(),
            Operator::Default if value.is_empty() => texts.concat(),
            Operator::Default => value.to_owned(),
            Operator::Length => value.len().to_string(),
            Operator::UpperFirst => first_char(value, upper),
            Operator::Upper => value.chars().map(upper).collect(),
            Operator::LowerFirst => first_char(value, lower),
            Operator::Lower => value.chars().map(lower).collect(),
            Operator::Substring => substring(name, value, &texts)?,
            Operator::ReplaceFirst => value.replacen(first, texts.get(1).map_or("", String::as_str), 1),
            Operator::ReplaceAll => self.replace_all(value, first, texts.get(1).map_or("", String::as_str))?,
            Operator::ReplacePrefix | Operator::ReplaceSuffix => replace_end(value, operator, &texts),
            Operator::TrimShortestPrefix => self.trim(name, value, first, true)?,
            Operator::TrimLongestPrefix => self.trim(name, value, first, false)?,
            Operator::TrimShortestSuffix => reversed(&self.trim(name, &reversed(value), &reversed(first), true)?),
            Operator::TrimLongestSuffix => reversed(&self.trim(name, &reversed(value), &reversed(first), false)?),
        })
    }

    fn replace_all(&self, value: &str, from: &str, to: &str) -> Result<String, Failure> {
        let found = value.matches(from).count();
        if found.saturating_mul(to.len()).saturating_add(value.len()) > self.limit {
            return Err(Failure::TooLarge);
        }
        Ok(value.replace(from, to))
    }

    /// Cuts off the shortest or longest start that a pattern matches. A match of nothing is none, and a pattern that is
    /// malformed leaves the value as it is.
    fn trim(&self, name: &str, value: &str, pattern: &str, shortest: bool) -> Result<String, Failure> {
        let mut cut = 0;
        // Go cuts at bytes; only those at characters can match.
        for end in (1..=value.len()).rev().filter(|end| value.is_char_boundary(*end)) {
            match glob::matches(pattern, &value[..end], &self.steps) {
                None => return Ok(value.to_owned()),
                Some(true) if !shortest => return Ok(value[end..].to_owned()),
                Some(true) => cut = end,
                Some(false) => {}
            }
            if self.steps.get() > STEP_LIMIT {
                return Err(Failure::TooMuchWork(name.into()));
            }
        }
        Ok(value[cut..].to_owned())
    }
}

/// Go's simple mapping: a character becomes one character.
fn upper(c: char) -> char {
    let mut mapped = c.to_uppercase();
    if let (Some(single), None) = (mapped.next(), mapped.next()) { single } else { c }
}

fn lower(c: char) -> char {
    let mut mapped = c.to_lowercase();
    if let (Some(single), None) = (mapped.next(), mapped.next()) { single } else { c }
}

fn first_char(value: &str, map: fn(char) -> char) -> String {
    let mut chars = value.chars();
    chars.next().map(map).into_iter().chain(chars).collect()
}

fn reversed(text: &str) -> String {
    text.chars().rev().collect()
}

/// What is not a number leaves the value as it is.
fn substring(name: &str, value: &str, arguments: &[String]) -> Result<String, Failure> {
    let number = |at: usize| arguments.get(at).map(|text| text.parse::<i64>());
    let Some(Ok(position)) = number(0) else { return Ok(value.to_owned()) };
    let length = i64::try_from(value.len()).unwrap_or(i64::MAX);
    let start = if position < 0 { (length + position.max(-length)).max(0) } else { position.min(length) };
    let end = match number(1) {
        None => length,
        Some(Err(_)) => return Ok(value.to_owned()),
        Some(Ok(count)) if count < 0 => return Err(Failure::NegativeLength(name.into())),
        Some(Ok(count)) => start.saturating_add(count).min(length),
    };
    let (start, end) = (usize::try_from(start).unwrap_or_default(), usize::try_from(end).unwrap_or_default());
    value.get(start..end).map(Into::into).ok_or_else(|| Failure::SplitCharacter(name.into()))
}

/// `/#` and `/%`, which do nothing without a replacement.
fn replace_end(value: &str, operator: Operator, arguments: &[String]) -> String {
    let [from, to] = arguments else { return value.to_owned() };
    if operator == Operator::ReplacePrefix {
        return value.strip_prefix(from.as_str()).map_or_else(|| value.to_owned(), |rest| format!("{to}{rest}"));
    }
    value.strip_suffix(from.as_str()).map_or_else(|| value.to_owned(), |rest| format!("{rest}{to}"))
}

/// Go's `path.Match`, in which a star also matches slashes.
mod glob {
    use std::cell::Cell;

    /// Whether the pattern matches all of the text; `None` for a malformed pattern, where it is noticed.
    pub(super) fn matches(pattern: &str, text: &str, steps: &Cell<usize>) -> Option<bool> {
        let (mut pattern, mut text) = (pattern, text);
        'chunks: while !pattern.is_empty() {
            let (star, chunk, rest) = next_chunk(pattern);
            pattern = rest;
            if star && chunk.is_empty() {
                return Some(true);
            }
            if let Some(left) = match_chunk(chunk, text, steps)?
                && (left.is_empty() || !pattern.is_empty())
            {
                text = left;
                continue;
            }
            if star {
                for (at, c) in text.char_indices() {
                    let Some(left) = match_chunk(chunk, &text[at + c.len_utf8()..], steps)? else { continue };
                    if pattern.is_empty() && !left.is_empty() {
                        continue;
                    }
                    text = left;
                    continue 'chunks;
                }
            }
            return Some(false);
        }
        Some(text.is_empty())
    }

    /// The next part without a star, and whether stars stand before it.
    fn next_chunk(pattern: &str) -> (bool, &str, &str) {
        let without = pattern.trim_start_matches('*');
        let (mut in_range, mut escaped) = (false, false);
        let end = without.char_indices().find(|(_, c)| {
            if escaped {
                escaped = false;
                return false;
            }
            match c {
                '\\' => escaped = true,
                '[' => in_range = true,
                ']' => in_range = false,
                '*' => return !in_range,
                _ => {}
            }
            false
        });
        let end = end.map_or(without.len(), |(at, _)| at);
        (without.len() < pattern.len(), &without[..end], &without[end..])
    }

    /// What is left of the text behind a match of the chunk.
    fn match_chunk<'t>(mut chunk: &str, mut text: &'t str, steps: &Cell<usize>) -> Option<Option<&'t str>> {
        while let Some(c) = chunk.chars().next() {
            steps.set(steps.get() + 1);
            let Some(found) = text.chars().next() else { return Some(None) };
            match c {
                '[' => {
                    text = &text[found.len_utf8()..];
                    let (matched, rest) = match_class(&chunk[1..], found)?;
                    chunk = rest;
                    if !matched {
                        return Some(None);
                    }
                    continue;
                }
                '?' => {}
                '\\' => {
                    chunk = &chunk[1..];
                    if chunk.chars().next()? != found {
                        return Some(None);
                    }
                }
                _ if c != found => return Some(None),
                _ => {}
            }
            chunk = &chunk[chunk.chars().next().map_or(0, char::len_utf8)..];
            text = &text[found.len_utf8()..];
        }
        Some(Some(text))
    }

    /// Whether a class, behind its bracket, holds a character, and what follows the class.
    fn match_class(class: &str, found: char) -> Option<(bool, &str)> {
        let (negated, mut class) = class.strip_prefix('^').map_or((false, class), |rest| (true, rest));
        let (mut matched, mut ranges) = (false, 0);
        loop {
            if ranges > 0
                && let Some(rest) = class.strip_prefix(']')
            {
                return Some((matched != negated, rest));
            }
            let (low, rest) = class_char(class)?;
            let (high, rest) = match rest.strip_prefix('-') {
                Some(rest) => class_char(rest)?,
                None => (low, rest),
            };
            class = rest;
            matched |= (low..=high).contains(&found);
            ranges += 1;
        }
    }

    fn class_char(class: &str) -> Option<(char, &str)> {
        if class.starts_with(['-', ']']) {
            return None;
        }
        let class = class.strip_prefix('\\').unwrap_or(class);
        let c = class.chars().next()?;
        let rest = &class[c.len_utf8()..];
        (!rest.is_empty()).then_some((c, rest))
    }
}
