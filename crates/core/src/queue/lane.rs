//! Lanes: at most one run for each object, a limited number of runs in all, and for each namespace its turn
//! and its share.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use super::order::RunCause;
use super::signal::{Limits, RunId};
use crate::api::{self, Role};
use lockgate_base::model::{KindId, Ref};
use lockgate_base::shares::Shares;

/// A kind of work. Each has a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LaneKind {
    /// Building, applying and deleting.
    Reconcile,
    /// Fetching a source.
    Fetch,
}

/// The rules for one kind of work.
#[derive(Debug)]
pub(super) struct LaneRule {
    pub(super) work: LaneKind,
    /// Whether it begins only when all lists are complete, since a missing object may only be one that is not
    /// listed yet.
    pub(super) after_lists: bool,
    /// Whether any newer work cancels a run. A new spec and the deletion of the object always do.
    pub(super) is_cut_off: bool,
    /// Whether a suspended object runs until it has content, so that objects made from it are still enforced.
    pub(super) holds: bool,
    limit: fn(&Limits) -> usize,
}

/// The table of lanes. Fetches come first.
pub(super) const RULES: [LaneRule; 2] = [
    LaneRule {
        work: LaneKind::Fetch,
        after_lists: false,
        is_cut_off: false,
        holds: true,
        limit: |limits| limits.fetches,
    },
    LaneRule {
        work: LaneKind::Reconcile,
        after_lists: true,
        is_cut_off: true,
        holds: false,
        limit: |limits| limits.reconciles,
    },
];

impl LaneKind {
    /// The index of a kind's work in the table.
    pub(super) fn index(kind: KindId) -> usize {
        let work = match api::info(kind).map(|info| info.role) {
            Some(Role::Source(_)) => Self::Fetch,
            _ => Self::Reconcile,
        };
        RULES.iter().position(|rule| rule.work == work).unwrap_or_default()
    }
}

/// The objects of one kind of work, and when each of them runs next.
///
/// An object is idle (perhaps with a due time), queued, or running. A request during a run is kept and leads
/// to one more run, at once or at the requested time.
#[derive(Debug)]
pub(super) struct Lane {
    items: BTreeMap<Ref, Item>,
    timers: BTreeSet<(Duration, Ref)>,
    turns: Turns,
    /// Runs that hold a slot, with their namespaces, even if their object is gone.
    slots: BTreeMap<RunId, String>,
    /// The shares of the namespaces in the slots.
    shares: Shares,
    /// Runs that have waited and request a slot again, with their namespaces. They come before runs that have
    /// not begun.
    returning: VecDeque<(RunId, String)>,
}

#[derive(Debug, Default)]
struct Item {
    /// When the object runs next, or once more; never set while it is queued.
    due: Option<Duration>,
    phase: Phase,
    /// The reasons for the next run.
    causes: BTreeSet<RunCause>,
    /// The object was deleted during a run. The item goes when that run ends.
    gone: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Idle until it is due.
    #[default]
    Idle,
    /// Waiting for a slot.
    Queued,
    /// Running.
    Running(RunId),
}

/// The result of a request for a run.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Enqueued {
    /// The object is in the queue.
    Queued,
    /// The object is running, and will run once more.
    AfterRun(RunId),
    /// The object does not exist.
    Unknown,
}

impl Lane {
    pub(super) fn new(rule: &LaneRule, limits: &Limits) -> Self {
        Self {
            items: BTreeMap::new(),
            timers: BTreeSet::new(),
            turns: Turns::default(),
            slots: BTreeMap::new(),
            shares: Shares::new((rule.limit)(limits)),
            returning: VecDeque::new(),
        }
    }

    pub(super) fn insert(&mut self, key: &Ref) {
        self.items.entry(key.clone()).or_default().gone = false;
    }

