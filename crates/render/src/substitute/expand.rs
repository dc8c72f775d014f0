//! Expands `${...}` in a text: one pass from left to right, with recursion only for expressions inside
//! defaults.

use std::collections::BTreeSet;

use super::glob::ShellGlob;
use super::variables::{DEPTH_LIMIT, SIZE_LIMIT, SubstituteError, Variables};
use crate::budget::{Budget, Cost, Spent};

/// An expanded text.
pub(super) struct Expansion<'v> {
    /// The text.
    pub(super) text: String,
    /// The defined variables that went into it.
    pub(super) used: BTreeSet<&'v str>,
}

/// The source in messages about costs that belong to no single expression.
pub(super) const WHOLE: &str = "the object's text";

/// Expands a text, or names all missing variables.
pub(super) fn expand<'v>(
    text: &str,
    variables: &'v Variables,
    budget: &Budget,
) -> Result<Expansion<'v>, SubstituteError> {
    let mut reader = Reader { text, at: 0, variables, budget, used: BTreeSet::new(), undefined: Vec::new() };
    let spent = budget.spend(Cost::SubstitutedBytes, text.len());
    spent.map_err(|spent| SubstituteError::TooExpensive { spent, expression: WHOLE.into() })?;
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

struct Reader<'t, 'v, 'b> {
    text: &'t str,
    at: usize,
    variables: &'v Variables,
    budget: &'b Budget,
    used: BTreeSet<&'v str>,
    undefined: Vec<String>,
}

/// The operation of an expression on the variable's value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Operator {
    /// The value as it is.
    Plain,
    /// `:-`, `:=`, `=`, `:+`, `:?`: the default if the value is empty. envsubst treats them alike.
    Default,
    /// `:offset` and `:offset:length`, in bytes.
    Substring,
    /// `/`, `//`, `/#`, `/%`: literal replacement.
    Replace(Where),
    /// `#`, `##`, `%`, `%%`: cuts the shortest or longest match of a glob.
    Cut { back: bool, longest: bool },
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

/// Operators by their text; a longer one comes before a shorter one with the same beginning.
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
    ("##", Operator::Cut { back: false, longest: true }),
    ("#", Operator::Cut { back: false, longest: false }),
    ("%%", Operator::Cut { back: true, longest: true }),
    ("%", Operator::Cut { back: true, longest: false }),
    ("^^", Operator::Case { upper: true, all: true }),
    ("^,", Operator::Plain),
    ("^", Operator::Case { upper: true, all: false }),
    (",,", Operator::Case { upper: false, all: true }),
    (",^", Operator::Plain),
    (",", Operator::Case { upper: false, all: false }),
];

/// The end of an argument, and whether a backslash and a dollar escape in it.
#[derive(Clone, Copy)]
struct Extent {
    ends: &'static [char],
    escapes: bool,
}

const UP_TO_BRACE: Extent = Extent { ends: &['}'], escapes: false };
const OFFSET: Extent = Extent { ends: &[':', '}'], escapes: false };
/// A brace is part of the text to find.
const PATTERN: Extent = Extent { ends: &['/'], escapes: true };
const REPLACEMENT: Extent = Extent { ends: &['}'], escapes: true };

impl<'t> Reader<'t, '_, '_> {
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

