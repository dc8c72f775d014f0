//! What a verdict needs besides the outcome.

use std::time::Duration as StdDuration;

use super::redact::Redactor;
use crate::api::KustomizationSpec;
use lockgate_base::model::{Duration, Ref, Timestamp};

/// Flux's floor for `spec.timeout`, and what it leaves of the interval where no timeout is given.
const TIMEOUT_FLOOR: StdDuration = StdDuration::from_secs(30);

/// When an object is worked on and how long it may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    /// After a success.
    pub interval: StdDuration,
    /// After a failure.
    pub retry: StdDuration,
    /// For health checks and deletions.
    pub timeout: StdDuration,
}

impl Schedule {
    /// The times of a spec with Flux's defaults: retry after the interval, and a timeout of the interval less
    /// 30 s, but never under 30 s.
    pub fn new(interval: Duration, retry: Option<Duration>, timeout: Option<Duration>) -> Self {
        let interval = interval.std();
        let timeout = timeout.map_or_else(|| interval.saturating_sub(TIMEOUT_FLOOR), Duration::std);
        Self { interval, retry: retry.map_or(interval, Duration::std), timeout: timeout.max(TIMEOUT_FLOOR) }
    }
}

impl From<&KustomizationSpec> for Schedule {
    fn from(spec: &KustomizationSpec) -> Self {
        Self::new(spec.interval, spec.retry_interval, spec.timeout)
    }
}

/// What a verdict needs besides the outcome. `S` is the status of the object's kind.
#[derive(Debug, Clone)]
pub struct VerdictContext<'a, S> {
    /// The object.
    pub key: &'a Ref,
    /// `metadata.generation` of what was worked on.
    pub generation: i64,
    /// When it is worked on again.
    pub schedule: Schedule,
    /// The `requestedAt` annotation.
    pub requested_at: Option<&'a str>,
    /// The status as it stands.
    pub previous: &'a S,
    /// The revision of the source that was built; for a source the one that it held before.
    pub revision: Option<&'a str>,
    /// The revision of what that was made from, where its maker says so.
    pub origin: Option<&'a str>,
    /// The moment of the verdict.
    pub now: Timestamp,
    /// How long the work took.
    pub took: StdDuration,
    /// The secret values that were handled.
    pub redactor: &'a Redactor,
}
