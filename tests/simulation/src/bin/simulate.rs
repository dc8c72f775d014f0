//! Runs seeds: `simulate SEEDS [FIRST]` runs so many, from `FIRST` on; `simulate --replay SEED` prints the history of one.
//! The first seed that breaks a law is cut down to the steps that it needs, and its history printed.

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use simulation::{Outcome, Scenario, run, shrink};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize| arguments.get(at).and_then(|text| text.parse().ok());
    if arguments.first().is_some_and(|first| first == "--replay") {
        let Some(seed) = number(1) else { return usage() };
        let outcome = run(&Scenario::of(seed));
        println!("{}", outcome.history.join("\n"));
        return told(seed, &outcome);
    }
    let Some(seeds) = number(0) else { return usage() };
    many(seeds, number(1).unwrap_or(0))
}

fn usage() -> ExitCode {
    eprintln!("usage: simulate SEEDS [FIRST] | simulate --replay SEED");
    ExitCode::from(2)
}

fn told(seed: u64, outcome: &Outcome) -> ExitCode {
    if outcome.broken.is_empty() {
        return ExitCode::SUCCESS;
    }
    println!("seed {seed}:\n  {}", outcome.broken.join("\n  "));
    ExitCode::FAILURE
}

/// Runs seeds on all processors.
fn many(seeds: u64, first: u64) -> ExitCode {
    let began = Instant::now();
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let next = AtomicU64::new(first);
    let failed: Vec<u64> = std::thread::scope(|scope| {
        let work = || {
            let mut failed = Vec::new();
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= first + seeds {
                    return failed;
                }
                let outcome = run(&Scenario::of(seed));
                if !outcome.broken.is_empty() {
                    println!("seed {seed}: {}", outcome.broken[0]);
                    failed.push(seed);
                }
            }
        };
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap_or_default()).collect()
    });
    println!("{seeds} seeds in {:.1} s, {} failed", began.elapsed().as_secs_f64(), failed.len());
    let Some(seed) = failed.into_iter().min() else { return ExitCode::SUCCESS };
    let small = shrink(&Scenario::of(seed));
    let outcome = run(&small);
    println!("{}\n", outcome.history.join("\n"));
    println!("seed {seed} needs these steps:\n  {}", small.lines().join("\n  "));
    told(seed, &outcome)
}
