//! PersistentVolumeClaim: healthy when it is bound; failed when its volume was lost.

use super::super::state::Health;
use super::super::status::{JudgedObject, in_progress};

pub(super) fn health(status: JudgedObject<'_>) -> Health {
    match status.text("/status/phase") {
        "Bound" => Health::Current,
        "Lost" => Health::Failed(format!("its volume {} is lost", status.text("/spec/volumeName"))),
        "" => in_progress("it is not bound"),
        phase => in_progress(format!("it is not bound, its phase is {phase}")),
    }
}
