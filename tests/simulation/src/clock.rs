//! Simulated time: the runtime's own, which passes when all else waits, and on top of it clocks that can be
//! set.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use lockgate_core::pipeline::clock::{Clock, Sleep};

use crate::moment::BEGIN;
use crate::world::World;

/// The clock of one agent's machine.
#[derive(Debug)]
pub(crate) struct MachineClock {
    world: World,
    agent: &'static str,
    /// The error of the wall clock, in seconds.
    off: AtomicI64,
    /// How long the machine was suspended, in milliseconds.
    suspended: AtomicU64,
    /// The number of reads of the wall clock: each read returns another moment.
    asked: AtomicU64,
}

impl MachineClock {
    pub(crate) fn new(world: World, agent: &'static str) -> Self {
        Self { world, agent, off: AtomicI64::new(0), suspended: AtomicU64::new(0), asked: AtomicU64::new(0) }
    }

    /// Sets the wall clock forward or back.
    pub(crate) fn set(&self, seconds: i64) {
        self.off.fetch_add(seconds, Ordering::Relaxed);
    }

    /// Lets time pass that counts only for the machine's uptime.
    pub(crate) fn suspend(&self, time: Duration) {
        let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        self.suspended.fetch_add(millis, Ordering::Relaxed);
    }
}

impl Clock for MachineClock {
    fn now(&self) -> Instant {
        tokio::time::Instant::now().into_std()
    }

    fn wall(&self) -> SystemTime {
        let asked = Duration::from_nanos(self.asked.fetch_add(1, Ordering::Relaxed));
        let off = self.off.load(Ordering::Relaxed);
        let true_time = SystemTime::UNIX_EPOCH + BEGIN + self.world.time() + asked;
        let distance = Duration::from_secs(off.unsigned_abs());
        if off < 0 { true_time - distance } else { true_time + distance }
    }

    fn uptime(&self) -> Duration {
        // The uptime begins before the simulation, so that no lease is older than the machine.
        Duration::from_secs(1000)
            + self.world.time()
            + Duration::from_millis(self.suspended.load(Ordering::Relaxed))
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        let (world, agent) = (self.world.clone(), self.agent);
        Box::pin(async move {
            tokio::time::sleep(duration).await;
            world.thawed(agent).await;
        })
    }
}
