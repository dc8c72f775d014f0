//! The delay until the next run: jitter and backoff.

use std::time::Duration;

use super::signal::{Next, RunId};
use lockgate_base::model::{Digest, Ref};

/// The longest wait between fast retries.
const BACKOFF_LIMIT: Duration = Duration::from_secs(30);
/// The shortest wait that a spec may request.
const SHORTEST: Duration = Duration::from_secs(1);

/// The wait that a spec requests, but at least [`SHORTEST`], so that other work is still done. A wait of zero
/// disables the timer, as in Flux.
pub(super) fn spaced(wait: Duration) -> Option<Duration> {
    (!wait.is_zero()).then(|| wait.max(SHORTEST))
}

/// `interval` lengthened or shortened by up to 5 %, equally for the same object and run.
fn jittered(interval: Duration, key: &Ref, run: u64) -> Duration {
    let digest = Digest::of_parts([key.namespace.as_bytes(), key.name.as_bytes(), &run.to_be_bytes()]);
    let word = u16::from_be_bytes([digest.bytes()[0], digest.bytes()[1]]);
    // From 0.95 to 1.05 in steps of 0.1/65535.
    interval.mul_f64(0.95 + 0.1 * f64::from(word) / f64::from(u16::MAX))
}

/// 1, 2, 4 s ... up to `limit` after the first, second, third ... failure that may pass without help.
fn backoff(failures: u32, limit: Duration) -> Duration {
    Duration::from_secs(1 << failures.saturating_sub(1).min(20)).min(limit)
}

/// When an object runs again after `failures` failures in a row; `None` if it runs only after a change.
pub(super) fn due(next: Next, key: &Ref, run: RunId, failures: u32, now: Duration) -> Option<Duration> {
    let delay = match next {
        Next::Now => Duration::ZERO,
        Next::Interval(interval) => jittered(spaced(interval)?, key, run),
        Next::After(delay) | Next::Unblocked(delay) => spaced(delay)?,
        Next::Backoff => backoff(failures, BACKOFF_LIMIT),
        Next::BackoffTo(limit) => backoff(failures, spaced(limit)?),
        Next::Changed => return None,
    };
    Some(now + delay)
}
