//! Waiting for health: with the shared watches, and with a feed for objects that they do not show.

use std::time::{Duration, Instant};

use lockgate_base::model::Object;
use lockgate_core::health::Health;
use lockgate_core::pipeline::ports::{Expect, ObjectReference, Settle as _, Settled, Writes as _};
use serde_json::{Value, json};

use super::{QUIET, SOON, Stage, deployment};

#[tokio::test]
async fn a_deployment_becomes_healthy_with_its_pods() {
    let stage = Stage::new().await;
    let mut references =
        vec![stage.cluster.apply(&stage.config_map("c", json!({}))).await.unwrap().reference];
    for name in ["a", "b"] {
        references.push(stage.cluster.apply(&deployment(&stage, name, name)).await.unwrap().reference);
    }
    assert_eq!(stage.cluster.settle(&references, SOON).await, Settled::Healthy);
    assert!(
        harness::eventually(SOON, async || {
            let ids: Vec<_> = references.iter().map(|reference| reference.id.clone()).collect();
            anyhow::ensure!(stage.cluster.intact(&ids), "not intact");
            Ok(())
        })
        .await
        .is_ok()
    );
}

#[tokio::test]
async fn a_changed_deployment_is_not_healthy_by_its_old_status() {
    let stage = Stage::new().await;
    let first = stage.cluster.apply(&deployment(&stage, "d", "d")).await.unwrap();
    assert_eq!(stage.cluster.settle(std::slice::from_ref(&first.reference), SOON).await, Settled::Healthy);
    let broken = deployment(&stage, "d", "d")
        .edit(|value| value["spec"]["template"]["spec"]["nodeSelector"] = json!({"no-such-node": "true"}))
        .unwrap();
    stage.cluster.apply(&broken).await.unwrap();
    // The scheduler reports soon, but not at once, why no node takes the pod.
    harness::eventually(SOON, async || {
        let settled = stage.cluster.settle(std::slice::from_ref(&first.reference), QUIET).await;
        let Settled::TimedOut(unhealthy) = settled else { panic!("the new pods cannot run: {settled:?}") };
        assert!(matches!(unhealthy[0].health, Health::InProgress(_)), "{:?}", unhealthy[0].health);
        let cause = unhealthy[0].cause.as_deref().unwrap_or_default();
        anyhow::ensure!(cause.contains("Unschedulable"), "{cause}");
        Ok(())
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn what_is_not_ours_is_followed_as_well() {
    let stage = Stage::new().await;
    let foreign = deployment(&stage, "foreign", "f")
        .edit(|value| {
            value["metadata"].as_object_mut().unwrap().shift_remove("labels");
        })
        .unwrap();
    let reference = ObjectReference::to(&foreign);
    let wait = stage.cluster.settle(std::slice::from_ref(&reference), SOON);
    let create = async {
        // The wait begins before the object exists.
        tokio::time::sleep(QUIET).await;
        stage.cluster.apply(&foreign).await.unwrap();
    };
    let (settled, ()) = futures::join!(wait, create);
    assert_eq!(settled, Settled::Healthy);
}

#[tokio::test]
async fn a_missing_object_is_named_when_the_time_is_up() {
    let stage = Stage::new().await;
    let missing = ObjectReference::to(&stage.config_map("missing", json!({})));
    let no_kind = ObjectReference::to(&stage.object("x.io/v1", "Bar", "b", json!({})));
    let began = Instant::now();
    let settled = stage.cluster.settle(&[missing.clone(), no_kind], Duration::ZERO).await;
    let Settled::TimedOut(unhealthy) = settled else { panic!("it is not there") };
    assert_eq!(unhealthy.len(), 2);
    assert_eq!((&unhealthy[0].id, &unhealthy[0].health), (&missing.id, &Health::NotFound));
    assert!(began.elapsed() < SOON, "a zero timeout does not wait");
}

/// The cluster deletes a finished Job if its spec says so, and a wait for it must end all the same.
#[tokio::test]
async fn a_job_that_was_deleted_after_it_had_ended_is_not_missed() {
    let stage = Stage::new().await;
    for (limit, settled) in [(json!(60), true), (json!(null), false)] {
        let job = stage.object("batch/v1", "Job", "j", json!({"spec": {"ttlSecondsAfterFinished": limit}}));
        let found = stage.cluster.settle(&[ObjectReference::to(&job)], Duration::ZERO).await;
        assert_eq!(found == Settled::Healthy, settled, "{limit}: {found:?}");
    }
}

#[tokio::test]
async fn what_has_failed_is_not_waited_for() {
    let stage = Stage::new().await;
    // No node takes its pod, and its controller gives up after a second.
    let stuck = deployment(&stage, "d", "d")
        .edit(|value| {
            value["spec"]["progressDeadlineSeconds"] = json!(1);
            value["spec"]["template"]["spec"]["nodeSelector"] = json!({"no-such-node": "true"});
        })
        .unwrap();
    let failing = stage.cluster.apply(&stuck).await.unwrap().reference;
    let good = stage.cluster.apply(&stage.config_map("c", json!({}))).await.unwrap().reference;
    let settled = stage.cluster.settle(&[good, failing.clone()], SOON).await;
    let Settled::Stalled(unhealthy) = settled else { panic!("{settled:?}") };
    assert_eq!(unhealthy.len(), 1);
    assert_eq!(unhealthy[0].id, failing.id);
    assert!(matches!(unhealthy[0].health, Health::Failed(_)), "{:?}", unhealthy[0].health);
}

/// A Deployment whose pods have a status, as a kubelet writes it.
fn told(stage: &Stage, name: &str, kind: &str, status: &Value) -> Object {
    let annotations = json!({"harness/pod": kind, "harness/status": status.to_string()});
    let deployment = deployment(stage, name, name);
    deployment.edit(|value| value["spec"]["template"]["metadata"]["annotations"] = annotations).unwrap()
}

#[tokio::test]
async fn each_reason_for_which_a_pod_is_not_ready_is_told() {
    let stage = Stage::new().await;
    let container = |state: Value, restarts: u32| {
        json!({"phase": "Running",
            "conditions": [{"type": "Ready", "status": "False", "reason": "ContainersNotReady"}],
            "containerStatuses": [{"name": "c", "image": "i", "imageID": "", "ready": false, "restartCount": restarts, "state": state}]})
    };
    let ended = |code: u32, reason: &str, message: &str| json!({"terminated": {"exitCode": code, "reason": reason, "message": message}});
    let waiting = |reason: &str, message: &str| json!({"waiting": {"reason": reason, "message": message}});
    let init = json!({"phase": "Pending", "conditions": [{"type": "Initialized", "status": "False", "reason": "ContainersNotInitialized"}],
        "initContainerStatuses": [{"name": "db", "image": "i", "imageID": "", "ready": false, "restartCount": 0, "state": ended(2, "Error", "no host")}],
        "containerStatuses": [{"name": "c", "image": "i", "imageID": "", "ready": false, "restartCount": 0, "state": waiting("PodInitializing", "")}]});
    let cases = [
        (
            "ended",
            "told",
            container(ended(253, "Error", "no config"), 3),
            "container c ended with exit code 253, restarted 3 times: no config",
        ),
        (
            "oom",
            "told",
            container(ended(137, "OOMKilled", ""), 1),
            "container c ended with exit code 137 (OOMKilled), restarted once",
        ),
        (
            "config",
            "told",
            container(waiting("CreateContainerConfigError", "secret \"s\" not found"), 0),
            "container c: CreateContainerConfigError: secret \"s\" not found",
        ),
        ("init", "told", init, "init container db ended with exit code 2: no host"),
        (
            "unready",
            "unready",
            container(json!({"running": {}}), 0),
            "container c runs and is not ready: Readiness probe failed: connection refused",
        ),
        (
            "sandbox",
            "sandbox",
            container(waiting("ContainerCreating", ""), 0),
            "FailedCreatePodSandBox: Failed to create pod sandbox: no address is left",
        ),
    ];
    for (name, kind, status, text) in cases {
        let object = told(&stage, name, kind, &status);
        let reference = stage.cluster.apply(&object).await.unwrap().reference;
        harness::eventually(SOON, async || {
            let settled = stage.cluster.settle(std::slice::from_ref(&reference), Duration::ZERO).await;
            let Settled::TimedOut(unhealthy) = settled else { anyhow::bail!("{settled:?}") };
            let cause = unhealthy[0].cause.as_deref().unwrap_or_default();
            anyhow::ensure!(cause.starts_with("pod ") && cause.ends_with(text), "{cause}");
            Ok(())
        })
        .await
        .unwrap();
    }
}

/// What the controllers and the kubelet say of volumes: of a claim without a class, to the claim and to the
/// pod that waits for it, and of a mount that fails.
#[tokio::test]
async fn why_a_volume_is_not_there_is_told() {
    let stage = Stage::new().await;
    let spec = json!({"storageClassName": "gone", "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}});
    let claim = stage.object("v1", "PersistentVolumeClaim", "data", json!({"spec": spec}));
    let claim =
        claim.edit(|value| value["metadata"]["annotations"] = json!({"harness/volume": "none"})).unwrap();
    let volumes = json!([{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]);
    let waits = deployment(&stage, "waits", "waits")
        .edit(|value| value["spec"]["template"]["spec"]["volumes"] = volumes)
        .unwrap();
    let status = json!({"phase": "Pending", "containerStatuses": [{
        "name": "c", "image": "i", "imageID": "", "ready": false, "restartCount": 0,
        "state": {"waiting": {"reason": "ContainerCreating"}},
    }]});
    let mounts = told(&stage, "mounts", "told", &status);
    let mut references = Vec::new();
    for object in [&claim, &waits, &mounts] {
        references.push(stage.cluster.apply(object).await.unwrap().reference);
    }
    let text = "MountVolume.SetUp failed for volume \"data\": secret \"s\" not found";
    say_of_pod(&stage, "mounts", "FailedMount", text).await;
    let no_class = "ProvisioningFailed: storageclass.storage.k8s.io \"gone\" not found";
    let expected = [no_class.to_owned(), format!("; claim data: {no_class}"), format!("FailedMount: {text}")];
    harness::eventually(SOON, async || {
        let settled = stage.cluster.settle(&references, Duration::ZERO).await;
        let Settled::TimedOut(unhealthy) = settled else { anyhow::bail!("{settled:?}") };
        let causes: Vec<_> = unhealthy.iter().map(|one| one.cause.as_deref().unwrap_or_default()).collect();
        let is_told = |text: &String| causes.iter().any(|cause| cause.ends_with(text.as_str()));
        anyhow::ensure!(expected.iter().all(is_told), "{causes:#?}");
        Ok(())
    })
    .await
    .unwrap();
}

/// Writes an event about the first pod of an app, as its kubelet does.
async fn say_of_pod(stage: &Stage, app: &str, reason: &str, message: &str) {
    let pods = harness::stage::api(&stage.client, &stage.namespace, "v1", "Pod", "pods");
    let listed = kube::api::ListParams::default().labels(&format!("app={app}"));
    let pod = harness::eventually(SOON, async || {
        pods.list(&listed).await?.items.pop().ok_or_else(|| anyhow::anyhow!("there is no pod of {app}"))
    });
    let pod = pod.await.unwrap().metadata;
    let about = json!({"apiVersion": "v1", "kind": "Pod", "namespace": stage.namespace, "name": pod.name, "uid": pod.uid});
    let event = json!({
        "apiVersion": "v1", "kind": "Event", "metadata": {"name": app, "namespace": stage.namespace},
        "involvedObject": about, "type": "Warning", "reason": reason, "message": message,
        "lastTimestamp": "2026-01-01T00:00:00Z",
    });
    harness::stage::create(&stage.client, event).await.unwrap();
}

/// A suspended Job is healthy, and the stage after it must not begin.
#[tokio::test]
async fn work_is_waited_for_until_it_is_done() {
    let stage = Stage::new().await;
    let template =
        json!({"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "example.com/c"}]}});
    let job =
        stage.object("batch/v1", "Job", "hook", json!({"spec": {"suspend": true, "template": template}}));
    let reference = stage.cluster.apply(&job).await.unwrap().reference;
    assert_eq!(stage.cluster.settle(std::slice::from_ref(&reference), SOON).await, Settled::Healthy);
    let done = ObjectReference { expect: Expect::Completed, ..reference };
    let Settled::TimedOut(unhealthy) = stage.cluster.settle(std::slice::from_ref(&done), QUIET).await else {
        panic!("the Job is suspended");
    };
    assert_eq!(unhealthy[0].health, Health::InProgress("it has not completed yet".into()));
}
