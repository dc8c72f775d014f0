//! `lockgate diff` goes by the flags that the agent runs with: those of its Deployment, or those that are
//! given.

use std::process::Command;

use harness::{ControlPlane, Options};
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use super::diff::diff;
use super::stage::{Stage, config_map, stage_on};

/// The Deployment of an agent of the stage's namespace, which runs in another way here.
async fn deployment(stage: &Stage<'_>, flags: &[&str]) {
    let labels = json!({"app.kubernetes.io/name": "lockgate", "app.kubernetes.io/component": "agent"});
    let own = ["agent".to_owned(), format!("--watch-namespace={}", stage.namespace)];
    let arguments: Vec<String> = own.into_iter().chain(flags.iter().map(ToString::to_string)).collect();
    let container = json!({"name": "agent", "image": "example.org/lockgate", "args": arguments});
    let object = json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "lockgate", "namespace": stage.namespace, "labels": labels},
        "spec": {"replicas": 0, "selector": {"matchLabels": labels},
                 "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}}},
    });
    stage.apply(object).await.unwrap();
}

/// Compares a Kustomization. Returns the exit code and the output.
fn compared(stage: &Stage<'_>, name: &str, more: &[&str]) -> (i32, String) {
    let arguments = ["--kustomization", name, "-n", &stage.namespace];
    let output = diff(&stage.plane.admin_kubeconfig(), &[&arguments[..], more].concat());
    let printed = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(printed).unwrap())
}

/// What `lockgate status` of a namespace notes besides.
fn status(stage: &Stage<'_>, namespace: &str) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_lockgate"))
        .args(["status", "--namespace", namespace])
        .env("KUBECONFIG", stage.plane.admin_kubeconfig())
        .output()
        .unwrap();
    String::from_utf8(output.stderr).unwrap()
}

#[tokio::test]
async fn a_comparison_goes_by_the_flags_of_the_agent() {
    // Tests on a shared control plane would go by the Deployment of this agent.
    let plane = &ControlPlane::start(Options::bare()).await.unwrap();
    let stage = stage_on(plane, "flags", &[("apps/a.yaml", &config_map("a", "1"))]).await;
    let namespace = stage.namespace.clone();
    stage.kustomization("apps", json!({})).await;
    let agent = stage.agent_with(&["--drift", "report"]).await;
    stage.ready("apps").await;
    let params = PatchParams { field_manager: Some("kubectl-edit".to_owned()), ..PatchParams::default() };
    let edit: Value = json!({"data": {"value": "edited"}});
    stage.config_maps().patch("a", &params, &Patch::Merge(edit)).await.unwrap();
    stage
        .until("apps", "told of drift", |status| {
            super::stage::condition(status, "Drifted")["status"] == "True"
        })
        .await;
    assert_eq!(stage.data("a").await.unwrap()["value"], "edited", "the agent leaves it so");
    drop(agent);

    // Drift, by the Deployment, by a flag, and without either.
    let (code, told) = compared(&stage, "apps", &[]);
    assert!(code == 1 && told.contains("apps: 1 configured"), "{told}");
    let (code, told) = compared(&stage, "apps", &["--drift=report"]);
    assert!(code == 0 && told.contains("has drifted, and is not corrected: ConfigMap/"), "{told}");
    deployment(&stage, &["--drift=report"]).await;
    assert_eq!(compared(&stage, "apps", &[]), (code, told));
    let (code, _) = compared(&stage, "apps", &["--drift=watch"]);
    assert_eq!(code, 1);

    // Lockdown: nobody to act as, and a source of others.
    deployment(&stage, &["--lockdown"]).await;
    let (code, told) = compared(&stage, "apps", &[]);
    let refused = "spec.serviceAccountName must be set: the agent runs with --lockdown";
    assert!(code == 4 && told.contains(refused), "{code} {told}");
    assert_eq!(compared(&stage, "apps", &["--lockdown=false"]).0, 1);
    let foreign = json!({"sourceRef": {"kind": "GitRepository", "name": "repo", "namespace": "default"},
                         "serviceAccountName": "tenant"});
    stage.kustomization("foreign", foreign).await;
    let (code, told) = compared(&stage, "foreign", &[]);
    let refused = "cross-namespace references have been blocked: move the source to namespace";
    assert!(code == 4 && told.contains(refused), "{code} {told}");

    // The account of those that name none.
    deployment(&stage, &["--default-service-account", "tenant"]).await;
    let (code, told) = compared(&stage, "apps", &[]);
    let account = format!("system:serviceaccount:{namespace}:tenant");
    assert!(code == 4 && told.contains(&account), "{code} {told}");

    // An agent that does not run matters to the namespace that it serves, and to no other.
    let idle = format!("the agent is not running (Deployment/{namespace}/lockgate");
    assert!(status(&stage, &namespace).contains(&idle));
    assert!(!status(&stage, "default").contains(&idle));

    // Flags that this version does not know.
    deployment(&stage, &["--of-the-future"]).await;
    let (code, told) = compared(&stage, "apps", &[]);
    let warned = format!("! Deployment/{namespace}/lockgate: its flags cannot be read");
    assert!(code == 1 && told.contains(&warned), "{code} {told}");
}
