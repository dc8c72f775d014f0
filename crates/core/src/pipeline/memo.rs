//! The record that a success leaves for the next run.

use lockgate_base::model::{Digest, ObjectId};
use lockgate_base::tree::{Footprint, Tree};

/// The record of a successful reconcile. With it the next one can tell that there is nothing to do.
#[derive(Debug, Clone, PartialEq)]
pub struct Memo {
    pub(super) generation: i64,
    pub(super) footprint: Footprint,
    pub(super) inputs: Digest,
    pub(super) ids: Vec<ObjectId>,
}

impl Memo {
    /// Whether the record is about this generation, and the tree still has all files that the build read.
    pub(super) fn is_of(&self, generation: i64, tree: &Tree) -> bool {
        self.generation == generation && tree.matches(&self.footprint)
    }
}
