//! Standard output, errors, and exit codes.

use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;

use crate::bootstrap::problem::{ExitClass, FailedStep};

/// Writes data. It is no failure if the reader stops reading.
pub(super) fn write(text: &str) -> Result<(), CommandError> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).map_err(CommandError::from)
}

/// Writes YAML documents one by one, so that the texts of all of them are not in memory at the same time.
pub(super) fn write_documents(documents: impl Iterator<Item = String>) -> Result<(), CommandError> {
    let mut stdout = io::BufWriter::new(io::stdout().lock());
    for (index, document) in documents.enumerate() {
        if index > 0 {
            stdout.write_all(b"---\n")?;
        }
        stdout.write_all(document.as_bytes())?;
    }
    stdout.flush().map_err(CommandError::from)
}

/// A line that is safe for a terminal: without control characters, which could draw over other lines.
pub(super) fn printable(line: &str) -> String {
    let shown = |c: char| if c.is_control() { c.escape_unicode().collect::<String>() } else { c.to_string() };
    line.chars().map(shown).collect()
}

/// Text of several lines that is safe for a terminal.
pub(super) fn printable_lines(text: &str) -> String {
    text.split('\n').map(printable).collect::<Vec<_>>().join("\n")
}

/// Whether a stream shows colours: if it is a terminal, and the user has not disabled them (no-color.org).
pub(super) fn has_colour(is_terminal: bool) -> bool {
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    is_terminal && !is_set("NO_COLOR") && !is_dumb()
}

fn is_dumb() -> bool {
    std::env::var_os("TERM").is_some_and(|term| term == "dumb")
}

/// Whether lines on standard error may be overwritten.
pub(super) fn is_live() -> bool {
    io::stderr().is_terminal() && !is_dumb() && std::env::var_os("CI").is_none()
}

/// How many columns standard error has; `None` where it is no terminal.
pub(super) fn width() -> Option<usize> {
    /// The width of a terminal that does not report it.
    const USUAL: usize = 80;
    let stderr = io::stderr();
    stderr.is_terminal().then(|| {
        let size = rustix::termios::tcgetwinsize(&stderr);
        size.ok().map(|size| usize::from(size.ws_col)).filter(|columns| *columns > 0).unwrap_or(USUAL)
    })
}

/// The failure of a command.
#[derive(Debug)]
pub(super) struct CommandError {
    code: u8,
    /// The messages, one line each; empty if they have been printed already.
    messages: Vec<String>,
    hints: Vec<String>,
}

impl CommandError {
    /// A failure with exit code 1.
    pub(super) fn failed(message: impl Into<String>) -> Self {
        Self { code: 1, messages: vec![message.into()], hints: Vec::new() }
    }

    /// Several failures with exit code 1.
    pub(super) fn all(messages: Vec<String>) -> Self {
        Self { code: 1, messages, hints: Vec::new() }
    }

    /// Wrong usage, with exit code 2.
    pub(super) fn usage(message: impl Into<String>) -> Self {
        Self { code: 2, ..Self::failed(message) }
    }

    /// An unreachable cluster or server, with exit code 3.
    pub(super) fn unreachable(message: impl Into<String>) -> Self {
        Self { code: 3, ..Self::failed(message) }
    }

    /// A refusal for safety, with exit code 4.
    pub(super) fn refused(message: impl Into<String>) -> Self {
        Self { code: 4, ..Self::failed(message) }
    }

    /// A failure with an exit code of the caller's choice.
    pub(super) fn ended(code: u8, messages: Vec<String>) -> Self {
        Self { code, messages, hints: Vec::new() }
    }

    /// Adds advice on what to do.
    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// The messages as one text.
    pub(super) fn told(&self) -> String {
        self.messages.join("; ")
    }

    /// Prints the messages and the advice.
    pub(super) fn report(&self) -> ExitCode {
        let mut stderr = io::stderr().lock();
        for message in &self.messages {
            let _ = writeln!(stderr, "✗ {}", printable_lines(message));
        }
        for hint in &self.hints {
            let _ = writeln!(stderr, "  fix: {}", printable_lines(hint));
        }
        ExitCode::from(self.code)
    }

    #[cfg(test)]
    pub(super) const fn code(&self) -> u8 {
        self.code
    }
}

impl From<io::Error> for CommandError {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self { code: 0, messages: Vec::new(), hints: Vec::new() };
        }
        Self::failed(format!("the output cannot be written: {error}"))
    }
}

impl From<FailedStep> for CommandError {
    fn from(failure: FailedStep) -> Self {
        let messages =
            failure.problems.iter().map(|problem| format!("{}  {problem}", failure.step)).collect();
        let mut hints: Vec<String> = Vec::new();
        for fix in failure.problems.iter().filter_map(crate::bootstrap::problem::Problem::fix) {
            if !hints.contains(&fix) {
                hints.push(fix);
            }
        }
        let code = match failure.class() {
            ExitClass::Failed => 1,
            ExitClass::Usage => 2,
            ExitClass::Unreachable => 3,
            ExitClass::Refused => 4,
        };
        Self { code, messages, hints }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bootstrap::github::GitHubError;
    use crate::bootstrap::problem::Problem;

    #[test]
    fn a_reader_that_stops_is_no_failure() {
        let closed = CommandError::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!((closed.code, closed.messages.len()), (0, 0));
        assert_eq!(CommandError::from(io::Error::from(io::ErrorKind::StorageFull)).code, 1);
    }

    #[test]
    fn the_gravest_problem_decides_and_each_fix_stands_once() {
        let branch = |name: &str| Problem::NoBranch {
            branch: name.into(),
            known: "the default branch is 'main'".into(),
        };
        let unavailable = GitHubError::Unavailable { request: "GET /meta".into(), status: 502 };
        let unreachable = Problem::github(unavailable, "o/r");
        let secret = Problem::Secret { name: "n/s".into(), reason: "x".into() };
        for (problems, code, hints) in [
            (vec![branch("a"), branch("b")], 1, 1),
            (vec![branch("a"), unreachable.clone()], 3, 2),
            (vec![unreachable, secret], 4, 2),
        ] {
            let error = CommandError::from(FailedStep { step: "preflight", problems });
            assert_eq!((error.code, error.hints.len(), error.messages.len()), (code, hints, 2));
        }
    }
}
