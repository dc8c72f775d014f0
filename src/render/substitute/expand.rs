//! `${...}` in a text: one pass from left to right, no recursion but for expressions inside defaults.

use std::collections::BTreeSet;

use super::{DEPTH_LIMIT, SIZE_LIMIT, SubstituteError, Variables};

/// An expanded text.
pub(super) struct Expansion<'v> {
    /// The text.
    pub(super) text: String,
    /// The defined variables that went into it.
    pub(super) used: BTreeSet<&'v str>,
}

/// Expands a text, or names all variables that are missing.
pub(super) fn expand<'v>(text: &str, variables: &'v Variables) -> Result<Expansion<'v>, SubstituteError> {
    let mut reader = Reader { text, at: 0, variables, used: BTreeSet::new(), undefined: Vec::new() };
    let mut out = String::with_capacity(text.len());
    while let Some(offset) = reader.rest().find('$') {
        let dollar = reader.at + offset;
        out.push_str(&text[reader.at..dollar]);
        reader.at = dollar + 1;
        if reader.take("$") {
            out.push('$');
        } else if reader.take("{") {
            out.push_str(&reader.expression(0)?);
        } else {
            out.push('$');
        }
        if out.len() > SIZE_LIMIT {
            return Err(SubstituteError::TooLarge);
        }
    }
    out.push_str(reader.rest());
    if reader.undefined.is_empty() {
        Ok(Expansion { text: out, used: reader.used })
    } else {
        Err(SubstituteError::Undefined(reader.undefined))
    }
}

struct Reader<'t, 'v> {
    text: &'t str,
    at: usize,
    variables: &'v Variables,
    used: BTreeSet<&'v str>,
    undefined: Vec<String>,
}

/// What an expression does with the variable's value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Operator {
    /// `:-`, `:=`, `=`, `:+`, `:?`: the default where the value is empty. envsubst does not tell them apart.
    Default,
    /// `:offset` and `:offset:length`, in bytes.
    Substring,
    /// `/`, `//`, `/#`, `/%`: literal replacement.
    Replace(Where),
    /// `#`, `##`: cuts the shortest or longest match of a glob from the front.
    CutFront { longest: bool },
    /// `%`, `%%`: from the back.
    CutBack { longest: bool },
    /// `^`, `^^`, `,`, `,,`.
    Case { upper: bool, all: bool },
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Where {
    First,
    All,
    Front,
    Back,
}

/// Operators by their text, the longer before the shorter that it begins with.
const OPERATORS: &[(&str, Operator)] = &[
    (":-", Operator::Default),
    (":=", Operator::Default),
    (":+", Operator::Default),
    (":?", Operator::Default),
    ("=", Operator::Default),
    (":", Operator::Substring),
    ("//", Operator::Replace(Where::All)),
    ("/#", Operator::Replace(Where::Front)),
    ("/%", Operator::Replace(Where::Back)),
    ("/", Operator::Replace(Where::First)),
    ("##", Operator::CutFront { longest: true }),
    ("#", Operator::CutFront { longest: false }),
    ("%%", Operator::CutBack { longest: true }),
    ("%", Operator::CutBack { longest: false }),
    ("^^", Operator::Case { upper: true, all: true }),
    ("^", Operator::Case { upper: true, all: false }),
    (",,", Operator::Case { upper: false, all: true }),
    (",", Operator::Case { upper: false, all: false }),
];

impl<'t> Reader<'t, '_> {
    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn take(&mut self, text: &str) -> bool {
        let found = self.rest().starts_with(text);
        if found {
            self.at += text.len();
        }
        found
    }

    /// The expansion of the expression whose `${` has just been read, its `}` included.
    fn expression(&mut self, depth: usize) -> Result<String, SubstituteError> {
        let start = self.at - 2;
        if depth > DEPTH_LIMIT {
            return Err(self.syntax("too many nested expressions", start));
        }
        let is_length = self.take("#");
        let name = self.name().ok_or_else(|| self.syntax("unable to parse variable name", start))?;
        if is_length {
            self.close(start)?;
            return Ok(self.value(name).len().to_string());
        }
        if self.take("}") {
            return Ok(self.value(name).to_owned());
        }
        let operator = OPERATORS.iter().find(|(text, _)| self.take(text)).map(|(_, operator)| *operator);
        let Some(operator) = operator else { return Err(self.syntax("missing closing brace", start)) };
        let separator = match operator {
            Operator::Replace(_) => Some('/'),
            Operator::Substring => Some(':'),
            _ => None,
        };
        let first = self.argument(separator, start, depth)?;
        let second = if separator.is_some_and(|separator| self.take(separator.encode_utf8(&mut [0; 4]))) {
            Some(self.argument(None, start, depth)?)
        } else {
            None
        };
        self.close(start)?;
        let value = match operator {
            Operator::Default => self.defined(name).unwrap_or_default(),
            _ => self.value(name),
        }
        .to_owned();
        apply(operator, &value, &first, second.as_deref()).map_err(|cause| self.syntax(cause, start))
    }

    fn name(&mut self) -> Option<&'t str> {
        let rest = self.rest();
        let end = rest.find(|c: char| c != '_' && !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
        self.at += end;
        (end > 0).then(|| &rest[..end])
    }

    fn close(&mut self, start: usize) -> Result<(), SubstituteError> {
        if self.take("}") { Ok(()) } else { Err(self.syntax("missing closing brace", start)) }
    }

    /// A text up to the closing brace or the separator, in which expressions are expanded and `\` escapes `/` and itself.
    fn argument(
        &mut self,
        separator: Option<char>,
        start: usize,
        depth: usize,
    ) -> Result<String, SubstituteError> {
        let mut out = String::new();
        while let Some(next) = self.rest().chars().next() {
            if next == '}' || Some(next) == separator {
                return Ok(out);
            }
            if self.take("${") {
                out.push_str(&self.expression(depth + 1)?);
            } else if self.take("\\/") {
                out.push('/');
            } else if self.take("\\\\") {
                out.push('\\');
            } else {
                out.push(next);
                self.at += next.len_utf8();
            }
            if out.len() > SIZE_LIMIT {
                return Err(SubstituteError::TooLarge);
            }
        }
        Err(self.syntax("missing closing brace", start))
    }

    /// The value of a variable that must be defined; empty where it is not, with a note of that under `strict`.
    fn value(&mut self, name: &str) -> &str {
        if self.defined(name).is_none()
            && self.variables.strict
            && !self.undefined.iter().any(|it| it == name)
        {
            self.undefined.push(name.to_owned());
        }
        self.variables.get(name).unwrap_or_default()
    }

    fn defined(&mut self, name: &str) -> Option<&str> {
        let (name, value) = self.variables.values.get_key_value(name)?;
        self.used.insert(name);
        Some(value)
    }

    fn syntax(&self, cause: &'static str, start: usize) -> SubstituteError {
        // Only what stands in the repository is quoted, never a value.
        let source = &self.text[start..];
        let line = source.lines().next().unwrap_or_default();
        let expression = line.chars().take(60).collect();
        SubstituteError::Syntax { cause, expression }
    }
}

