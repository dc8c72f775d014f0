//! The reports while Kustomizations become ready, from objects and a clock that is passed in.

use serde_json::json;

use super::*;
use crate::bootstrap::problem::ExitClass;
use crate::cluster::objects::tests::answering;

fn kustomization(name: &str, depends_on: &[&str], ready: &str, children: &[&str]) -> Object {
    let depends_on: Vec<Value> = depends_on.iter().map(|name| json!({"name": name})).collect();
    let entries: Vec<Value> = children
        .iter()
        .map(|name| json!({"id": format!("n_{name}_kustomize.toolkit.fluxcd.io_Kustomization"), "v": "v1"}))
        .collect();
    let reason = if ready == "False" && !depends_on.is_empty() { "DependencyNotReady" } else { "Reason" };
    let value = json!({
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
        "kind": "Kustomization",
        "metadata": {"name": name, "namespace": "n", "generation": 1},
        "spec": {
            "interval": "1m", "prune": true, "dependsOn": depends_on,
            "sourceRef": {"kind": "GitRepository", "name": "x"},
        },
        "status": {
            "observedGeneration": 1,
            "inventory": {"entries": entries},
            "conditions": [{
                "type": "Ready", "status": ready, "reason": reason, "message": "m",
                "lastTransitionTime": "2024-01-01T00:00:00Z",
            }],
        },
    });
    Object::parse(value).unwrap()
}

fn told(tree: &mut Tree, objects: &[Object], now: Instant) -> Vec<String> {
    let events = tree.update(&Overview::of(&[], objects), now);
    let line = |event: ProgressEvent| match event {
        ProgressEvent::Order(levels) => format!("order of {} levels", levels.len()),
        ProgressEvent::Kustomization { key, state, detail, took } => {
            format!("{} {state} {}s {detail}", key.name, took.as_secs())
        }
        other => format!("{other:?}"),
    };
    events.into_iter().map(line).collect()
}

#[test]
fn only_what_the_root_brings_is_waited_for() {
    let root = kustomization("root", &[], "True", &["a", "gone"]);
    let all = vec![
        kustomization("other", &[], "False", &[]),
        kustomization("a", &[], "True", &["root", "b"]),
        root.clone(),
        kustomization("b", &[], "True", &[]),
    ];
    let mut names: Vec<String> = reachable(&root, all).iter().map(|object| object.id().name).collect();
    names.sort();
    assert_eq!(names, ["a", "b", "root"]);
}

#[test]
fn news_are_told_once_and_times_count_from_when_one_could_start() {
    let mut tree = Tree::new(Kustomization::named("n", "root"));
    let start = Instant::now();
    let after = |seconds| start + Duration::from_secs(seconds);
    let a = |ready| kustomization("a", &[], ready, &[]);
    let b = |ready| kustomization("b", &["a"], ready, &[]);
    assert_eq!(
        told(&mut tree, &[a("Unknown"), b("False")], start),
        ["order of 2 levels", "a progressing 0s m", "b blocked 0s blocked by a"]
    );
    assert!(told(&mut tree, &[a("Unknown"), b("False")], after(1)).is_empty());
    assert_eq!(told(&mut tree, &[a("True"), b("False")], after(3)), ["a ready 3s 0 objects"]);
    assert_eq!(told(&mut tree, &[a("True"), b("Unknown")], after(3)), ["b progressing 0s m"]);
    assert_eq!(told(&mut tree, &[a("True"), b("True")], after(8)), ["b ready 5s 0 objects"]);
}

#[test]
fn a_failure_that_stands_ends_the_wait_and_a_new_try_prolongs_it() {
    let mut tree = Tree::new(Kustomization::named("n", "root"));
    let start = Instant::now();
    let mut is_stuck = |state: &str, seconds: u64| {
        let objects = [kustomization("a", &[], state, &[]), kustomization("b", &["a"], "False", &[])];
        tree.is_stuck(&Overview::of(&[], &objects), start + Duration::from_secs(seconds))
    };
    assert!(!is_stuck("False", 0));
    assert!(!is_stuck("Unknown", 20));
    assert!(!is_stuck("False", 40));
    assert!(!is_stuck("False", 60));
    assert!(is_stuck("False", 70));
}

