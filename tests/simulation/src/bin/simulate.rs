//! Runs seeds: `simulate SEEDS [FIRST]` runs so many, from `FIRST` on; `simulate --replay SEED` prints the
//! history of one. The first seed that breaks a law is cut down to the steps that it needs, and its history
//! printed.

use std::process::ExitCode;
use std::time::Instant;

use simulation::{Outcome, Scenario, many, replay, shrink};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize| arguments.get(at).and_then(|text| text.parse().ok());
    if arguments.first().is_some_and(|first| first == "--replay") {
        let Some(seed) = number(1) else { return usage() };
        let outcome = replay(&Scenario::of(seed));
        println!("{}", outcome.history.join("\n"));
        return told(seed, &outcome);
    }
    let Some(seeds) = number(0) else { return usage() };
    all(seeds, number(1).unwrap_or(0))
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

/// Runs seeds, and shows the first that fails.
fn all(seeds: u64, first: u64) -> ExitCode {
    let began = Instant::now();
    let failed = many(first, seeds);
    for (seed, outcome) in &failed {
        println!("seed {seed}: {}", outcome.broken[0]);
    }
    println!("{seeds} seeds in {:.1} s, {} failed", began.elapsed().as_secs_f64(), failed.len());
    let Some((seed, _)) = failed.into_iter().next() else { return ExitCode::SUCCESS };
    let small = shrink(&Scenario::of(seed));
    let outcome = replay(&small);
    println!("{}\n", outcome.history.join("\n"));
    println!("seed {seed} needs these steps:\n  {}", small.lines().join("\n  "));
    told(seed, &outcome)
}
