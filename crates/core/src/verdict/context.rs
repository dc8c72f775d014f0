//! The inputs of a verdict besides the outcome.

use std::time::Duration as StdDuration;

use super::redact::Redactor;
use crate::api::{HelmReleaseSpec, KustomizationSpec};
use lockgate_base::model::{Duration, Ref, Timestamp};

/// Flux's minimum for `spec.timeout`, which is also subtracted from the interval for the default.
const TIMEOUT_FLOOR: StdDuration = StdDuration::from_secs(30);

/// When an object runs again, and how long a run may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    /// The wait after a success.
    pub interval: StdDuration,
    /// The wait after a failure.
    pub retry: StdDuration,
    /// The time limit for health checks and deletions.
    pub timeout: StdDuration,
}

impl Schedule {
    /// The times of a spec with Flux's defaults: a retry after the interval, and a timeout of the interval
    /// less 30 s, but at least 30 s.
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

/// When a HelmRelease is worked on again, and how long its actions may wait.
impl From<&HelmReleaseSpec> for Schedule {
    fn from(spec: &HelmReleaseSpec) -> Self {
        Self { timeout: spec.timeout_of(None).std(), ..Self::new(spec.interval, None, None) }
    }
}

/// The inputs of a verdict besides the outcome. `S` is the status of the object's kind.
#[derive(Debug, Clone)]
pub struct VerdictContext<'a, S> {
    /// The object.
    pub key: &'a Ref,
    /// The `metadata.generation` that the run worked on.
    pub generation: i64,
    /// When the object runs again.
    pub schedule: Schedule,
    /// The `requestedAt` annotation.
    pub requested_at: Option<&'a str>,
    /// The current status.
    pub previous: &'a S,
    /// The revision of the source that was built; for a source, the revision that it held before.
    pub revision: Option<&'a str>,
    /// The revision of the origin of that revision, if its maker names one.
    pub origin: Option<&'a str>,
    /// The moment of the verdict.
    pub now: Timestamp,
    /// The duration of the run.
    pub took: StdDuration,
    /// The secret values that the run has handled.
    pub redactor: &'a Redactor,
}