    /// The expansion of the expression whose `${` has just been read, including its `}`.
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
            let value = self.value(name).to_owned();
            let spent = self.budget.spend(Cost::SubstitutedBytes, value.len());
            return spent.map(|()| value).map_err(|spent| self.too_expensive(spent, start));
        }
        let operator = OPERATORS.iter().find(|(text, _)| self.take(text)).map(|(_, operator)| *operator);
        let Some(operator) = operator else { return Err(self.syntax("missing closing brace", start)) };
        let arguments = self.arguments(operator, start, depth)?;
        self.close(start)?;
        let value = match operator {
            Operator::Default => self.defined(name).unwrap_or_default(),
            _ => self.value(name),
        }
        .to_owned();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let applied = apply(operator, &value, &arguments, self.budget);
        let applied = applied.and_then(|text| {
            self.budget.spend(Cost::SubstitutedBytes, text.len())?;
            Ok(text)
        });
        applied.map_err(|failure| match failure {
            Failure::Cause(cause) => self.syntax(cause, start),
            Failure::Spent(spent) => self.too_expensive(spent, start),
        })
    }

    fn name(&mut self) -> Option<&'t str> {
        let rest = self.rest();
        let end = rest.find(|c: char| c != '_' && !c.is_alphanumeric()).unwrap_or(rest.len());
        self.at += end;
        (end > 0).then(|| &rest[..end])
    }

    fn close(&mut self, start: usize) -> Result<(), SubstituteError> {
        if self.take("}") {
            return Ok(());
        }
        let cause = if self.rest().is_empty() { "missing closing brace" } else { "bad substitution" };
        Err(self.syntax(cause, start))
    }

    fn arguments(
        &mut self,
        operator: Operator,
        start: usize,
        depth: usize,
    ) -> Result<Vec<String>, SubstituteError> {
        let mut arguments = Vec::new();
        match operator {
            Operator::Plain | Operator::Case { .. } => {}
            Operator::Default => {
                while !self.rest().starts_with('}') {
                    arguments.push(self.argument(UP_TO_BRACE, start, depth)?);
                }
            }
            Operator::Cut { .. } => arguments.push(self.argument(UP_TO_BRACE, start, depth)?),
            Operator::Substring => {
                arguments.push(self.argument(OFFSET, start, depth)?);
                if self.separators(':') {
                    arguments.push(self.argument(UP_TO_BRACE, start, depth)?);
                }
            }
            Operator::Replace(_) => {
                arguments.push(self.argument(PATTERN, start, depth)?);
                if !self.separators('/') {
                    return Err(self.syntax("bad substitution", start));
                }
                if !self.rest().starts_with('}') {
                    arguments.push(self.argument(REPLACEMENT, start, depth)?);
                }
            }
        }
        Ok(arguments)
    }

    /// Several separators count as one.
    fn separators(&mut self, separator: char) -> bool {
        let rest = self.rest().trim_start_matches(separator);
        let found = rest.len() < self.rest().len();
        self.at = self.text.len() - rest.len();
        found
    }

    /// One expression, or a text up to the end of the argument or to an expression; never an empty text.
    fn argument(&mut self, extent: Extent, start: usize, depth: usize) -> Result<String, SubstituteError> {
        if self.take("${") {
            return self.expression(depth + 1);
        }
        let mut out = String::new();
        while let Some(next) = self.rest().chars().next() {
            if self.rest().starts_with("${") {
                break;
            }
            let escaped = ["$$", "\\/", "\\\\"].into_iter().find(|text| extent.escapes && self.take(text));
            if let Some(escaped) = escaped {
                out.push_str(&escaped[1..]);
            } else if extent.ends.contains(&next) {
                break;
            } else {
                out.push(next);
                self.at += next.len_utf8();
            }
        }
        match (out.is_empty(), self.rest().is_empty()) {
            (true, true) => Err(self.syntax("missing closing brace", start)),
            (true, false) => Err(self.syntax("unable to parse substitution within function", start)),
            (false, _) => Ok(out),
        }
    }

    /// The value of a variable that must be defined. An undefined one is empty, and is noted under `strict`.
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
        SubstituteError::Syntax { cause, expression: self.source(start) }
    }

    fn too_expensive(&self, spent: Spent, start: usize) -> SubstituteError {
        SubstituteError::TooExpensive { spent, expression: self.source(start) }
    }

    /// The start of an expression's source. Messages quote only texts of the repository, never a value.
    fn source(&self, start: usize) -> String {
        let line = self.text[start..].lines().next().unwrap_or_default();
        line.chars().take(60).collect()
    }
}

