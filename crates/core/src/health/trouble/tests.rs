//! Each reason, from the status and the events that a kubelet or a scheduler writes.

use serde_json::json;

use super::TroubleKind::{
    Crashing, Ended, Failed, Initializing, NoImage, NodeAwaited, NotReady, Starting, Uncreatable, Unprepared,
    Unschedulable,
};
use super::*;

fn pod(spec: Value, status: Value) -> Object {
    let mut pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}});
    pod["spec"] = spec;
    pod["status"] = status;
    Object::parse(pod).unwrap()
}

fn event(reason: &str, message: &str, seen: &str) -> Object {
    let event = json!({"apiVersion": "v1", "kind": "Event", "metadata": {"name": "e"}, "type": "Warning",
        "reason": reason, "message": message, "lastTimestamp": seen});
    Object::parse(event).unwrap()
}

fn told(pod: &Object, events: &[Object]) -> Option<(TroubleKind, String)> {
    pod_trouble(pod, events).map(|trouble| (trouble.kind, trouble.text))
}

/// A container `a` that is in a state, and was in another before.
fn container(state: Value, before: Value, restarts: u32) -> Value {
    let mut container = json!({"name": "a", "ready": false, "restartCount": restarts});
    container["state"] = state;
    container["lastState"] = before;
    json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "False", "reason": "ContainersNotReady"}],
        "containerStatuses": [container]})
}

fn ended(code: i64, reason: &str, message: &str) -> Value {
    json!({"terminated": {"exitCode": code, "reason": reason, "message": message}})
}

fn waiting(reason: &str, message: &str) -> Value {
    json!({"waiting": {"reason": reason, "message": message}})
}

#[test]
fn a_container_says_why_it_does_not_run() {
    let (running, none) = (json!({"running": {}}), json!({}));
    let cases = [
        (waiting("ImagePullBackOff", "403"), none.clone(), 0, NoImage, "container a: ImagePullBackOff: 403"),
        (
            waiting("CreateContainerConfigError", "secret \"s\" not found"),
            none.clone(),
            0,
            Uncreatable,
            "container a: CreateContainerConfigError: secret \"s\" not found",
        ),
        (waiting("ContainerCreating", ""), none.clone(), 0, Starting, "container a is being started"),
        (ended(253, "Error", ""), none.clone(), 0, Ended, "container a ended with exit code 253"),
        (
            ended(253, "Error", "no config\n"),
            none.clone(),
            3,
            Crashing,
            "container a ended with exit code 253, restarted 3 times: no config",
        ),
        (
            ended(0, "Completed", ""),
            none.clone(),
            1,
            Crashing,
            "container a ended with exit code 0, restarted once",
        ),
        (
            waiting("CrashLoopBackOff", "back-off 40s"),
            ended(137, "OOMKilled", ""),
            2,
            Crashing,
            "container a ended with exit code 137 (OOMKilled), restarted 2 times",
        ),
        (
            waiting("CrashLoopBackOff", "back-off 40s"),
            none.clone(),
            2,
            Crashing,
            "container a: CrashLoopBackOff: back-off 40s",
        ),
        (
            waiting("ContainerCreating", ""),
            ended(1, "Error", "x"),
            1,
            Crashing,
            "container a ended with exit code 1, restarted once: x",
        ),
        (running.clone(), none, 0, NotReady, "container a runs and is not ready"),
        (
            running,
            ended(1, "Error", "panic"),
            2,
            NotReady,
            "container a runs and is not ready; before that it ended with exit code 1, restarted 2 times: panic",
        ),
    ];
    for (state, before, restarts, kind, text) in cases {
        let pod = pod(json!({}), container(state, before, restarts));
        assert_eq!(told(&pod, &[]), Some((kind, text.to_owned())));
    }
}

#[test]
fn events_tell_what_the_status_does_not() {
    let running = pod(json!({}), container(json!({"running": {}}), json!({}), 0));
    let starting = pod(json!({}), container(waiting("ContainerCreating", ""), json!({}), 0));
    let killed = pod(json!({}), container(waiting("CrashLoopBackOff", "m"), ended(137, "Error", ""), 4));
    let probe = |message: &str, seen: &str| event("Unhealthy", message, seen);
    let probes = [
        probe("Readiness probe failed: connection refused", "2026-01-01T00:00:09Z"),
        probe("Readiness probe failed: EOF", "2026-01-01T00:00:01Z"),
    ];
    let text = "container a runs and is not ready: Readiness probe failed: connection refused";
    assert_eq!(told(&running, &probes), Some((NotReady, text.into())));
    let text = "container a ended with exit code 137, restarted 4 times: Liveness probe failed: 500";
    assert_eq!(
        told(&killed, &[probe("Liveness probe failed: 500", "2026-01-01T00:00:01Z")]),
        Some((Crashing, text.into()))
    );
    let not_begun = pod(
        json!({}),
        json!({"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "True"}]}),
    );
    for reason in ["FailedCreatePodSandBox", "FailedMount", "FailedAttachVolume"] {
        let events =
            [event(reason, "m", "2026-01-01T00:00:01Z"), event("Pulled", "no", "2026-01-01T00:00:02Z")];
        for pod in [&starting, &not_begun] {
            assert_eq!(told(pod, &events), Some((Unprepared, format!("{reason}: m"))));
        }
        // An earlier state is no longer the reason.
        assert_eq!(told(&running, &events).unwrap().0, NotReady);
    }
    assert_eq!(told(&not_begun, &[]), Some((Starting, "it is pending".into())));
}

#[test]
fn a_scheduler_is_quoted_and_a_node_that_comes_is_waited_for() {
    let status = json!({"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False",
        "reason": "Unschedulable", "message": "0/1 nodes are available: 1 node(s) had untolerated taint {a: b}."}]});
    let pod = pod(json!({}), status);
    let text = "Unschedulable: 0/1 nodes are available: 1 node(s) had untolerated taint {a: b}.";
    assert_eq!(told(&pod, &[]), Some((Unschedulable, text.into())));
    let events = [event("TriggeredScaleUp", "pod triggered scale-up", "2026-01-01T00:00:01Z")];
    let (kind, text) = told(&pod, &events).unwrap();
    assert_eq!(kind, NodeAwaited);
    assert!(text.ends_with("; a node is on its way: pod triggered scale-up"), "{text}");
    assert!(
        !pod_trouble(&pod, &events).unwrap().is_lasting() && pod_trouble(&pod, &[]).unwrap().is_lasting()
    );
}

