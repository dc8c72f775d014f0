//! Runs many seeds, on all processors.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::run::{Outcome, run};
use crate::step::Scenario;

/// Runs `seeds` seeds from `first` on. Returns the outcomes that break a law, in the order of their seeds.
pub fn many(first: u64, seeds: u64) -> Vec<(u64, Outcome)> {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let next = AtomicU64::new(first);
    let work = || {
        let mut failed = Vec::new();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first + seeds {
                return failed;
            }
            let outcome = run(&Scenario::of(seed));
            if !outcome.broken.is_empty() {
                failed.push((seed, outcome));
            }
        }
    };
    let mut failed: Vec<(u64, Outcome)> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let ended = workers.into_iter().flat_map(|worker| match worker.join() {
            Ok(failed) => failed,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        ended.collect()
    });
    failed.sort_by_key(|(seed, _)| *seed);
    failed
}
