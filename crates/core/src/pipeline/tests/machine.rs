//! The worker that builds in a test.

use crate::pipeline::workers::{Ended, Work, Workers};

/// Runs the build on the caller's thread.
#[derive(Debug)]
pub(super) struct Here;

impl Workers for Here {
    fn run(&self, work: Work) -> Ended {
        work();
        Box::pin(async { Ok(()) })
    }
}

/// Never completes a build.
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
