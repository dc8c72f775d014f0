//! Ranges of versions: `>=1.0.0 <2.0.0`, `~1.2`, `^1`, `1.x`, `*`, `1.0 - 2.0`, `a || b`.

use super::{Cursor, Version, VersionError, Written};

/// The longest range, in bytes.
const LONGEST: usize = 512;
/// The most alternatives of a range.
const MOST_ALTERNATIVES: usize = 32;

/// A range of versions: one of several sets of conditions must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range(Vec<Vec<Condition>>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Condition {
    operator: Operator,
    /// The version, with zeros for missing numbers.
    version: Version,
    /// The numbers that are left open.
    open: Open,
}

/// The first number of a version that is left out or written as `x` or `*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    None,
    Major,
    Minor,
    Patch,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Above,
    Below,
    From,
    UpTo,
    Tilde,
    Caret,
}

const OPERATORS: [(&str, Operator); 11] = [
    ("!=", Operator::NotEqual),
    (">=", Operator::From),
    ("=>", Operator::From),
    ("<=", Operator::UpTo),
    ("=<", Operator::UpTo),
    ("~>", Operator::Tilde),
    ("=", Operator::Equal),
    (">", Operator::Above),
    ("<", Operator::Below),
    ("~", Operator::Tilde),
    ("^", Operator::Caret),
];

impl Range {
    /// Reads a range.
    pub fn parse(text: &str) -> Result<Self, VersionError> {
        if text.len() > LONGEST {
            return Err(VersionError::new(format!("constraint string is too long (max {LONGEST} bytes)")));
        }
        let text = without_hyphens(text);
        let alternatives: Vec<&str> = text.split("||").collect();
        if alternatives.len() > MOST_ALTERNATIVES {
            return Err(VersionError::new(format!("too many constraint groups (max {MOST_ALTERNATIVES})")));
        }
        alternatives.into_iter().map(conditions).collect::<Result<_, _>>().map(Self)
    }

    /// Whether a version is in the range. A pre-release is only in it if the same alternative names a
    /// pre-release.
    pub fn contains(&self, version: &Version) -> bool {
        self.0.iter().any(|conditions| {
            let may_be_prerelease = conditions.iter().any(|condition| condition.version.is_prerelease());
            (!version.is_prerelease() || may_be_prerelease)
                && conditions.iter().all(|condition| condition.holds(version))
        })
    }
}

/// Whether a character may be part of a number in a range. A single `|` is no separator to Masterminds.
fn fits(c: char) -> bool {
    c.is_ascii_digit() || matches!(c, 'x' | 'X' | '*' | '|')
}

fn is_wildcard(part: &str) -> bool {
    matches!(part, "x" | "X" | "*")
}

/// Takes a version of a range.
fn take_version<'t>(rest: &mut Cursor<'t>) -> Option<(&'t str, Written<'t>)> {
    let start = rest.0;
    rest.take("v");
    let written = Written::of(rest, fits)?;
    Some((&start[..start.len() - rest.0.len()], written))
}

/// Writes `1.0 - 2.0` as `>= 1.0, <= 2.0 `.
fn without_hyphens(text: &str) -> String {
    let mut out = text.to_owned();
    let mut at = 0;
    while at < text.len() {
        let mut rest = Cursor(&text[at..]);
        match hyphenated(&mut rest) {
            Some((from, to)) => {
                let end = text.len() - rest.0.len();
                out = out.replacen(&text[at..end], &format!(">= {from}, <= {to} "), 1);
                at = end;
            }
            None => at += text[at..].chars().next().map_or(1, char::len_utf8),
        }
    }
    out
}

fn hyphenated<'t>(rest: &mut Cursor<'t>) -> Option<(&'t str, &'t str)> {
    rest.skip_spaces();
    let (from, _) = take_version(rest)?;
    if !rest.skip_spaces() || !rest.take("-") || !rest.skip_spaces() {
        return None;
    }
    let (to, _) = take_version(rest)?;
    rest.skip_spaces();
    Some((from, to))
}

