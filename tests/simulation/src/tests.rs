//! Runs of a few seeds, and that a run is the same each time.

mod compare;

use super::*;

fn shown(outcome: &Outcome) -> String {
    let from = outcome.history.len().saturating_sub(200);
    format!("{}\n{}", outcome.history[from..].join("\n"), outcome.broken.join("\n"))
}

#[test]
fn a_quiet_platform_becomes_ready_and_the_same_seed_is_the_same_run() {
    let scenario = Scenario::quiet(1, 10);
    let outcome = run(&scenario);
    assert!(outcome.broken.is_empty(), "{}", shown(&outcome));
    assert_eq!(run(&scenario), outcome);
}
