//! PodDisruptionBudget: well once its controller has seen it, which the generation tells. How many
//! disruptions it allows is the business of its pods.

use super::super::state::Health;
use super::super::status::JudgedObject;

pub(super) fn health(_status: JudgedObject<'_>) -> Health {
    Health::Current
}
