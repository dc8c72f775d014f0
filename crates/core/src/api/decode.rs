//! Decodes an object, as the API server stores it, into the types of its kind.

use std::sync::Arc;

use super::kind::{Kind, Resource};
use super::malformed::Malformed;
use super::source::{Source, SourceSpec, SourceStatus};
use lockgate_base::model::Object;

/// Reads one object as a kind. Each object is decoded by itself, so that a malformed one does not block the
/// others (CVE-2022-39272).
pub fn decode<K: Kind>(object: &Object) -> Result<Resource<K>, Malformed> {
    serde_path_to_error::deserialize(object.value()).map_err(|error| {
        let path = error.path().to_string();
        let problem = error.into_inner();
        // The path is `.` if a top-level field is missing.
        let message = if path == "." { problem.to_string() } else { format!("{path}: {problem}") };
        Malformed { subject: object.id().subject(), message }
    })
}

/// Reads one object as the kind of source whose `spec` has this type.
pub(super) fn source<K: Kind<Status = SourceStatus> + SourceSpec>(
    object: &Object,
) -> Result<Source, Malformed> {
    let Resource { metadata, spec, status } = decode::<K>(object)?;
    let unserved = spec.unserved();
    Ok(Source { kind: K::INFO.id, metadata, spec: Arc::new(spec), status, unserved })
}
