//! The errors of a template's run, worded as Go and helm word them.

use std::fmt;

/// An error of a function or of a template's run. Like Go's errors it may wrap another one, whose text ends
/// its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error(Box<Inner>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Inner {
    /// The text without that of the cause.
    text: String,
    kind: ErrorKind,
    has_place: bool,
    cause: Option<Error>,
}

/// The kind of an error, which decides how it is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// An error of a function, of parsing, or of an unsuitable argument.
    Plain,
    /// Go's `template.ExecError`, which has the place in the template.
    Exec,
    /// A bound on a chart was reached. No template can catch this.
    Bound,
}

impl Error {
    /// An error with this text, as Go's `errors.New`.
    pub fn new(text: impl Into<String>) -> Self {
        Self::made(text.into(), ErrorKind::Plain, None)
    }

    /// The error of a reached bound.
    pub fn bound(text: impl Into<String>) -> Self {
        Self::made(text.into(), ErrorKind::Bound, None)
    }

    fn made(text: String, kind: ErrorKind, cause: Option<Error>) -> Self {
        Self(Box::new(Inner { text, kind, has_place: false, cause }))
    }

    /// Wraps this error in another one, like `fmt.Errorf` with `%w` at the end: `prefix` stands before this
    /// error's text. A reached bound stays as it is.
    #[must_use]
    pub fn within(self, prefix: impl Into<String>) -> Self {
        if self.is_bound() { self } else { Self::made(prefix.into(), ErrorKind::Plain, Some(self)) }
    }

    /// Adds a place in a template, which `prefix` names. A reached bound keeps its first place.
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

    /// The kind of the error.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whether a bound was reached.
    pub fn is_bound(&self) -> bool {
        self.0.kind == ErrorKind::Bound
    }

    /// The wrapped error.
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
