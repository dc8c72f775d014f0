//! The timers that specs ask for: no timer at all, and timers so short that no other work would be done.

use super::*;

/// How often `a` runs within a minute if each run requests `next`.
fn runs_a_minute(next: Next) -> usize {
    let mut bench = Bench::new();
    bench.seen("a", 1, &[]);
    let mut runs = 0;
    for _ in 0..600 {
        if bench.running.contains_key("a") {
            runs += 1;
            bench.finished("a", false, next);
        }
        bench.pass(Duration::from_millis(100));
    }
    runs
}

#[test]
fn no_time_is_no_timer_and_a_short_one_is_no_hot_loop() {
    let short = Duration::from_millis(1);
    for next in [Next::Interval, Next::After, Next::BackoffTo, Next::Unblocked] {
        assert_eq!(runs_a_minute(next(Duration::ZERO)), 1, "{:?}", next(Duration::ZERO));
        let often = runs_a_minute(next(short));
        assert!((2..=65).contains(&often), "{:?}: {often} runs", next(short));
    }
    // A run that was cancelled for newer work is followed by that work at once.
    assert!(runs_a_minute(Next::Now) > 500);
}

#[test]
fn a_source_without_an_interval_is_fetched_when_it_is_asked_for() {
    let mut bench = Bench::new();
    bench.pass(MINUTE * 2);
    let run = bench.fetching.remove("repo").unwrap();
    let next = Next::Interval(Duration::ZERO);
    bench.send(fetched(source("repo"), run, Some("r2".into()), false, next));
    bench.pass(1000 * MINUTE);
    assert!(bench.fetching.is_empty());
    let asked = Facts { requested_at: Some("now".into()), ..Facts::default() };
    bench.send(Signal::Seen(source("repo"), asked));
    assert!(bench.fetching.contains_key("repo"));
}

#[test]
fn a_fight_over_an_object_without_an_interval_is_no_hot_loop() {
    let mut bench = Bench::new();
    let facts = Facts { interval: Duration::ZERO, ..facts(1, &[]) };
    bench.send(Signal::Seen(key("a"), facts));
    let mut runs = 0;
    for _ in 0..600 {
        if bench.running.contains_key("a") {
            runs += 1;
            bench.ready("a");
            bench.send(drifted(key("a"), object("fought-over")));
        }
        bench.pass(Duration::from_millis(100));
    }
    assert!((5..20).contains(&runs), "{runs} runs");
}

/// A bench in which `a` runs to correct `d` for the fourth time, after which a fight begins.
fn on_the_brink_of_a_fight() -> Bench {
    let mut bench = Bench::new();
    bench.seen("a", 1, &[]);
    for _ in 0..4 {
        bench.ready("a");
        bench.send(drifted(key("a"), object("d")));
    }
    assert_eq!(bench.runs(), ["a"]);
    bench
}

#[test]
fn drift_of_what_a_run_has_just_put_back_waits_its_two_seconds_and_no_interval() {
    let mut bench = on_the_brink_of_a_fight();
    bench.send(drifted(key("a"), object("d")));
    assert_eq!(bench.fights, ["d"]);
    bench.pass(Duration::from_secs(1));
    bench.ready("a");
    assert!(bench.runs().is_empty(), "the pause counts from the drift");
    bench.pass(Duration::from_secs(1));
    assert_eq!(bench.runs(), ["a"]);
    bench.ready("a");
    bench.pass(5 * MINUTE);
    assert!(bench.runs().is_empty(), "it was for one run");
}

#[test]
fn drift_ends_a_wait_for_health_when_its_pause_is_over() {
    let mut bench = on_the_brink_of_a_fight();
    let run = bench.running["a"];
    bench.send(Signal::Waits(run));
    bench.send(drifted(key("a"), object("d")));
    bench.pass(Duration::from_secs(1));
    assert!(bench.cancelled.is_empty());
    bench.pass(Duration::from_secs(1));
    assert_eq!(bench.cancelled, [run], "the object may be what makes the others ill");
    bench.finished("a", false, Next::Now);
    assert_eq!(bench.runs(), ["a"]);
    bench.ready("a");
    assert!(bench.runs().is_empty(), "one more run, not two");
}

#[test]
fn drift_is_no_reason_to_run_what_was_paused_or_deleted_since() {
    let mut bench = on_the_brink_of_a_fight();
    bench.send(drifted(key("a"), object("d")));
    bench.send(Signal::Seen(key("a"), Facts { suspended: true, ..facts(1, &[]) }));
    bench.ready("a");
    bench.pass(MINUTE);
    assert!(bench.runs().is_empty(), "paused");
    let mut bench = on_the_brink_of_a_fight();
    bench.send(drifted(key("a"), object("d")));
    bench.send(Signal::Gone(key("a")));
    assert_eq!(
        bench.queue.next_due(),
        bench.queue.lanes[LaneKind::index(GitRepository::ID)].next_due(),
        "deleted"
    );
    bench.ready("a");
    bench.pass(MINUTE / 2);
    assert!(bench.runs().is_empty());
}
