//! The content of a source that this process holds.

use std::borrow::Cow;
use std::sync::Arc;

use lockgate_base::model::{Digest, Revision};
use lockgate_base::tree::{Snapshot, TreeEntry};
use lockgate_git::helm::Indexed;

/// What this process holds of a source.
#[derive(Debug, Clone)]
pub(crate) enum Held {
    /// Files.
    Files(Snapshot),
    /// The index of a repository of charts.
    Index {
        /// What `status.artifact.revision` says.
        revision: Revision,
        /// The index.
        index: Arc<Indexed>,
    },
}

impl Held {
    /// What `status.artifact.revision` says.
    pub(crate) const fn revision(&self) -> &Revision {
        match self {
            Self::Files(snapshot) => &snapshot.revision,
            Self::Index { revision, .. } => revision,
        }
    }

    /// The files, where it is files.
    pub(crate) const fn files(&self) -> Option<&Snapshot> {
        match self {
            Self::Files(snapshot) => Some(snapshot),
            Self::Index { .. } => None,
        }
    }

    /// The same, to be kept.
    pub(crate) fn into_files(self) -> Option<Snapshot> {
        match self {
            Self::Files(snapshot) => Some(snapshot),
            Self::Index { .. } => None,
        }
    }

    /// A digest of what is held: of files, their paths and the identities of what is in them.
    pub(crate) fn digest(&self) -> Digest {
        match self {
            Self::Files(snapshot) => digest_of(snapshot),
            // Of the index at which a paused repository stays, though another one is held in its place.
            Self::Index { revision, index } => revision.to_string().parse().unwrap_or(index.digest),
        }
    }
}

fn digest_of(snapshot: &Snapshot) -> Digest {
    let parts = snapshot.tree.entries().flat_map(|(path, entry)| {
        let what = match entry {
            TreeEntry::File(id) => id.as_slice(),
            TreeEntry::Link(target) => target.as_bytes(),
            TreeEntry::Submodule => b"submodule",
            TreeEntry::Unlisted(cause) => cause.as_bytes(),
        };
        [Cow::from(path.into_bytes()), Cow::from(what)]
    });
    Digest::of_parts(parts)
}
