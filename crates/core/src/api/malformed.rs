//! An object that cannot be read.

/// An object that does not fit the schema of its kind: it was written before the schema was installed, or
/// past it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{subject} is malformed: {message}")]
pub struct Malformed {
    /// `Kind/namespace/name`.
    pub subject: String,
    /// The field, and its mistake.
    pub message: String,
}
