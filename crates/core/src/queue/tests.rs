//! Scenarios and properties of the queue.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;

mod kinds;
mod recovery;
mod slots;
mod timers;

use super::*;
use crate::api::{GitRepository, Kustomization};
use lockgate_base::model::KindId;

const MINUTE: Duration = Duration::from_mins(1);

/// A queue, a clock that the test moves, and the runs under way.
struct Bench {
    queue: Queue,
    now: Duration,
    /// Reconciles under way, by name.
    running: BTreeMap<String, RunId>,
    fetching: BTreeMap<String, RunId>,
    cancelled: Vec<RunId>,
    resumed: Vec<RunId>,
    fights: Vec<String>,
    /// The names in the order of their starts.
    log: Vec<String>,
    causes: BTreeMap<String, BTreeSet<RunCause>>,
}

fn key(name: &str) -> Ref {
    let (namespace, name) = name.split_once('/').unwrap_or(("flux-system", name));
    Kustomization::named(namespace, name)
}

fn source(name: &str) -> Ref {
    GitRepository::named("flux-system", name)
}

fn fetched(key: Ref, run: RunId, revision: Option<String>, news: bool, next: Next) -> Signal {
    Signal::Finished { key, run, end: RunEnd { news, revision, ..RunEnd::silent(next) } }
}

fn ended(key: Ref, run: RunId, ready: bool, news: bool, next: Next) -> Signal {
    Signal::Finished { key, run, end: RunEnd { ready, news, ..RunEnd::silent(next) } }
}

fn drifted(owner: Ref, object: ObjectId) -> Signal {
    Signal::Drifted { owner, object, by: None }
}

fn facts(version: u32, depends_on: &[&str]) -> Facts {
    let depends_on = depends_on.iter().map(|name| Edge::new(Why::Dependency, key(name)));
    Facts {
        version: version.to_string(),
        edges: [Edge::new(Why::Source, source("repo"))].into_iter().chain(depends_on).collect(),
        interval: 10 * MINUTE,
        ..Facts::default()
    }
}

fn object(name: &str) -> ObjectId {
    ObjectId { namespace: "n".into(), name: name.into(), group: "apps".into(), kind: "Deployment".into() }
}

impl Bench {
    /// A synced queue whose source `repo` is at revision `r1`.
    fn new() -> Self {
        let mut bench = Self::cold();
        bench.send(Signal::Synced);
        bench.fetched("repo", Some("r1"));
        bench
    }

    fn cold() -> Self {
        let mut bench = Self {
            queue: Queue::new(Limits { reconciles: 2, fetches: 1 }),
            now: Duration::ZERO,
            running: BTreeMap::new(),
            fetching: BTreeMap::new(),
            cancelled: Vec::new(),
            resumed: Vec::new(),
            fights: Vec::new(),
            log: Vec::new(),
            causes: BTreeMap::new(),
        };
        bench.send(Signal::Seen(source("repo"), Facts::default()));
        bench
    }

    fn send(&mut self, signal: Signal) {
        for order in self.queue.handle(signal, self.now) {
            match order {
                Order::Start { key, run, .. } if key.kind == GitRepository::ID => {
                    assert!(self.fetching.insert(key.name, run).is_none());
                }
                Order::Start { key, run, causes } => {
                    let name = key.name.clone();
                    assert!(self.running.insert(name.clone(), run).is_none(), "{name} runs twice");
                    self.causes.insert(name.clone(), causes);
                    self.log.push(name);
                }
                Order::Resume(run) => self.resumed.push(run),
                Order::Cancel(run) => self.cancelled.push(run),
                Order::ReportFight { object, .. } => self.fights.push(object.name),
            }
        }
    }

    fn seen(&mut self, name: &str, version: u32, depends_on: &[&str]) {
        self.send(Signal::Seen(key(name), facts(version, depends_on)));
    }

    fn fetched(&mut self, name: &str, revision: Option<&str>) {
        let run = self.fetching.remove(name).expect("no fetch is under way");
        let next = Next::Interval(MINUTE);
        self.send(fetched(source(name), run, revision.map(Into::into), false, next));
    }

    /// Moves the time to the next fetch, which ends with `revision`.
    fn poll(&mut self, revision: &str) {
        self.pass(MINUTE * 2);
        self.fetched("repo", Some(revision));
    }

    fn finished(&mut self, name: &str, ready: bool, next: Next) {
        let run = self.running.remove(name).unwrap_or_else(|| panic!("{name} does not run"));
        self.send(ended(key(name), run, ready, false, next));
    }

    fn ready(&mut self, name: &str) {
        self.finished(name, true, Next::Interval(10 * MINUTE));
    }

    fn blocked(&mut self, name: &str) {
        self.finished(name, false, Next::Unblocked(10 * MINUTE));
    }

