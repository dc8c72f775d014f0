//! Graphs as text: `a: b c` means that `a` depends on `b` and `c`.

use super::*;
use crate::api::{GitRepository, Kustomization};

fn key(name: &str) -> Ref {
    match name.split_once('/') {
        Some((namespace, name)) => Kustomization::named(namespace, name),
        None => Kustomization::named("flux-system", name),
    }
}

fn source(name: &str) -> Ref {
    GitRepository::named("flux-system", name)
}

fn graph(text: &str) -> Graph {
    let node = |line: &str| {
        let (name, dependencies) = line.split_once(':').unwrap();
        (key(name.trim()), dependencies.split_whitespace().map(key).collect())
    };
    text.lines().map(str::trim).filter(|line| !line.is_empty()).map(node).collect()
}

fn names<'a>(keys: impl IntoIterator<Item = &'a Ref>) -> String {
    keys.into_iter().map(|key| key.name.as_str()).collect::<Vec<_>>().join(" ")
}

fn levels(graph: &Graph) -> String {
    graph.levels().into_iter().map(names).collect::<Vec<_>>().join(" | ")
}

const PLATFORM: &str = "
    foobar: kube-network
    kube-network: crds kube-security
    kube-observability: crds
    kube-security: crds
    crds:
";

#[test]
fn each_comes_after_what_it_depends_on() {
    let cases = [
        (PLATFORM, "crds | kube-observability kube-security | kube-network | foobar"),
        ("c:\nb:\na:", "a b c"),
        ("a: b\nb: gone", "b | a"),
        ("a: b\nb: c\nc: b\nd:", "d | a b c"),
        ("a: b b\nb:", "b | a"),
        ("", ""),
    ];
    for (text, order) in cases {
        assert_eq!(levels(&graph(text)), order, "{text}");
    }
}

#[test]
fn a_cycle_is_that_of_its_members() {
    let cases = [
        ("a: b\nb: a", "a", Some("cycle: a -> b -> a")),
        ("a: b\nb: a", "b", Some("cycle: b -> a -> b")),
        ("a: a", "a", Some("cycle: a -> a")),
        ("a: b\nb: c\nc: a", "b", Some("cycle: b -> c -> a -> b")),
        // The shorter of two cycles.
        ("a: b x\nb: c\nc: a\nx: a", "a", Some("cycle: a -> x -> a")),
        // `a` depends on a cycle and is no member of it.
        ("a: b\nb: c\nc: b", "a", None),
        ("a: b c\nb: d\nc: d\nd:", "a", None),
        ("a: one/b\none/b: a", "a", Some("cycle: flux-system/a -> one/b -> flux-system/a")),
        ("a:", "gone", None),
    ];
    for (text, of, cycle) in cases {
        let found = graph(text).cycle_of(&key(of)).map(|cycle| cycle.to_string());
        assert_eq!(found.as_deref(), cycle, "{text}");
    }
}

#[test]
fn a_cycle_across_kinds_is_printed_as_one_across_names_is() {
    let graph = Graph::new([
        (key("a"), vec![source("a")]),
        (source("a"), vec![key("b")]),
        (key("b"), vec![key("a")]),
        (key("one/c"), vec![GitRepository::named("two", "c")]),
        (GitRepository::named("two", "c"), vec![key("one/c")]),
    ]);
    let cycle = |key: &Ref| graph.cycle_of(key).unwrap().to_string();
    assert_eq!(
        cycle(&key("a")),
        "cycle: Kustomization/a -> GitRepository/a -> Kustomization/b -> Kustomization/a"
    );
    assert_eq!(
        cycle(&key("one/c")),
        "cycle: Kustomization/one/c -> GitRepository/two/c -> Kustomization/one/c"
    );
}

#[test]
fn removing_an_edge_heals_a_cycle() {
    let mut graph = graph("a: b\nb: c\nc: a");
    graph.set(key("c"), vec![]);
    for name in ["a", "b", "c"] {
        assert_eq!(graph.cycle_of(&key(name)), None);
    }
    assert_eq!(levels(&graph), "c | b | a");
}

