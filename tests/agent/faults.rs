//! Faults: the agent killed, shut down, without its API server, with a rival, and with somebody who edits
//! Git's fields.

use std::time::{Duration, Instant};

use harness::eventually;
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::json;

use super::stage::{PATIENCE, Stage, config_map, stage};

/// F19: an edit, a deletion and a lost label are corrected at once.
#[tokio::test]
async fn drift_is_put_back_within_seconds() {
    let stage = stage("drift", &[("apps/a.yaml", &config_map("a", "1"))]).await;
    let _agent = stage.agent().await;
    stage.kustomization("apps", json!({})).await;
    stage.ready("apps").await;
    let maps = stage.config_maps();
    // The watch of a kind begins with the first object of it.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let edit = json!({"data": {"value": "edited"}});
    maps.patch(
        "a",
        &PatchParams { field_manager: Some("kubectl-edit".into()), ..PatchParams::default() },
        &Patch::Merge(&edit),
    )
    .await
    .unwrap();
    let started = Instant::now();
    restored(&stage, "1").await;
    println!("an edit: {:?}", started.elapsed());
    maps.delete("a", &kube::api::DeleteParams::default()).await.unwrap();
    let started = Instant::now();
    restored(&stage, "1").await;
    println!("a deletion: {:?}", started.elapsed());
    let names_the_field =
        |message: &str| message.starts_with("Drift corrected") && message.contains("(data.value)");
    stage.event("names the field", names_the_field).await;
    let owner = "kustomize.toolkit.fluxcd.io/name";
    let unlabel = json!({"metadata": {"labels": {owner: null}}});
    maps.patch("a", &PatchParams::default(), &Patch::Merge(&unlabel)).await.unwrap();
    eventually(Duration::from_secs(10), async || {
        let labels = maps.get("a").await?.metadata.labels.unwrap_or_default();
        anyhow::ensure!(labels.get(owner).map(String::as_str) == Some("apps"), "{labels:?}");
        Ok(())
    })
    .await
    .unwrap();
}

/// An object that somebody changes again and again is corrected less often, and an event names the other side
/// and the fields.
#[tokio::test]
async fn a_fight_is_told_with_the_manager_and_the_fields() {
    let stage = stage("fight", &[("apps/a.yaml", &config_map("a", "1"))]).await;
    let _agent = stage.agent().await;
    stage.kustomization("apps", json!({})).await;
    stage.ready("apps").await;
    let params = PatchParams { field_manager: Some("autoscaler".into()), ..PatchParams::default() };
    for round in 0..5 {
        let edit = json!({"data": {"value": format!("mine {round}")}});
        stage.config_maps().patch("a", &params, &Patch::Merge(&edit)).await.unwrap();
        if round < 4 {
            restored(&stage, "1").await;
        }
    }
    let event = stage.event("of the fight", |message| message.contains("keeps changing")).await;
    let told = format!(
        "ConfigMap/{}/a: autoscaler keeps changing data.value, which Git sets to other values; from now on \
         the drift is corrected less often, at least every 10m0s.",
        stage.namespace
    );
    let message = event.data["message"].as_str().unwrap();
    assert!(message.starts_with(&told), "{message}");
    assert_eq!((&event.data["reason"], &event.data["type"]), (&json!("DriftFight"), &json!("Warning")));
    restored(&stage, "1").await;
}

/// The value is Git's again.
async fn restored(stage: &Stage<'_>, value: &str) {
    eventually(PATIENCE, async || {
        let data = stage.data("a").await.unwrap_or_default();
        anyhow::ensure!(data.get("value").map(String::as_str) == Some(value), "{data:?}");
        Ok(())
    })
    .await
    .unwrap();
}

/// F01: an agent that is killed at any moment and started again ends with the content of Git and nothing
/// else.
#[tokio::test]
async fn killed_at_any_moment_it_orphans_nothing() {
    let stage = stage("kill", &[]).await;
    stage.kustomization("apps", json!({})).await;
    for round in 0..12u64 {
        let files: Vec<(String, Option<String>)> = (0..20)
            .map(|n| {
                // Each round drops a different half, so that each both writes and deletes.
                let content = (n % 2 == round % 2).then(|| config_map(&format!("c{n}"), &round.to_string()));
                (format!("apps/{n}.yaml"), content)
            })
            .collect();
        let files: Vec<(&str, Option<&str>)> =
            files.iter().map(|(path, content)| (path.as_str(), content.as_deref())).collect();
        stage.repo.commit("main", "round", &files).unwrap();
        let agent = stage.agent().await;
        agent.wait_output("became leader", PATIENCE).await.unwrap();
        tokio::time::sleep(Duration::from_millis(round * 53)).await;
        agent.kill9();
    }
    let _agent = stage.agent().await;
    let status = stage.ready("apps").await;
    let owned = ListParams::default().labels("kustomize.toolkit.fluxcd.io/name=apps");
    let mut names: Vec<String> = stage
        .config_maps()
        .list(&owned)
        .await
        .unwrap()
        .items
        .into_iter()
        .map(|object| object.metadata.name.unwrap_or_default())
        .collect();
    names.sort();
    let mut expected: Vec<String> = (0..20).filter(|n| n % 2 == 1).map(|n| format!("c{n}")).collect();
    expected.sort();
    assert_eq!(names, expected);
    assert_eq!(status["inventory"]["entries"].as_array().unwrap().len(), expected.len());
}

/// F21: an agent that is asked to shut down does so cleanly, and the next one need not wait for the lease.
#[tokio::test]
async fn told_to_end_it_hands_the_lease_over() {
    let stage = stage("term", &[("apps/a.yaml", &config_map("a", "1"))]).await;
    let first = stage.agent().await;
    stage.kustomization("apps", json!({})).await;
    stage.ready("apps").await;
    first.term();
    let status = first.wait_exit(Duration::from_secs(20)).await.unwrap();
    assert_eq!(status.code(), Some(0), "{status}");
    let started = Instant::now();
    let second = stage.agent().await;
    second.wait_output("became leader", Duration::from_secs(10)).await.unwrap();
    println!("the next leads after {:?}", started.elapsed());
}

/// F09: one of two agents writes. When it sleeps through its lease, the other takes over, and the first one
/// no longer writes after it wakes.
#[tokio::test]
async fn a_sleeping_leader_is_followed_and_does_not_write() {
    let stage = stage("lease", &[("apps/a.yaml", &config_map("a", "1"))]).await;
    let first = stage.agent().await;
    first.wait_output("became leader", PATIENCE).await.unwrap();
    let second = stage.agent().await;
    second.wait_output("waiting for the lease", PATIENCE).await.unwrap();
    stage.kustomization("apps", json!({})).await;
    stage.ready("apps").await;
    first.stop_signal();
    second.wait_output("became leader", Duration::from_secs(30)).await.unwrap();
    stage.push(&[("apps/a.yaml", &config_map("a", "2"))]);
    stage.ready("apps").await;
    first.cont();
    first.wait_output("lost the lease", Duration::from_secs(30)).await.unwrap();
    assert_eq!(stage.data("a").await.unwrap()["value"], "2");
    assert!(first.exited().is_none(), "it waits for the lease again");
}