fn apply(operator: Operator, value: &str, arguments: &[&str], budget: &Budget) -> Result<String, Failure> {
    let first = arguments.first().copied().unwrap_or_default();
    let second = arguments.get(1).copied();
    Ok(match operator {
        Operator::Default if value.is_empty() => arguments.concat(),
        Operator::Default | Operator::Plain => value.to_owned(),
        Operator::Substring => substring(value, first, second)?.to_owned(),
        Operator::Replace(which) => replace(which, value, first, second),
        Operator::Cut { back: false, longest } => cut(value, first, longest, budget)?,
        Operator::Cut { back: true, longest } => {
            reversed(&cut(&reversed(value), &reversed(first), longest, budget)?)
        }
        Operator::Case { upper, all } => change_case(value, upper, all),
    })
}

fn reversed(text: &str) -> String {
    text.chars().rev().collect()
}

/// The value without its shortest or longest matching start; the whole value if the pattern is malformed.
fn cut(value: &str, pattern: &str, longest: bool, budget: &Budget) -> Result<String, Failure> {
    let Some(glob) = ShellGlob::read(pattern) else { return Ok(value.to_owned()) };
    let end = glob.start(value.as_bytes(), longest, budget)?;
    value.get(end..).map(ToOwned::to_owned).ok_or(Failure::Cause(SPLIT))
}

/// Why an expression fails.
enum Failure {
    /// Its mistake.
    Cause(&'static str),
    /// Its cost exceeds the budget.
    Spent(Spent),
}

impl From<&'static str> for Failure {
    fn from(cause: &'static str) -> Self {
        Self::Cause(cause)
    }
}

impl From<Spent> for Failure {
    fn from(spent: Spent) -> Self {
        Self::Spent(spent)
    }
}

const SPLIT: &str = "the result would cut a character in two";

fn substring<'a>(value: &'a str, offset: &str, length: Option<&str>) -> Result<&'a str, &'static str> {
    // An offset that is no number leaves the value unchanged.
    let Ok(offset) = offset.parse::<i64>() else { return Ok(value) };
    let size = i64::try_from(value.len()).unwrap_or(i64::MAX);
    let start = if offset < 0 { size.saturating_add(offset).max(0) } else { offset.min(size) };
    let end = match length.map(str::parse::<i64>) {
        None => size,
        Some(Err(_)) => return Ok(value),
        // A negative length counts from the end.
        Some(Ok(length)) if length < 0 => size.saturating_add(length).max(start),
        Some(Ok(length)) => start.saturating_add(length).min(size),
    };
    let range = usize::try_from(start).unwrap_or(0)..usize::try_from(end).unwrap_or(0);
    if range.is_empty() {
        return Ok("");
    }
    value.get(range).ok_or(SPLIT)
}

fn replace(which: Where, value: &str, from: &str, to: Option<&str>) -> String {
    match (which, to) {
        (Where::First, to) => value.replacen(from, to.unwrap_or_default(), 1),
        (Where::All, to) => value.replace(from, to.unwrap_or_default()),
        // At the ends an empty match is not replaced.
        (Where::Front | Where::Back, None) => value.into(),
        (Where::Front, Some(to)) => {
            value.strip_prefix(from).map_or_else(|| value.into(), |rest| format!("{to}{rest}"))
        }
        (Where::Back, Some(to)) => {
            value.strip_suffix(from).map_or_else(|| value.into(), |rest| format!("{rest}{to}"))
        }
    }
}

fn change_case(value: &str, upper: bool, all: bool) -> String {
    // In Go no letter becomes several letters.
    let change = |c: char| {
        let mut changed: Vec<char> =
            if upper { c.to_uppercase().collect() } else { c.to_lowercase().collect() };
        changed.pop().filter(|_| changed.is_empty()).unwrap_or(c)
    };
    if all {
        return value.chars().map(change).collect();
    }
    let mut chars = value.chars();
    chars.next().map(change).into_iter().chain(chars).collect()
}
