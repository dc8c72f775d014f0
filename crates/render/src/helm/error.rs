//! What a template's run can end with, worded as Go and helm word it.

use std::fmt;

/// An error of a function or of a template's run. Like Go's errors it may wrap another one, which is part of its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error(Box<Inner>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Inner {
    text: String,
    kind: ErrorKind,
    cause: Option<Error>,
}

/// What decides how an error is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// Made by a function, by parsing or by an argument that does not fit.
    Plain,
    /// Go's `template.ExecError`: it carries the place in the template.
    Exec,
    /// A bound on what a chart may use was reached. No template can catch it.
    Bound,
}

impl Error {
    /// An error with this text, as Go's `errors.New`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Box::new(Inner { text: text.into(), kind: ErrorKind::Plain, cause: None }))
    }

    /// A bound on what a chart may use was reached.
    pub fn bound(text: impl Into<String>) -> Self {
        Self(Box::new(Inner { text: text.into(), kind: ErrorKind::Bound, cause: None }))
    }

    /// This error within another one, as `fmt.Errorf` with `%w`. `text` holds this error's text.
    #[must_use]
    pub fn wrapped(self, text: impl Into<String>) -> Self {
        let kind = if self.is_bound() { ErrorKind::Bound } else { ErrorKind::Plain };
        Self(Box::new(Inner { text: text.into(), kind, cause: Some(self) }))
    }

    /// This error as one that a template's run ends with at a place that `text` names.
    #[must_use]
    pub fn at_place(text: impl Into<String>, cause: Option<Error>) -> Self {
        let is_bound = cause.as_ref().is_some_and(Error::is_bound);
        let kind = if is_bound { ErrorKind::Bound } else { ErrorKind::Exec };
        Self(Box::new(Inner { text: text.into(), kind, cause }))
    }

    /// The whole text.
    pub fn text(&self) -> &str {
        &self.0.text
    }

    /// What the error is.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whether a bound was reached.
    pub fn is_bound(&self) -> bool {
        self.0.kind == ErrorKind::Bound
    }

    /// The error within this one.
    pub fn cause(&self) -> Option<&Error> {
        self.0.cause.as_ref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.text)
    }
}

impl std::error::Error for Error {}
