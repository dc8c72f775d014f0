//! Decides what runs next: a state machine that receives signals and returns orders.
//!
//! ```text
//!  object seen, run ended, drift, input changed, time
//!      → Queue::handle(signal, now) →
//!  start this run, let that one go on, cancel that wait, wake me at
//! ```
//!
//! All kinds are handled alike. An object has facts, which include its edges to other objects. The role of
//! its kind names the lane in which it runs. The clock is passed in, as the time since the agent started.
//! Nothing here waits, and nothing is found by scanning: timers are a sorted set, and edges an index.

mod edges;
mod signal;
mod order;
mod pace;
mod fights;
mod lane;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use edges::Edges;
use fights::{Fights, PutBack};
use lane::{Enqueued, Lane, LaneKind, LaneRule, RULES};
use lockgate_base::model::{ObjectId, Ref};

pub use edges::{Edge, Why};
pub use order::{Order, Rivalry, RunCause};
pub use signal::{Correction, Facts, Limits, Next, RunEnd, RunId, Signal};

/// The state machine.
#[derive(Debug)]
pub struct Queue {
    synced: bool,
    /// The counter that numbers runs and moments of readiness, so that the two can be compared.
    sequence: u64,
    /// The lanes in the order of `RULES`.
    lanes: [Lane; RULES.len()],
    items: BTreeMap<Ref, Item>,
    edges: Edges,
    blocked: BTreeSet<Ref>,
}

#[derive(Debug)]
struct Item {
    facts: Facts,
    /// The number of the last run before the object was first seen. An earlier run's report is about another
    /// object of the same name.
    born: RunId,
    /// Whether a run of the object has ended since the agent started.
    has_ended: bool,
    /// The revision that a source holds.
    revision: Option<String>,
    /// Failures in a row that called for a backoff.
    failures: u32,
    /// When the object last had news for the objects that it blocks.
    told_at: u64,
    fights: Fights,
}

impl Item {
    const fn new(facts: Facts, born: RunId) -> Self {
        let fights = Fights::new();
        Self { facts, born, has_ended: false, revision: None, failures: 0, told_at: 0, fights }
    }

    /// Whether a missing source or dependency may only be one that is not listed yet, while the lists are
    /// incomplete.
    fn comes_after_lists(&self, key: &Ref) -> bool {
        RULES[LaneKind::index(key.kind)].after_lists || self.facts.to(Why::Source).next().is_some()
    }

    /// Whether the object must not run. An object that is being deleted runs even if it is suspended.
    const fn is_paused(&self, rule: &LaneRule) -> bool {
        self.facts.suspended && !self.facts.deleting && !(rule.holds && self.revision.is_none())
    }
}

impl Queue {
    /// An empty queue.
    pub fn new(limits: Limits) -> Self {
        Self {
            synced: false,
            sequence: 0,
            lanes: RULES.each_ref().map(|rule| Lane::new(rule, &limits)),
            items: BTreeMap::new(),
            edges: Edges::default(),
            blocked: BTreeSet::new(),
        }
    }

    /// Records a signal, and returns the orders that follow from it.
    pub fn handle(&mut self, signal: Signal, now: Duration) -> Vec<Order> {
        let mut orders = Vec::new();
        match signal {
            Signal::Synced => self.synced(&mut orders),
            Signal::Seen(key, facts) => self.seen(&key, facts, &mut orders),
            Signal::Gone(key) => self.gone(&key, &mut orders),
            Signal::Waits(run) => self.lanes.iter_mut().for_each(|lane| lane.release(run)),
            Signal::Resumes { key, run } => self.lanes[LaneKind::index(key.kind)].returns(&key, run),
            Signal::Finished { key, run, end } => self.finished(&key, run, end, now, &mut orders),
            Signal::Drifted { owner, object, by } => self.drifted(&owner, object, by, now, &mut orders),
            Signal::InputChanged(input) => self.want_all(Why::Input, &input, &RunCause::Input, &mut orders),
            Signal::Recovered => self.recovered(&mut orders),
            Signal::Tick => {}
        }
        for (lane, rule) in self.lanes.iter_mut().zip(&RULES) {
            let under_way = lane.expire(now).into_iter();
            orders.extend(under_way.filter(|_| rule.is_cut_off).map(Order::Cancel));
        }
        self.start(&mut orders);
        orders
    }

