//! Objects of kinds that lockgate does not act on: whether a controller does, and the messages about that.

use harness::flux::{binding, controller};
use harness::{ControlPlane, Options};
use kube::api::{DynamicObject, ListParams, Patch, PatchParams};
use serde_json::{Value, json};

use super::stage::{HOME, Stage, api, apply, condition, config_map, stage, stage_on};

const TOLD: &str = "no controller on this cluster acts on ";

fn alert() -> String {
    json!({"apiVersion": "notification.toolkit.fluxcd.io/v1beta3", "kind": "Alert", "metadata": {"name": "all"},
           "spec": {"providerRef": {"name": "slack"}, "eventSources": [{"kind": "Kustomization", "name": "*"}]}})
    .to_string()
}

fn automation(name: &str) -> String {
    json!({"apiVersion": "image.toolkit.fluxcd.io/v1beta2", "kind": "ImageUpdateAutomation",
           "metadata": {"name": name},
           "spec": {"interval": "5m", "sourceRef": {"kind": "GitRepository", "name": "repo"},
                    "git": {"commit": {"author": {"email": "a@example.org"}}}}})
    .to_string()
}

fn automations(stage: &Stage<'_>) -> kube::Api<DynamicObject> {
    let (version, kind) = ("image.toolkit.fluxcd.io/v1", "ImageUpdateAutomation");
    api(&stage.client, &stage.namespace, version, kind, "imageupdateautomations")
}

/// The events about objects without a controller, the oldest first.
async fn told(stage: &Stage<'_>) -> Vec<DynamicObject> {
    let events = api(&stage.client, &stage.namespace, "v1", "Event", "events");
    let mut told = events.list(&ListParams::default()).await.unwrap().items;
    told.retain(|event| event.data["message"].as_str().is_some_and(|message| message.starts_with(TOLD)));
    told.sort_by_key(|event| event.metadata.creation_timestamp.clone());
    told
}

/// `lockgate status` of the stage's namespace.
async fn status(stage: &Stage<'_>, more: &[&str]) -> String {
    let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_lockgate"))
        .args(["status", "--namespace", &stage.namespace])
        .args(more)
        .env("KUBECONFIG", stage.plane.admin_kubeconfig())
        .output();
    let output = output.await.unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The cells of the line of `status` about a kind.
fn line<'t>(text: &'t str, kind: &str) -> Vec<&'t str> {
    let line = text.lines().find(|line| line.split_whitespace().next() == Some(kind));
    let line = line.unwrap_or_else(|| panic!("no line on {kind}:\n{text}"));
    line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect()
}

/// One Alert must not have the whole stage refused that contains everything else.
#[tokio::test]
async fn objects_of_kinds_that_nothing_acts_on_are_applied_and_count_as_healthy() {
    let (alert, automation_text, map) = (alert(), automation("podinfo"), config_map("a", "1"));
    let files = [("a/alert.yaml", &*alert), ("a/automation.yaml", &*automation_text), ("a/map.yaml", &*map)];
    let stage = stage("idle", &files).await;
    stage.kustomization("a", json!({"wait": true, "timeout": "30s"})).await;
    let _agent = stage.agent().await;
    stage.ready("a").await;
    assert_eq!(stage.data("a").await.unwrap()["value"], "1");
    let found = automations(&stage).get("podinfo").await.unwrap();
    assert_eq!(found.data["spec"]["git"]["commit"]["author"]["email"], "a@example.org");
    assert_eq!(found.data["status"]["conditions"], Value::Null, "nobody writes its status");

    let event = stage.event("that nothing acts on them", |message| message.starts_with(TOLD)).await;
    let message = event.data["message"].as_str().unwrap();
    for subject in ["Alert", "ImageUpdateAutomation"].map(|kind| format!("{kind}/{}", stage.namespace)) {
        assert!(message.contains(&subject), "{message}");
    }
    assert_eq!((&event.data["type"], &event.data["involvedObject"]["name"]), (&json!("Normal"), &json!("a")));

    // Whatever its status says, and however often it is checked.
    let failed = json!({"status": {"observedGeneration": 1, "conditions": [
        {"type": "Ready", "status": "False", "reason": "GitOperationFailed", "message": "no",
         "lastTransitionTime": "2026-01-01T00:00:00Z"}]}});
    automations(&stage)
        .patch_status("podinfo", &PatchParams::default(), &Patch::Merge(failed))
        .await
        .unwrap();
    let map = config_map("a", "2");
    stage.push(&[("a/map.yaml", &*map)]);
    stage.ready("a").await;
    assert_eq!(told(&stage).await.len(), 1, "the set is the same");
    let text = status(&stage, &[]).await;
    assert_eq!(line(&text, "Alert"), ["Alert", "1", "no controller acts on them"]);
    assert_eq!(
        line(&text, "ImageUpdateAutomation"),
        ["ImageUpdateAutomation", "1", "no controller acts on them"]
    );
    assert!(!text.contains("Bucket"), "{text}");

    let more = automation("more");
    stage.push(&[("a/more.yaml", &*more)]);
    stage.ready("a").await;
    let more = format!("ImageUpdateAutomation/{}/more", stage.namespace);
    stage.event("of the other set", |message| message.starts_with(TOLD) && message.contains(&more)).await;
    assert_eq!(told(&stage).await.len(), 2);
    let value: Value = serde_json::from_str(&status(&stage, &["-o", "json"]).await).unwrap();
    let kinds = value["kinds"].as_array().unwrap();
    let automation = kinds.iter().find(|kind| kind["kind"] == "ImageUpdateAutomation").unwrap();
    assert_eq!((&automation["objects"], &automation["leftTo"]), (&json!(2), &Value::Null));
}

