//! What a run stands on in a test: time, and somebody who builds.

use std::time::{Duration, Instant, SystemTime};

use crate::pipeline::clock::{Clock, Sleep};
use crate::pipeline::workers::{Ended, Work, Workers};

/// The clock of the runtime that runs the test.
#[derive(Debug)]
pub(super) struct Watch;

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

/// Builds where it is asked to.
#[derive(Debug)]
pub(super) struct Here;

impl Workers for Here {
    fn run(&self, work: Work) -> Ended {
        work();
        Box::pin(async { Ok(()) })
    }
}

/// Never comes to an end of a build.
#[derive(Debug)]
pub(super) struct Never;

impl Workers for Never {
    fn run(&self, _work: Work) -> Ended {
        Box::pin(std::future::pending())
    }
}

/// Panics in each build.
#[derive(Debug)]
pub(super) struct Broken;

impl Workers for Broken {
    fn run(&self, _work: Work) -> Ended {
        Box::pin(async { Err("a.rs:1".into()) })
    }
}
