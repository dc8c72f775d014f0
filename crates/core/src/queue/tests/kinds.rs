//! Edges between objects of different kinds.

use super::*;

/// A Kustomization that depends on the source `other`, beside the one that it is made from.
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
        let end = End { ready, news, ..End::silent(Next::Interval(MINUTE)) };
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
