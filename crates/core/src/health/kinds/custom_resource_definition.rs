//! CustomResourceDefinition: healthy when it is established. Its names may clash with those of another.

use super::super::state::Health;
use super::super::status::{JudgedObject, in_progress};

pub(super) fn health(status: JudgedObject<'_>) -> Health {
    if let Some(names) = status.condition("NamesAccepted").filter(|condition| condition.is_false()) {
        return Health::Failed(names.message());
    }
    match status.condition("Established") {
        Some(established) if established.is_true() => Health::Current,
        Some(established) if established.is_false() && established.reason() != "Installing" => {
            Health::Failed(established.message())
        }
        _ => in_progress("it is not established yet"),
    }
}
