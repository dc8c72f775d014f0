//! The agent beside Flux's controllers, and beside Deployments that only have their names. These tests use a
//! control plane of their own, since Flux's controllers count for all agents of a cluster.

use std::time::Duration;

use harness::flux::{binding, controller};
use harness::{ControlPlane, Options, eventually};
use serde_json::json;
use tokio::net::TcpStream;

use super::outage::{address, body};
use super::releases::releases;
use super::stage::{HOME, LISTEN, PATIENCE, Running, Stage, apply, condition, config_map, stage_on, until};

/// A Deployment that only has the name and the label of a controller does not hold the agent back. One to
/// which an administrator gave Flux's rights does, as long as it runs, both at the agent's start and later.
#[tokio::test]
async fn only_flux_itself_is_a_reason_to_hold_back() {
    let plane = &ControlPlane::start(Options::bare()).await.unwrap();
    let stage = stage_on(plane, "beside", &[("a/a.yaml", &config_map("a", "1"))]).await;
    for name in ["kustomize-controller", "source-controller"] {
        apply(&stage.client, controller(&stage.namespace, name, 1)).await.unwrap();
    }
    stage.kustomization("a", json!({})).await;
    let agent = stage.agent_with(LISTEN).await;
    stage.ready("a").await;
    releases_are_left(&stage, &agent).await;

    // Flux starts beside us.
    apply(&stage.client, binding(&["kustomize-controller"])).await.unwrap();
    apply(&stage.client, controller(HOME, "kustomize-controller", 1)).await.unwrap();
    holds_back(&agent).await;
    assert!(holder(&stage).await.is_none(), "the lease is given up");
    assert_eq!(body(&agent, "/healthz").await, "ok\n", "the kubelet has no reason to restart it");

    // Another agent does not begin, but one with `--adopt` does.
    let other = stage.agent_with(LISTEN).await;
    other.wait_output("waiting until it stops", PATIENCE).await.unwrap();
    holds_back(&other).await;
    drop(other);
    stage.push(&[("a/a.yaml", &config_map("a", "2"))]);
    let adopting = stage.agent_with(&["--adopt"]).await;
    stage.ready("a").await;
    assert_eq!(stage.data("a").await.unwrap()["value"], "2");
    adopting.term();
    adopting.wait_exit(PATIENCE).await.unwrap();

    // When Flux has stopped, the agent continues by itself.
    assert!(agent.exited().is_none());
    stage.push(&[("a/a.yaml", &config_map("a", "3"))]);
    apply(&stage.client, controller(HOME, "kustomize-controller", 0)).await.unwrap();
    stage.ready("a").await;
    assert_eq!(stage.data("a").await.unwrap()["value"], "3");
    assert_eq!(body(&agent, "/readyz").await, "ok\n");
}

/// Beside a helm-controller the agent leaves HelmReleases alone and does all else.
async fn releases_are_left(stage: &Stage<'_>, agent: &Running) {
    apply(&stage.client, binding(&["helm-controller"])).await.unwrap();
    apply(&stage.client, controller(HOME, "helm-controller", 1)).await.unwrap();
    agent.wait_output("left to the controllers of Flux", PATIENCE).await.unwrap();
    let chart = json!({"kind": "OCIRepository", "name": "nowhere"});
    let release = json!({"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease",
                         "metadata": {"name": "web", "namespace": stage.namespace},
                         "spec": {"interval": "1h", "chartRef": chart}});
    stage.apply(release).await.unwrap();
    stage.push(&[("a/a.yaml", &config_map("a", "one"))]);
    stage.ready("a").await;
    let release = releases(stage).get("web").await.unwrap();
    assert!(release.data["status"]["conditions"].is_null(), "{:?}", release.data);
    assert!(release.metadata.finalizers.is_none());
    // Once it has stopped they are ours.
    apply(&stage.client, controller(HOME, "helm-controller", 0)).await.unwrap();
    let is_looked_at = |status: &serde_json::Value| condition(status, "Ready")["reason"] == "SourceNotReady";
    until(&releases(stage), "web", "looked at", is_looked_at).await;
}

/// A reader of the metrics cannot keep the kubelet from its answer.
#[tokio::test]
async fn probes_are_answered_whatever_the_port_of_the_metrics_endures() {
    let stage = super::stage::stage("probes", &[]).await;
    let agent = stage.agent_with(LISTEN).await;
    agent.wait_output("became leader", PATIENCE).await.unwrap();
    let metrics = address(&agent, "serving metrics");
    let mut silent = Vec::new();
    for _ in 0..600 {
        silent.push(TcpStream::connect(&metrics).await.unwrap());
    }
    for path in ["/healthz", "/readyz"] {
        // This is the kubelet's own limit.
        let answer = tokio::time::timeout(Duration::from_secs(5), body(&agent, path)).await;
        assert_eq!(answer.expect("no answer in time"), "ok\n", "{path}");
    }
    assert!(body(&agent, "/metrics").await.contains("lockgate_leader 1"));
}

/// The agent is not ready, and names Flux as the reason.
async fn holds_back(agent: &Running) {
    eventually(PATIENCE, async || {
        let reason = body(agent, "/readyz").await;
        let told = ["Flux: ", "flux-system/kustomize-controller", "--adopt"];
        anyhow::ensure!(told.iter().all(|text| reason.contains(text)), "{reason}");
        Ok(())
    })
    .await
    .unwrap();
}

/// The holder of the lease of a stage's agents.
async fn holder(stage: &Stage<'_>) -> Option<String> {
    let leases: kube::Api<k8s_openapi::api::coordination::v1::Lease> =
        kube::Api::namespaced(stage.client.clone(), HOME);
    let lease = leases.get(&format!("lockgate-leader-{}", stage.namespace)).await.unwrap();
    lease.spec.unwrap().holder_identity
}