#[test]
fn a_dependency_that_is_nowhere_ends_the_wait_too() {
    let mut tree = Tree::new(Kustomization::named("n", "root"));
    let start = Instant::now();
    let overview = Overview::of(&[], &[kustomization("a", &["gone"], "False", &[])]);
    assert!(!tree.is_stuck(&overview, start));
    assert!(tree.is_stuck(&overview, start + Duration::from_secs(30)));
}

#[test]
fn what_others_wait_for_is_told_first() {
    let mut tree = Tree::new(Kustomization::named("n", "z-root"));
    let all = [
        kustomization("a", &["b"], "True", &[]),
        kustomization("b", &["c"], "True", &[]),
        kustomization("c", &[], "True", &[]),
        kustomization("z-root", &[], "True", &[]),
    ];
    let told = told(&mut tree, &all, Instant::now());
    let names: Vec<&str> = told[1..].iter().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(names, ["z-root", "c", "b", "a"]);
}

/// Flux leaves the generation of a status at -1 until the first fetch, and so does the agent.
#[tokio::test]
async fn a_first_fetch_that_fails_says_why() {
    let failing = |observed: Value| {
        json!({
            "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository",
            "metadata": {"name": "x", "namespace": "n", "generation": 1},
            "status": {"observedGeneration": -1, "conditions": [
                {"type": "Ready", "status": "False", "message": "connection timed out", "observedGeneration": observed}]},
        })
    };
    let unseen = failing(json!(0));
    let mut fresh = unseen.clone();
    fresh.as_object_mut().unwrap().shift_remove("status");
    for (live, told) in [
        (failing(json!(1)), "connection timed out"),
        (unseen, "its status has not changed yet; is the agent running?"),
        (fresh, "it has no status; is the agent running?"),
    ] {
        let objects = answering(vec![(Some(200), live)]);
        let patience = Patience::new("source", Duration::ZERO);
        let source = Object::parse(failing(json!(1))).unwrap();
        let mut sink = |_| {};
        let ended = fetched(&objects, &source, &patience, &mut ProgressLog::new(&mut sink)).await;
        let problem = ended.unwrap_err().to_string();
        assert!(problem.contains(told), "{problem}");
    }
}

#[tokio::test]
async fn what_an_earlier_agent_said_of_the_root_does_not_count() {
    let list = |handled: &str| {
        let root = kustomization("x", &[], "True", &[]);
        let root = root.edit(|value| value["status"]["lastHandledReconcileAt"] = handled.into()).unwrap();
        (Some(200), json!({"kind": "List", "apiVersion": "v1", "metadata": {}, "items": [root.value()]}))
    };
    let objects = answering(vec![list("before"), list("before"), list("now")]);
    let (patience, root) =
        (Patience::new("sync", Duration::from_mins(1)), kustomization("x", &[], "True", &[]));
    let mut told = Vec::new();
    let mut sink = |event| told.push(event);
    synced(&objects, &root, Some("now"), &patience, &mut ProgressLog::new(&mut sink)).await.unwrap();
    let again = "for the agent to reconcile again";
    assert!(matches!(&told[0], ProgressEvent::Waiting { detail, .. } if detail == again));
}

#[tokio::test]
async fn a_host_that_shuts_the_address_out_after_a_denial_is_asked_on() {
    let server = || "h".to_owned();
    let denied = || Err(SshError::Denied { server: server() });
    let unreachable = || Err(SshError::Unreachable { server: server(), message: "m".into() });
    let host_key = || Err(SshError::HostKey("another key".into()));
    let minute = Duration::from_mins(1);
    for (timeout, answers, ended, told) in [
        (minute, vec![Ok(())], Ok(()), 0),
        (minute, vec![denied(), unreachable(), unreachable(), Ok(())], Ok(()), 3),
        (minute, vec![unreachable(), Ok(())], unreachable(), 0),
        (minute, vec![denied(), host_key(), Ok(())], host_key(), 1),
        (Duration::ZERO, vec![denied(), Ok(())], denied(), 0),
    ] {
        let mut answers = answers.into_iter();
        let mut count = 0;
        let ask = async || answers.next().unwrap();
        let answer = let_in(timeout, Duration::ZERO, ask, |_| count += 1).await;
        assert_eq!((answer, count), (ended, told));
    }
}

