//! A machine's record of the runs of its agent.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use lockgate_core::quarantine::{EndMark, Marks};

/// Marks in memory.
#[derive(Debug, Default)]
pub(crate) struct Notes(Mutex<BTreeMap<String, EndMark>>);

impl Notes {
    /// The marks for the next agent of the machine. A process that is killed never does what this agent still
    /// does while it is torn down, so its later changes do not count.
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
