//! The time of this machine, as the chain, the lease and the main loop ask for it.

use std::time::{Duration, Instant, SystemTime};

use rustix::time::{ClockId, clock_gettime};

use lockgate_base::model::Timestamp;
use lockgate_core::pipeline::clock::{Clock, Sleep};

/// A clock that goes on while the machine is suspended, as a lease does; Linux's [`Instant`] does not.
#[cfg(target_os = "linux")]
const SINCE_START: ClockId = ClockId::Boottime;
#[cfg(not(target_os = "linux"))]
const SINCE_START: ClockId = ClockId::Monotonic;

/// The clock of the machine; it sleeps on the runtime's timer.
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
        // A time that cannot be represented is after the end of any lease.
        Duration::try_from(clock_gettime(SINCE_START)).unwrap_or(Duration::MAX)
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// A moment as statuses write it.
pub(super) fn timestamp(moment: SystemTime) -> Timestamp {
    Timestamp::from_unix(i64::try_from(since_1970(moment).as_secs()).unwrap_or(i64::MAX))
}

/// The time that passed from 1970 to a moment.
pub(super) fn since_1970(moment: SystemTime) -> Duration {
    moment.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO)
}
