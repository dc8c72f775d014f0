//! What runs next: a state machine that is told what happened and says what to do.
//!
//! ```text
//!  object seen, revision fetched, dependency ready, drift, input changed, time
//!      → Queue::handle(event, now) →
//!  start this reconcile, cancel that wait, fetch this source, wake me at
//! ```
//!
//! The clock is passed in, as the time since the agent started. Nothing here waits, and nothing is found by scanning:
//! timers are a sorted set, dependents and consumers are indexes.

mod event;
mod lane;
mod pace;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use lane::{Lane, Wanted};
use lockgate_base::model::{ObjectId, Ref};
use pace::{Correction, Fights};

pub use event::{Cause, Command, Event, Facts, Limits, Next, RunId, SourceFacts};
pub use pace::FIGHT_WINDOW;

/// The state machine.
#[derive(Debug)]
pub struct Queue {
    synced: bool,
    /// Numbers runs and moments of readiness, so that the two can be compared.
    sequence: u64,
    reconciles: Lane,
    fetches: Lane,
    objects: BTreeMap<Ref, Item>,
    sources: BTreeMap<Ref, Source>,
    /// Who depends on whom, by the dependency. An entry may name an object that does not exist.
    dependents: BTreeMap<Ref, BTreeSet<Ref>>,
    consumers: BTreeMap<Ref, BTreeSet<Ref>>,
    readers: BTreeMap<Ref, BTreeSet<Reader>>,
    blocked: BTreeSet<Ref>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Reader {
    Kustomization(Ref),
    Source(Ref),
}

#[derive(Debug)]
struct Item {
    facts: Facts,
    /// Failures in a row that called for a backoff.
    failures: u32,
    /// When there was last something to hear for those that it blocks.
    told_at: u64,
    fights: Fights,
}

#[derive(Debug)]
struct Source {
    facts: SourceFacts,
    /// The last run before it was first seen: what that one fetches is of another object of the same name.
    born: u64,
    /// Whether a fetch has ended since the agent started.
    fetched: bool,
    revision: Option<String>,
    failures: u32,
}

/// What there is of a source after a fetch.
struct Held {
    revision: Option<String>,
    news: bool,
}

impl Source {
    /// A paused source is fetched until it is held, so that what was applied from it goes on being enforced; and one that is
    /// deleted is let go, paused or not.
    const fn is_wanted(&self) -> bool {
        !self.facts.suspended || self.facts.deleting || self.revision.is_none()
    }
}

impl Queue {
    /// An empty queue.
    pub fn new(limits: Limits) -> Self {
        Self {
            synced: false,
            sequence: 0,
            reconciles: Lane::new(limits.reconciles),
            fetches: Lane::new(limits.fetches),
            objects: BTreeMap::new(),
            sources: BTreeMap::new(),
            dependents: BTreeMap::new(),
            consumers: BTreeMap::new(),
            readers: BTreeMap::new(),
            blocked: BTreeSet::new(),
        }
    }

    /// Takes note of what happened and says what to do now.
    pub fn handle(&mut self, event: Event, now: Duration) -> Vec<Command> {
        let mut commands = Vec::new();
        match event {
            Event::Synced => self.synced(),
            Event::Seen(key, facts) => self.seen(&key, facts, &mut commands),
            Event::Gone(key) => self.gone(&key, &mut commands),
            Event::SourceSeen(key, facts) => self.source_seen(&key, facts),
            Event::SourceGone(key) => self.source_gone(&key, &mut commands),
            Event::Fetched { source, run, revision, news, next } => {
                let held = Held { revision, news };
                self.fetched(&source, run, held, next, now, &mut commands);
            }
            Event::Waits(run) => self.reconciles.release(run),
            Event::Finished { key, run, ready, news, next } => {
                self.finished(&key, run, ready || news, next, now);
            }
            Event::Drifted(key, object) => self.drifted(&key, object, now, &mut commands),
            Event::InputChanged(input) => self.input_changed(&input, &mut commands),
            Event::Recovered => self.recovered(&mut commands),
            Event::Tick => {}
        }
        commands.extend(self.reconciles.expire(now).into_iter().map(Command::Cancel));
        self.fetches.expire(now);
        self.start(&mut commands);
        commands
    }