/// The conditions of an alternative, which spaces or commas separate.
fn conditions(text: &str) -> Result<Vec<Condition>, VersionError> {
    let improper = || VersionError::Improper(text.to_owned());
    let mut conditions = Vec::new();
    let mut rest = Cursor(text);
    let mut mistake = None;
    loop {
        rest.skip_spaces();
        let operator = OPERATORS.iter().find(|(written, _)| rest.take(written));
        let operator = operator.map_or(Operator::Equal, |(_, operator)| *operator);
        rest.skip_spaces();
        let (written, parts) = take_version(&mut rest).ok_or_else(improper)?;
        match Condition::new(operator, written, parts) {
            Ok(condition) => conditions.push(condition),
            // The range as a whole must be well-formed first.
            Err(error) => mistake = mistake.or(Some(error)),
        }
        let has_space = rest.skip_spaces();
        if rest.0.is_empty() {
            return mistake.map_or(Ok(conditions), Err);
        }
        if !rest.take(",") && !has_space {
            return Err(improper());
        }
    }
}

impl Condition {
    fn new(operator: Operator, written: &str, parts: Written<'_>) -> Result<Self, VersionError> {
        let pre = parts.pre.map_or(String::new(), |pre| format!("-{pre}"));
        let is_open = |part: Option<&str>| part.is_none_or(is_wildcard);
        let (open, text) = if is_wildcard(parts.major) {
            (Open::Major, format!("0.0.0{pre}"))
        } else if is_open(parts.minor) {
            (Open::Minor, format!("{}.0.0{pre}", parts.major))
        } else if is_open(parts.patch) {
            (Open::Patch, format!("{}.{}.0{pre}", parts.major, parts.minor.unwrap_or_default()))
        } else {
            (Open::None, written.to_owned())
        };
        let version = Version::parse(&text).map_err(|_| VersionError::new("constraint parser error"))?;
        Ok(Self { operator, version, open })
    }

    fn holds(&self, version: &Version) -> bool {
        let own = &self.version;
        let order = version.compare(own);
        match self.operator {
            Operator::Equal if self.open == Open::None => order.is_eq(),
            Operator::Equal | Operator::Tilde => self.tilde(version),
            Operator::NotEqual => self.differs(version),
            Operator::Above => match self.open {
                Open::None => order.is_gt(),
                _ if version.major != own.major => version.major > own.major,
                Open::Minor => false,
                Open::Patch => version.minor > own.minor,
                Open::Major => order.is_gt(),
            },
            Operator::Below => order.is_lt(),
            Operator::From => order.is_ge(),
            Operator::UpTo => match self.open {
                Open::None => order.is_le(),
                _ if version.major > own.major => false,
                Open::Minor => true,
                Open::Major | Open::Patch => version.major < own.major || version.minor <= own.minor,
            },
            Operator::Caret => self.caret(version),
        }
    }

    fn tilde(&self, version: &Version) -> bool {
        let own = &self.version;
        if version.compare(own).is_lt() {
            return false;
        }
        // `~0.0.0` and `*` hold for every version that is not below.
        let is_zero = (own.major, own.minor, own.patch) == (0, 0, 0);
        if is_zero && matches!(self.open, Open::None | Open::Major) {
            return true;
        }
        version.major == own.major && (version.minor == own.minor || self.open == Open::Minor)
    }

    fn differs(&self, version: &Version) -> bool {
        let own = &self.version;
        if self.open != Open::None {
            if own.major != version.major {
                return true;
            }
            match self.open {
                Open::Minor => return false,
                _ if own.minor != version.minor => return true,
                Open::Patch => {
                    let either = version.is_prerelease() || own.is_prerelease();
                    return either && super::compare_parts(&version.pre, &own.pre).is_ne();
                }
                _ if own.patch != version.patch => return true,
                _ => {}
            }
        }
        version.compare(own).is_ne()
    }

    fn caret(&self, version: &Version) -> bool {
        let own = &self.version;
        if version.compare(own).is_lt() {
            return false;
        }
        if own.major > 0 || self.open == Open::Minor {
            return version.major == own.major;
        }
        if version.major > 0 {
            return false;
        }
        if own.minor > 0 || self.open == Open::Patch {
            return version.minor == own.minor;
        }
        version.minor == 0 && version.patch == own.patch
    }
}
