//! Finds the object whose build or fetch makes the agent end, and leaves it alone.
//!
//! The agent marks every build and fetch that it starts, in a place that outlives the process, and removes
//! the mark when the run ends. An object whose mark the next process finds is a suspect. A suspect runs last,
//! after all other objects have had their chance, and without another new run at the same time. When the
//! agent has ended twice during such a run, the suspect is left alone until it changes, and is retried each
//! hour. A suspect is cleared after its second completed run, or a minute after the first: the memory that
//! the first run left in use may be missing for the second. When the agent is asked to shut down, it removes
//! its marks first.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::api::{self, Role};
use crate::pipeline::Clock;
use crate::pipeline::workers::{Ended, Work, Workers};
use crate::verdict::{Common, QUARANTINE};
use lockgate_base::model::Ref;
use lockgate_render::budget::Memory;

/// How often the agent may end while an object runs alone.
const ENDS: u32 = 2;
/// How often a suspect must come to its end before it is cleared.
const PASSES: u32 = 2;
/// The longest time for which an object that has come to its end stays a suspect.
const PROBATION: Duration = Duration::from_secs(60);
/// How long no new run must have begun or ended until all other objects have had their chance.
const QUIET: Duration = Duration::from_secs(2);
/// The longest wait of a suspect for that, counted from the first run. Also the time after which a run
/// without an end, such as a fetch from a silent host, no longer keeps others from running alone.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often a suspect checks for its turn.
const LOOK: Duration = Duration::from_millis(200);

/// The record of an object that is under way, or was when the agent ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndMark {
    /// `Kind/namespace/name`.
    pub subject: String,
    /// Tells one state of the object from another.
    pub state: String,
    /// How often the agent ended while this object ran without another new run.
    pub ended: u32,
    /// How often a run of the object has come to its end since.
    #[serde(default)]
    pub passed: u32,
    /// Whether a run of the object is under way.
    pub under_way: UnderWay,
}

/// Whether a run is under way, and whether together with other new runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum UnderWay {
    /// No run is under way.
    No,
    /// A run is under way, and other new runs may be.
    Beside,
    /// A run is under way, and all other new runs had ended before it began.
    Alone,
}

/// The store of the marks. A failure to store one is only logged: a build must not fail for it.
pub trait Marks: Debug + Send + Sync {
    /// All stored marks.
    fn all(&self) -> Vec<EndMark>;

    /// Stores a mark, in place of an earlier one of its subject.
    fn put(&self, mark: &EndMark);

    /// Removes the mark of a subject, if there is one.
    fn take(&self, subject: &str);
}

/// The runs under way, and the suspects.
#[derive(Debug)]
pub struct Quarantine {
    marks: Arc<dyn Marks>,
    clock: Arc<dyn Clock>,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// The agent was told to shut down, so it marks nothing any more.
    closed: bool,
    /// When the first run was admitted.
    began: Option<Instant>,
    /// When a new run last began or ended.
    stirred: Option<Instant>,
    suspects: BTreeMap<String, Suspect>,
    /// Suspects that wait for their turn, with their namespaces.
    waiting: BTreeMap<String, String>,
    /// The number of turns that each namespace has had.
    turns: BTreeMap<String, u32>,
    turn: Option<Turn>,
    under_way: BTreeMap<String, Run>,
    /// The states whose runs have ended since the agent started.
    proven: BTreeMap<String, String>,
}

#[derive(Debug)]
struct Suspect {
    state: String,
    ended: u32,
    passed: u32,
    /// When a run of this process last came to its end.
    passed_at: Option<Instant>,
    /// When the suspect was last tried, or found.
    tried: Instant,
}

impl Suspect {
    fn is_cleared(&self, now: Instant) -> bool {
        self.passed_at
            .is_some_and(|at| self.passed >= PASSES || now.saturating_duration_since(at) >= PROBATION)
    }
}

#[derive(Debug)]
struct Run {
    state: String,
    since: Instant,
    is_new: bool,
    under_way: UnderWay,
}

/// The turn of a suspect.
#[derive(Debug)]
struct Turn {
    subject: String,
    since: Instant,
    /// A build ends with its budget, so new runs can wait for it. A fetch may take as long as its host likes.
    is_build: bool,
}

/// Whether a run may begin.
enum Admission {
    Now,
    Later,
    Never { times: u32 },
}

impl Quarantine {
    /// Takes over the marks that the process before has left.
    pub fn open(marks: Arc<dyn Marks>, clock: Arc<dyn Clock>) -> Self {
        let quarantine = Self { marks, clock, inner: Mutex::default() };
        let now = quarantine.clock.now();
        for mut mark in quarantine.marks.all() {
            if mark.under_way != UnderWay::No {
                mark.ended += u32::from(mark.under_way == UnderWay::Alone);
                mark.passed = 0;
                mark.under_way = UnderWay::No;
                quarantine.marks.put(&mark);
            }
            let EndMark { subject, state, ended, passed, .. } = mark;
            let suspect = Suspect { state, ended, passed, passed_at: None, tried: now };
            quarantine.inner().suspects.insert(subject, suspect);
        }
        quarantine
    }

