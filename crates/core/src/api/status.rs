//! The fields that the statuses of all kinds have in common.

use std::fmt::Debug;

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use lockgate_base::model::Conditions;

/// The parts that the statuses of all kinds have in common.
pub trait Status:
    Debug + Clone + Default + PartialEq + Serialize + DeserializeOwned + JsonSchema + Send + Sync + 'static
{
    /// The conditions.
    fn conditions(&self) -> &Conditions;
    /// The generation that the conditions are about; -1 before the first reconcile.
    fn observed_generation(&self) -> Option<i64>;
    /// The last value of the `requestedAt` annotation that was handled.
    fn handled(&self) -> Option<&str>;
    /// The last applied revision, for a kind that applies the content of a source.
    fn last_applied_revision(&self) -> Option<&str> {
        None
    }
}
