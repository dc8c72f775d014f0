//! An object that makes the agent end is found and left alone, and no other object is affected.

use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;

use anyhow::Context as _;
use harness::{Agent, AgentBuilder, Cage, eventually};
use serde_json::{Value, json};

use super::stage::{HOME, PATIENCE, Running, Stage, condition, config_map, program, stage};

/// The data that the agent may map, in KiB: the stacks of the two threads for builds, which are reserved
/// whole, and enough for an agent with small builds.
const DATA_LIMIT: u64 = (2 * 256 + 96) * 1024;

/// An agent with a memory limit, which aborts when it needs more.
fn starved() -> AgentBuilder {
    let script = format!("ulimit -d {DATA_LIMIT}; exec \"$0\" \"$@\"");
    Agent::new("bash").args(["-c", &script]).args([program()])
}

/// An agent whose memory is small, with its state where the next one finds it.
async fn start(stage: &Stage<'_>, agent: AgentBuilder, state: &Path) -> Running {
    let kubeconfig = stage.plane.service_account_kubeconfig(HOME, "lockgate").await.unwrap();
    let agent = agent.kubeconfig(&kubeconfig).args(["agent", "--namespace", HOME]);
    // It thinks that it may have more, and lets builds go on.
    let agent = agent.args(["--memory-limit", "2048"]);
    let agent = agent.args(["--watch-namespace", &stage.namespace, "--state-dir"]).args([state]);
    Running::start(agent)
}

/// More values than the agent has memory for, and fewer than the budget of a build.
fn bomb() -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: bomb}}\nx: [{}]\n", "{a: b},".repeat(300_000))
}

/// The agent's unfinished runs.
fn marks(state: &Path) -> Vec<String> {
    let marks = std::fs::read_dir(state.join("lockgate-underway")).into_iter().flatten().flatten();
    marks.filter_map(|mark| std::fs::read_to_string(mark.path()).ok()).collect()
}

async fn status(stage: &Stage<'_>, name: &str) -> Value {
    stage.kustomizations().get(name).await.map(|object| object.data["status"].clone()).unwrap_or_default()
}

/// F12: what needs more memory than there is ends the agent three times, and then it alone is stalled. What
/// changes it is tried.
async fn takes_nothing_else_down(name: &str, small: impl Fn() -> AgentBuilder) {
    let stage = stage(name, &[("good/a.yaml", &config_map("a", "1")), ("bomb/b.yaml", &bomb())]).await;
    let state = tempfile::tempdir().unwrap();
    for name in ["good", "bomb"] {
        stage.kustomization(name, json!({})).await;
    }
    let mut ends = 0;
    let mut agent = start(&stage, small(), state.path()).await;
    // As the kubelet does, it is started again each time that it ends.
    let message = eventually(2 * PATIENCE, async || {
        if let Some(ended) = agent.exited() {
            anyhow::ensure!(ended.signal().is_some(), "it has ended by itself: {ended}");
            ends += 1;
            println!("{ended} with {:?}:\n{}", marks(state.path()), agent.output());
            agent = start(&stage, small(), state.path()).await;
        }
        let stalled = condition(&status(&stage, "bomb").await, "Stalled");
        anyhow::ensure!(stalled["status"] == "True", "not stalled after {ends} ends: {stalled}");
        stalled["message"].as_str().map(ToOwned::to_owned).context("no message")
    });
    let message = message.await.unwrap();
    assert!(message.contains("while it was building this object"), "{message}");
    assert_eq!(ends, 3, "one among others, and two alone");
    // Others go on as ever.
    stage.ready("good").await;
    stage.push(&[("good/a.yaml", &config_map("a", "2"))]);
    stage.ready("good").await;
    assert_eq!(stage.data("a").await.unwrap()["value"], "2");
    stage.push(&[("bomb/b.yaml", &config_map("b", "1"))]);
    stage.ready("bomb").await;
    assert!(agent.exited().is_none());
    drop(agent);
}

#[tokio::test]
async fn a_build_that_aborts_the_agent_takes_nothing_else_down() {
    takes_nothing_else_down("aborted", starved).await;
}

#[tokio::test]
async fn a_build_for_which_the_kernel_kills_the_agent_takes_nothing_else_down() {
    let cage = Cage::new(128 << 20);
    takes_nothing_else_down("killed", || cage.agent(program())).await;
    assert_eq!(cage.kills(), if cage.is_group() { 3 } else { 0 });
}

/// An agent that is asked to shut down leaves no mark, so the next one suspects nobody.
#[tokio::test]
async fn an_orderly_end_makes_nobody_a_suspect() {
    let stage = stage("orderly", &[("apps/a.yaml", &config_map("a", "1"))]).await;
    let state = tempfile::tempdir().unwrap();
    stage.kustomization("apps", json!({})).await;
    let marks = state.path().join("lockgate-underway");
    let agent = start(&stage, starved(), state.path()).await;
    stage.ready("apps").await;
    agent.term();
    agent.wait_exit(PATIENCE).await.unwrap();
    assert_eq!(std::fs::read_dir(marks).unwrap().count(), 0);
}