    /// Ends a reconcile because a dependency is not ready; `news` if it reports something new.
    fn failed(&mut self, name: &str, news: bool) {
        let run = self.running.remove(name).unwrap_or_else(|| panic!("{name} does not run"));
        let next = Next::Unblocked(10 * MINUTE);
        self.send(ended(key(name), run, false, news, next));
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.send(Signal::Tick);
    }

    fn runs(&self) -> Vec<&str> {
        self.running.keys().map(String::as_str).collect()
    }
}

#[test]
fn nothing_starts_before_the_lists_and_the_first_fetch_are_complete() {
    let mut bench = Bench::cold();
    bench.seen("a", 1, &[]);
    assert!(bench.runs().is_empty(), "not synced");
    bench.send(Signal::Synced);
    assert!(bench.runs().is_empty(), "not fetched");
    bench.fetched("repo", Some("r1"));
    assert_eq!(bench.runs(), ["a"]);
}

#[test]
fn an_object_without_its_source_runs_to_say_so() {
    let mut bench = Bench::new();
    let elsewhere = Facts { edges: vec![Edge::new(Why::Source, key("missing"))], ..facts(1, &[]) };
    bench.send(Signal::Seen(key("a"), elsewhere));
    assert_eq!(bench.runs(), ["a"]);
}

#[test]
fn a_dependent_starts_the_moment_its_dependency_is_ready() {
    let mut bench = Bench::new();
    for (name, depends_on) in [("a", &[] as &[&str]), ("b", &["a"]), ("c", &["b"])] {
        bench.seen(name, 1, depends_on);
    }
    assert_eq!(bench.runs(), ["a", "b"]);
    bench.blocked("b");
    bench.blocked("c");
    assert_eq!(bench.runs(), ["a"]);
    bench.ready("a");
    assert_eq!(bench.runs(), ["b"], "b at once, c not yet");
    bench.ready("b");
    assert_eq!(bench.runs(), ["c"]);
    assert_eq!(bench.now, Duration::ZERO);
}

#[test]
fn readiness_that_a_run_was_too_early_to_see_is_not_missed() {
    let mut bench = Bench::new();
    bench.seen("a", 1, &[]);
    bench.seen("b", 1, &["a"]);
    assert_eq!(bench.runs(), ["a", "b"]);
    // `b` has read `a` before `a` was ready, and reports only afterwards.
    bench.ready("a");
    bench.blocked("b");
    assert_eq!(bench.runs(), ["b"]);
    // A dependency that became ready before `b`'s run began is no reason to run again.
    bench.blocked("b");
    assert!(bench.runs().is_empty());
}

#[test]
fn news_that_a_run_was_too_early_to_hear_is_not_missed() {
    let mut bench = Bench::new();
    bench.seen("a", 1, &[]);
    bench.seen("b", 1, &["a"]);
    // `b` has read why `a` is not ready, then `a` reports something new, and only then does `b` report what
    // it has read.
    bench.failed("a", true);
    bench.blocked("b");
    assert_eq!(bench.runs(), ["b"], "it repeats what a no longer says");
    bench.blocked("b");
    assert!(bench.runs().is_empty(), "what it has heard is no news");
    // A repetition is no reason either: `b` has read the same message of `a`.
    bench.seen("a", 2, &[]);
    bench.seen("b", 2, &["a"]);
    bench.failed("a", false);
    bench.blocked("b");
    assert!(bench.runs().is_empty());
}

#[test]
fn who_is_blocked_hears_why_and_a_cycle_does_not_go_round() {
    let mut bench = Bench::new();
    bench.seen("a", 1, &[]);
    bench.seen("b", 1, &["a"]);
    bench.blocked("b");
    bench.failed("a", true);
    assert_eq!(bench.runs(), ["b"]);
    bench.failed("b", true);
    bench.seen("a", 2, &["b"]);
    for _ in 0..4 {
        for name in bench.runs().into_iter().map(ToOwned::to_owned).collect::<Vec<_>>() {
            bench.failed(&name, false);
        }
    }
    assert!(bench.runs().is_empty());
}

#[test]
fn a_change_of_the_order_wakes_all_that_are_blocked() {
    let mut bench = Bench::new();
    bench.seen("a", 1, &["b"]);
    bench.seen("b", 1, &["a"]);
    bench.blocked("a");
    bench.blocked("b");
    bench.seen("a", 2, &[]);
    assert_eq!(bench.runs(), ["a", "b"]);
    bench.blocked("b");
    bench.ready("a");
    assert_eq!(bench.runs(), ["b"]);
}