#[test]
fn a_pod_that_was_evicted_says_so() {
    let status = json!({"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory.",
        "containerStatuses": [{"name": "a", "state": {"terminated": {"exitCode": 137}}}]});
    let text = "Evicted: The node was low on resource: memory.";
    assert_eq!(told(&pod(json!({}), status), &[]), Some((Failed, text.into())));
}

#[test]
fn the_reason_that_explains_most_is_told_and_work_that_is_done_is_none() {
    let spec = json!({"initContainers": [{"name": "proxy", "restartPolicy": "Always"}, {"name": "db"}]});
    let status = |db: Value, web: Value| {
        json!({"phase": "Pending", "conditions": [{"type": "Initialized", "status": "False", "reason": "ContainersNotInitialized"}],
            "initContainerStatuses": [
                {"name": "proxy", "ready": true, "state": {"running": {}}}, {"name": "db", "state": db}],
            "containerStatuses": [{"name": "side", "state": {"running": {}}}, {"name": "web", "state": web}]})
    };
    let starting = || waiting("PodInitializing", "");
    let of = |db: Value, web: Value| told(&pod(spec.clone(), status(db, web)), &[]);
    assert_eq!(
        of(json!({"terminated": {"exitCode": 0}}), waiting("ErrImagePull", "m")),
        Some((NoImage, "container web: ErrImagePull: m".into()))
    );
    assert_eq!(
        of(json!({"terminated": {"exitCode": 2}}), starting()),
        Some((Ended, "init container db ended with exit code 2".into()))
    );
    let still = told(
        &pod(
            spec.clone(),
            json!({"phase": "Pending", "initContainerStatuses": [{"name": "db", "state": {"running": {}}}],
                "containerStatuses": [{"name": "web", "state": starting()}]}),
        ),
        &[],
    );
    assert_eq!(still, Some((Initializing, "init container db has not ended yet".into())));
    let ready = json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}],
        "containerStatuses": [{"name": "a", "ready": true, "state": {"running": {}}, "restartCount": 4,
            "lastState": {"terminated": {"exitCode": 1}}}]});
    assert_eq!(told(&pod(json!({}), ready), &[]), None);
    // A Job's pod ends, and that is its work.
    let job = json!({"restartPolicy": "Never"});
    let done = json!({"phase": "Running", "containerStatuses": [{"name": "a", "state": {"terminated": {"exitCode": 0}}}]});
    assert_eq!(told(&pod(job.clone(), done), &[]), None);
    let failed = json!({"phase": "Failed", "containerStatuses": [{"name": "a", "state": ended(1, "Error", "no rows")}]});
    assert_eq!(
        told(&pod(job, failed), &[]),
        Some((Ended, "container a ended with exit code 1: no rows".into()))
    );
}

#[test]
fn a_readiness_gate_is_a_reason() {
    let status = json!({"phase": "Running",
        "conditions": [{"type": "Ready", "status": "False", "reason": "ReadinessGatesNotReady", "message": "the gate is shut"}],
        "containerStatuses": [{"name": "a", "ready": true, "state": {"running": {}}}]});
    let text = "ReadinessGatesNotReady: the gate is shut";
    assert_eq!(told(&pod(json!({}), status), &[]), Some((NotReady, text.into())));
}

#[test]
fn of_many_last_words_the_end_is_told() {
    let log = format!("{}\nthe end", "word ".repeat(200));
    let pod = pod(json!({}), container(ended(1, "Error", &log), json!({}), 0));
    let text = pod_trouble(&pod, &[]).unwrap().text;
    assert!(text.contains(": …word word") && text.ends_with("; the end"), "{text}");
    assert!(text.len() < 400, "{}", text.len());
}

#[test]
fn what_keeps_a_workload_from_making_its_pods_is_told() {
    let events = [
        event("FailedCreate", "old", "2026-01-01T00:00:01Z"),
        event("FailedCreate", "exceeded quota: q", "2026-01-01T00:00:02Z"),
        event("SuccessfulCreate", "m", "2026-01-01T00:00:03Z"),
    ];
    assert_eq!(newest_refusal(&events).as_deref(), Some("FailedCreate: exceeded quota: q"));
    assert_eq!(newest_refusal(&events[2..]), None);
    let waits = event("ExternalProvisioning", "Waiting for a volume", "2026-01-01T00:00:09Z");
    assert_eq!(
        newest_refusal(std::slice::from_ref(&waits)).as_deref(),
        Some("ExternalProvisioning: Waiting for a volume")
    );
    let failed = event("ProvisioningFailed", "quota", "2026-01-01T00:00:01Z");
    assert_eq!(newest_refusal(&[failed, waits]).as_deref(), Some("ProvisioningFailed: quota"));
}