    /// When [`Event::Tick`] is next needed.
    pub fn next_due(&self) -> Option<Duration> {
        [self.reconciles.next_due(), self.fetches.next_due()].into_iter().flatten().min()
    }

    /// How many reconciles wait for a slot.
    pub fn waiting(&self) -> usize {
        self.reconciles.waiting()
    }

    fn start(&mut self, commands: &mut Vec<Command>) {
        let sequence = &mut self.sequence;
        let mut next = || {
            *sequence += 1;
            *sequence
        };
        for (source, run, _) in self.fetches.start(&mut next) {
            commands.push(Command::Fetch { source, run });
        }
        for (key, run, causes) in self.reconciles.start(&mut next) {
            self.blocked.remove(&key);
            commands.push(Command::Reconcile { key, run, causes });
        }
    }

    fn synced(&mut self) {
        self.synced = true;
        for key in self.objects.keys().cloned().collect::<Vec<_>>() {
            self.want(&key, Cause::Spec, &mut Vec::new());
        }
    }

    fn seen(&mut self, key: &Ref, facts: Facts, commands: &mut Vec<Command>) {
        let old = self.objects.get(key).map(|item| item.facts.clone());
        if old.as_ref() == Some(&facts) {
            return;
        }
        self.unlink(key);
        self.link(key, &facts);
        let reordered = old.as_ref().is_none_or(|old| old.depends_on != facts.depends_on);
        let cause = match &old {
            None => Some(Cause::Spec),
            Some(old) if old.version != facts.version || old.deleting != facts.deleting => Some(Cause::Spec),
            Some(old) if old.suspended && !facts.suspended => Some(Cause::Spec),
            Some(old) if old.requested_at != facts.requested_at => Some(Cause::Requested),
            Some(_) => None,
        };
        let suspended = facts.suspended && !facts.deleting;
        if let Some(item) = self.objects.get_mut(key) {
            item.facts = facts;
        } else {
            let item = Item { facts, failures: 0, told_at: 0, fights: Fights::default() };
            self.objects.insert(key.clone(), item);
        }
        self.reconciles.insert(key);
        if suspended {
            self.reconciles.withdraw(key);
        } else if let Some(cause) = cause {
            self.want(key, cause, commands);
        }
        if reordered {
            self.wake_blocked(commands);
        }
    }

    fn gone(&mut self, key: &Ref, commands: &mut Vec<Command>) {
        commands.extend(self.reconciles.remove(key).map(Command::Cancel));
        self.unlink(key);
        self.blocked.remove(key);
        if self.objects.remove(key).is_some() {
            self.wake_blocked(commands);
        }
    }

    fn source_seen(&mut self, key: &Ref, facts: SourceFacts) {
        let old = self.sources.get(key).map(|source| source.facts.clone());
        if old.as_ref() == Some(&facts) {
            return;
        }
        self.unlink_source(key);
        for input in &facts.inputs {
            self.readers.entry(input.clone()).or_default().insert(Reader::Source(key.clone()));
        }
        // One that was deleted and made anew while nothing was watched is seen as a change.
        let same = self.sources.get_mut(key).filter(|source| source.facts.uid == facts.uid);
        if let Some(source) = same {
            source.facts = facts;
        } else {
            let born = self.sequence;
            let source = Source { facts, born, fetched: false, revision: None, failures: 0 };
            self.sources.insert(key.clone(), source);
        }
        self.fetches.insert(key);
        if !self.want_source(key, Cause::Spec) {
            self.fetches.withdraw(key);
        }
    }

