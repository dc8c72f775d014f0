//! Dependencies on other kinds than the one that applies.

use serde_json::{Value, json};

use super::stage::{condition, config_map, stage};

/// A dependency may be of another kind, and wakes its dependent the moment it is ready; a cycle is looked for
/// across kinds.
#[tokio::test]
async fn a_kustomization_that_depends_on_a_source_starts_when_that_is_fetched() {
    let stage =
        stage("across", &[("a/a.yaml", &config_map("a", "1")), ("b/b.yaml", &config_map("b", "1"))]).await;
    let on = |dependency: Value| json!({"dependsOn": [dependency], "retryInterval": "1h"});
    let other =
        json!({"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository", "name": "other"});
    stage.kustomization("a", on(other)).await;
    stage.kustomization("b", on(json!({"kind": "Kustomization", "name": "a"}))).await;
    let _agent = stage.agent().await;
    let source = format!("GitRepository/{}/other", stage.namespace);
    let missing = stage.reason("a", "DependencyNotReady").await;
    assert!(missing.contains(&format!("dependency '{source}' not found")), "{missing}");
    // It exists and cannot be fetched: its message is the root cause of both.
    stage.source("other", json!({"ref": {"branch": "none"}, "interval": "1h"})).await.unwrap();
    let says = |status: &Value, texts: &[&str]| {
        let message = condition(status, "Ready")["message"].to_string();
        texts.iter().all(|text| message.contains(text))
    };
    let not_ready = format!("dependency '{source}' is not ready");
    stage.until("a", "told why", |status| says(status, &[&not_ready, "none"])).await;
    stage.until("b", "told why", |status| says(status, &["blocked by a -> other", "none"])).await;
    stage.source("other", json!({"interval": "1h"})).await.unwrap();
    stage.ready("a").await;
    stage.ready("b").await;
}

#[tokio::test]
async fn a_dependency_that_can_never_be_ready_is_refused_by_its_name() {
    let stage = stage("never", &[("a/a.yaml", &config_map("a", "1"))]).await;
    let depends = json!([
        {"kind": "Alert", "name": "podinfo"},
        {"apiVersion": "apps/v1", "kind": "Deployment", "name": "podinfo"},
    ]);
    stage.kustomization("a", json!({"dependsOn": depends})).await;
    let _agent = stage.agent().await;
    let status = stage.until("a", "stalled", |status| condition(status, "Stalled")["status"] == "True").await;
    let message = condition(&status, "Ready")["message"].to_string();
    for named in ["Alert", "Deployment"] {
        assert!(message.contains(&format!("{named}/{}/podinfo", stage.namespace)), "{message}");
    }
}

/// What another namespace's objects say may quote anything that only its own people may see.
#[tokio::test]
async fn of_a_dependency_in_another_namespace_only_its_state_is_told_and_nothing_under_lockdown() {
    let home = stage("home", &[("a/a.yaml", &config_map("a", "1"))]).await;
    let away = stage("away", &[("theirs/a.yaml", "a: [")]).await;
    away.kustomization("theirs", json!({})).await;
    let theirs = json!({"name": "theirs", "namespace": away.namespace});
    let near = json!({"name": "near"});
    home.kustomization("a", json!({"dependsOn": [theirs], "serviceAccountName": "default"})).await;
    home.kustomization("b", json!({"dependsOn": [near]})).await;
    let agent = home.agent_everywhere().await;
    let said = away.reason("theirs", "BuildFailed").await;
    let dependency = format!("dependency '{}/theirs' is not ready", away.namespace);
    let told = home.until("a", "told", |status| {
        condition(status, "Ready")["message"].as_str().is_some_and(|message| message.starts_with(&dependency))
    });
    assert_eq!(condition(&told.await, "Ready")["message"], dependency.as_str(), "{said}");
    drop(agent);
    let _agent = home.agent_with(&["--lockdown"]).await;
    let refused = home.reason("a", "AccessDenied").await;
    assert!(refused.contains(&format!("Kustomization/{}/theirs", away.namespace)), "{refused}");
    assert!(!refused.contains("not ready"), "{refused}");
}
