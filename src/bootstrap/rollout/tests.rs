//! The reports about an agent that does not run, and the end of a wait for it.

use serde_json::json;

use super::*;
use crate::bootstrap::problem::ExitClass;
use crate::cluster::objects::tests::answering;

fn deployment(status: Value) -> Value {
    let metadata = json!({"name": "lockgate", "namespace": "n", "generation": 2});
    let mut deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata});
    deployment["status"] = status;
    deployment
}

/// A pod of the agent; with `leaving`, a terminating one.
fn pod(name: &str, leaving: bool, status: Value) -> Value {
    let metadata = json!({"name": name, "namespace": "n", "creationTimestamp": name});
    let mut pod = json!({"metadata": metadata, "spec": {"nodeName": "node-1"}});
    pod["status"] = status;
    if leaving {
        pod["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
    }
    pod
}

fn list(items: &[Value]) -> (Option<u16>, Value) {
    (Some(200), json!({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items}))
}

fn found(value: Value) -> (Option<u16>, Value) {
    (Some(200), value)
}

fn counts(all: u32, updated: u32, available: u32) -> Value {
    json!({"observedGeneration": 2, "replicas": all, "updatedReplicas": updated, "availableReplicas": available})
}

fn lease(holder: &str) -> (Option<u16>, Value) {
    found(json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": {"name": keys::LEASE, "namespace": "n", "annotations": {keys::LEASE_HOLDER: holder}}}))
}

/// The end of a wait without time.
async fn ended(answers: Vec<(Option<u16>, Value)>) -> Result<(), Problem> {
    let object = Object::parse(deployment(json!({}))).unwrap();
    let mut sink = |_| {};
    let patience = Patience::new("agent", Duration::ZERO);
    available(&answering(answers), &object, &patience, &mut ProgressLog::new(&mut sink)).await
}

#[tokio::test]
async fn the_old_pod_is_not_taken_for_the_new_one() {
    let absent = (Some(404), json!({"kind": "Status", "code": 404, "reason": "NotFound", "message": "m"}));
    let ready = || found(deployment(counts(1, 1, 1)));
    let pods = || list(&[pod("old", true, json!({})), pod("young", false, json!({}))]);
    assert_eq!(ended(vec![ready(), absent]).await, Ok(()), "there is no lease yet");
    assert_eq!(ended(vec![ready(), lease("process/h/1/2/3")]).await, Ok(()), "the agent is no pod");
    assert_eq!(ended(vec![ready(), lease("pod/young"), pods()]).await, Ok(()));
    let problem = ended(vec![ready(), lease("pod/old"), pods()]).await.unwrap_err().to_string();
    assert!(problem.contains("stands by: pod old still holds the lease"), "{problem}");
    // The new pod is not available, and the old one is.
    for status in [counts(2, 1, 1), counts(1, 0, 1), counts(0, 0, 0)] {
        let answers = vec![found(deployment(status)), list(&[])];
        let problem = ended(answers).await.unwrap_err().to_string();
        assert!(problem.contains("its pod is not available yet"), "{problem}");
    }
    let answers = vec![found(deployment(counts(0, 0, 0))), list(&[pod("old", true, json!({}))])];
    let problem = ended(answers).await.unwrap_err().to_string();
    assert!(problem.contains("the old pod old is still terminating on node-1"), "{problem}");
}

#[tokio::test]
async fn a_server_that_is_away_for_a_moment_is_waited_for() {
    let away =
        (Some(503), json!({"kind": "Status", "code": 503, "reason": "ServiceUnavailable", "message": "m"}));
    let object = Object::parse(deployment(json!({}))).unwrap();
    let absent = (Some(404), json!({"kind": "Status", "code": 404, "reason": "NotFound", "message": "m"}));
    let answers = vec![away.clone(), found(deployment(counts(1, 1, 1))), absent];
    let mut told = 0;
    let mut sink = |_| told += 1;
    let patience = Patience::new("agent", Duration::from_mins(1));
    let waited = available(&answering(answers), &object, &patience, &mut ProgressLog::new(&mut sink)).await;
    assert_eq!((waited, told), (Ok(()), 1));
    assert_eq!(ended(vec![away]).await.unwrap_err().class(), ExitClass::Failed);
}

#[tokio::test]
async fn each_cause_is_told_with_the_flag_that_cures_it() {
    let waiting = |reason: &str, message: &str| {
        json!({"phase": "Pending", "containerStatuses": [
            {"name": "agent", "state": {"waiting": {"reason": reason, "message": message}}}]})
    };
    let unscheduled = |message: &str| {
        json!({"phase": "Pending", "conditions": [
            {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}]})
    };
    let crashed = |message: &str| {
        json!({"phase": "Running", "containerStatuses": [{"name": "agent", "restartCount": 2,
            "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 20s"}},
            "lastState": {"terminated": {"exitCode": 2, "reason": "Error", "message": message}}}]})
    };
    for (status, told, cure) in [
        (
            waiting("ErrImagePull", "pull access denied, insufficient_scope: authorization failed"),
            "ErrImagePull: pull",
            "--image-pull-secret",
        ),
        (waiting("ErrImagePull", "r/a:1: not found"), "ErrImagePull: r/a:1: not found", "with --image"),
        (waiting("ErrImagePull", "no match for platform in manifest"), "no match", "kubernetes.io/arch"),
        (
            unscheduled("0/1 nodes are available: 1 node(s) had untolerated taint(s)"),
            "Unschedulable: 0/1",
            "--toleration",
        ),
        (
            unscheduled("0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector"),
            "Unschedulable",
            "--node-selector",
        ),
        (
            unscheduled("0/1 nodes are available: 1 Insufficient memory"),
            "Insufficient memory",
            "--memory-request",
        ),
        (
            crashed("exec /lockgate: exec format error"),
            "exit code 2, restarted 2 times: exec /lockgate",
            "another architecture",
        ),
        (
            crashed("error: unexpected argument '--nope' found"),
            "unexpected argument '--nope'",
            "kubectl logs --previous",
        ),
    ] {
        let answers = vec![found(deployment(counts(1, 1, 0))), list(&[pod("p", false, status)]), list(&[])];
        let problem = ended(answers).await.unwrap_err();
        let (text, fix) = (problem.to_string(), problem.fix().unwrap());
        assert!(text.contains("pod p: ") && text.contains(told), "{text}");
        assert!(fix.contains(cure), "{text}: {fix}");
    }
}

