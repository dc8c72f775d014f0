//! The plan for real observations: created, kept, configured and recreated objects, and corrected edits of
//! kubectl.

use std::collections::HashSet;

use lockgate_base::model::{Object, ObjectId};
use lockgate_core::pipeline::ports::{ObjectReference, Reads as _, Writes as _};
use lockgate_core::plan::{self, Gate, Observed, PlanOptions, Step};
use serde_json::{Value, json};

use super::{Stage, deployment};

/// The steps for the objects of a build.
async fn steps(stage: &Stage, build: &[Object], options: &PlanOptions) -> Vec<(ObjectId, Step)> {
    let known: HashSet<ObjectId> = HashSet::new();
    let observations = stage.cluster.observe(build, &known).await;
    let observed: Observed = build.iter().map(Object::id).zip(observations).collect();
    let undecided = plan::Stage { entries: build.to_vec(), gate: Gate::None };
    let planned = plan::plan_stage(undecided, &observed, options);
    planned.entries.into_iter().map(|entry| (entry.object.id(), entry.step)).collect()
}

/// Objects of many kinds as people write them, without defaults, and with values in other notations than the
/// server's.
fn platform(stage: &Stage) -> Vec<Object> {
    let labels = json!({"app": "web"});
    let template = json!({"metadata": {"labels": labels}, "spec": {"restartPolicy": "Never",
        "containers": [{"name": "c", "image": "example.com/c", "ports": [{"containerPort": 80}],
                        "resources": {"requests": {"cpu": "1000m", "memory": "1024Mi"}, "limits": {"cpu": 2}}}]}});
    let always = json!({"metadata": {"labels": labels}, "spec": {
        "containers": [{"name": "c", "image": "example.com/c", "env": [{"name": "A", "value": "1"}]}]}});
    let rest = |kind: (&str, &str), spec: Value| stage.object(kind.0, kind.1, "web", json!({ "spec": spec }));
    let backend = json!({"service": {"name": "web", "port": {"name": "http"}}});
    vec![
        stage.object("v1", "ServiceAccount", "web", json!({})),
        stage.object("v1", "Secret", "web", json!({"stringData": {"password": "hunter2"}})),
        stage.object("v1", "ConfigMap", "web", json!({"data": {"a": "b"}})),
        rest(("v1", "Service"), json!({"selector": labels, "ports": [{"name": "http", "port": 80}]})),
        rest(
            ("v1", "PersistentVolumeClaim"),
            json!({"accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1024Mi"}}}),
        ),
        rest(("apps/v1", "Deployment"), json!({"selector": {"matchLabels": labels}, "template": always})),
        rest(("apps/v1", "DaemonSet"), json!({"selector": {"matchLabels": labels}, "template": always})),
        rest(
            ("apps/v1", "StatefulSet"),
            json!({"serviceName": "web", "selector": {"matchLabels": labels},
            "template": always, "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {
                "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}]}),
        ),
        rest(
            ("batch/v1", "CronJob"),
            json!({"schedule": "0 0 * * *", "jobTemplate": {"spec": {"template": template}}}),
        ),
        rest(("batch/v1", "Job"), json!({"template": template})),
        rest(
            ("policy/v1", "PodDisruptionBudget"),
            json!({"maxUnavailable": 1, "selector": {"matchLabels": labels}}),
        ),
        rest(
            ("networking.k8s.io/v1", "NetworkPolicy"),
            json!({"podSelector": {}, "ingress": [{"ports": [{"port": 80}]}]}),
        ),
        rest(
            ("networking.k8s.io/v1", "Ingress"),
            json!({"rules": [{"host": "web.example.com", "http": {"paths": [
            {"path": "/", "pathType": "Prefix", "backend": backend}]}}]}),
        ),
        rest(
            ("autoscaling/v2", "HorizontalPodAutoscaler"),
            json!({"maxReplicas": 3,
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            "metrics": [{"type": "Resource", "resource": {"name": "cpu",
                "target": {"type": "Utilization", "averageUtilization": 80}}}]}),
        ),
        stage.object(
            "rbac.authorization.k8s.io/v1",
            "Role",
            "web",
            json!({"rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]}),
        ),
        stage.object(
            "rbac.authorization.k8s.io/v1",
            "RoleBinding",
            "web",
            json!({"roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "web"},
                   "subjects": [{"kind": "ServiceAccount", "name": "web"}]}),
        ),
    ]
}

#[tokio::test]
async fn what_was_applied_is_kept() {
    let stage = Stage::new().await;
    let build: Vec<Object> =
        platform(&stage).into_iter().map(|object| plan::prepare(object).unwrap()).collect();
    for (id, step) in steps(&stage, &build, &PlanOptions::default()).await {
        assert_eq!(step, Step::Create, "{id}");
    }
    for object in &build {
        stage.cluster.apply(object).await.unwrap();
    }
    for (id, step) in steps(&stage, &build, &PlanOptions::default()).await {
        assert_eq!(step, Step::Keep, "{id}");
    }
}

#[tokio::test]
async fn a_change_in_git_is_configured_and_an_immutable_one_needs_force() {
    let stage = Stage::new().await;
    stage.cluster.apply(&deployment(&stage, "d", "one")).await.unwrap();
    let scaled = deployment(&stage, "d", "one").edit(|value| value["spec"]["replicas"] = json!(2)).unwrap();
    let step = steps(&stage, &[scaled], &PlanOptions::default()).await.remove(0).1;
    assert!(matches!(step, Step::Configure { take_over: None, .. }), "{step:?}");
    let other = [deployment(&stage, "d", "two")];
    let step = steps(&stage, &other, &PlanOptions::default()).await.remove(0).1;
    assert!(matches!(step, Step::Refuse(_)), "{step:?}");
    let step =
        steps(&stage, &other, &PlanOptions { force: true, ..PlanOptions::default() }).await.remove(0).1;
    assert!(matches!(step, Step::Recreate { .. }), "{step:?}");
}

#[tokio::test]
async fn what_kubectl_added_is_removed_and_what_others_added_stays() {
    let stage = Stage::new().await;
    let object = stage.config_map("c", json!({"a": "1"}));
    stage.cluster.apply(&object).await.unwrap();
    stage.edit("kubectl-edit", "c", json!({"data": {"kubectl": "1"}})).await;
    stage.edit("autoscaler", "c", json!({"data": {"theirs": "1"}})).await;
    let step = steps(&stage, std::slice::from_ref(&object), &PlanOptions::default()).await.remove(0).1;
    let Step::Configure { take_over: Some(patch), .. } = step else { panic!("{step:?}") };
    stage.cluster.take_over(&object, &patch).await.unwrap();
    stage.cluster.apply(&object).await.unwrap();
    let live = stage.cluster.get(&ObjectReference::to(&object)).await.unwrap().unwrap();
    assert_eq!(live.pointer("/data"), Some(&json!({"a": "1", "theirs": "1"})));
    let step = steps(&stage, &[object], &PlanOptions::default()).await.remove(0).1;
    assert_eq!(step, Step::Keep);
}
