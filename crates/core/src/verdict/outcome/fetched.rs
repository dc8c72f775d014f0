//! The outcomes that only a fetch of a source has.

use std::collections::BTreeMap;

use super::{Ending, Outcome};
use crate::api::Selection;

/// The outcomes that only a fetch of a source has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fetched {
    /// A new revision is held.
    Updated {
        /// `main@sha1:...`, `latest@sha256:...`.
        revision: String,
        /// Digest of the tree.
        digest: String,
        /// The commit's subject, if it is known.
        subject: Option<String>,
        /// The commit that was held before, if the new one does not descend from it.
        rewritten: Option<String>,
        /// The maker's annotations of an OCI artifact.
        metadata: BTreeMap<String, String>,
        /// `spec.url`.
        url: String,
        /// The selected part of the revision.
        selection: Selection,
        /// The content.
        content: Content,
        /// Whether it was checked that it is signed.
        is_verified: bool,
    },
    /// The held revision is still the wanted one.
    Unchanged {
        /// `main@sha1:...`, `latest@sha256:...`.
        revision: String,
        /// `spec.url`.
        url: String,
        /// The selected part of the revision.
        selection: Selection,
        /// The content.
        content: Content,
        /// Whether it was checked that it is signed.
        is_verified: bool,
    },
    /// There is nothing to fetch: the object only gives an address to other sources.
    Static,
    /// The source could not be fetched.
    Failed {
        /// The cause.
        cause: FetchCause,
        /// The error, and the cure.
        message: String,
        /// Whether only a change of the object helps.
        terminal: bool,
    },
}

/// The content of a source.
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

/// The facts about a chart for messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackedChart {
    /// Its name.
    pub name: String,
    /// Whether it was repackaged.
    pub is_packaged: bool,
    /// The files whose values replace its own.
    pub values_files: Vec<String>,
    /// Whether such files may be missing.
    pub ignores_missing: bool,
    /// The revision of the source that it was made from; `None` if that has none.
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

/// Why a source could not be fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FetchCause {
    /// The host is not the expected one, or refuses the credentials; or there are none.
    Authentication,
    /// `spec.provider` and the Secret do not go together.
    Provider,
    /// The host, the network, or the request has a problem.
    Operation,
    /// `spec.url` can never work.
    Url,
    /// The repository has no commits.
    Empty,
    /// The choices could not be listed, or none of them matches.
    Listing,
    /// The fetched content does not have the required form.
    Content,
    /// No signature that is asked for was found.
    Signature,
    /// The local object store has a problem.
    Storage,
    /// The source of a chart does not exist.
    NoSource,
    /// The source of a chart has no artifact yet.
    NoArtifact,
    /// The source has no such chart, or not in that version.
    Reference,
    /// The chart could not be fetched.
    Pull,
    /// The chart's version cannot be changed as required.
    Version,
    /// The files with a chart's values cannot be read or merged.
    ValuesFiles,
    /// Charts that a chart depends on are missing.
    Dependencies,
    /// The archive is no chart.
    Package,
}

impl FetchCause {
    /// Whether it passes as soon as another object changes, which wakes this one.
    pub(in crate::verdict) const fn is_waited_for(self) -> bool {
        matches!(self, Self::NoSource | Self::NoArtifact)
    }
}
