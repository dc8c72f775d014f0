//! PodDisruptionBudget: healthy once its controller has observed its generation. The number of allowed
//! disruptions depends on its pods, and is not judged here.

use super::super::state::Health;
use super::super::status::JudgedObject;

pub(super) fn health(_status: JudgedObject<'_>) -> Health {
    Health::Current
}
