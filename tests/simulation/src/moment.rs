//! Moments of the simulation.

use std::time::Duration;

/// When every simulation begins: 2026-01-01T00:00:00Z.
pub(crate) const BEGIN: Duration = Duration::from_secs(1_767_225_600);

/// A moment of the simulation as Kubernetes writes it.
pub(crate) fn stamp(since_begin: Duration) -> String {
    let seconds = i64::try_from((BEGIN + since_begin).as_secs()).unwrap_or(i64::MAX);
    jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::MAX).to_string()
}
