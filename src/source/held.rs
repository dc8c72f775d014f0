//! The fetched content of a source.

use std::borrow::Cow;
use std::sync::Arc;

use lockgate_base::model::{Digest, Revision};
use lockgate_base::tree::{Snapshot, TreeEntry};
use lockgate_git::helm::Indexed;

/// The fetched content of a source.
#[derive(Debug, Clone)]
pub(crate) enum Held {
    /// Files.
    Files(Snapshot),
    /// The index of a Helm repository.
    Index {
        /// The value of `status.artifact.revision`.
        revision: Revision,
        /// The index.
        index: Arc<Indexed>,
    },
}

impl Held {
    /// The value of `status.artifact.revision`.
    pub(crate) const fn revision(&self) -> &Revision {
        match self {
            Self::Files(snapshot) => &snapshot.revision,
            Self::Index { revision, .. } => revision,
        }
    }

    /// The files, if the content is files.
    pub(crate) const fn files(&self) -> Option<&Snapshot> {
        match self {
            Self::Files(snapshot) => Some(snapshot),
            Self::Index { .. } => None,
        }
    }

    /// Takes the files, if the content is files.
    pub(crate) fn into_files(self) -> Option<Snapshot> {
        match self {
            Self::Files(snapshot) => Some(snapshot),
            Self::Index { .. } => None,
        }
    }

    /// A digest of the content; for files, of their paths and the identities of their contents.
    pub(crate) fn digest(&self) -> Digest {
        match self {
            Self::Files(snapshot) => digest_of(snapshot),
            // The digest of the index at which a suspended repository stays, even if another one is kept in
            // its place.
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
