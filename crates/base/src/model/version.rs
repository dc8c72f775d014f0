//! Semantic versions and ranges of them, read as the Go library Masterminds/semver reads them. Tags, charts,
//! the version of Kubernetes that a chart requires, and templates use them.

mod range;
#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::fmt;

pub use range::Range;

/// The longest version, in bytes.
const LONGEST: usize = 256;

/// A version such as `1.2.3-rc.1+build`. Minor and patch may be missing from the text, and a `v` may stand
/// before it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Version {
    /// The first number.
    pub major: u64,
    /// The second number.
    pub minor: u64,
    /// The third number.
    pub patch: u64,
    /// The text behind the minus; empty for a release.
    pub pre: String,
    /// The text behind the plus. It does not count in comparisons.
    pub metadata: String,
    /// The text that was read.
    pub original: String,
}

/// Why a text is not a version or a range. The message is that of Masterminds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VersionError {
    /// This part of a range is no condition.
    #[error("improper constraint: {0:?}")]
    Improper(String),
    /// Any other mistake.
    #[error("{0}")]
    Other(String),
}

impl VersionError {
    fn new(text: impl Into<String>) -> Self {
        Self::Other(text.into())
    }
}

impl Version {
    /// Reads a version.
    pub fn parse(text: &str) -> Result<Self, VersionError> {
        if text.len() > LONGEST {
            return Err(VersionError::new(format!("version string is too long (max {LONGEST} bytes)")));
        }
        let mut rest = Cursor(text);
        rest.take("v");
        let written = Written::of(&mut rest, |c| c.is_ascii_digit());
        let written = written.filter(|_| rest.0.is_empty());
        let written = written.ok_or_else(|| VersionError::new("invalid semantic version"))?;
        let number = |part: Option<&str>| part.map_or(Ok(0), segment);
        let version = Self {
            major: number(Some(written.major))?,
            minor: number(written.minor)?,
            patch: number(written.patch)?,
            pre: written.pre.unwrap_or_default().to_owned(),
            metadata: written.metadata.unwrap_or_default().to_owned(),
            original: text.to_owned(),
        };
        let starts_zero = |part: &str| part.len() > 1 && part.starts_with('0');
        let is_number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if version.pre.split('.').any(|part| is_number(part) && starts_zero(part)) {
            return Err(VersionError::new("version segment starts with 0"));
        }
        Ok(version)
    }

    /// Reads the version in the name of a tag or a chart as Flux does: three numbers without leading zeros,
    /// with an optional `v` before them.
    pub fn of_tag(text: &str) -> Option<Self> {
        let numbers = text.strip_prefix('v').unwrap_or(text);
        let end = numbers.find(['-', '+']).unwrap_or(numbers.len());
        let parts: Vec<&str> = numbers[..end].split('.').collect();
        let is_plain = |part: &&str| !(part.len() > 1 && part.starts_with('0'));
        let is_whole = parts.len() == 3 && parts.iter().all(is_plain);
        Self::parse(text).ok().filter(|_| is_whole)
    }

    /// Whether the version is a pre-release.
    pub fn is_prerelease(&self) -> bool {
        !self.pre.is_empty()
    }

    /// The order of versions without their metadata.
    pub fn compare(&self, other: &Self) -> Ordering {
        let numbers = |version: &Self| (version.major, version.minor, version.patch);
        numbers(self).cmp(&numbers(other)).then_with(|| compare_pre(&self.pre, &other.pre))
    }

    /// The order of versions with their metadata, which decides between versions that are otherwise equal.
    pub fn compare_whole(&self, other: &Self) -> Ordering {
        self.compare(other).then_with(|| compare_parts(&self.metadata, &other.metadata))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)?;
        if !self.pre.is_empty() {
            write!(f, "-{}", self.pre)?;
        }
        if !self.metadata.is_empty() {
            write!(f, "+{}", self.metadata)?;
        }
        Ok(())
    }
}