    /// The time of the next [`Signal::Tick`].
    pub fn next_due(&self) -> Option<Duration> {
        self.lanes.iter().filter_map(Lane::next_due).min()
    }

    /// The number of reconciles that wait for a slot.
    pub fn waiting(&self) -> usize {
        let lanes = self.lanes.iter().zip(&RULES).filter(|(_, rule)| rule.work == LaneKind::Reconcile);
        lanes.map(|(lane, _)| lane.waiting()).sum()
    }

    fn start(&mut self, orders: &mut Vec<Order>) {
        let sequence = &mut self.sequence;
        let mut next = || {
            *sequence += 1;
            *sequence
        };
        for lane in &mut self.lanes {
            orders.extend(lane.resume().into_iter().map(Order::Resume));
            for (key, run, causes) in lane.start(&mut next) {
                self.blocked.remove(&key);
                orders.push(Order::Start { key, run, causes });
            }
        }
    }

    fn synced(&mut self, orders: &mut Vec<Order>) {
        self.synced = true;
        let waiting = self.items.iter().filter(|(key, item)| item.comes_after_lists(key));
        for key in waiting.map(|(key, _)| key.clone()).collect::<Vec<_>>() {
            self.want(&key, RunCause::Spec, orders);
        }
    }

    fn seen(&mut self, key: &Ref, facts: Facts, orders: &mut Vec<Order>) {
        let old = self.items.get(key).map(|item| item.facts.clone());
        if old.as_ref() == Some(&facts) {
            return;
        }
        self.edges.replace(key, old.as_ref().map_or(&[], |old| &old.edges), &facts.edges);
        let reordered = old.as_ref().is_none_or(|old| !old.to(Why::Dependency).eq(facts.to(Why::Dependency)));
        let cause = match &old {
            None => Some(RunCause::Spec),
            Some(old) if old.uid != facts.uid || old.version != facts.version => Some(RunCause::Spec),
            Some(old) if old.deleting != facts.deleting => Some(RunCause::Spec),
            Some(old) if old.suspended && !facts.suspended => Some(RunCause::Spec),
            Some(old) if old.requested_at != facts.requested_at => Some(RunCause::Requested),
            Some(_) => None,
        };
        // An object that was deleted and recreated while no watch was running is seen as a change.
        let same = self.items.get_mut(key).filter(|item| item.facts.uid == facts.uid);
        if let Some(item) = same {
            item.facts = facts;
        } else {
            self.items.insert(key.clone(), Item::new(facts, self.sequence));
        }
        let index = LaneKind::index(key.kind);
        self.lanes[index].insert(key);
        if self.items[key].is_paused(&RULES[index]) {
            self.lanes[index].withdraw(key);
        } else if let Some(cause) = cause {
            self.want(key, cause, orders);
        }
        if reordered {
            self.wake(key, orders);
        }
    }

    fn gone(&mut self, key: &Ref, orders: &mut Vec<Order>) {
        let index = LaneKind::index(key.kind);
        orders.extend(self.lanes[index].remove(key).map(Order::Cancel));
        self.blocked.remove(key);
        if let Some(item) = self.items.remove(key) {
            self.edges.replace(key, &item.facts.edges, &[]);
            self.wake(key, orders);
        }
        self.want_all(Why::Source, key, &RunCause::Revision, orders);
    }