fn apply(operator: Operator, value: &str, first: &str, second: Option<&str>) -> Result<String, &'static str> {
    Ok(match operator {
        Operator::Default if value.is_empty() => first.to_owned(),
        Operator::Default => value.to_owned(),
        Operator::Substring => substring(value, first, second)?.to_owned(),
        Operator::Replace(which) => replace(which, value, first, second.ok_or("bad substitution")?),
        Operator::CutFront { longest } => {
            let mut ends = boundaries(value);
            let end = if longest {
                ends.rev().find(|end| glob(first, &value[..*end]))
            } else {
                ends.find(|end| glob(first, &value[..*end]))
            };
            value[end.unwrap_or(0)..].to_owned()
        }
        Operator::CutBack { longest } => {
            let mut starts = boundaries(value);
            let start = if longest {
                starts.find(|start| glob(first, &value[*start..]))
            } else {
                starts.rev().find(|start| glob(first, &value[*start..]))
            };
            value[..start.unwrap_or(value.len())].to_owned()
        }
        Operator::Case { upper, all } => change_case(value, upper, all),
    })
}

fn boundaries(value: &str) -> impl DoubleEndedIterator<Item = usize> + '_ {
    (0..=value.len()).filter(|index| value.is_char_boundary(*index))
}

fn substring<'a>(value: &'a str, offset: &str, length: Option<&str>) -> Result<&'a str, &'static str> {
    const SPLIT: &str = "the offset or length cuts a character in two";
    // What is not a number leaves the value as it is.
    let Ok(offset) = offset.parse::<i64>() else { return Ok(value) };
    let size = i64::try_from(value.len()).unwrap_or(i64::MAX);
    let start = if offset < 0 { (size + offset).max(0) } else { offset.min(size) };
    let end = match length.map(str::parse::<i64>) {
        None => size,
        Some(Err(_)) => return Ok(value),
        Some(Ok(length)) if length < 0 => return Err("a negative length"),
        Some(Ok(length)) => start.saturating_add(length).min(size),
    };
    let range = usize::try_from(start).unwrap_or(0)..usize::try_from(end).unwrap_or(0);
    value.get(range).ok_or(SPLIT)
}

fn replace(which: Where, value: &str, from: &str, to: &str) -> String {
    match which {
        Where::First => value.replacen(from, to, 1),
        Where::All => value.replace(from, to),
        Where::Front => value.strip_prefix(from).map_or_else(|| value.into(), |rest| format!("{to}{rest}")),
        Where::Back => value.strip_suffix(from).map_or_else(|| value.into(), |rest| format!("{rest}{to}")),
    }
}

fn change_case(value: &str, upper: bool, all: bool) -> String {
    let change = |text: &str| if upper { text.to_uppercase() } else { text.to_lowercase() };
    if all {
        return change(value);
    }
    let first = value.chars().next().map_or(0, char::len_utf8);
    change(&value[..first]) + &value[first..]
}

/// Whether a glob of `*`, `?` and `\` matches a whole text. Linear in memory, without recursion.
fn glob(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    // Where to go on when what follows the last star does not match: the star takes one character more.
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() || p < pattern.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
                continue;
            }
            Some('?') if t < text.len() => {
                (p, t) = (p + 1, t + 1);
                continue;
            }
            Some('\\') if pattern.get(p + 1).is_some() && pattern.get(p + 1) == text.get(t) => {
                (p, t) = (p + 2, t + 1);
                continue;
            }
            Some(c) if *c != '\\' && *c != '?' && Some(c) == text.get(t) => {
                (p, t) = (p + 1, t + 1);
                continue;
            }
            _ => {}
        }
        match star {
            Some((at, taken)) if taken < text.len() => {
                star = Some((at, taken + 1));
                (p, t) = (at + 1, taken + 1);
            }
            _ => return false,
        }
    }
    true
}
