//! Secrets that must not be seen, and rights that must not be had.

use std::time::Duration;

use kube::api::ListParams;
use serde_json::{Value, json};

use super::stage::{HOME, Stage, api, condition, config_map, stage};

const CANARY: &str = "canary-7f3a-do-not-print";

/// All that people can read of a test's namespace: events, and the objects of our kinds.
async fn readable(stage: &Stage) -> String {
    let mut text = String::new();
    let kinds = [
        ("v1", "Event", "events"),
        ("kustomize.toolkit.fluxcd.io/v1", "Kustomization", "kustomizations"),
        ("source.toolkit.fluxcd.io/v1", "GitRepository", "gitrepositories"),
    ];
    for (version, kind, plural) in kinds {
        let objects = api(&stage.client, &stage.namespace, version, kind, plural);
        for object in objects.list(&ListParams::default()).await.unwrap() {
            text.push_str(&serde_json::to_string(&object).unwrap());
        }
    }
    text
}

/// S01: a Secret's value shows in no log, event or status, whatever the API server quotes of it.
#[tokio::test]
async fn no_secret_is_seen_in_any_failure() {
    let secret = |data: Value| {
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": data})
            .to_string()
    };
    let nested = secret(json!({"password": {"inner": CANARY}}));
    let wrong =
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": CANARY}).to_string();
    let substituted = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "x"},
                             "spec": {"ports": [{"port": "${PASSWORD}"}]}})
    .to_string();
    let stage = stage("canary", &[("apps/a.yaml", &nested)]).await;
    stage
        .apply(json!({"apiVersion": "v1", "kind": "Secret", "stringData": {"PASSWORD": CANARY},
                      "metadata": {"name": "vars", "namespace": stage.namespace}}))
        .await
        .unwrap();
    let agent = stage.agent().await;
    let from = json!({"substituteFrom": [{"kind": "Secret", "name": "vars"}]});
    stage.kustomization("apps", json!({"postBuild": from})).await;
    for content in [&nested, &wrong, &substituted] {
        let revision = stage
            .push(&[("apps/a.yaml", content), ("apps/n.yaml", &config_map("n", content.get(..9).unwrap()))]);
        stage
            .until("apps", "refused", |status| {
                condition(status, "Ready")["status"] == "False"
                    && status["lastAttemptedRevision"] == revision.as_str()
            })
            .await;
    }
    // Events are written after the status.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let key = stage.key.openssh.lines().nth(1).unwrap().to_owned();
    for (place, text) in [("the cluster", readable(&stage).await), ("the log", agent.output())] {
        assert!(!text.contains(CANARY), "{place} holds the value");
        assert!(!text.contains(&key), "{place} holds the deploy key");
    }
}

/// S02 and S03: without cluster-admin the agent serves Kustomizations that name an account, with that account's rights.
#[tokio::test]
async fn under_lockdown_an_account_decides_what_is_applied() {
    let stage =
        stage("lockdown", &[("apps/a.yaml", &config_map("a", "1")), ("none/a.yaml", &config_map("b", "1"))])
            .await;
    let account = format!("agent-{}", stage.namespace);
    let bind = |kind: &str, name: &str, role: Value, subject: Value, namespace: &str| {
        let mut metadata = json!({"name": name});
        if kind == "RoleBinding" {
            metadata["namespace"] = namespace.into();
        }
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": metadata, "roleRef": role,
               "subjects": [subject]})
    };
    let role =
        |kind: &str, name: &str| json!({"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name});
    let subject =
        |name: &str, namespace: &str| json!({"kind": "ServiceAccount", "name": name, "namespace": namespace});
    let agent = subject(&account, HOME);
    let objects = [
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": account, "namespace": HOME}}),
        bind("ClusterRoleBinding", &account, role("ClusterRole", "lockgate"), agent.clone(), ""),
        bind("RoleBinding", &account, role("Role", "lockgate"), agent, HOME),
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "tenant", "namespace": stage.namespace}}),
        bind(
            "RoleBinding",
            "tenant",
            role("ClusterRole", "admin"),
            subject("tenant", &stage.namespace),
            &stage.namespace,
        ),
    ];
    for object in objects {
        stage.apply(object).await.unwrap();
    }
    let kubeconfig = stage.plane.service_account_kubeconfig(HOME, &account).await.unwrap();
    let _agent = stage.agent_as(&kubeconfig, &["--lockdown"]);
    stage.kustomization("apps", json!({"serviceAccountName": "tenant"})).await;
    stage.kustomization("none", json!({})).await;
    stage.ready("apps").await;
    let message = stage.reason("none", "AccessDenied").await;
    assert!(message.contains("serviceAccountName"), "{message}");
    stage.kustomization("apps", json!({"serviceAccountName": "tenant", "targetNamespace": "default"})).await;
    let message = stage.reason("apps", "AccessDenied").await;
    assert!(
        message.contains("tenant") && message.contains("configmaps") && message.contains("default"),
        "{message}"
    );
}
