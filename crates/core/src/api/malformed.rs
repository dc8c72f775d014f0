//! An object that cannot be read.

/// An object that is not of its kind's form: written before the schema was there, or past it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{subject} is malformed: {message}")]
pub struct Malformed {
    /// `Kind/namespace/name`.
    pub subject: String,
    /// Which field, and what is wrong with it.
    pub message: String,
}
