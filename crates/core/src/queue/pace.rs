//! How long until the next run: jitter, backoff, and what to do about a fight over an object.

use std::collections::BTreeMap;
use std::time::Duration;

use lockgate_base::model::{Digest, ObjectId, Ref};

/// The longest wait between fast retries.
pub(super) const BACKOFF_LIMIT: Duration = Duration::from_secs(30);
/// The shortest wait that a spec may ask for.
const SHORTEST: Duration = Duration::from_secs(1);
/// How many corrections of one object are made without delay.
const CORRECTIONS_AT_ONCE: u32 = 4;
/// Corrections further apart than this are no fight.
pub const FIGHT_WINDOW: Duration = Duration::from_mins(1);

/// A wait that a spec asks for, but not so short that nothing else is done. None at all means "not by a timer", as in Flux.
pub(super) fn spaced(wait: Duration) -> Option<Duration> {
    (!wait.is_zero()).then(|| wait.max(SHORTEST))
}

/// `interval` lengthened or shortened by up to 5 %, the same for the same object and run.
pub(super) fn jittered(interval: Duration, key: &Ref, run: u64) -> Duration {
    let digest = Digest::of_parts([key.namespace.as_bytes(), key.name.as_bytes(), &run.to_be_bytes()]);
    let word = u16::from_be_bytes([digest.bytes()[0], digest.bytes()[1]]);
    // From 0.95 to 1.05 in steps of 0.1/65535.
    interval.mul_f64(0.95 + 0.1 * f64::from(word) / f64::from(u16::MAX))
}

/// 1, 2, 4 s ... up to `limit` after the first, second, third ... failure that may pass by itself.
pub(super) fn backoff(failures: u32, limit: Duration) -> Duration {
    Duration::from_secs(1 << failures.saturating_sub(1).min(20)).min(limit)
}

/// Who keeps changing an object that Git sets otherwise.
#[derive(Debug, Default)]
pub(super) struct Fights(BTreeMap<ObjectId, Fight>);

#[derive(Debug, Clone, Copy)]
struct Fight {
    corrections: u32,
    last: Duration,
}

/// When a drifted object is put back.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Correction {
    /// At once.
    Now,
    /// Later, since it was put back too often of late. The first time that this happens it is worth an event.
    After {
        /// How much later.
        delay: Duration,
        /// Whether the fight has only now become one.
        first: bool,
    },
}

impl Fights {
    /// An object drifted once more.
    pub(super) fn drifted(&mut self, object: &ObjectId, now: Duration, interval: Duration) -> Correction {
        // The pause grows with the fight, so the window in which it goes on must too.
        let window = |fight: &Fight| FIGHT_WINDOW.max(pause(fight.corrections, interval) * 2);
        self.0.retain(|_, fight| now.saturating_sub(fight.last) <= window(fight));
        let fight = self.0.entry(object.clone()).or_insert(Fight { corrections: 0, last: now });
        fight.corrections += 1;
        fight.last = now;
        if fight.corrections <= CORRECTIONS_AT_ONCE {
            return Correction::Now;
        }
        Correction::After {
            delay: pause(fight.corrections, interval),
            first: fight.corrections == CORRECTIONS_AT_ONCE + 1,
        }
    }
}

/// Nothing for the first corrections, then doubling up to the interval, where there is one.
fn pause(corrections: u32, interval: Duration) -> Duration {
    let Some(over) = corrections.checked_sub(CORRECTIONS_AT_ONCE + 1) else { return Duration::ZERO };
    Duration::from_secs(2 << over.min(20)).min(spaced(interval).unwrap_or(FIGHT_WINDOW))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fight_that_is_over_is_forgotten() {
        let mut fights = Fights::default();
        let interval = Duration::from_mins(10);
        for number in 0..10 {
            let object = format!("n_map-{number}__ConfigMap").parse().unwrap();
            fights.drifted(&object, Duration::from_secs(number), interval);
        }
        assert_eq!(fights.0.len(), 10);
        let last = "n_last__ConfigMap".parse().unwrap();
        fights.drifted(&last, FIGHT_WINDOW + Duration::from_secs(6), interval);
        assert_eq!(fights.0.len(), 5, "{fights:?}");
    }
}
