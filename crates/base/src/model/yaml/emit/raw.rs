//! Scalars that no JSON value stands for, and how a value holds them all the same.

use std::borrow::Cow;

/// A scalar that no value stands for, such as a float that is no number, a time, or bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawScalar {
    pub(super) tag: Option<&'static str>,
    pub(super) text: String,
}

impl RawScalar {
    /// A text that is printed as it is.
    pub fn plain(text: impl Into<String>) -> Self {
        Self { tag: None, text: text.into() }
    }

    /// A text behind a tag, such as `!!binary`; one of several lines is printed as a block.
    pub fn tagged(tag: &'static str, text: impl Into<String>) -> Self {
        Self { tag: Some(tag), text: text.into() }
    }
}

/// RawScalars that stand in a value: a place in the value is a text that names one of them.
#[derive(Debug, Clone, Default)]
pub struct RawScalars(Vec<RawScalar>);

impl RawScalars {
    /// What a text that names a scalar begins with. It is no character of any text, but bytes may say so.
    const MARK: char = '\u{fdd0}';

    /// Adds a scalar, and gives the text that names it.
    pub fn add(&mut self, scalar: RawScalar) -> String {
        self.0.push(scalar);
        format!("{}{}", Self::MARK, self.0.len() - 1)
    }

    /// A text that names none of them.
    pub fn text<'t>(&self, text: Cow<'t, str>) -> Cow<'t, str> {
        if text.starts_with(Self::MARK) { format!("{}{text}", Self::MARK).into() } else { text }
    }

    /// The scalar that a text names, or else the text that it is.
    pub(super) fn read<'s>(&'s self, text: &'s str) -> Result<&'s RawScalar, &'s str> {
        let Some(named) = text.strip_prefix(Self::MARK) else { return Err(text) };
        named.parse().ok().and_then(|at: usize| self.0.get(at)).ok_or(named)
    }
}
