//! Failures whose cause passes without help, and the time of the next try.

use super::*;
use lockgate_base::model::KindId;

#[test]
fn what_passes_by_itself_is_tried_again_soon_then_less_often() {
    let mut bench = Bench::new();
    bench.seen("a", 1, &[]);
    for seconds in [1, 2, 4, 8, 16, 30, 30] {
        bench.finished("a", false, Next::Backoff);
        bench.pass(Duration::from_millis(seconds * 1000 - 1));
        assert!(bench.runs().is_empty(), "too early by 1 ms of {seconds} s");
        bench.pass(Duration::from_millis(1));
        assert_eq!(bench.runs(), ["a"]);
    }
    bench.ready("a");
    bench.poll("r2");
    bench.finished("a", false, Next::Backoff);
    bench.pass(Duration::from_secs(1));
    assert_eq!(bench.runs(), ["a"], "a success ends the row of failures");
}

#[test]
fn a_backoff_grows_to_its_own_limit() {
    let mut bench = Bench::new();
    bench.seen("a", 1, &[]);
    let mut waited = Vec::new();
    for _ in 0..8 {
        bench.finished("a", false, Next::BackoffTo(MINUTE));
        let failed = bench.now;
        while bench.running.is_empty() {
            bench.pass(Duration::from_secs(1));
        }
        waited.push(bench.now.saturating_sub(failed).as_secs());
    }
    assert_eq!(waited, [1, 2, 4, 8, 16, 32, 60, 60]);
}

#[test]
fn all_that_backs_off_is_tried_at_once_when_the_server_is_back() {
    let mut bench = Bench::new();
    for name in ["failed", "denied", "ready", "blocked"] {
        bench.seen(name, 1, &[]);
    }
    bench.finished("failed", false, Next::Backoff);
    bench.finished("denied", false, Next::BackoffTo(MINUTE));
    bench.ready("ready");
    bench.finished("blocked", false, Next::After(MINUTE));
    bench.pass(MINUTE / 120);
    assert!(bench.runs().is_empty());
    bench.send(Signal::Recovered);
    assert_eq!(bench.runs(), ["denied", "failed"]);
    bench.ready("failed");
    bench.ready("denied");
    bench.send(Signal::Recovered);
    assert!(bench.runs().is_empty(), "what succeeded is not tried again");
}

#[test]
fn a_source_that_backs_off_is_fetched_at_once_when_the_server_is_back() {
    let mut bench = Bench::new();
    bench.pass(2 * MINUTE);
    let run = bench.fetching.remove("repo").unwrap();
    let next = Next::Backoff;
    bench.send(fetched(source("repo"), run, Some("r1".into()), false, next));
    bench.send(Signal::Recovered);
    bench.fetched("repo", Some("r1"));
    bench.send(Signal::Recovered);
    assert!(bench.fetching.is_empty());
}

#[test]
fn who_lacks_a_source_hears_why_each_time_that_it_is_another_reason() {
    let mut bench = Bench::cold();
    bench.send(Signal::Synced);
    bench.seen("a", 1, &[]);
    let fetched = |bench: &mut Bench, revision: Option<&str>, news| {
        bench.pass(2 * MINUTE);
        let run = bench.fetching.remove("repo").expect("it is not fetched");
        let (revision, next) = (revision.map(Into::into), Next::Interval(MINUTE));
        bench.send(fetched(source("repo"), run, revision, news, next));
    };
    for (revision, news, runs) in [
        (None, true, true),
        (None, false, false),
        (None, true, true),
        (Some("r1"), true, true),
        // The Kustomization has a revision to continue with, whether or not there can be a newer one.
        (Some("r1"), true, false),
    ] {
        fetched(&mut bench, revision, news);
        assert_eq!(bench.runs() == ["a"], runs, "{revision:?} {news}");
        if runs {
            bench.finished("a", false, Next::Changed);
        }
    }
}

#[test]
fn a_paused_source_is_tried_until_it_is_held() {
    let mut bench = Bench::cold();
    bench.send(Signal::Synced);
    bench.send(Signal::Seen(source("paused"), Facts { suspended: true, ..Facts::default() }));
    bench.fetched("repo", Some("r1"));
    for held in [None, Some("r1".to_owned())] {
        let run = bench.fetching.remove("paused").expect("it is not fetched");
        bench.send(fetched(source("paused"), run, held, false, Next::Backoff));
        bench.pass(Duration::from_secs(2));
    }
    assert!(!bench.fetching.contains_key("paused"), "it is held");
}

#[test]
fn a_source_that_is_paused_before_it_is_held_is_fetched_all_the_same() {
    let mut bench = Bench::cold();
    // The other source has the only slot, so this one still waits when it is suspended.
    bench.send(Signal::Seen(source("paused"), Facts::default()));
    bench.send(Signal::Seen(source("paused"), Facts { suspended: true, ..Facts::default() }));
    bench.fetched("repo", Some("r1"));
    assert!(bench.fetching.contains_key("paused"));
}

#[test]
fn a_paused_source_whose_deletion_failed_is_tried_again() {
    let mut bench = Bench::cold();
    bench.fetched("repo", Some("r1"));
    let paused = Facts { suspended: true, ..Facts::default() };
    bench.send(Signal::Seen(source("repo"), paused.clone()));
    assert!(bench.fetching.is_empty());
    bench.send(Signal::Seen(source("repo"), Facts { deleting: true, ..paused }));
    let run = bench.fetching.remove("repo").expect("its finalizer is not looked at");
    let next = Next::Backoff;
    bench.send(fetched(source("repo"), run, Some("r1".into()), false, next));
    bench.pass(Duration::from_secs(2));
    assert!(bench.fetching.contains_key("repo"));
}

#[test]
fn a_new_secret_does_not_fetch_a_paused_source() {
    let mut bench = Bench::cold();
    bench.fetched("repo", Some("r1"));
    let secret = Ref::new(KindId::SECRET, "flux-system", "key");
    let paused =
        Facts { suspended: true, edges: vec![Edge::new(Why::Input, secret.clone())], ..Facts::default() };
    bench.send(Signal::Seen(source("repo"), paused));
    bench.send(Signal::InputChanged(secret));
    assert!(bench.fetching.is_empty());
}

#[test]
fn a_source_that_was_made_anew_unseen_is_fetched_before_what_builds_from_it_runs() {
    let mut bench = Bench::new();
    bench.seen("a", 1, &[]);
    bench.ready("a");
    let anew = Facts { uid: "another".into(), ..Facts::default() };
    bench.send(Signal::Seen(source("repo"), anew));
    bench.seen("a", 2, &[]);
    assert!(bench.runs().is_empty(), "nothing is held of the new one");
    bench.fetched("repo", Some("r1"));
    assert_eq!(bench.runs(), ["a"], "the same revision as before");
}

#[test]
fn what_was_fetched_of_a_source_that_has_gone_is_not_held_for_the_next_of_its_name() {
    for is_seen_to_go in [false, true] {
        let mut bench = Bench::cold();
        bench.send(Signal::Synced);
        bench.seen("a", 1, &[]);
        if is_seen_to_go {
            bench.send(Signal::Gone(source("repo")));
            bench.finished("a", false, Next::Changed);
        }
        let anew = Facts { uid: "another".into(), ..Facts::default() };
        bench.send(Signal::Seen(source("repo"), anew));
        bench.fetched("repo", Some("r1"));
        assert!(bench.runs().is_empty(), "that was the old one");
        bench.fetched("repo", Some("r1"));
        assert_eq!(bench.runs(), ["a"]);
    }
}
