//! The order of Kustomizations: chains, cycles, and dependencies that come and go.

use std::time::{Duration, Instant};

use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use super::outage::ended;
use super::stage::{LISTEN, Stage, api, condition, config_map, stage};

fn version(object: &kube::api::DynamicObject) -> u64 {
    object.metadata.resource_version.as_deref().unwrap_or("0").parse().expect("a resourceVersion is a number")
}

async fn chain(stage: &Stage<'_>, names: &[&str]) {
    // The last one is created first, so that the order of creation does not help.
    for (index, name) in names.iter().enumerate().rev() {
        let depends: Vec<Value> =
            index.checked_sub(1).map(|before| json!({"name": names[before]})).into_iter().collect();
        stage.kustomization(name, json!({"dependsOn": depends, "wait": true})).await;
    }
}

#[tokio::test]
async fn a_chain_of_four_is_applied_in_order_and_at_once() {
    let names = ["crds", "network", "security", "foobar"];
    let files: Vec<(String, String)> =
        names.iter().map(|name| (format!("{name}/a.yaml"), config_map(&format!("of-{name}"), "1"))).collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    let stage = stage("chain", &files).await;
    chain(&stage, &names).await;
    let agent = stage.agent().await;
    agent.wait_output("became leader", Duration::from_secs(20)).await.unwrap();
    let started = Instant::now();
    for name in names {
        stage.ready(name).await;
    }
    println!("chain of four: {:?}", started.elapsed());
    let mut last = 0;
    for name in names {
        let object = stage.config_maps().get(&format!("of-{name}")).await.unwrap();
        let created = version(&object);
        assert!(created > last, "{name} was applied before what it depends on");
        last = created;
    }
    let pauses = agent.output().matches("DependencyNotReady").count();
    assert!(pauses >= 1, "nothing waited, so the order was not tested");
}

/// F18: dependents keep their objects, are not deleted, and follow when the dependency recovers.
#[tokio::test]
async fn a_dependency_that_fails_later_leaves_its_dependents_as_they_are() {
    let stage =
        stage("later", &[("a/a.yaml", &config_map("a", "1")), ("b/b.yaml", &config_map("b", "1"))]).await;
    chain(&stage, &["a", "b"]).await;
    let _agent = stage.agent().await;
    stage.ready("b").await;
    stage.push(&[("a/a.yaml", "a: [")]);
    stage.reason("a", "BuildFailed").await;
    // At first it may report that `a` is not up to date; when `a` has failed, it reports the cause.
    let told = stage
        .until("b", "blocked with the cause", |status| {
            let message = condition(status, "Ready")["message"].to_string();
            message.contains("a' is not ready") && message.contains("kustomize build failed")
        })
        .await;
    assert_eq!(condition(&told, "Ready")["reason"], "DependencyNotReady");
    assert_eq!(stage.data("b").await.unwrap()["value"], "1");
    assert_eq!(stage.data("a").await.unwrap()["value"], "1");
    stage.push(&[("a/a.yaml", &config_map("a", "2"))]);
    stage.ready("b").await;
    assert_eq!(stage.data("a").await.unwrap()["value"], "2");
}

/// Sets the readiness of `network`'s pod. No kubelet runs, so the test plays it.
async fn play(stage: &Stage<'_>, ready: &str) {
    let pods = api(&stage.client, &stage.namespace, "v1", "Pod", "pods");
    let status = json!({"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": ready}]}});
    pods.patch_status("p", &PatchParams::default(), &Patch::Merge(status)).await.unwrap();
}

/// A commit without a change for a dependent still checks its health, and a wait names its reason.
#[tokio::test]
async fn a_dependency_that_has_fallen_ill_holds_the_next_commit_up_and_says_so() {
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"},
                     "spec": {"schedulerName": "nobody", "containers": [{"name": "c", "image": "example.org/c"}]}});
    let files = [("network/p.yaml", &*pod.to_string()), ("foobar/a.yaml", &*config_map("a", "1"))];
    let stage = stage("ill", &files).await;
    chain(&stage, &["network", "foobar"]).await;
    let _agent = stage.agent().await;
    let waiting = format!("waiting for Pod/{}/p: ", stage.namespace);
    let says = |status: &Value| condition(status, "Reconciling")["message"].to_string().contains(&waiting);
    let status = stage.until("network", "told what it waits for", says).await;
    assert_eq!(condition(&status, "Ready")["status"], "Unknown");
    play(&stage, "True").await;
    stage.ready("foobar").await;

    play(&stage, "False").await;
    let revision = stage.push(&[("foobar/a.yaml", &config_map("a", "2"))]);
    stage.until("network", "looked at", |status| status["lastAttemptedRevision"] == revision.as_str()).await;
    stage.reason("foobar", "DependencyNotReady").await;
    assert_eq!(stage.data("a").await.unwrap()["value"], "1");
    play(&stage, "True").await;
    stage.until("foobar", "applied", |status| status["lastAppliedRevision"] == revision.as_str()).await;
    assert_eq!(stage.data("a").await.unwrap()["value"], "2");
}

/// I05: cycles of three, of two and of one. Nothing loops, and a cycle heals when it is cut.
#[tokio::test]
async fn a_cycle_is_printed_on_every_member_and_heals_when_it_is_cut() {
    let names = ["a", "b", "c", "d", "e", "f"];
    let files = names.map(|name| (format!("{name}/x.yaml"), config_map(name, "1")));
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    let stage = stage("cycle", &files).await;
    let agent = stage.agent_with(LISTEN).await;
    for (name, before) in [("a", "c"), ("b", "a"), ("c", "b"), ("d", "e"), ("e", "d"), ("f", "f")] {
        stage.kustomization(name, json!({"dependsOn": [{"name": before}]})).await;
    }
    let cycles = [
        ("a", "a -> c -> b -> a"),
        ("b", "b -> a -> c -> b"),
        ("c", "c -> b -> a -> c"),
        ("d", "d -> e -> d"),
        ("e", "e -> d -> e"),
        ("f", "f -> f"),
    ];
    for (name, cycle) in cycles {
        let status =
            stage.until(name, "stalled", |status| condition(status, "Stalled")["status"] == "True").await;
        let message = condition(&status, "Ready")["message"].to_string();
        assert!(message.contains(&format!("dependency cycle: {cycle};")), "{message}");
    }
    let told = || agent.output().matches("dependency cycle").count();
    let before = (told(), ended(&agent, "result").await);
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!((told(), ended(&agent, "result").await), before, "it is said once, and nothing goes round");
    for name in ["a", "d", "f"] {
        stage.kustomization(name, json!({"dependsOn": []})).await;
    }
    for name in names {
        stage.ready(name).await;
    }
}
