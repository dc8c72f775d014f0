//! The errors of a fetch: one enum, each variant with its class, its cure, and whether a retry may help.

use std::time::Duration;

/// The class of a failure, which decides the reason of a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureClass {
    /// The host is not the expected one, or does not accept the credentials.
    AuthenticationFailed,
    /// `spec.provider` and the Secret do not fit together.
    ProviderInvalid,
    /// The host or the network failed.
    GitOperationFailed,
    /// `spec.url` can never work.
    UrlInvalid,
    /// The operation took longer than allowed.
    Timeout,
    /// The host has no such branch, tag, reference or commit.
    ReferenceNotFound,
    /// The repository has no commits.
    EmptyRepository,
    /// The versions to choose from could not be listed, or none of them fits.
    ListingFailed,
    /// The fetched content does not have the required form.
    ContentInvalid,
    /// No required signature was found.
    Unsigned,
    /// The local object store failed.
    Storage,
}

/// Why a source could not be fetched. Messages contain no password, token or key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// The address is refused before any connection.
    #[error("invalid url '{url}': {problem}")]
    InvalidUrl {
        /// The address without its possibly secret parts.
        url: String,
        /// What is wrong, and what to write instead.
        problem: String,
    },
    /// The credentials are unusable.
    #[error("{secret}: {problem}")]
    Credentials {
        /// `Secret namespace/name`, or `spec.secretRef` if there is none.
        secret: String,
        /// What is wrong, and what to write instead.
        problem: String,
    },
    /// The host's identity is not the expected one.
    #[error("{0}")]
    HostKey(String),
    /// The host does not accept the credentials.
    #[error("{0}")]
    Rejected(String),
    /// There is no connection, or it broke.
    #[error("cannot reach {host}: {cause}")]
    Connect {
        /// `host:port`.
        host: String,
        /// The network's message.
        cause: String,
    },
    /// The host answered with an error, or with something else than Git's protocol.
    #[error("{host}: {message}")]
    Remote {
        /// `host:port`.
        host: String,
        /// The host's message.
        message: String,
    },
    /// The fetch has timed out.
    #[error("timed out after {after:?} while {doing}")]
    Timeout {
        /// The limit.
        after: Duration,
        /// What the fetch was doing.
        doing: String,
    },
    /// The reference does not exist on the host.
    #[error("{0}")]
    ReferenceNotFound(String),
    /// `spec.ref` can never work.
    #[error("{0}")]
    InvalidReference(String),
    /// The repository has no commits.
    #[error("git repository is empty: push a first commit to {0}")]
    Empty(String),
    /// `spec.provider` and the Secret do not fit together.
    #[error("{0}")]
    Provider(String),
    /// The source exceeds a limit of the agent.
    #[error("{0}")]
    TooLarge(String),
    /// The versions to choose from could not be listed, or none of them fits.
    #[error("{0}")]
    Listing(String),
    /// The fetched content does not have the required form, or is not the requested one.
    #[error("{0}")]
    Content(String),
    /// The content has no required signature.
    #[error("{0}")]
    Unsigned(String),
    /// A local folder cannot be read.
    #[error("{path}: {problem}")]
    Folder {
        /// The folder.
        path: String,
        /// The cause.
        problem: String,
    },
    /// The object store could not be written or read.
    #[error("object store: {0}")]
    Storage(String),
}

impl SourceError {
    /// The kind of failure.
    pub const fn class(&self) -> FailureClass {
        match self {
            Self::InvalidUrl { .. } => FailureClass::UrlInvalid,
            Self::Credentials { .. } | Self::HostKey(_) | Self::Rejected(_) => {
                FailureClass::AuthenticationFailed
            }
            Self::Provider(_) => FailureClass::ProviderInvalid,
            Self::Connect { .. } | Self::Remote { .. } | Self::TooLarge(_) | Self::InvalidReference(_) => {
                FailureClass::GitOperationFailed
            }
            Self::Timeout { .. } => FailureClass::Timeout,
            Self::ReferenceNotFound(_) => FailureClass::ReferenceNotFound,
            Self::Empty(_) => FailureClass::EmptyRepository,
            Self::Listing(_) => FailureClass::ListingFailed,
            Self::Content(_) => FailureClass::ContentInvalid,
            Self::Unsigned(_) => FailureClass::Unsigned,
            Self::Storage(_) | Self::Folder { .. } => FailureClass::Storage,
        }
    }

    /// Whether a retry is useless until the object itself is changed.
    pub const fn is_terminal(&self) -> bool {
        matches!(self, Self::InvalidUrl { .. } | Self::InvalidReference(_))
    }
}

/// A host's text for a status message: one line, without control characters, of limited length.
pub(crate) fn one_line(text: &str) -> String {
    const LIMIT: usize = 300;
    let words: Vec<&str> =
        text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()).collect();
    let line = words.join(" ");
    match line.char_indices().nth(LIMIT) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_host_says_becomes_one_short_line() {
        assert_eq!(one_line("ERROR: no\r\n\x1b[31mRepository\0 \n"), "ERROR: no [31mRepository");
        assert_eq!(one_line(&"é".repeat(1000)).chars().count(), 301);
    }
}