#[test]
fn a_new_revision_cancels_a_wait_and_runs_once_more() {
    let mut bench = Bench::new();
    bench.seen("a", 1, &[]);
    let first = bench.running["a"];
    bench.send(Signal::Waits(first));
    bench.poll("r2");
    assert_eq!(bench.cancelled, [first]);
    bench.poll("r3");
    bench.finished("a", false, Next::Changed);
    assert_eq!(bench.log, ["a", "a"], "two revisions, one more run");
    assert!(bench.causes["a"].contains(&RunCause::Revision));
    bench.ready("a");
    assert!(bench.runs().is_empty());
}

#[test]
fn the_same_revision_wakes_nobody() {
    let mut bench = Bench::new();
    bench.seen("a", 1, &[]);
    bench.ready("a");
    bench.poll("r1");
    assert!(bench.runs().is_empty());
}

#[test]
fn namespaces_take_turns() {
    let mut bench = Bench::new();
    bench.seen("x/1", 1, &[]);
    bench.seen("x/2", 1, &[]);
    for name in ["x/3", "x/4", "x/5", "y/6"] {
        bench.seen(name, 1, &[]);
    }
    for name in ["1", "2", "3"] {
        let run = bench.running.remove(name).unwrap();
        let next = Next::Interval(MINUTE);
        bench.send(ended(Kustomization::named("x", name), run, true, false, next));
    }
    assert_eq!(bench.log, ["1", "2", "3", "6", "4"], "y/6 came last and waits for one of x only");
}

#[test]
fn suspended_objects_do_not_run_and_resumed_ones_do() {
    let mut bench = Bench::new();
    let suspended = Facts { suspended: true, ..facts(1, &[]) };
    bench.send(Signal::Seen(key("a"), suspended.clone()));
    bench.poll("r2");
    assert!(bench.runs().is_empty());
    bench.send(Signal::Seen(key("a"), Facts { deleting: true, ..suspended }));
    assert_eq!(bench.runs(), ["a"], "deletion goes through");
    bench.ready("a");
    bench.send(Signal::Seen(key("a"), facts(1, &[])));
    assert_eq!(bench.runs(), ["a"], "resumed");
}

#[test]
fn a_request_and_a_watched_input_run_at_once_and_a_status_change_does_not() {
    let mut bench = Bench::new();
    let input = Ref::new(KindId::CONFIG_MAP, "flux-system", "variables");
    let seen = Facts { edges: vec![Edge::new(Why::Input, input.clone())], ..facts(1, &[]) };
    bench.send(Signal::Seen(key("a"), seen.clone()));
    bench.ready("a");
    bench.send(Signal::Seen(key("a"), seen.clone()));
    assert!(bench.runs().is_empty(), "the same facts: only its status changed");
    bench.send(Signal::InputChanged(input));
    bench.ready("a");
    bench.send(Signal::Seen(key("a"), Facts { requested_at: Some("now".into()), ..seen }));
    bench.ready("a");
    assert_eq!(bench.log.len(), 3);
}

#[test]
fn the_interval_has_a_jitter_and_a_retry_has_none() {
    let mut bench = Bench::new();
    bench.seen("a", 1, &[]);
    bench.ready("a");
    bench.pass(10 * MINUTE * 94 / 100);
    assert!(bench.runs().is_empty());
    bench.pass(10 * MINUTE * 12 / 100);
    assert_eq!(bench.runs(), ["a"]);
    bench.finished("a", false, Next::After(MINUTE));
    bench.pass(Duration::from_millis(59_999));
    assert!(bench.runs().is_empty());
    bench.pass(Duration::from_millis(1));
    assert_eq!(bench.runs(), ["a"]);
}

#[test]
fn drift_is_put_back_at_once_until_it_is_a_fight() {
    let mut bench = Bench::new();
    bench.seen("a", 1, &[]);
    bench.ready("a");
    for _ in 0..4 {
        bench.send(drifted(key("a"), object("d")));
        assert_eq!(bench.causes["a"], BTreeSet::from([RunCause::Drift(object("d"))]));
        bench.ready("a");
    }
    bench.send(drifted(key("a"), object("d")));
    assert!(bench.runs().is_empty(), "the fifth waits");
    assert_eq!(bench.fights, ["d"]);
    bench.send(drifted(key("a"), object("other")));
    assert_eq!(bench.runs(), ["a"], "another object is no party to it");
    bench.ready("a");
    let mut pauses = 0;
    for _ in 0..30 {
        bench.send(drifted(key("a"), object("d")));
        while bench.running.is_empty() {
            bench.pass(Duration::from_secs(1));
            pauses += 1;
        }
        bench.ready("a");
    }
    assert_eq!(bench.fights, ["d"], "reported once");
    assert!(pauses > 20 * 9 * 60, "most pauses are as long as the interval: {pauses} s in all");
}

