//! The time of this machine. What must come out the same for the same input is handed it.

use std::time::{Duration, SystemTime};

use lockgate_base::model::Timestamp;

/// The present moment, as statuses write it.
pub(crate) fn now() -> Timestamp {
    timestamp(SystemTime::now())
}

/// A moment as statuses write it.
pub(crate) fn timestamp(moment: SystemTime) -> Timestamp {
    Timestamp::from_unix(i64::try_from(since_1970(moment).as_secs()).unwrap_or(i64::MAX))
}

/// The time that passed from 1970 to a moment.
pub(crate) fn since_1970(moment: SystemTime) -> Duration {
    moment.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO)
}
