//! Reduces a failing scenario to the steps without which it does not fail.

use std::time::Duration;

use crate::run::run;
use crate::step::{Scenario, Step};

/// The smallest scenario found that still breaks a law: fewer steps, then fewer Kustomizations. Returns a
/// scenario that breaks none unchanged.
pub fn shrink(scenario: &Scenario) -> Scenario {
    let fails = |scenario: &Scenario| !run(scenario).broken.is_empty();
    let mut small = scenario.clone();
    if !fails(&small) {
        return small;
    }
    let mut size = small.steps.len().div_ceil(2);
    while size > 0 {
        let mut at = 0;
        while at < small.steps.len() {
            let steps: Vec<(Duration, Step)> = small.steps[..at]
                .iter()
                .chain(&small.steps[(at + size).min(small.steps.len())..])
                .cloned()
                .collect();
            let candidate = Scenario { steps, ..small.clone() };
            if fails(&candidate) {
                small = candidate;
            } else {
                at += size;
            }
        }
        size /= 2;
    }
    while small.units > 1 {
        let candidate = Scenario { units: small.units - 1, ..small.clone() };
        if !fails(&candidate) {
            break;
        }
        small = candidate;
    }
    small
}