    /// Forgets an object. The caller should cancel the returned run.
    pub(super) fn remove(&mut self, key: &Ref) -> Option<RunId> {
        self.schedule(key, None);
        let item = self.items.get_mut(key)?;
        item.causes.clear();
        match item.phase {
            Phase::Running(run) => {
                item.gone = true;
                Some(run)
            }
            Phase::Idle | Phase::Queued => {
                self.turns.remove(key);
                self.items.remove(key);
                None
            }
        }
    }

    /// Requests a run as soon as there is a slot.
    pub(super) fn want(&mut self, key: &Ref, cause: RunCause) -> Enqueued {
        let Some(item) = self.items.get_mut(key).filter(|item| !item.gone) else { return Enqueued::Unknown };
        item.causes.insert(cause);
        match item.phase {
            Phase::Running(run) => Enqueued::AfterRun(run),
            Phase::Queued => Enqueued::Queued,
            Phase::Idle => {
                item.phase = Phase::Queued;
                self.turns.push(key.clone());
                self.schedule(key, None);
                Enqueued::Queued
            }
        }
    }

    /// Withdraws requests whose run has not begun.
    pub(super) fn withdraw(&mut self, key: &Ref) {
        self.schedule(key, None);
        let Some(item) = self.items.get_mut(key) else { return };
        item.causes.clear();
        if item.phase == Phase::Queued {
            item.phase = Phase::Idle;
            self.turns.remove(key);
        }
    }

    /// Sets, moves or removes the due time of an object. A queued object has none.
    pub(super) fn schedule(&mut self, key: &Ref, due: Option<Duration>) {
        let Some(item) = self.items.get_mut(key) else { return };
        if let Some(old) = item.due.take() {
            self.timers.remove(&(old, key.clone()));
        }
        if let Some(due) = due
            && item.phase != Phase::Queued
            && !item.gone
        {
            item.due = Some(due);
            self.timers.insert((due, key.clone()));
        }
    }

    /// Brings the due time forward, never back. A run that is under way began too early for it, so there will
    /// be another run.
    pub(super) fn hasten(&mut self, key: &Ref, due: Duration) {
        let old = self.items.get(key).and_then(|item| item.due);
        self.schedule(key, Some(old.map_or(due, |old| old.min(due))));
    }

    /// Queues every object that is due. Returns the runs under way of objects that will run once more.
    pub(super) fn expire(&mut self, now: Duration) -> Vec<RunId> {
        let mut under_way = Vec::new();
        while let Some((due, key)) = self.timers.first().cloned() {
            if due > now {
                break;
            }
            if let Enqueued::AfterRun(run) = self.want(&key, RunCause::Timer) {
                under_way.push(run);
            }
            self.schedule(&key, None);
            self.timers.remove(&(due, key));
        }
        under_way
    }

    /// Gives slots to returning runs, and returns these runs.
    pub(super) fn resume(&mut self) -> Vec<RunId> {
        let mut resumed = Vec::new();
        while let Some(index) = self.returning.iter().position(|(_, namespace)| self.may_take(namespace)) {
            let Some((run, namespace)) = self.returning.remove(index) else { break };
            self.take(run, namespace);
            resumed.push(run);
        }
        resumed
    }

    /// Starts the runs that may start now, with the namespaces taking turns.
    pub(super) fn start(
        &mut self,
        mut next_run: impl FnMut() -> RunId,
    ) -> Vec<(Ref, RunId, BTreeSet<RunCause>)> {
        let mut started = Vec::new();
        while let Some(key) = self.turns.next(|namespace| self.may_take(namespace)).cloned() {
            self.turns.pop(&key.namespace);
            let Some(item) = self.items.get_mut(&key) else { continue };
            let run = next_run();
            item.phase = Phase::Running(run);
            let causes = std::mem::take(&mut item.causes);
            self.take(run, key.namespace.clone());
            started.push((key, run, causes));
        }
        started
    }

    /// Whether a run of a namespace may have a slot now.
    fn may_take(&self, namespace: &str) -> bool {
        let returning = self.returning.iter().map(|(_, namespace)| namespace);
        let others_wait = self.turns.rotation.iter().chain(returning).any(|other| other != namespace);
        self.shares.may_take(namespace, others_wait)
    }