    /// Waits until an object may be built or fetched in a state, or returns why it may not.
    pub async fn admit(self: &Arc<Self>, key: &Ref, state: String) -> Result<Pass, Common> {
        let subject = key.to_string();
        let _waiting = Waiting { quarantine: self, subject: &subject };
        loop {
            self.clear();
            let admission = self.inner().admission(key, &subject, &state, self.clock.now());
            match admission {
                Admission::Now => break,
                Admission::Later => self.clock.sleep(LOOK).await,
                Admission::Never { times } => return Err(Common::Quarantined { times }),
            }
        }
        Ok(Pass { quarantine: Arc::clone(self), subject: subject.clone(), state, is_build: !is_source(key) })
    }

    /// Forgets the suspects that have been cleared.
    fn clear(&self) {
        let now = self.clock.now();
        let mut guard = self.inner();
        let inner = &mut *guard;
        inner.suspects.retain(|subject, suspect| {
            let is_over = suspect.is_cleared(now) && !inner.under_way.contains_key(subject);
            if is_over {
                self.marks.take(subject);
            }
            !is_over
        });
    }

    /// Whether this object may have made the agent end.
    pub fn is_suspect(&self, key: &Ref) -> bool {
        self.inner().suspects.contains_key(&key.to_string())
    }

    /// The objects that may have made the agent end: `Kind/namespace/name`, and how often the agent ended
    /// while the object ran alone.
    pub fn suspects(&self) -> Vec<(String, u32)> {
        self.inner().suspects.iter().map(|(subject, suspect)| (subject.clone(), suspect.ended)).collect()
    }

    /// Forgets a deleted object.
    pub fn forget(&self, key: &Ref) {
        let subject = key.to_string();
        let mut inner = self.inner();
        inner.proven.remove(&subject);
        if inner.suspects.remove(&subject).is_some() {
            self.marks.take(&subject);
        }
    }

    /// Removes all marks: the agent was asked to shut down, so the running work is not the cause.
    pub fn close(&self) {
        let mut inner = self.inner();
        inner.closed = true;
        for subject in std::mem::take(&mut inner.under_way).into_keys() {
            self.leave(&inner, &subject);
        }
    }

    /// Marks a run as under way.
    fn begin(&self, subject: &str, state: &str) {
        let mut guard = self.inner();
        let inner = &mut *guard;
        if inner.closed {
            return;
        }
        let now = self.clock.now();
        let is_new = inner.proven.get(subject).is_none_or(|proven| proven != state);
        let under_way = if inner.suspects.contains_key(subject) && inner.is_calm(subject, now) {
            UnderWay::Alone
        } else {
            UnderWay::Beside
        };
        if is_new {
            inner.stirred = Some(now);
            // The other run is no longer alone.
            for (other, run) in inner.under_way.iter_mut().filter(|(_, run)| run.under_way == UnderWay::Alone)
            {
                run.under_way = UnderWay::Beside;
                self.marks.put(&run.mark(other, inner.suspects.get(other)));
            }
        }
        let run = Run { state: state.to_owned(), since: now, is_new, under_way };
        self.marks.put(&run.mark(subject, inner.suspects.get(subject)));
        inner.under_way.insert(subject.to_owned(), run);
    }

    /// Records that a run is no longer under way. If it is `done`, it has ended by itself.
    fn end(&self, subject: &str, is_build: bool, done: bool) {
        let mut inner = self.inner();
        inner.end_turn(subject);
        let Some(run) = inner.under_way.remove(subject) else { return };
        if run.is_new {
            inner.stirred = Some(self.clock.now());
        }
        if done {
            let now = self.clock.now();
            if let Some(suspect) = inner.suspects.get_mut(subject) {
                suspect.passed += 1;
                suspect.passed_at = Some(now);
                if !is_build || suspect.is_cleared(now) {
                    inner.suspects.remove(subject);
                }
            }
            inner.proven.insert(subject.to_owned(), run.state);
        }
        self.leave(&inner, subject);
    }

