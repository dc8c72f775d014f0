//! The port to time. The chain, the lease and the agent's main loop read the time and sleep only through this
//! port, so that a test can decide the time.

use std::fmt::Debug;
use std::pin::Pin;
use std::time::{Duration, Instant, SystemTime};

/// The end of a sleep.
pub type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The time, and sleep.
pub trait Clock: Debug + Send + Sync {
    /// The current moment on a monotonic clock. The clock may stand still while the machine is suspended.
    fn now(&self) -> Instant;

    /// The current moment on the wall clock, which may be set.
    fn wall(&self) -> SystemTime;

    /// The time since the machine was started, including the time that it was suspended.
    fn uptime(&self) -> Duration;

    /// Completes after `duration` by [`Clock::now`].
    fn sleep(&self, duration: Duration) -> Sleep;

    /// The time since `earlier`.
    fn since(&self, earlier: Instant) -> Duration {
        self.now().saturating_duration_since(earlier)
    }
}

/// The output of `work`, or `None` if it takes longer than `limit`; then `work` is dropped.
pub async fn within<T>(clock: &dyn Clock, limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    // An async function holds its argument twice, once as passed and once pinned, so the work is boxed.
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
