//! Why a source could not be read: one enum, each variant with its class, its cure, and whether trying again
//! may help.

use std::time::Duration;

/// What kind of failure it is: what a condition's reason is chosen by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureClass {
    /// The host is not the one expected, or it does not let this credential in.
    AuthenticationFailed,
    /// `spec.provider` and the Secret do not go together.
    ProviderInvalid,
    /// The host or the network failed.
    GitOperationFailed,
    /// `spec.url` can never work as it stands.
    UrlInvalid,
    /// The operation took longer than allowed.
    Timeout,
    /// The host answered, and it has no such branch, tag, reference or commit.
    ReferenceNotFound,
    /// The repository has no commits.
    EmptyRepository,
    /// What there is to choose from could not be listed, or nothing of it is meant.
    ListingFailed,
    /// What was fetched is not of the form that it must have.
    ContentInvalid,
    /// No signature that is asked for was found.
    Unsigned,
    /// The local object store failed.
    Storage,
}

/// Why a source could not be read. Messages carry no password, token or key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// The address is refused before anything is connected to.
    #[error("invalid url '{url}': {problem}")]
    InvalidUrl {
        /// The address, without what may be secret in it.
        url: String,
        /// What is wrong, and what to write.
        problem: String,
    },
    /// The credentials cannot be used as they stand.
    #[error("{secret}: {problem}")]
    Credentials {
        /// `Secret namespace/name`, or `spec.secretRef` when there is none.
        secret: String,
        /// What is wrong, and what to write.
        problem: String,
    },
    /// The host's identity is not the one expected.
    #[error("{0}")]
    HostKey(String),
    /// The host does not accept the credentials.
    #[error("{0}")]
    Rejected(String),
    /// No connection, or it broke.
    #[error("cannot reach {host}: {cause}")]
    Connect {
        /// `host:port`.
        host: String,
        /// What the network said.
        cause: String,
    },
    /// The host answered with an error, or with something that is not Git.
    #[error("{host}: {message}")]
    Remote {
        /// `host:port`.
        host: String,
        /// What it said.
        message: String,
    },
    /// The wall-clock limit passed.
    #[error("timed out after {after:?} while {doing}")]
    Timeout {
        /// The limit.
        after: Duration,
        /// What was going on.
        doing: String,
    },
    /// The reference does not exist on the host.
    #[error("{0}")]
    ReferenceNotFound(String),
    /// `spec.ref` can never work as it stands.
    #[error("{0}")]
    InvalidReference(String),
    /// The repository has no commits.
    #[error("git repository is empty: push a first commit to {0}")]
    Empty(String),
    /// `spec.provider` and the Secret do not go together.
    #[error("{0}")]
    Provider(String),
    /// The source is larger than the agent takes.
    #[error("{0}")]
    TooLarge(String),
    /// What there is to choose from could not be listed, or nothing of it is meant.
    #[error("{0}")]
    Listing(String),
    /// What was fetched is not of the form that it must have, or not what was asked for.
    #[error("{0}")]
    Content(String),
    /// What was to be fetched carries no signature that is asked for.
    #[error("{0}")]
    Unsigned(String),
    /// A local folder cannot be read.
    #[error("{path}: {problem}")]
    Folder {
        /// Which.
        path: String,
        /// Why not.
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

    /// Whether trying again is pointless until the object itself is changed.
    pub const fn is_terminal(&self) -> bool {
        matches!(self, Self::InvalidUrl { .. } | Self::InvalidReference(_))
    }
}

/// What a host said, made fit for a status message: one line, no control characters, a bounded length.
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
