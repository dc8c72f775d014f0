//! What a success leaves for the next run.

use lockgate_base::model::{Digest, ObjectId};
use lockgate_base::tree::{Footprint, Tree};

/// What a successful reconcile leaves, so that the next one can tell that there is nothing to do.
#[derive(Debug, Clone, PartialEq)]
pub struct Memo {
    pub(super) generation: i64,
    pub(super) footprint: Footprint,
    pub(super) inputs: Digest,
    pub(super) ids: Vec<ObjectId>,
}

impl Memo {
    /// Whether it is of this generation, and of files that the tree still has as they were.
    pub(super) fn is_of(&self, generation: i64, tree: &Tree) -> bool {
        self.generation == generation && tree.matches(&self.footprint)
    }
}