#[test]
fn the_root_cause_is_at_the_end_of_the_chain() {
    let platform = graph(PLATFORM);
    let cases = [
        ("foobar", &["kube-network", "kube-security"][..], "kube-network kube-security"),
        ("foobar", &["kube-network"], "kube-network"),
        ("foobar", &["kube-security"], ""),
        ("kube-network", &["kube-security", "crds"], "crds"),
        ("crds", &["crds"], ""),
    ];
    for (of, failing, chain) in cases {
        let ready = |key: &Ref| !failing.contains(&key.name.as_str());
        assert_eq!(names(platform.root_cause(&key(of), ready)), chain, "{of} {failing:?}");
    }
}

#[test]
fn a_cycle_ends_the_walk_to_the_root() {
    assert_eq!(names(graph("a: b\nb: c\nc: b").root_cause(&key("a"), |_| false)), "b c");
    assert_eq!(names(graph("a: a").root_cause(&key("a"), |_| false)), "");
}

#[test]
fn a_missing_dependency_blocks_and_wakes_when_it_comes() {
    let mut graph = graph("a: gone");
    assert_eq!(names(graph.blockers(&key("a"), |_| true)), "gone");
    assert_eq!(names(graph.dependents(&key("gone"))), "a");
    graph.set(key("gone"), vec![]);
    assert_eq!(names(graph.blockers(&key("a"), |_| true)), "");
    graph.remove(&key("gone"));
    assert_eq!(names(graph.blockers(&key("a"), |_| true)), "gone");
    graph.remove(&key("a"));
    assert!(graph.nodes.is_empty(), "what nothing names is forgotten");
}

#[test]
fn a_change_moves_the_reverse_edges() {
    let mut graph = graph(PLATFORM);
    assert_eq!(names(graph.dependents(&key("crds"))), "kube-network kube-observability kube-security");
    graph.set(key("kube-network"), vec![key("kube-observability")]);
    assert_eq!(names(graph.dependents(&key("crds"))), "kube-observability kube-security");
    assert_eq!(names(graph.dependents(&key("kube-observability"))), "kube-network");
}

#[test]
fn the_rule_is_that_of_flux() {
    let good = DependencyView {
        generation: 2,
        observed_generation: Some(2),
        ready: Some(ConditionStatus::True),
        last_applied_revision: Some("main@sha1:aa"),
    };
    let cases = [
        (None, true, Err(NotReadyReason::NotFound)),
        (Some(good), true, Ok(())),
        (Some(DependencyView { observed_generation: Some(1), ..good }), true, Err(NotReadyReason::NotReady)),
        (Some(DependencyView { observed_generation: None, ..good }), true, Err(NotReadyReason::NotReady)),
        (Some(DependencyView { ready: None, ..good }), true, Err(NotReadyReason::NotReady)),
        (
            Some(DependencyView { ready: Some(ConditionStatus::Unknown), ..good }),
            true,
            Err(NotReadyReason::NotReady),
        ),
        (
            Some(DependencyView { last_applied_revision: Some("main@sha1:bb"), ..good }),
            true,
            Err(NotReadyReason::Outdated),
        ),
        (Some(DependencyView { last_applied_revision: Some("main@sha1:bb"), ..good }), false, Ok(())),
        (Some(DependencyView { last_applied_revision: None, ..good }), true, Err(NotReadyReason::Outdated)),
    ];
    for (dependency, same_source, verdict) in cases {
        assert_eq!(ready(dependency.as_ref(), "main@sha1:aa", same_source), verdict, "{dependency:?}");
    }
}

#[test]
fn a_thousand_nodes_are_asked_without_walking_all_of_them_each_time() {
    let name = |number: usize| key(&format!("n{number:04}"));
    let mut graph = Graph::new((0..1000).map(|n| (name(n), if n == 0 { vec![] } else { vec![name(n - 1)] })));
    assert_eq!(graph.levels().len(), 1000);
    assert_eq!(graph.root_cause(&name(999), |_| false).len(), 999);
    graph.set(name(0), vec![name(999)]);
    assert_eq!(graph.cycle_of(&name(500)).map(|cycle| cycle.0.len()), Some(1000));
}