    fn source_gone(&mut self, key: &Ref, commands: &mut Vec<Command>) {
        self.fetches.remove(key);
        self.unlink_source(key);
        self.sources.remove(key);
        for consumer in self.consumers.get(key).cloned().unwrap_or_default() {
            self.want(&consumer, Cause::Revision, commands);
        }
    }

    fn fetched(
        &mut self,
        key: &Ref,
        run: RunId,
        held: Held,
        next: Next,
        now: Duration,
        commands: &mut Vec<Command>,
    ) {
        if !self.fetches.finish(key, run) {
            return;
        }
        let Some(source) = self.sources.get_mut(key) else { return };
        if run <= source.born {
            self.fetches.schedule(key, Some(now));
            return;
        }
        // Those that have a revision go on with it, whatever the source says.
        let lacking = held.news && held.revision.is_none();
        let changed = !source.fetched || source.revision != held.revision || lacking;
        source.fetched = true;
        source.revision = held.revision;
        source.failures = if next.is_backoff() { source.failures + 1 } else { 0 };
        let due = due(next, key, run, source.failures, now).filter(|_| source.is_wanted());
        self.fetches.schedule(key, due);
        if changed {
            for consumer in self.consumers.get(key).cloned().unwrap_or_default() {
                self.want(&consumer, Cause::Revision, commands);
            }
        }
    }

    /// The end of a reconcile. `wakes` those that it blocks: because it is ready, or because they have to say something
    /// else of it now. In a cycle everyone says the same again, so nothing goes round.
    fn finished(&mut self, key: &Ref, run: RunId, wakes: bool, next: Next, now: Duration) {
        if !self.reconciles.finish(key, run) {
            return;
        }
        self.sequence += 1;
        let Some(item) = self.objects.get_mut(key) else { return };
        item.failures = if next.is_backoff() { item.failures + 1 } else { 0 };
        let due = due(next, key, run, item.failures, now);
        let paused = item.facts.suspended && !item.facts.deleting;
        match due {
            _ if paused => self.reconciles.schedule(key, None),
            Some(due) => self.reconciles.hasten(key, due),
            // What was asked for while it ran stays asked for.
            None => {}
        }
        if wakes {
            item.told_at = self.sequence;
            for dependent in self.dependents.get(key).cloned().unwrap_or_default() {
                if self.blocked.contains(&dependent) {
                    self.want(&dependent, Cause::Dependency, &mut Vec::new());
                }
            }
        }
        if matches!(next, Next::Unblocked(_)) {
            // A dependency may have changed after this run had looked at it.
            let missed = self.objects[key]
                .facts
                .depends_on
                .iter()
                .any(|dependency| self.objects.get(dependency).is_some_and(|item| item.told_at > run));
            self.blocked.insert(key.clone());
            if missed {
                self.want(key, Cause::Dependency, &mut Vec::new());
            }
        }
    }

    /// All that backs off is tried at once.
    fn recovered(&mut self, commands: &mut Vec<Command>) {
        let failed = self.objects.iter().filter(|(_, item)| item.failures > 0);
        for key in failed.map(|(key, _)| key.clone()).collect::<Vec<_>>() {
            self.want(&key, Cause::Timer, commands);
        }
        let failed = self.sources.iter().filter(|(_, source)| source.failures > 0);
        for key in failed.map(|(key, _)| key.clone()).collect::<Vec<_>>() {
            self.want_source(&key, Cause::Timer);
        }
    }

    fn drifted(&mut self, key: &Ref, object: ObjectId, now: Duration, commands: &mut Vec<Command>) {
        let Some(item) = self.objects.get_mut(key) else { return };
        match item.fights.drifted(&object, now, item.facts.interval) {
            Correction::Now => {
                self.want(key, Cause::Drift(object), commands);
            }
            Correction::After { delay, first } => {
                self.reconciles.hasten(key, now + delay);
                if first {
                    commands.push(Command::ReportFight(key.clone(), object));
                }
            }
        }
    }

