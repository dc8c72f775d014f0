//! Moments of the simulation.

use std::time::Duration;

/// When every simulation begins: 2026-01-01T00:00:00Z.
pub(crate) const BEGIN: Duration = Duration::from_secs(1_767_225_600);

/// Which moment of the simulation a timestamp of Kubernetes is.
pub(crate) fn since_begin(stamp: &str) -> Option<Duration> {
    let moment: jiff::Timestamp = stamp.parse().ok()?;
    Duration::from_secs(u64::try_from(moment.as_second()).ok()?).checked_sub(BEGIN)
}

/// A moment of the simulation as Kubernetes writes it.
pub(crate) fn stamp(since_begin: Duration) -> String {
    let seconds = i64::try_from((BEGIN + since_begin).as_secs()).unwrap_or(i64::MAX);
    jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::MAX).to_string()
}
