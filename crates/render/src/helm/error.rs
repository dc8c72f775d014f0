//! What a template's run can end with, worded as Go and helm word it.

use std::fmt;

/// An error of a function or of a template's run. Like Go's errors it may wrap another one, whose text ends
/// its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error(Box<Inner>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Inner {
    /// The text, but for that of the cause.
    text: String,
    kind: ErrorKind,
    has_place: bool,
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
        Self::made(text.into(), ErrorKind::Plain, None)
    }

    /// A bound on what a chart may use was reached.
    pub fn bound(text: impl Into<String>) -> Self {
        Self::made(text.into(), ErrorKind::Bound, None)
    }

    fn made(text: String, kind: ErrorKind, cause: Option<Error>) -> Self {
        Self(Box::new(Inner { text, kind, has_place: false, cause }))
    }

    /// This error within another one, as `fmt.Errorf` with `%w` at the end: `prefix` stands before this
    /// error's text. A reached bound stays as it is.
    #[must_use]
    pub fn within(self, prefix: impl Into<String>) -> Self {
        if self.is_bound() { self } else { Self::made(prefix.into(), ErrorKind::Plain, Some(self)) }
    }

    /// An error at a place in a template, which `prefix` names. A reached bound keeps the first place that it
    /// gets.
    #[must_use]
    pub fn at_place(prefix: impl Into<String>, cause: Option<Error>) -> Self {
        match cause {
            Some(cause) if cause.is_bound() => {
                if cause.0.has_place {
                    return cause;
                }
                let text = format!("{}{cause}", prefix.into());
                Self(Box::new(Inner { text, kind: ErrorKind::Bound, has_place: true, cause: None }))
            }
            cause => Self::made(prefix.into(), ErrorKind::Exec, cause),
        }
    }

    /// The whole text.
    pub fn text(&self) -> String {
        self.to_string()
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
        let mut at = Some(self);
        while let Some(error) = at {
            f.write_str(&error.0.text)?;
            at = error.cause();
        }
        Ok(())
    }
}

impl std::error::Error for Error {}