#[test]
fn a_deleted_object_is_forgotten_and_one_of_its_name_waits_for_the_old_run() {
    let mut bench = Bench::new();
    bench.seen("a", 1, &[]);
    let old = bench.running["a"];
    bench.send(Signal::Gone(key("a")));
    assert_eq!(bench.cancelled, [old]);
    bench.seen("a", 1, &[]);
    assert_eq!(bench.log, ["a"], "the old run goes on");
    bench.ready("a");
    assert_eq!(bench.log, ["a", "a"]);
    bench.ready("a");
    bench.send(Signal::Gone(key("a")));
    assert_eq!(bench.queue.lanes[LaneKind::index(Kustomization::ID)].next_due(), None, "no timer is left");
}

#[test]
fn a_suspended_source_is_fetched_once() {
    let mut bench = Bench::cold();
    bench.fetched("repo", Some("r1"));
    bench.send(Signal::Seen(source("repo"), Facts { suspended: true, ..Facts::default() }));
    bench.pass(10 * MINUTE);
    assert!(bench.fetching.is_empty());
    let other = Facts { suspended: true, ..Facts::default() };
    bench.send(Signal::Seen(source("other"), other));
    bench.fetched("other", Some("r1"));
    bench.pass(10 * MINUTE);
    assert!(bench.fetching.is_empty());
}

#[derive(Debug, Clone)]
enum Step {
    Seen(u8, u32, Vec<u8>),
    Gone(u8),
    Poll(u8),
    Finish(u8, u8),
    Waits(u8),
    Resumes(u8),
    Drift(u8),
    Pass(u16),
}

fn step() -> impl Strategy<Value = Step> {
    let name = 0u8..6;
    prop_oneof![
        (name.clone(), 0u32..4, prop::collection::vec(0u8..6, 0..3))
            .prop_map(|(n, v, d)| Step::Seen(n, v, d)),
        name.clone().prop_map(Step::Gone),
        any::<u8>().prop_map(Step::Poll),
        (name.clone(), 0u8..4).prop_map(|(n, r)| Step::Finish(n, r)),
        name.clone().prop_map(Step::Waits),
        name.clone().prop_map(Step::Resumes),
        name.prop_map(Step::Drift),
        any::<u16>().prop_map(Step::Pass),
    ]
}

fn take(bench: &mut Bench, step: &Step) {
    let name = |n: &u8| format!("ns{}/k{n}", n % 3);
    match step {
        Step::Seen(n, version, deps) => {
            let names: Vec<String> = deps.iter().map(name).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            bench.seen(&name(n), *version, &names);
        }
        Step::Gone(n) => bench.send(Signal::Gone(key(&name(n)))),
        Step::Poll(revision) => {
            bench.pass(2 * MINUTE);
            if bench.fetching.contains_key("repo") {
                bench.fetched("repo", Some(&revision.to_string()));
            }
        }
        Step::Finish(n, result) => {
            if let Some(run) = bench.running.remove(&format!("k{n}")) {
                let next =
                    [Next::Interval(MINUTE), Next::Backoff, Next::Unblocked(MINUTE), Next::After(MINUTE)]
                        [usize::from(*result)];
                let ready = *result == 0;
                bench.send(ended(key(&name(n)), run, ready, false, next));
            }
        }
        Step::Waits(n) => {
            if let Some(run) = bench.running.get(&format!("k{n}")).copied() {
                bench.send(Signal::Waits(run));
            }
        }
        Step::Resumes(n) => {
            if let Some(run) = bench.running.get(&format!("k{n}")).copied() {
                bench.send(Signal::Resumes { key: key(&name(n)), run });
            }
        }
        Step::Drift(n) => bench.send(drifted(key(&name(n)), object("d"))),
        Step::Pass(seconds) => bench.pass(Duration::from_secs(u64::from(*seconds))),
    }
}

proptest! {
    /// Random signals: no object runs twice at once (`Bench::send` asserts it), the slots are respected, and
    /// once all runs end ready every object is idle with a timer, so nothing is lost and nothing spins.
    #[test]
    fn every_order_of_events_comes_to_rest(steps in prop::collection::vec(step(), 0..60)) {
        let mut bench = Bench::new();
        for step in &steps {
            take(&mut bench, step);
            prop_assert!(bench.queue.lanes[LaneKind::index(Kustomization::ID)].busy() <= 2);
        }
        for _ in 0..100 {
            let Some(name) = bench.running.keys().next().cloned() else { break };
            let run = bench.running.remove(&name).unwrap();
            let index: u8 = name[1..].parse().unwrap();
            let key = Kustomization::named(format!("ns{}", index % 3), name);
            bench.send(ended(key, run, true, false, Next::Interval(MINUTE)));
        }
        prop_assert!(bench.running.is_empty(), "spins");
        prop_assert_eq!(bench.queue.waiting(), 0);
        for key in bench.queue.items.keys().filter(|key| key.kind == Kustomization::ID) {
            prop_assert!(bench.queue.lanes[LaneKind::index(Kustomization::ID)].is_scheduled(key), "{} would never run again", key);
        }
    }
}
