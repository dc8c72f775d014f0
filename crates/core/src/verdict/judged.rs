//! A status that only the verdict makes.

use std::ops::Deref;

/// A status as the verdict wrote it. No other module can make one, and no status is written but such a one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged<S>(S);

impl<S> Judged<S> {
    pub(super) const fn new(status: S) -> Self {
        Self(status)
    }

    /// The status, to be kept.
    pub fn into_inner(self) -> S {
        self.0
    }
}

impl<S> Deref for Judged<S> {
    type Target = S;

    fn deref(&self) -> &S {
        &self.0
    }
}
