//! The worker that builds in a test.

use std::cell::RefCell;

use lockgate_render::helm::shelf::Shelf;

use crate::pipeline::workers::{Ended, Work, Workers};

thread_local! {
    static SHELF: RefCell<Shelf> = RefCell::default();
}

/// How many charts [`Here`] has read on this thread.
pub(super) fn charts_read() -> u64 {
    SHELF.with_borrow(Shelf::reads)
}

/// Runs the build on the caller's thread.
#[derive(Debug)]
pub(super) struct Here;

impl Workers for Here {
    fn run(&self, work: Work) -> Ended {
        SHELF.with_borrow_mut(work);
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