    fn take(&mut self, run: RunId, namespace: String) {
        self.shares.take(&namespace);
        self.slots.insert(run, namespace);
    }

    /// Frees the slot of a run that only waits from now on.
    pub(super) fn release(&mut self, run: RunId) {
        if let Some(namespace) = self.slots.remove(&run) {
            self.shares.give_back(&namespace);
        }
        self.returning.retain(|(returning, _)| *returning != run);
    }

    /// Requests a slot again for a run that gave its slot back.
    pub(super) fn returns(&mut self, key: &Ref, run: RunId) {
        let is_under_way = self.items.get(key).is_some_and(|item| item.phase == Phase::Running(run));
        let is_returning = self.returning.iter().any(|(returning, _)| *returning == run);
        if is_under_way && !self.slots.contains_key(&run) && !is_returning {
            self.returning.push_back((run, key.namespace.clone()));
        }
    }

    /// Ends a run. Returns false if the object is gone meanwhile, or the run is not the object's.
    pub(super) fn finish(&mut self, key: &Ref, run: RunId) -> bool {
        self.release(run);
        let Some(item) = self.items.get_mut(key) else { return false };
        if item.phase != Phase::Running(run) {
            return false;
        }
        if item.gone {
            self.items.remove(key);
            return false;
        }
        if item.causes.is_empty() {
            item.phase = Phase::Idle;
        } else {
            item.phase = Phase::Queued;
            self.turns.push(key.clone());
        }
        true
    }

    /// When the next object is due.
    pub(super) fn next_due(&self) -> Option<Duration> {
        self.timers.first().map(|(due, _)| *due)
    }

    /// How many slots are taken.
    #[cfg(test)]
    pub(super) fn busy(&self) -> usize {
        self.slots.len()
    }

    /// Whether an object has a time at which it is due.
    #[cfg(test)]
    pub(super) fn is_scheduled(&self, key: &Ref) -> bool {
        self.items.get(key).is_some_and(|item| item.due.is_some())
    }

    /// The number of objects that wait for a slot.
    pub(super) fn waiting(&self) -> usize {
        self.turns.len() + self.returning.len()
    }
}

/// A queue for each namespace, served in rotation, so that a tenant with a thousand objects does not hold up
/// a tenant with one.
#[derive(Debug, Default)]
struct Turns {
    queues: BTreeMap<String, VecDeque<Ref>>,
    rotation: VecDeque<String>,
}

impl Turns {
    fn push(&mut self, key: Ref) {
        let queue = self.queues.entry(key.namespace.clone()).or_default();
        if queue.is_empty() {
            self.rotation.push_back(key.namespace.clone());
        }
        queue.push_back(key);
    }

    /// The next object of the namespace whose turn it is among those that may run.
    fn next(&self, may_run: impl Fn(&str) -> bool) -> Option<&Ref> {
        let namespace = self.rotation.iter().find(|namespace| may_run(namespace))?;
        self.queues.get(namespace)?.front()
    }

    /// Removes the first object of a namespace, whose next turn comes after all others.
    fn pop(&mut self, namespace: &str) {
        self.rotation.retain(|waiting| waiting != namespace);
        let Some(queue) = self.queues.get_mut(namespace) else { return };
        queue.pop_front();
        if queue.is_empty() {
            self.queues.remove(namespace);
        } else {
            self.rotation.push_back(namespace.to_owned());
        }
    }

    fn remove(&mut self, key: &Ref) {
        let Some(queue) = self.queues.get_mut(&key.namespace) else { return };
        queue.retain(|queued| queued != key);
        if queue.is_empty() {
            self.queues.remove(&key.namespace);
            self.rotation.retain(|namespace| *namespace != key.namespace);
        }
    }

    fn len(&self) -> usize {
        self.queues.values().map(VecDeque::len).sum()
    }
}