    /// Stores the suspicion against an object that is not under way, or removes its mark.
    fn leave(&self, inner: &Inner, subject: &str) {
        match inner.suspects.get(subject) {
            Some(Suspect { state, ended, passed, .. }) => self.marks.put(&EndMark {
                subject: subject.to_owned(),
                state: state.clone(),
                ended: *ended,
                passed: *passed,
                under_way: UnderWay::No,
            }),
            None => self.marks.take(subject),
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn admission(&mut self, key: &Ref, subject: &str, state: &str, now: Instant) -> Admission {
        let began = *self.began.get_or_insert(now);
        if self.closed {
            return Admission::Now;
        }
        let Some(suspect) = self.suspects.get_mut(subject) else {
            let is_proven = self.proven.get(subject).is_some_and(|proven| proven == state);
            let waits = !is_proven && self.held_turn(now).is_some_and(|turn| turn.is_build);
            return if waits { Admission::Later } else { Admission::Now };
        };
        if suspect.state != state {
            // A changed suspect is tried again, and a single further end is enough.
            state.clone_into(&mut suspect.state);
            suspect.ended = suspect.ended.min(ENDS - 1);
        }
        let is_left_alone = suspect.ended >= ENDS && suspect.passed == 0;
        if is_left_alone && now.saturating_duration_since(suspect.tried) < QUARANTINE {
            return Admission::Never { times: suspect.ended };
        }
        self.waiting.insert(subject.to_owned(), key.namespace.clone());
        let had_chance = self.is_quiet(subject, now) || now.saturating_duration_since(began) >= PATIENCE;
        // The namespaces take turns.
        let next = self.waiting.iter().min_by_key(|(subject, namespace)| {
            (self.turns.get(namespace.as_str()).copied().unwrap_or_default(), *subject)
        });
        let is_next = next.is_some_and(|(next, _)| next == subject);
        if !had_chance || !is_next || self.held_turn(now).is_some() {
            return Admission::Later;
        }
        self.waiting.remove(subject);
        *self.turns.entry(key.namespace.clone()).or_default() += 1;
        self.turn = Some(Turn { subject: subject.to_owned(), since: now, is_build: !is_source(key) });
        if let Some(suspect) = self.suspects.get_mut(subject) {
            suspect.tried = now;
        }
        Admission::Now
    }

    /// The suspect that has the turn. A turn that takes too long no longer counts.
    fn held_turn(&self, now: Instant) -> Option<&Turn> {
        self.turn.as_ref().filter(|turn| now.saturating_duration_since(turn.since) < PATIENCE)
    }

    fn end_turn(&mut self, subject: &str) {
        if self.turn.as_ref().is_some_and(|turn| turn.subject == subject) {
            self.turn = None;
        }
    }

    /// Whether no other new run is under way. Runs that seem to have no end do not count.
    fn is_calm(&self, subject: &str, now: Instant) -> bool {
        let others = self.under_way.iter().filter(|(other, _)| *other != subject);
        !others
            .map(|(_, run)| run)
            .any(|run| run.is_new && now.saturating_duration_since(run.since) < PATIENCE)
    }

    /// Whether all other objects have had their chance.
    fn is_quiet(&self, subject: &str, now: Instant) -> bool {
        let since = self.stirred.or(self.began);
        let is_still = since.is_none_or(|since| now.saturating_duration_since(since) >= QUIET);
        is_still && self.is_calm(subject, now)
    }
}

/// Whether the running work on an object is a fetch, and not a build.
fn is_source(key: &Ref) -> bool {
    api::info(key.kind).is_some_and(|info| matches!(info.role, Role::Source(_)))
}

impl Run {
    fn mark(&self, subject: &str, suspect: Option<&Suspect>) -> EndMark {
        EndMark {
            subject: subject.to_owned(),
            state: self.state.clone(),
            ended: suspect.map_or(0, |suspect| suspect.ended),
            passed: suspect.map_or(0, |suspect| suspect.passed),
            under_way: self.under_way,
        }
    }
}

/// A suspect that waits for its turn, as long as its caller waits.
struct Waiting<'q> {
    quarantine: &'q Quarantine,
    subject: &'q str,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.quarantine.inner().waiting.remove(self.subject);
    }
}

/// The permission to build or fetch an object once, in one state. The turn ends with the run that was begun,
/// or when this is dropped.
#[derive(Debug)]
pub struct Pass {
    quarantine: Arc<Quarantine>,
    subject: String,
    state: String,
    is_build: bool,
}

impl Pass {
    /// Marks the object as under way until the returned value is dropped.
    pub fn begin(self: Arc<Self>) -> Begun {
        self.quarantine.begin(&self.subject, &self.state);
        Begun { pass: self, done: false }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.quarantine.inner().end_turn(&self.subject);
    }
}

/// A run that is under way.
#[derive(Debug)]
pub struct Begun {
    pass: Arc<Pass>,
    done: bool,
}

impl Begun {
    /// Records that the run has ended by itself.
    pub fn done(mut self) {
        self.done = true;
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        self.pass.quarantine.end(&self.pass.subject, self.pass.is_build, self.done);
    }
}

/// Threads that mark their build as under way. The mark is set when the build has a thread, and stays until
/// the build ends, even if its caller no longer waits.
#[derive(Debug)]
pub struct Marked {
    /// The threads.
    pub workers: Arc<dyn Workers>,
    /// The permission to build.
    pub pass: Arc<Pass>,
}

impl Workers for Marked {
    fn memory(&self) -> Option<Arc<dyn Memory>> {
        self.workers.memory()
    }

    fn run(&self, work: Work) -> Ended {
        let pass = Arc::clone(&self.pass);
        self.workers.run(Box::new(move |shelf| {
            let begun = pass.begin();
            work(shelf);
            begun.done();
        }))
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "simulated time is the runtime's own")]
mod tests;
