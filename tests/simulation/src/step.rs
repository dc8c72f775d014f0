//! What happens to a platform: what people do to it, and what goes wrong.

use std::fmt;
use std::time::Duration;

use crate::chance::Chance;
use crate::world::Trouble;

/// The agents: two pods of one Deployment.
pub(crate) const AGENTS: [&str; 2] = ["lockgate-a", "lockgate-b"];

/// Something that happens. What exactly a number decides, by the state that it finds, so that it means something whatever was
/// left out before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// Someone commits a change.
    Commit(u64),
    /// Someone changes a live object.
    Drift(u64),
    /// Someone deletes a live object.
    Delete(u64),
    /// Someone deletes a live Kustomization.
    DeleteUnit(u64),
    /// Someone suspends a Kustomization.
    Suspend(u64),
    /// Someone resumes all.
    Resume,
    /// Someone asks for a reconciliation.
    Annotate(u64),
    /// An admission webhook denies an object.
    Deny(u64),
    /// It denies nothing any more.
    Allow,
    /// Requests of an agent go wrong for a while, each with this probability.
    Weather(usize, Trouble, u64, Duration),
    /// An agent reaches nothing, and is reached by nothing, for a while.
    CutOff(usize, Duration),
    /// An agent ends at its so-manieth request from now, and starts again some time later.
    Kill(usize, u64, Duration),
    /// All watches end.
    CutWatches,
    /// The server forgets changes, and ends all watches.
    Compact,
    /// The wall clock of an agent's machine is set.
    SetClock(usize, i64),
    /// An agent's machine has been suspended for so long.
    Suspended(usize, Duration),
    /// The Git host is gone for a while.
    GitDown(Duration),
    /// The branch is moved back by a commit.
    MoveBack,
    /// Another takes the lease by force, and does not renew it.
    Steal,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// A whole run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scenario {
    /// What decides all else.
    pub seed: u64,
    /// How many Kustomizations there are at first.
    pub(crate) units: u64,
    /// What happens, and when.
    pub(crate) steps: Vec<(Duration, Step)>,
}

impl Scenario {
    /// The scenario of a seed.
    pub fn of(seed: u64) -> Self {
        let mut chance = Chance::new(seed);
        let units = 3 + chance.below(8);
        let count = 4 + chance.below(20);
        let mut steps: Vec<(Duration, Step)> =
            (0..count).map(|_| (Duration::from_millis(chance.below(600_000)), step(&mut chance))).collect();
        steps.sort_by_key(|(at, _)| *at);
        Self { seed, units, steps }
    }

    /// A platform that nothing happens to.
    pub fn quiet(seed: u64, units: u64) -> Self {
        Self { seed, units, steps: Vec::new() }
    }

    /// What happens, a line each.
    pub fn lines(&self) -> Vec<String> {
        let line =
            |(at, step): &(Duration, Step)| format!("{:>6}.{:03} {step}", at.as_secs(), at.subsec_millis());
        self.steps.iter().map(line).collect()
    }
}

fn step(chance: &mut Chance) -> Step {
    let salt = chance.number();
    let agent = usize::try_from(chance.below(2)).unwrap_or(0);
    let seconds = |chance: &mut Chance, most: u64| Duration::from_millis(chance.below(most * 1000));
    match chance.below(100) {
        0..30 => Step::Commit(salt),
        30..38 => Step::Drift(salt),
        38..43 => Step::Delete(salt),
        43..45 => Step::DeleteUnit(salt),
        45..48 => Step::Suspend(salt),
        48..50 => Step::Resume,
        50..53 => Step::Annotate(salt),
        53..55 => Step::Deny(salt),
        55..57 => Step::Allow,
        57..70 => {
            let troubles = [
                Trouble::LostBefore,
                Trouble::LostAfter,
                Trouble::Twice,
                Trouble::Slow,
                Trouble::Refused(409),
                Trouble::Refused(429),
                Trouble::Refused(500),
                Trouble::Refused(503),
            ];
            let trouble = chance.pick(&troubles).copied().unwrap_or(Trouble::Slow);
            Step::Weather(agent, trouble, 5 + chance.below(60), seconds(chance, 90))
        }
        70..74 => Step::CutOff(agent, seconds(chance, 60)),
        74..84 => Step::Kill(agent, chance.below(40), seconds(chance, 20)),
        84..87 => Step::CutWatches,
        87..89 => Step::Compact,
        89..91 => Step::SetClock(agent, i64::try_from(chance.below(7200)).unwrap_or(0) - 3600),
        91..93 => Step::Suspended(agent, seconds(chance, 60)),
        93..95 => Step::GitDown(seconds(chance, 120)),
        95..97 => Step::MoveBack,
        _ => Step::Steal,
    }
}