/// Which controller acts is judged while the agent runs.
#[tokio::test]
async fn a_kind_is_left_to_the_controller_of_flux_for_as_long_as_that_runs() {
    let plane = &ControlPlane::start(Options::bare()).await.unwrap();
    let text = automation("podinfo");
    let stage = stage_on(plane, "left", &[("a/automation.yaml", &*text)]).await;
    let flux = |replicas: u8| controller(HOME, "image-automation-controller", replicas);
    // A user who may create a Deployment cannot claim a kind with it.
    apply(&stage.client, controller(&stage.namespace, "image-automation-controller", 1)).await.unwrap();
    apply(&stage.client, binding(&["image-automation-controller"])).await.unwrap();
    apply(&stage.client, flux(1)).await.unwrap();
    stage.kustomization("a", json!({"wait": true, "timeout": "3s"})).await;
    let _agent = stage.agent().await;
    let message = stage.reason("a", "HealthCheckFailed").await;
    assert!(message.contains(&format!("ImageUpdateAutomation/{}/podinfo", stage.namespace)), "{message}");
    assert_eq!(told(&stage).await.len(), 0, "its controller acts on it");

    let ready = json!({"status": {"observedGeneration": 1, "conditions": [
        {"type": "Ready", "status": "True", "reason": "Succeeded", "message": "yes",
         "lastTransitionTime": "2026-01-01T00:00:00Z"}]}});
    let patch = |status: Value| {
        let automations = automations(&stage);
        async move { automations.patch_status("podinfo", &PatchParams::default(), &Patch::Merge(status)).await }
    };
    patch(ready).await.unwrap();
    stage.ready("a").await;
    assert_eq!(
        line(&status(&stage, &[]).await, "ImageUpdateAutomation"),
        ["ImageUpdateAutomation", "1", "left to flux-system/image-automation-controller"]
    );
    let failed = json!({"status": {"conditions": [
        {"type": "Ready", "status": "False", "reason": "GitOperationFailed", "message": "no",
         "lastTransitionTime": "2026-01-01T00:00:00Z"}]}});
    patch(failed).await.unwrap();
    let more = config_map("more", "1");
    stage.push(&[("a/more.yaml", &*more)]);
    stage.until("a", "unhealthy", |status| condition(status, "Ready")["reason"] == "HealthCheckFailed").await;
    apply(&stage.client, flux(0)).await.unwrap();
    // Only the controllers have changed, and the event is repeated all the same.
    let podinfo = format!("ImageUpdateAutomation/{}/podinfo", stage.namespace);
    stage
        .event("that nothing acts on it now", |message| {
            message.starts_with(TOLD) && message.contains(&podinfo)
        })
        .await;
    stage.ready("a").await;
    assert_eq!(
        line(&status(&stage, &[]).await, "ImageUpdateAutomation"),
        ["ImageUpdateAutomation", "1", "no controller acts on them"]
    );
}
