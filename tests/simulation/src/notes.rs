//! What a machine keeps of what its agent is at.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use lockgate_core::quarantine::{EndMark, Marks};

/// Marks in memory.
#[derive(Debug, Default)]
pub(crate) struct Notes(Mutex<BTreeMap<String, EndMark>>);

impl Notes {
    /// What the next agent of the machine finds: what this one does from here on, as it is torn down, never
    /// happens to a process that is killed.
    pub(crate) fn left(&self) -> Self {
        Self(Mutex::new(self.read(|marks| marks.clone())))
    }

    fn read<T>(&self, with: impl FnOnce(&mut BTreeMap<String, EndMark>) -> T) -> T {
        with(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Marks for Notes {
    fn all(&self) -> Vec<EndMark> {
        self.read(|marks| marks.values().cloned().collect())
    }

    fn put(&self, mark: &EndMark) {
        self.read(|marks| marks.insert(mark.subject.clone(), mark.clone()));
    }

    fn take(&self, subject: &str) {
        self.read(|marks| marks.remove(subject));
    }
}