fn segment(text: &str) -> Result<u64, VersionError> {
    text.parse().map_err(|_| {
        let cause = format!("strconv.ParseUint: parsing \"{text}\": value out of range");
        VersionError::new(format!("error parsing version segment: {cause}"))
    })
}

/// Compares pre-release texts. A release comes after its pre-releases.
fn compare_pre(left: &str, right: &str) -> Ordering {
    match (left.is_empty(), right.is_empty()) {
        (true, true) => Ordering::Equal,
        (true, false) => Ordering::Greater,
        (false, true) => Ordering::Less,
        (false, false) => compare_parts(left, right),
    }
}

/// Compares part by part: numbers by value and before texts, and a missing or empty part first.
fn compare_parts(left: &str, right: &str) -> Ordering {
    let (mut left, mut right) = (left.split('.'), right.split('.'));
    loop {
        let order = match (left.next(), right.next()) {
            (None, None) => return Ordering::Equal,
            (None | Some(""), Some("")) | (Some(""), None) => Ordering::Equal,
            (None | Some(""), Some(_)) => Ordering::Less,
            (Some(_), None | Some("")) => Ordering::Greater,
            (Some(left), Some(right)) => match (left.parse::<u64>(), right.parse::<u64>()) {
                (Ok(left), Ok(right)) => left.cmp(&right),
                (Ok(_), Err(_)) => Ordering::Less,
                (Err(_), Ok(_)) => Ordering::Greater,
                (Err(_), Err(_)) => left.cmp(right),
            },
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

/// A text, and the part of it that is not read yet.
#[derive(Debug, Clone, Copy)]
struct Cursor<'t>(&'t str);

impl<'t> Cursor<'t> {
    fn take(&mut self, prefix: &str) -> bool {
        let rest = self.0.strip_prefix(prefix);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    /// Takes characters as long as they fit; `None` if none does.
    fn take_while(&mut self, fits: impl Fn(char) -> bool) -> Option<&'t str> {
        let end = self.0.find(|c| !fits(c)).unwrap_or(self.0.len());
        let (taken, rest) = self.0.split_at(end);
        self.0 = rest;
        Some(taken).filter(|taken| !taken.is_empty())
    }

    fn skip_spaces(&mut self) -> bool {
        self.take_while(|c| matches!(c, ' ' | '\t' | '\n' | '\x0c' | '\r')).is_some()
    }

    /// Takes a prefix, and then parts of letters, digits and minuses with dots between; takes nothing if the
    /// text does not begin so.
    fn take_parts(&mut self, prefix: &str) -> Option<&'t str> {
        let mut rest = *self;
        if !rest.take(prefix) {
            return None;
        }
        let start = rest.0;
        let is_letter = |c: char| c.is_ascii_alphanumeric() || c == '-';
        rest.take_while(is_letter)?;
        loop {
            let mut next = rest;
            if !next.take(".") || next.take_while(is_letter).is_none() {
                break;
            }
            rest = next;
        }
        *self = rest;
        Some(&start[..start.len() - rest.0.len()])
    }
}

/// The parts of a version as they are written.
#[derive(Debug, Clone, Copy)]
struct Written<'t> {
    major: &'t str,
    minor: Option<&'t str>,
    patch: Option<&'t str>,
    pre: Option<&'t str>,
    metadata: Option<&'t str>,
}

impl<'t> Written<'t> {
    /// Reads the version at the cursor, as far as it goes; `fits` says which characters a number has.
    fn of(rest: &mut Cursor<'t>, fits: impl Fn(char) -> bool) -> Option<Self> {
        let major = rest.take_while(&fits)?;
        let number = |rest: &mut Cursor<'t>| {
            let mut next = *rest;
            let part = if next.take(".") { next.take_while(&fits) } else { None };
            if part.is_some() {
                *rest = next;
            }
            part
        };
        let minor = number(rest);
        let patch = number(rest);
        let pre = rest.take_parts("-");
        let metadata = rest.take_parts("+");
        Some(Self { major, minor, patch, pre, metadata })
    }
}
