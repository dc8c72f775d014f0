//! From an object as the API server stores it to the types of its kind.

use super::kind::{Kind, Resource};
use lockgate_base::model::Object;

/// An object that is not of its kind's form: written before the schema was there, or past it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{subject} is malformed: {message}")]
pub struct Malformed {
    /// `Kind/namespace/name`.
    pub subject: String,
    /// Which field, and what is wrong with it.
    pub message: String,
}

/// Reads one object as a kind. It is decoded by itself, so that a malformed one holds up no other (CVE-2022-39272).
pub fn decode<K: Kind>(object: &Object) -> Result<Resource<K>, Malformed> {
    serde_path_to_error::deserialize(object.value()).map_err(|error| {
        let path = error.path().to_string();
        let problem = error.into_inner();
        // The object as a whole, where a field is missing at its top.
        let message = if path == "." { problem.to_string() } else { format!("{path}: {problem}") };
        Malformed { subject: object.id().subject(), message }
    })
}
