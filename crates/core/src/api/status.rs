//! What the statuses of all kinds have in common.

use std::fmt::Debug;

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use lockgate_base::model::Conditions;

/// What the statuses of all kinds have in common.
pub trait Status:
    Debug + Clone + Default + PartialEq + Serialize + DeserializeOwned + JsonSchema + Send + Sync + 'static
{
    /// The conditions.
    fn conditions(&self) -> &Conditions;
    /// The generation that the conditions are about; -1 before the first look.
    fn observed_generation(&self) -> Option<i64>;
    /// The last value of the `requestedAt` annotation that was acted on.
    fn handled(&self) -> Option<&str>;
    /// The revision that was applied last, of a kind that applies what a source holds.
    fn last_applied_revision(&self) -> Option<&str> {
        None
    }
}
