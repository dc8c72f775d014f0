//! APIService: healthy when the server of the group answers. kstatus has no rule for it, and would start
//! objects that need the group too early.

use super::super::state::Health;
use super::super::status::{JudgedObject, in_progress};

pub(super) fn health(status: JudgedObject<'_>) -> Health {
    match status.condition("Available") {
        Some(available) if available.is_true() => Health::Current,
        Some(available) => Health::InProgress(available.message()),
        None => in_progress("its availability has not been checked yet"),
    }
}
