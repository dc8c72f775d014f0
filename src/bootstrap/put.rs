//! Writes objects to a cluster, and reports the changes.

use std::fmt;

use serde_json::{Value, json};

use crate::cluster::objects::{MANAGER, Objects};
use lockgate_base::keys;
use lockgate_base::model::Object;
use lockgate_core::pipeline::ports::ApiFailure;

/// The change that a step made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum PutOutcome {
    /// The object was as it should be.
    Unchanged,
    /// The object of another tool was changed.
    Adopted,
    /// The object of an earlier run was changed.
    Configured,
    /// The object did not exist.
    Created,
}

impl fmt::Display for PutOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unchanged => "unchanged",
            Self::Adopted => "adopted",
            Self::Configured => "configured",
            Self::Created => "created",
        })
    }
}

/// Applies an object. An object that a Kustomization manages stays as in Git, except for the remembered
/// flags: its manager does not know that annotation, and so leaves it.
pub(crate) async fn put(objects: &Objects, object: &Object) -> Result<PutOutcome, ApiFailure> {
    let live = objects.get(object).await?;
    if let Some(live) = live.as_ref().filter(|live| live.label(keys::OWNER_NAME).is_some()) {
        let flags = object.annotation(keys::FLAGS);
        if flags.is_none() || flags == live.annotation(keys::FLAGS) {
            return Ok(PutOutcome::Unchanged);
        }
        objects.merge(live, &json!({"metadata": {"annotations": {keys::FLAGS: flags}}})).await?;
        return Ok(PutOutcome::Configured);
    }
    let applied = objects.apply(object).await?;
    let Some(live) = live else { return Ok(PutOutcome::Created) };
    let version = |object: &Object| object.text("/metadata/resourceVersion").map(ToOwned::to_owned);
    Ok(if version(&live) == version(&applied) {
        PutOutcome::Unchanged
    } else if is_ours(&live) {
        PutOutcome::Configured
    } else {
        PutOutcome::Adopted
    })
}

/// Creates an object, unless one with its name exists, which stays as it is.
pub(crate) async fn create(objects: &Objects, object: &Object) -> Result<PutOutcome, ApiFailure> {
    if objects.get(object).await?.is_some() {
        return Ok(PutOutcome::Unchanged);
    }
    // Another run may have been faster.
    let is_new = objects.create(object).await?;
    Ok(if is_new { PutOutcome::Created } else { PutOutcome::Unchanged })
}

/// Whether bootstrap has written the object before.
pub(crate) fn is_ours(live: &Object) -> bool {
    let managers = live.pointer("/metadata/managedFields").and_then(Value::as_array);
    managers.is_some_and(|managers| managers.iter().any(|entry| entry["manager"] == MANAGER))
}