    fn input_changed(&mut self, input: &Ref, commands: &mut Vec<Command>) {
        for reader in self.readers.get(input).cloned().unwrap_or_default() {
            match reader {
                Reader::Kustomization(key) => self.want(&key, Cause::Input, commands),
                Reader::Source(key) => {
                    self.want_source(&key, Cause::Input);
                }
            }
        }
    }

    /// Asks for a reconcile, unless the object is paused or its source is still being fetched for the first time; in the
    /// latter case the end of that fetch asks again.
    fn want(&mut self, key: &Ref, cause: Cause, commands: &mut Vec<Command>) {
        let Some(item) = self.objects.get(key) else { return };
        if !self.synced || (item.facts.suspended && !item.facts.deleting) {
            return;
        }
        let source = item.facts.source.as_ref().and_then(|source| self.sources.get(source));
        if !item.facts.deleting && source.is_some_and(|source| !source.fetched) {
            return;
        }
        if let Wanted::AfterRun(run) = self.reconciles.want(key, cause) {
            commands.push(Command::Cancel(run));
        }
    }

    /// Asks for a fetch, unless the source is paused. Returns whether it was asked for.
    fn want_source(&mut self, key: &Ref, cause: Cause) -> bool {
        let is_wanted = self.sources.get(key).is_some_and(Source::is_wanted);
        if is_wanted {
            self.fetches.want(key, cause);
        }
        is_wanted
    }

    fn wake_blocked(&mut self, commands: &mut Vec<Command>) {
        for key in self.blocked.clone() {
            self.want(&key, Cause::Dependency, commands);
        }
    }

    fn link(&mut self, key: &Ref, facts: &Facts) {
        for dependency in &facts.depends_on {
            self.dependents.entry(dependency.clone()).or_default().insert(key.clone());
        }
        if let Some(source) = &facts.source {
            self.consumers.entry(source.clone()).or_default().insert(key.clone());
        }
        for input in &facts.inputs {
            self.readers.entry(input.clone()).or_default().insert(Reader::Kustomization(key.clone()));
        }
    }

    fn unlink(&mut self, key: &Ref) {
        let Some(facts) = self.objects.get(key).map(|item| item.facts.clone()) else { return };
        for dependency in &facts.depends_on {
            drop_entry(&mut self.dependents, dependency, key);
        }
        if let Some(source) = &facts.source {
            drop_entry(&mut self.consumers, source, key);
        }
        for input in &facts.inputs {
            drop_entry(&mut self.readers, input, &Reader::Kustomization(key.clone()));
        }
    }

    fn unlink_source(&mut self, key: &Ref) {
        let inputs = self.sources.get(key).map(|source| source.facts.inputs.clone()).unwrap_or_default();
        for input in &inputs {
            drop_entry(&mut self.readers, input, &Reader::Source(key.clone()));
        }
    }
}

fn drop_entry<K: Ord, V: Ord>(index: &mut BTreeMap<K, BTreeSet<V>>, key: &K, value: &V) {
    if let Some(values) = index.get_mut(key) {
        values.remove(value);
        if values.is_empty() {
            index.remove(key);
        }
    }
}

fn due(next: Next, key: &Ref, run: RunId, failures: u32, now: Duration) -> Option<Duration> {
    let delay = match next {
        Next::Now => Duration::ZERO,
        Next::Interval(interval) => pace::jittered(pace::spaced(interval)?, key, run),
        Next::After(delay) | Next::Unblocked(delay) => pace::spaced(delay)?,
        Next::Backoff => pace::backoff(failures, pace::BACKOFF_LIMIT),
        Next::BackoffTo(limit) => pace::backoff(failures, pace::spaced(limit)?),
        Next::Changed => return None,
    };
    Some(now + delay)
}
