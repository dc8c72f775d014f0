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
        /// Whether it was checked that it is signed.
        is_verified: bool,
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
        /// Whether it was checked that it is signed.
        is_verified: bool,
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
    /// A chart.
    Chart(PackedChart),
}

/// What is told of a chart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackedChart {
    /// Its name.
    pub name: String,
    /// Whether it was not taken as it is.
    pub is_packaged: bool,
    /// The files whose values stand for its own.
    pub values_files: Vec<String>,
    /// Whether such files may be missing.
    pub ignores_missing: bool,
    /// The revision of the source that it was made from; `None` where that has none.
    pub source_revision: Option<String>,
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
    /// `spec.provider` and the Secret do not go together.
    Provider,
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
    /// No signature that is asked for was found.
    Signature,
    /// The local object store.
    Storage,
    /// The source of a chart is not there.
    NoSource,
    /// The source of a chart holds nothing yet.
    NoArtifact,
    /// The source has no such chart, or not in that version.
    Reference,
    /// The chart could not be fetched.
    Pull,
    /// The chart's version cannot be changed as it must be.
    Version,
    /// The files with a chart's values cannot be read or merged.
    ValuesFiles,
    /// Charts that a chart depends on are missing.
    Dependencies,
    /// The chart is none.
    Package,
}

impl FetchCause {
    /// Whether it passes as soon as another object changes, which is told.
    pub(in crate::verdict) const fn is_waited_for(self) -> bool {
        matches!(self, Self::NoSource | Self::NoArtifact)
    }
}
