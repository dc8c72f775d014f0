//! The lease, with an API server that is far away.

use std::time::Duration;

use harness::{Mode, Proxy, eventually};
use k8s_openapi::api::coordination::v1::Lease;

use super::stage::{HOME, PATIENCE, config_map, stage};

/// With a round trip of 2.2 s a renewal takes one request, so the agent keeps the lease and its writes are
/// not delayed.
#[tokio::test]
async fn a_lease_is_held_over_a_slow_line() {
    let stage = stage("slow", &[("apps/a.yaml", &config_map("a", "1"))]).await;
    let proxy = Proxy::start(stage.plane.address()).unwrap();
    let kubeconfig = stage.plane.service_account_kubeconfig(HOME, "lockgate").await.unwrap();
    let through = stage.plane.kubeconfig_through(&kubeconfig, proxy.address()).unwrap();
    // The latency applies in each direction.
    proxy.set(Mode::Latency(Duration::from_millis(1100))).await;
    let agent = stage.agent_as(&through, &[]);
    agent.wait_output("became leader", PATIENCE).await.unwrap();
    let leases: kube::Api<Lease> = kube::Api::namespaced(stage.client.clone(), HOME);
    let mut renewed = Vec::new();
    eventually(PATIENCE, async || {
        let lease = leases.get(&format!("lockgate-leader-{}", stage.namespace)).await?;
        let time = lease.spec.and_then(|spec| spec.renew_time);
        if renewed.last() != Some(&time) {
            renewed.push(time);
        }
        anyhow::ensure!(renewed.len() > 3, "renewed at {renewed:?}");
        Ok(())
    })
    .await
    .unwrap();
    let output = agent.output();
    assert!(!output.contains("renewed the lease again"), "it was unsure of the lease in between");
}
