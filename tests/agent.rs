//! The agent as a process, on a real control plane and from a real sshd.

mod beside;
mod build;
mod charts;
mod confined;
mod contract;
mod diff;
mod diff_flags;
mod diff_input;
mod empty;
mod examples;
mod faults;
mod flux_cli;
mod habits;
mod helm_cli;
mod hostile;
mod idle;
mod input;
mod keeping;
mod kinds;
mod lag;
mod large;
mod lease;
mod managers;
mod oci;
mod order;
mod outage;
mod owners;
mod people;
mod pulled;
mod quarantine;
mod refused;
mod repository;
mod releases;
mod required;
mod rights;
mod safety;
mod soak;
mod stage;
mod taken_over;
mod turns;

use serde_json::json;
use stage::{condition, config_map, stage};

#[tokio::test]
async fn a_commit_becomes_objects_and_another_changes_them() {
    let stage =
        stage("first", &[("apps/a.yaml", &config_map("a", "1")), ("apps/b.yaml", &config_map("b", "1"))])
            .await;
    let agent = stage.agent().await;
    stage.kustomization("apps", json!({"wait": true})).await;
    let status = stage.ready("apps").await;
    assert_eq!(condition(&status, "Healthy")["status"], "True");
    assert_eq!(stage.data("a").await.unwrap()["value"], "1");
    stage.push(&[("apps/a.yaml", &config_map("a", "2"))]);
    stage.ready("apps").await;
    assert_eq!(stage.data("a").await.unwrap()["value"], "2");
    drop(agent);
}
