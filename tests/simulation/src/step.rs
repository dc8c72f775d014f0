//! The steps of a scenario: acts of people, and faults.

use std::fmt;
use std::time::Duration;

use crate::chance::Chance;
use crate::world::Trouble;

/// The agents: two pods of one Deployment.
pub(crate) const AGENTS: [&str; 2] = ["lockgate-a", "lockgate-b"];

/// Within how many milliseconds people and faults have their turn.
const LONGEST: u64 = 240_000;

/// Something that happens. What exactly a number decides, by the state that it finds, so that it means
/// something whatever was left out before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// Someone commits some changes.
    Commit(u64),
    /// Someone commits in the place of the head, which is gone from the branch.
    Rewrite(u64),
    /// The branch is moved back by a commit.
    MoveBack,
    /// Someone changes a live object.
    Drift(u64),
    /// Someone deletes a live object.
    Delete(u64),
    /// Someone deletes a namespace or a definition, and all that is in it.
    DeleteHouse(u64),
    /// Someone deletes an object of the agent's kinds.
    DeleteSubject(u64),
    /// Someone changes an object of the agent's kinds.
    Edit(u64),
    /// Someone changes or deletes an object outside of Git whose values builds take.
    Input(u64),
    /// Someone clears what is kept of who has set the fields of a live object.
    ClearManagers(u64),
    /// Someone puts a finalizer on a live object.
    Hold(u64),
    /// Someone takes it off all that have it.
    LetGo,
    /// Someone takes the finalizers off an object of the agent's kinds.
    Strip(u64),
    /// Someone takes the owner's labels off a live object.
    Disown(u64),
    /// Someone asks for a live object not to be pruned.
    Protect(u64),
    /// Someone asks for a live object to be left alone.
    LeaveAlone(u64),
    /// Someone suspends an object of the agent's kinds.
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
    /// An agent stands still for a while, and then goes on.
    Freeze(usize, Duration),
    /// An agent ends at its so-manieth request from now, with or without sending it, and starts again some
    /// time later.
    Kill(usize, u64, bool, Duration),
    /// An agent ends now, whatever it waits for, and starts again some time later.
    End(usize, Duration),
    /// The folder is lost in which an agent's machine keeps what was fetched.
    LoseFolder(usize),
    /// The watches of an agent are late for a while.
    LateWatches(usize, Duration),
    /// All watches end.
    CutWatches,
    /// The server forgets changes, and ends all watches.
    Compact,
    /// The wall clock of an agent's machine is set.
    SetClock(usize, i64),
    /// An agent's machine has been suspended for so long.
    Suspended(usize, Duration),
    /// The hosts of sources are gone for a while.
    HostsDown(Duration),
    /// An agent stands still for a while from its so-manieth write from now on, which arrives only after
    /// that.
    Stall(usize, u64, Duration),
    /// Another takes the lease by force, and renews it for a while.
    Steal(Duration),
    /// Someone writes to the lease, and leaves its holder as it is.
    TouchLease,
    /// Someone deletes the lease.
    DropLease,
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
    /// How many agents there are: one alone, or two of which one stands by.
    pub(crate) agents: usize,
    /// What happens, and when.
    pub(crate) steps: Vec<(Duration, Step)>,
}

impl Scenario {
    /// The scenario of a seed: ten Kustomizations and sixty objects on an average, up to thirty
    /// Kustomizations at times.
    pub fn of(seed: u64) -> Self {
        let mut chance = Chance::new(seed);
        let units = if chance.happens(4) { 16 + chance.below(15) } else { 4 + chance.below(11) };
        let agents = if chance.happens(50) { AGENTS.len() } else { 1 };
        let count = 3 + chance.below(12);
        let mut steps: Vec<(Duration, Step)> = (0..count)
            .map(|_| (Duration::from_millis(chance.below(LONGEST)), step(&mut chance, agents)))
            .collect();
        steps.sort_by_key(|(at, _)| *at);
        Self { seed, units, agents, steps }
    }

    /// A platform that nothing happens to.
    pub fn quiet(seed: u64, units: u64) -> Self {
        Self { seed, units, agents: AGENTS.len(), steps: Vec::new() }
    }

    /// What happens, a line each.
    pub fn lines(&self) -> Vec<String> {
        let line =
            |(at, step): &(Duration, Step)| format!("{:>6}.{:03} {step}", at.as_secs(), at.subsec_millis());
        self.steps.iter().map(line).collect()
    }
}

fn step(chance: &mut Chance, agents: usize) -> Step {
    let salt = chance.number();
    let agent = chance.index(agents);
    let seconds = |chance: &mut Chance, most: u64| Duration::from_millis(chance.below(most * 1000));
    match chance.below(120) {
        0..30 => Step::Commit(salt),
        30..32 => Step::Rewrite(salt),
        32..34 => Step::MoveBack,
        34..56 => touch(chance, salt),
        56..58 => Step::DeleteSubject(salt),
        58..59 => Step::Edit(salt),
        59..62 => Step::Input(salt),
        62..64 => Step::Suspend(salt),
        64..65 => Step::Resume,
        65..67 => Step::Annotate(salt),
        67..68 => Step::Deny(salt),
        68..69 => Step::Allow,
        69..83 => Step::Weather(agent, trouble(chance), 5 + chance.below(60), seconds(chance, 90)),
        83..86 => Step::CutOff(agent, seconds(chance, 60)),
        86..88 => Step::Freeze(agent, seconds(chance, 60)),
        88..91 => Step::Stall(agent, 1 + chance.below(30), seconds(chance, 60)),
        91..97 => Step::Kill(agent, 1 + chance.below(40), chance.happens(50), seconds(chance, 20)),
        97..100 => Step::End(agent, seconds(chance, 20)),
        100..102 => Step::LoseFolder(agent),
        102..104 => Step::LateWatches(agent, seconds(chance, 90)),
        104..106 => Step::CutWatches,
        106..108 => Step::Compact,
        108..110 => Step::SetClock(agent, i64::try_from(chance.below(7200)).unwrap_or(0) - 3600),
        110..112 => Step::Suspended(agent, seconds(chance, 60)),
        112..114 => Step::HostsDown(seconds(chance, 120)),
        114..116 => Step::Steal(seconds(chance, 60)),
        116..118 => Step::TouchLease,
        _ => Step::DropLease,
    }
}

/// What someone does to a live object.
fn touch(chance: &mut Chance, salt: u64) -> Step {
    match chance.below(22) {
        0..7 => Step::Drift(salt),
        7..11 => Step::Delete(salt),
        11..13 => Step::DeleteHouse(salt),
        13..15 => Step::ClearManagers(salt),
        15..17 => Step::Hold(salt),
        17 => Step::LetGo,
        18 => Step::Strip(salt),
        19 => Step::Disown(salt),
        20 => Step::Protect(salt),
        _ => Step::LeaveAlone(salt),
    }
}

fn trouble(chance: &mut Chance) -> Trouble {
    let troubles = [
        Trouble::LostBefore,
        Trouble::LostAfter,
        Trouble::Twice,
        Trouble::Again,
        Trouble::Raced,
        Trouble::Slow,
        Trouble::Refused(409),
        Trouble::Refused(429),
        Trouble::Refused(500),
        Trouble::Refused(503),
    ];
    chance.pick(&troubles).copied().unwrap_or(Trouble::Slow)
}
