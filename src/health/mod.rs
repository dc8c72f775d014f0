//! Whether an object is well, judged from the object alone.

/// The health of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// It is as it should be.
    Current,
    /// It is on its way.
    InProgress(String),
    /// It will not get there by itself.
    Failed(String),
    /// It is being deleted.
    Terminating(String),
    /// It does not exist.
    NotFound,
}
