//! Who keeps changing an object that Git sets otherwise.

use std::collections::BTreeSet;

use super::outcome::{Change, Deed};

/// Who keeps changing an object that Git sets otherwise, and what of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rivalry {
    /// Field managers; empty where they are not known.
    pub managers: BTreeSet<String>,
    /// The paths of the fields that were put back.
    pub fields: BTreeSet<String>,
    /// Whether the object had to be made again.
    pub deleted: bool,
}

impl Rivalry {
    /// Takes note of what was put back.
    pub fn add(&mut self, change: &Change) {
        self.deleted |= change.deed == Deed::Created;
        self.fields.extend(change.fields.iter().cloned());
    }
}