    /// Handles the end of a run. If the object has new content, this wakes the objects that are made from it.
    /// If it is ready, or has another message, this wakes the objects that it blocks. In a cycle all members
    /// repeat the same message, so nothing goes round.
    fn finished(&mut self, key: &Ref, run: RunId, end: RunEnd, now: Duration, orders: &mut Vec<Order>) {
        let index = LaneKind::index(key.kind);
        let (lane, rule) = (&mut self.lanes[index], &RULES[index]);
        if !lane.finish(key, run) {
            return;
        }
        self.sequence += 1;
        let Some(item) = self.items.get_mut(key) else { return };
        if run <= item.born {
            lane.schedule(key, Some(now).filter(|_| !item.is_paused(rule)));
            return;
        }
        // Dependents that have a revision continue with it, whatever the source reports.
        let lacking = end.news && end.revision.is_none();
        let changed = !item.has_ended || item.revision != end.revision || lacking;
        item.has_ended = true;
        item.revision = end.revision;
        item.failures = if end.next.is_backoff() { item.failures + 1 } else { 0 };
        item.fights.corrected(end.corrected);
        match pace::due(end.next, key, run, item.failures, now) {
            _ if item.is_paused(rule) => lane.schedule(key, None),
            Some(due) => lane.hasten(key, due),
            // Requests that came during the run are kept.
            None => {}
        }
        let tells = end.ready || end.news;
        if tells {
            item.told_at = self.sequence;
        }
        if changed {
            self.want_all(Why::Source, key, &RunCause::Revision, orders);
        }
        if tells {
            self.wake_dependents(key, orders);
        }
        if matches!(end.next, Next::Unblocked(_)) {
            // A dependency may have changed after this run had read it.
            let has_told = |to| self.items.get(to).is_some_and(|item: &Item| item.told_at > run);
            let missed = self.items[key].facts.to(Why::Dependency).any(has_told);
            self.blocked.insert(key.clone());
            if missed {
                self.want(key, RunCause::Dependency, orders);
            }
        }
    }

    /// Retries at once every object that backs off.
    fn recovered(&mut self, orders: &mut Vec<Order>) {
        let failed = self.items.iter().filter(|(_, item)| item.failures > 0);
        for key in failed.map(|(key, _)| key.clone()).collect::<Vec<_>>() {
            self.want(&key, RunCause::Timer, orders);
        }
    }

    fn drifted(
        &mut self,
        key: &Ref,
        object: ObjectId,
        by: Option<String>,
        now: Duration,
        orders: &mut Vec<Order>,
    ) {
        let Some(item) = self.items.get_mut(key) else { return };
        match item.fights.drifted(&object, by, now, item.facts.interval) {
            PutBack::Now => self.want(key, RunCause::Drift(object), orders),
            PutBack::After { delay, begun } => {
                self.lanes[LaneKind::index(key.kind)].hasten(key, now + delay);
                let report = |rivalry| Order::ReportFight { owner: key.clone(), object, rivalry };
                orders.extend(begun.map(report));
            }
        }
    }

    /// Requests a run, unless the object is suspended or its source is still being fetched for the first
    /// time. In the latter case the end of that fetch requests the run again.
    fn want(&mut self, key: &Ref, cause: RunCause, orders: &mut Vec<Order>) {
        let Some(item) = self.items.get(key) else { return };
        let index = LaneKind::index(key.kind);
        let rule = &RULES[index];
        if item.is_paused(rule) || (item.comes_after_lists(key) && !self.synced) {
            return;
        }
        let is_on_its_way = |source| self.items.get(source).is_some_and(|source| !source.has_ended);
        if !item.facts.deleting && item.facts.to(Why::Source).any(is_on_its_way) {
            return;
        }
        // The run under way works on an outdated spec.
        let is_other = cause == RunCause::Spec;
        if let Enqueued::AfterRun(run) = self.lanes[index].want(key, cause)
            && (rule.is_cut_off || is_other)
        {
            orders.push(Order::Cancel(run));
        }
    }

    /// Requests a run of every object that has an edge to `to`.
    fn want_all(&mut self, why: Why, to: &Ref, cause: &RunCause, orders: &mut Vec<Order>) {
        for key in self.edges.to(why, to) {
            self.want(&key, cause.clone(), orders);
        }
    }

    /// Requests a run of the objects that an object blocks directly.
    fn wake_dependents(&mut self, key: &Ref, orders: &mut Vec<Order>) {
        for dependent in self.edges.to(Why::Dependency, key) {
            if self.blocked.contains(&dependent) {
                self.want(&dependent, RunCause::Dependency, orders);
            }
        }
    }

    /// Requests a run of the objects that may be blocked for another reason, after an object has appeared,
    /// gone or changed its place in the order. A source depends on nothing, so only its direct dependents are
    /// affected.
    fn wake(&mut self, key: &Ref, orders: &mut Vec<Order>) {
        if RULES[LaneKind::index(key.kind)].work == LaneKind::Fetch {
            return self.wake_dependents(key, orders);
        }
        for key in self.blocked.clone() {
            self.want(&key, RunCause::Dependency, orders);
        }
    }
}
