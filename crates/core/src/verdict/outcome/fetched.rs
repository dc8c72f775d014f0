//! What only a fetch of a source can end in.

use std::collections::BTreeMap;

use super::{Ending, Outcome};
use crate::api::Selection;

/// What only a fetch of a source can end in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fetched {
    /// A revision is held that was not held before.
    Updated {
        /// `main@sha1:...`, `latest@sha256:...`.
        revision: String,
        /// Digest of the tree.
        digest: String,
        /// The commit's subject, where known.
        subject: Option<String>,
        /// The commit that was held before, when the new one does not descend from it.
        rewritten: Option<String>,
        /// What its maker says of it: the annotations of an OCI artifact.
        metadata: BTreeMap<String, String>,
        /// `spec.url`.
        url: String,
        /// Which part of the revision is held.
        selection: Selection,
        /// What it is.
        content: Content,
    },
    /// The revision that is held is still the one that is wanted.
    Unchanged {
        /// `main@sha1:...`, `latest@sha256:...`.
        revision: String,
        /// `spec.url`.
        url: String,
        /// Which part of the revision is held.
        selection: Selection,
        /// What it is.
        content: Content,
    },
    /// There is nothing to fetch: the object only says where others are to be fetched from.
    Static,
    /// The source could not be fetched.
    Failed {
        /// What kept it from being fetched.
        cause: FetchCause,
        /// What happened, and the cure.
        message: String,
        /// Whether nothing but a change of the object helps.
        terminal: bool,
    },
}

/// What is held of a source.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Content {
    /// Files.
    #[default]
    Files,
    /// The index of a repository of charts.
    Index {
        /// The size of its text, in bytes.
        size: u64,
    },
}

impl From<Fetched> for Outcome<Fetched> {
    fn from(fetched: Fetched) -> Self {
        Self::Own(fetched)
    }
}

impl Ending for Fetched {
    fn is_success(&self) -> bool {
        matches!(self, Self::Updated { .. } | Self::Unchanged { .. } | Self::Static)
    }

    fn summary(&self) -> String {
        match self {
            Self::Updated { .. } => "fetched".into(),
            Self::Unchanged { .. } => "unchanged".into(),
            Self::Static => "nothing to fetch".into(),
            Self::Failed { .. } => "not fetched".into(),
        }
    }
}

/// What kept a source from being fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FetchCause {
    /// The host is not the one expected, or does not let the credentials in; or there are none.
    Authentication,
    /// The host, the network, or what was asked of them.
    Operation,
    /// `spec.url` can never work.
    Url,
    /// The repository has no commits.
    Empty,
    /// What there is to choose from could not be listed, or nothing of it is meant.
    Listing,
    /// What was fetched is not of the form that it must have.
    Content,
    /// The local object store.
    Storage,
}
