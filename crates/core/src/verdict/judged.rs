//! A status that only the verdict can make.

use std::ops::Deref;

/// A status as the verdict wrote it. No other module can make one, and the agent writes no other status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged<S>(S);

impl<S> Judged<S> {
    pub(super) const fn new(status: S) -> Self {
        Self(status)
    }

    /// The status itself.
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
