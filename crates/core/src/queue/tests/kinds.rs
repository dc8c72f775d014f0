//! Edges between objects of different kinds.

use super::*;

/// A Kustomization that depends on the source `other`, besides its own source.
fn behind_a_source(version: u32) -> Signal {
    let mut facts = facts(version, &[]);
    facts.edges.push(Edge::new(Why::Dependency, source("other")));
    Signal::Seen(key("a"), facts)
}

#[test]
fn objects_of_one_name_and_two_kinds_are_two_objects() {
    let mut bench = Bench::new();
    bench.seen("repo", 1, &[]);
    assert_eq!(bench.runs(), ["repo"]);
    bench.send(Signal::Gone(key("repo")));
    bench.poll("r2");
    bench.seen("b", 1, &[]);
    assert_eq!(bench.runs(), ["b", "repo"], "the source is still there");
}

#[test]
fn a_dependent_starts_the_moment_a_source_that_it_depends_on_is_ready() {
    let mut bench = Bench::new();
    bench.send(behind_a_source(1));
    assert_eq!(bench.runs(), ["a"], "it runs to say that there is none");
    bench.blocked("a");
    bench.send(Signal::Seen(source("other"), Facts::default()));
    assert_eq!(bench.runs(), ["a"], "it is there, and not ready");
    bench.blocked("a");
    let finish = |bench: &mut Bench, ready, news| {
        let run = bench.fetching.remove("other").expect("it is not fetched");
        let end = RunEnd { ready, news, ..RunEnd::silent(Next::Interval(MINUTE)) };
        bench.send(Signal::Finished { key: source("other"), run, end });
    };
    finish(&mut bench, false, true);
    assert_eq!(bench.runs(), ["a"], "it says something else of itself");
    bench.blocked("a");
    bench.pass(2 * MINUTE);
    bench.fetched("repo", Some("r1"));
    finish(&mut bench, false, false);
    assert!(bench.runs().is_empty(), "the same");
    bench.pass(2 * MINUTE);
    bench.fetched("repo", Some("r1"));
    finish(&mut bench, true, false);
    assert_eq!(bench.runs(), ["a"]);
    bench.blocked("a");
    bench.send(Signal::Gone(source("other")));
    assert_eq!(bench.runs(), ["a"], "it runs to say that there is none");
}

/// A source that is made from another one, as a chart is from its repository.
fn made_from(other: &str) -> Signal {
    let edges = vec![Edge::new(Why::Source, source(other))];
    Signal::Seen(source("chart"), Facts { version: "1".into(), edges, ..Facts::default() })
}

#[test]
fn a_source_that_is_made_from_another_comes_after_it_and_follows_it() {
    let mut bench = Bench::new();
    bench.send(Signal::Seen(source("charts"), Facts::default()));
    bench.send(made_from("charts"));
    assert!(bench.fetching.contains_key("charts") && !bench.fetching.contains_key("chart"));
    bench.fetched("charts", Some("r1"));
    let run = bench.fetching.remove("chart").expect("it is not fetched though its source is there");
    bench.send(fetched(source("chart"), run, Some("1.0.0".into()), false, Next::Changed));
    let again = |bench: &mut Bench, revision: &str| {
        bench.pass(2 * MINUTE);
        // Only one source is fetched at a time.
        bench.fetched("repo", Some("r1"));
        bench.fetched("charts", Some(revision));
        bench.fetching.contains_key("chart")
    };
    assert!(!again(&mut bench, "r1"), "it is still the same");
    assert!(again(&mut bench, "r2"));
}