#[tokio::test]
async fn a_server_that_is_away_for_a_moment_is_waited_for() {
    let named = |api_version: &str, kind: &str, status: Value| {
        json!({
            "apiVersion": api_version, "kind": kind, "status": status,
            "metadata": {"name": "x", "namespace": "n", "generation": 1},
        })
    };
    let condition = |kind: &str| json!([{"type": kind, "status": "True", "message": "m"}]);
    let present = json!({
        "observedGeneration": 1, "conditions": condition("Ready"), "artifact": {"revision": "main@sha1:1"},
    });
    let root = kustomization("x", &[], "True", &[]);
    let cut = (None, Value::Null);
    let away =
        (Some(503), json!({"kind": "Status", "code": 503, "reason": "ServiceUnavailable", "message": "m"}));
    for (wait, failure, good) in [
        (
            "established",
            &away,
            named(
                "apiextensions.k8s.io/v1",
                "CustomResourceDefinition",
                json!({"conditions": condition("Established")}),
            ),
        ),
        ("not ending", &cut, named("v1", "Namespace", json!({}))),
        ("fetched", &cut, named("source.toolkit.fluxcd.io/v1", "GitRepository", present)),
        (
            "synced",
            &away,
            json!({"kind": "List", "apiVersion": "v1", "metadata": {}, "items": [root.value()]}),
        ),
    ] {
        let object = if wait == "synced" { root.clone() } else { Object::parse(good.clone()).unwrap() };
        for (timeout, expected) in [(Duration::from_mins(1), None), (Duration::ZERO, Some(failure))] {
            let objects = answering(vec![failure.clone(), (Some(200), good.clone())]);
            let patience = Patience::new("agent", timeout);
            let mut told = Vec::new();
            let mut sink = |event| told.push(event);
            let mut progress = ProgressLog::new(&mut sink);
            let ended = match wait {
                "established" => {
                    established(&objects, std::slice::from_ref(&object), &patience, &mut progress).await
                }
                "not ending" => not_ending(&objects, &object, &patience, &mut progress).await,
                "fetched" => fetched(&objects, &object, &patience, &mut progress).await.map(drop),
                _ => synced(&objects, &object, None, &patience, &mut progress)
                    .await
                    .map_err(|mut failure| failure.problems.remove(0)),
            };
            let waited = told.iter().filter(|event| matches!(event, ProgressEvent::Waiting { .. })).count();
            match expected {
                None => assert_eq!((ended, waited), (Ok(()), 1), "{wait}"),
                Some((code, _)) => {
                    let class = if code.is_some() { ExitClass::Failed } else { ExitClass::Unreachable };
                    let problem = ended.unwrap_err();
                    assert_eq!((problem.class(), waited), (class, 0), "{wait}: {problem}");
                    assert!(matches!(problem, Problem::Cluster { .. }), "{wait}: {problem}");
                }
            }
        }
    }
}

#[tokio::test]
async fn an_object_is_applied_again_to_a_server_that_was_away() {
    let object =
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "x", "resourceVersion": "1"}});
    let answer =
        |code: u16| (Some(code), json!({"kind": "Status", "code": code, "reason": "R", "message": "m"}));
    for (code, expected) in [(500, Some(PutOutcome::Unchanged)), (422, None)] {
        let objects = answering(vec![answer(code), (Some(200), object.clone())]);
        let ended = through_discovery(&objects, &Object::parse(object.clone()).unwrap()).await;
        assert_eq!(ended.ok(), expected, "{code}");
    }
}
