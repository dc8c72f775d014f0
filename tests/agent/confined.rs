//! Large platforms in the memory that the agent is shipped with. `make torment` makes them as large as it is
//! to bear; here they show that all of it works.

use std::fmt::Write as _;
use std::time::Duration;

use harness::{Cage, eventually};
use kube::api::ListParams;
use serde_json::json;

use super::stage::{Running, Stage, condition, stage};

/// The memory limit of the shipped Deployment, in bytes.
const LIMIT: u64 = 256 << 20;
/// How long a platform may take on a machine that others use as well.
const PATIENCE: Duration = Duration::from_mins(15);

/// The larger of two sizes where a run is to torment the agent.
fn size(torment: usize, short: usize) -> usize {
    if std::env::var_os("TORMENT").is_some() { torment } else { short }
}

/// Objects with a kibibyte of values each.
fn objects(names: impl Iterator<Item = String>, value: &str) -> String {
    let mut text = String::new();
    for name in names {
        write!(text, "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n").unwrap();
        for key in 0..10 {
            writeln!(text, "  key-{key}: {value}-{}", "x".repeat(80)).unwrap();
        }
        text.push_str("---\n");
    }
    text
}

/// Waits until all Kustomizations are Ready at the head of `main`.
async fn all_ready(stage: &Stage<'_>, agent: &Running, cage: &Cage) {
    let head = format!("main@sha1:{}", stage.repo.rev_parse("main").unwrap());
    eventually(PATIENCE, async || {
        assert!(agent.exited().is_none(), "it has ended, {} times killed", cage.kills());
        let all = stage.kustomizations().list(&ListParams::default()).await?.items;
        let is_ready = |object: &&kube::api::DynamicObject| {
            let status = &object.data["status"];
            condition(status, "Ready")["status"] == "True" && status["lastAppliedRevision"] == head.as_str()
        };
        let ready = all.iter().filter(is_ready).count();
        let other = all
            .iter()
            .find(|object| !is_ready(object))
            .map(|object| condition(&object.data["status"], "Ready"));
        anyhow::ensure!(ready == all.len(), "{ready} of {} are ready; another: {other:?}", all.len());
        Ok(())
    })
    .await
    .unwrap();
    println!("at most {} KiB, now {} KiB", agent.peak_rss_kib().unwrap(), agent.rss_kib().unwrap());
}

#[tokio::test]
async fn a_kustomization_of_many_resources_fits_the_pod() {
    let count = size(5_000, 200);
    let names = || (0..count).map(|at| format!("c{at}"));
    let stage = stage("many-resources", &[("apps/a.yaml", &objects(names(), "1"))]).await;
    let cage = Cage::new(LIMIT);
    let agent = stage.agent_in(&cage).await;
    stage.kustomization("apps", json!({"wait": true, "timeout": "10m"})).await;
    all_ready(&stage, &agent, &cage).await;
    // All of them are changed by one commit.
    stage.push(&[("apps/a.yaml", &objects(names(), "2"))]);
    all_ready(&stage, &agent, &cage).await;
    assert_eq!(cage.kills(), 0);
}

fn borrowed(files: &[(String, String)]) -> Vec<(&str, &str)> {
    files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect()
}

#[tokio::test]
async fn many_kustomizations_fit_the_pod() {
    let count = size(1_000, 30);
    let files = |value: &str| {
        let file = |at| {
            let names = (0..4).map(|object| format!("k{at}-{object}"));
            (format!("k{at}/a.yaml"), objects(names, value))
        };
        (0..count).map(file).collect::<Vec<_>>()
    };
    let stage = stage("many-kustomizations", &borrowed(&files("1"))).await;
    for at in 0..count {
        stage.kustomization(&format!("k{at}"), json!({"wait": true, "timeout": "10m"})).await;
    }
    let cage = Cage::new(LIMIT);
    let agent = stage.agent_in(&cage).await;
    all_ready(&stage, &agent, &cage).await;
    stage.push(&borrowed(&files("2")));
    all_ready(&stage, &agent, &cage).await;
    assert_eq!(cage.kills(), 0);
}