#[tokio::test]
async fn why_no_pod_can_be_made_is_told_with_what_allows_it() {
    let no_pod = |message: &str| json!({"conditions": [{"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": message}]});
    for (message, cure) in [
        ("pods \"l\" is forbidden: exceeded quota: q", "raise the quota"),
        (
            "pods \"l\" is forbidden: violates PodSecurity \"restricted:latest\": host namespaces",
            "pod-security labels",
        ),
        (
            "pods \"l\" is forbidden: maximum memory usage per Container is 64Mi, but limit is 256Mi",
            "--memory-limit",
        ),
        (
            "pods \"l\" is forbidden: unable to validate against any security context constraint",
            "change the policy",
        ),
    ] {
        let problem = ended(vec![found(deployment(no_pod(message))), list(&[])]).await.unwrap_err();
        let (text, fix) = (problem.to_string(), problem.fix().unwrap());
        assert!(
            text.contains(&format!("its pod cannot be created: {message}")) && fix.contains(cure),
            "{text}: {fix}"
        );
    }
}

#[test]
fn a_trouble_that_stands_ends_the_wait_also_where_it_comes_and_goes() {
    let start = Instant::now();
    let trouble = |about: &str, is_lasting| AgentTrouble {
        about: about.into(),
        cause: String::new(),
        cure: None,
        is_lasting,
    };
    let mut lasting = None;
    let mut look = |about: &str, is_lasting: bool, second: u64| {
        LastingTrouble::look(&mut lasting, &trouble(about, is_lasting), start + Duration::from_secs(second))
    };
    assert!(!look("a", true, 0));
    // It runs for a moment and crashes again.
    assert!(!look("a", false, 8) && !look("a", true, 9) && !look("a", true, 18) && !look("a", true, 27));
    assert!(look("a", true, 30));
    assert!(!look("b", true, 31), "another pod begins anew");
    assert!(!look("b", true, 50), "it ran for a while in between");
    assert!(!look("b", false, 81), "it runs");
}
