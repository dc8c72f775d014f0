//! The port to time. The chain, the lease and the agent's main loop tell the time and sleep through it alone,
//! so that a test can decide what time it is.

use std::fmt::Debug;
use std::pin::Pin;
use std::time::{Duration, Instant, SystemTime};

/// The end of a sleep.
pub type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Tells the time, and lets time pass.
pub trait Clock: Debug + Send + Sync {
    /// This moment on a clock that never goes back. It may stand still while the machine is suspended.
    fn now(&self) -> Instant;

    /// This moment on the wall clock, which may be set.
    fn wall(&self) -> SystemTime;

    /// The time since the machine was started; it goes on while the machine is suspended.
    fn uptime(&self) -> Duration;

    /// Ends after `duration`, as [`Clock::now`] counts.
    fn sleep(&self, duration: Duration) -> Sleep;

    /// How long ago `earlier` was.
    fn since(&self, earlier: Instant) -> Duration {
        self.now().saturating_duration_since(earlier)
    }
}

/// The output of `work`, or `None` where it has not ended within `limit`; then it is dropped.
pub async fn within<T>(clock: &dyn Clock, limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    // Boxed: an async function holds what it is given twice, once as it came and once pinned.
    let work = Box::pin(work);
    tokio::select! {
        biased;
        output = work => Some(output),
        () = clock.sleep(limit) => None,
    }
}

/// The clock of the runtime that runs the test.
#[cfg(test)]
#[derive(Debug)]
pub(crate) struct Watch;

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test's clock has to come from somewhere")]
impl Clock for Watch {
    fn now(&self) -> Instant {
        tokio::time::Instant::now().into_std()
    }

    fn wall(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH
    }

    fn uptime(&self) -> Duration {
        Duration::ZERO
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        Box::pin(tokio::time::sleep(duration))
    }
}
