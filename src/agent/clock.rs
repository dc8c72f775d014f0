//! The clock of this machine, for the pipeline, the lease and the main loop.

use std::time::{Duration, Instant, SystemTime};

use rustix::time::{ClockId, clock_gettime};

use lockgate_core::pipeline::clock::{Clock, Sleep};

/// A clock that continues while the machine is suspended, as a lease does. Linux's [`Instant`] stops.
#[cfg(target_os = "linux")]
const SINCE_START: ClockId = ClockId::Boottime;
#[cfg(not(target_os = "linux"))]
const SINCE_START: ClockId = ClockId::Monotonic;

/// The clock of the machine. It sleeps on the runtime's timer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn wall(&self) -> SystemTime {
        SystemTime::now()
    }

    fn uptime(&self) -> Duration {
        // A time that cannot be represented is later than the end of any lease.
        Duration::try_from(clock_gettime(SINCE_START)).unwrap_or(Duration::MAX)
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        Box::pin(tokio::time::sleep(duration))
    }
}
