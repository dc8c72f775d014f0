//! Runs that give their slot back, and take one again.

use super::*;

#[test]
fn a_run_that_goes_on_after_its_wait_waits_for_a_slot_and_comes_first() {
    let mut bench = Bench::new();
    for name in ["a", "b", "c", "d"] {
        bench.seen(name, 1, &[]);
    }
    let run = bench.running["a"];
    let resumes = || Signal::Resumes { key: key("a"), run };
    bench.send(resumes());
    assert!(bench.resumed.is_empty(), "it has its slot");
    bench.send(Signal::Waits(run));
    assert_eq!(bench.runs(), ["a", "b", "c"], "its slot was given to c");
    bench.send(resumes());
    bench.send(resumes());
    assert!(bench.resumed.is_empty(), "both slots are taken");
    assert_eq!(bench.queue.waiting(), 2, "a and d");
    bench.ready("b");
    assert_eq!(bench.resumed, [run], "before d, which has not begun");
    assert_eq!(bench.runs(), ["a", "c"]);
    bench.ready("a");
    assert_eq!(bench.runs(), ["c", "d"], "its slot was given back once only");
}

#[test]
fn a_run_that_ends_or_waits_again_asks_for_no_slot_any_more() {
    for ends in [true, false] {
        let mut bench = Bench::new();
        for name in ["a", "b", "c"] {
            bench.seen(name, 1, &[]);
        }
        let run = bench.running["a"];
        bench.send(Signal::Waits(run));
        bench.send(Signal::Resumes { key: key("a"), run });
        if ends {
            bench.ready("a");
        } else {
            bench.send(Signal::Waits(run));
        }
        bench.ready("b");
        bench.ready("c");
        assert!(bench.resumed.is_empty(), "{ends}");
        bench.send(Signal::Resumes { key: key("a"), run });
        assert_eq!(bench.resumed.is_empty(), ends, "a run that is over has nothing to go on with");
    }
}

#[test]
fn a_wait_for_health_holds_no_slot() {
    let mut bench = Bench::new();
    for name in ["a", "b", "c", "d"] {
        bench.seen(name, 1, &[]);
    }
    assert_eq!(bench.runs(), ["a", "b"], "two slots");
    bench.send(Signal::Waits(bench.running["a"]));
    assert_eq!(bench.runs(), ["a", "b", "c"]);
    bench.ready("a");
    assert_eq!(bench.runs(), ["b", "c"], "its slot was given back once only");
}

/// Many tenants that never end what they begin.
#[test]
fn no_namespace_holds_up_another_that_holds_nothing() {
    let queue = Queue::new(Limits { reconciles: 8, fetches: 8 });
    let mut bench = Bench { queue, fetching: BTreeMap::new(), ..Bench::cold() };
    bench.send(Signal::Seen(source("repo"), Facts::default()));
    bench.send(Signal::Synced);
    bench.fetched("repo", Some("r1"));
    let running = |bench: &mut Bench, namespace: &str, count: usize| {
        for number in 0..count {
            bench.seen(&format!("{namespace}/{namespace}-{number:02}"), 1, &[]);
        }
        bench.runs().iter().filter(|name| name.starts_with(namespace)).count()
    };
    assert_eq!(running(&mut bench, "hog", 24), 7, "one is kept");
    assert_eq!(running(&mut bench, "other", 24), 1);
    // Whatever ends now goes to those who have less than half.
    for name in ["hog-00", "hog-01", "hog-02"] {
        bench.ready(name);
    }
    assert_eq!(running(&mut bench, "other", 24), 3, "one is kept again");
    assert_eq!(running(&mut bench, "third", 24), 1);
    assert_eq!(running(&mut bench, "victim", 1), 0, "all eight are taken");
    bench.ready("other-00");
    assert_eq!(running(&mut bench, "victim", 1), 1, "and the next one is the victim's");
}

#[test]
fn a_fetch_is_cut_off_by_another_spec_and_by_the_end_of_its_source_and_by_nothing_else() {
    let mut bench = Bench::cold();
    let first = bench.fetching["repo"];
    let facts = |version: &str, asked: &str| Facts {
        version: version.into(),
        requested_at: Some(asked.into()),
        ..Facts::default()
    };
    bench.send(Signal::Seen(source("repo"), Facts { requested_at: Some("one".into()), ..Facts::default() }));
    assert!(bench.cancelled.is_empty(), "it is asked for once more");
    bench.send(Signal::Seen(source("repo"), facts("2", "one")));
    assert_eq!(bench.cancelled, [first]);
    bench.fetched("repo", None);
    let second = bench.fetching["repo"];
    bench.send(Signal::Gone(source("repo")));
    assert_eq!(bench.cancelled, [first, second]);
}

/// S15: two thousand objects of one namespace hold up no object of another.
#[test]
fn a_flood_of_objects_holds_up_its_own_namespace_alone() {
    let mut bench = Bench::new();
    for at in 0..2_000 {
        bench.seen(&format!("flood/f{at}"), 1, &[]);
    }
    bench.seen("victim/v", 1, &[]);
    let mut ended = 0;
    while !bench.running.contains_key("v") {
        let (name, run) = bench.running.pop_first().unwrap();
        let next = Next::Interval(10 * MINUTE);
        bench.send(super::ended(key(&format!("flood/{name}")), run, true, false, next));
        ended += 1;
        assert!(ended <= 2, "it waits for more than those that ran when it came");
    }
    assert_eq!(bench.queue.waiting(), 2_000 - ended - bench.running.len() + 1);
}

/// F20: commits and requests that come while a run is under way lead to one more run, at the last of them.
#[test]
fn a_storm_of_commits_and_requests_is_one_more_run() {
    let mut bench = Bench::new();
    bench.seen("a", 1, &[]);
    assert_eq!(bench.runs(), ["a"]);
    for at in 0..500 {
        // Its annotation is another, and so is its source's.
        let asked = Facts { requested_at: Some(at.to_string()), ..facts(1, &[]) };
        bench.send(Signal::Seen(key("a"), asked));
        bench.poll(&format!("r{at}"));
        assert_eq!(bench.runs(), ["a"], "one at a time");
    }
    bench.ready("a");
    assert_eq!(bench.runs(), ["a"], "once more");
    bench.ready("a");
    assert!(bench.runs().is_empty(), "and that is all");
    assert_eq!(bench.log, ["a", "a"]);
}
