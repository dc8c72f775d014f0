//! The agent does exactly the changes that `lockgate diff` announces.

mod situations;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, Output};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kube::api::{Api, DynamicObject, ListParams, Patch, PatchParams};
use kube::core::GroupVersionKind;
use serde_json::{Value, json};

use super::stage::{PATIENCE, Stage, api, condition, stage};
use situations::{CANARY, Situation, situations};

/// Runs `lockgate diff` with a kubeconfig.
pub(super) fn diff(kubeconfig: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_lockgate"))
        .arg("diff")
        .args(arguments)
        .env("KUBECONFIG", kubeconfig)
        .output()
        .unwrap()
}

/// The objects of the stage, with the fields that show whether one was written or recreated.
async fn live(stage: &Stage<'_>) -> BTreeMap<String, (String, String)> {
    let namespace = &stage.namespace;
    let group = format!("{namespace}.example.com/v1");
    let mut found = BTreeMap::new();
    let all = |gvk: GroupVersionKind, plural: &str| -> Api<DynamicObject> {
        Api::all_with(stage.client.clone(), &kube::api::ApiResource::from_gvk_with_plural(&gvk, plural))
    };
    let kinds = [
        ("ConfigMap", stage.config_maps()),
        ("ConfigMap", api(&stage.client, &format!("{namespace}-extra"), "v1", "ConfigMap", "configmaps")),
        ("Secret", api(&stage.client, namespace, "v1", "Secret", "secrets")),
        ("Thing", api(&stage.client, namespace, &group, "Thing", "things")),
        ("Namespace", all(GroupVersionKind::gvk("", "v1", "Namespace"), "namespaces")),
        (
            "CustomResourceDefinition",
            all(
                GroupVersionKind::gvk("apiextensions.k8s.io", "v1", "CustomResourceDefinition"),
                "customresourcedefinitions",
            ),
        ),
    ];
    for (kind, api) in kinds {
        // The kind may not exist yet.
        let Ok(objects) = api.list(&ListParams::default()).await else { continue };
        for object in objects {
            let (metadata, is_written) =
                (object.metadata, !matches!(kind, "Namespace" | "CustomResourceDefinition"));
            let name = metadata.name.unwrap_or_default();
            // Other tests have namespaces and definitions too, which controllers write to.
            if name.contains("kube-root-ca")
                || (!is_written
                    && !name.contains(&format!("{namespace}-extra"))
                    && !name.ends_with(&format!(".{namespace}.example.com")))
            {
                continue;
            }
            let version = metadata.resource_version.filter(|_| is_written).unwrap_or_default();
            found.insert(format!("{kind}/{name}"), (metadata.uid.unwrap_or_default(), version));
        }
    }
    found
}

/// The changes between two looks, as `action Kind/name`.
fn happened(
    before: &BTreeMap<String, (String, String)>,
    after: &BTreeMap<String, (String, String)>,
) -> BTreeSet<String> {
    let mut happened = BTreeSet::new();
    for subject in before.keys().chain(after.keys()) {
        let action = match (before.get(subject), after.get(subject)) {
            (None, _) => "created",
            (_, None) => "pruned",
            (Some((old, _)), Some((new, _))) if old != new => "recreated",
            (Some((_, old)), Some((_, new))) if old != new => "configured",
            _ => continue,
        };
        happened.insert(format!("{action} {subject}"));
    }
    happened
}

/// The announced changes, without the stage's own names.
fn announced(value: &Value, namespace: &str) -> BTreeSet<String> {
    let objects = value["kustomizations"][0]["objects"].as_array().unwrap();
    let line = |object: &Value| {
        let text = |field: &str| object[field].as_str().unwrap().to_owned();
        format!("{} {}/{}", text("action"), text("kind"), text("name"))
    };
    objects.iter().map(line).map(|line| general(&line, namespace)).collect()
}

fn general(line: &str, namespace: &str) -> String {
    line.replace(&format!("things.{namespace}.example.com"), "").replace(&format!("{namespace}-extra"), "")
}

#[tokio::test]
async fn what_diff_announces_is_what_the_agent_then_does() {
    let stage = stage("announced", &[]).await;
    let situations = situations(&stage.namespace);
    let mut paths = Vec::new();
    for (situation, (path, text)) in
        situations.iter().flat_map(|situation| situation.before.iter().map(move |file| (situation, file)))
    {
        paths.push((format!("{}/{path}{}", situation.name, ending(path)), text.clone()));
    }
    let files: Vec<(&str, &str)> = paths.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    stage.push(&files);
    let agent = stage.agent().await;
    for situation in &situations {
        stage.kustomization(situation.name, situation.spec.clone()).await;
    }
    for situation in &situations {
        stage.ready(situation.name).await;
    }
    drop(agent);
    change(&stage, &situations).await;

    let before = live(&stage).await;
    let said = said(&stage, &situations);
    assert_eq!(happened(&before, &live(&stage).await), BTreeSet::new(), "a diff writes nothing");
    assert!(said["guard"].to_string().contains("lockgate.dev/prune-all"), "{:#}", said["guard"]);

    let _agent = stage.agent().await;
    let head = format!("main@sha1:{}", stage.repo.rev_parse("main").unwrap());
    for situation in &situations {
        let is_over = |status: &Value| {
            let ready = condition(status, "Ready");
            status["lastAttemptedRevision"] == head.as_str() && ready["status"] != "Unknown"
        };
        let is_refused = situation.announced.iter().any(|line| line.starts_with("refused"));
        if is_refused || situation.name == "guard" {
            let status = stage.until(situation.name, "over", is_over).await;
            assert_eq!(condition(&status, "Ready")["status"], "False", "{}", situation.name);
            told(&status, &said[situation.name]);
        } else {
            stage.ready(situation.name).await;
        }
    }
    let expected: BTreeSet<String> = situations
        .iter()
        .flat_map(|situation| situation.done.unwrap_or(situation.announced))
        .filter(|line| !line.starts_with("refused") && !line.starts_with("kept"))
        .map(ToString::to_string)
        .collect();
    harness::eventually(PATIENCE, async || {
        let happened: BTreeSet<String> = happened(&before, &live(&stage).await)
            .iter()
            .map(|line| general(line, &stage.namespace))
            .collect();
        anyhow::ensure!(happened == expected, "{happened:#?} is not {expected:#?}");
        Ok(())
    })
    .await
    .unwrap();
    for situation in &situations {
        values(&stage, &said[situation.name]).await;
    }
}

/// The announcements for each situation, which must be the expected ones.
fn said(stage: &Stage<'_>, situations: &[Situation]) -> BTreeMap<&'static str, Value> {
    let mut said = BTreeMap::new();
    for situation in situations {
        let name = situation.name;
        let arguments = ["--kustomization", name, "-n", &stage.namespace, "-o", "json"];
        let output = diff(&stage.plane.admin_kubeconfig(), &arguments);
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(!text.contains(CANARY[0]) && !text.contains(CANARY[1]), "{text}");
        let encoded = CANARY.map(|value| STANDARD.encode(value));
        assert!(!text.contains(&encoded[0]) && !text.contains(&encoded[1]), "{text}");
        let value: Value = serde_json::from_str(&text)
            .unwrap_or_else(|_| panic!("{name}: {}", String::from_utf8_lossy(&output.stderr)));
        let expected: BTreeSet<String> = situation.announced.iter().map(ToString::to_string).collect();
        assert_eq!(announced(&value, &stage.namespace), expected, "{name}: {value:#}");
        let is_refused = expected.iter().any(|line| line.starts_with("refused")) || name == "guard";
        let differs = expected.iter().any(|line| !line.starts_with("kept"));
        let code = if is_refused { 4 } else { i32::from(differs) };
        assert_eq!(output.status.code(), Some(code), "{name}: {value:#}");
        said.insert(name, value);
    }
    said
}

/// Files are named after their objects by default.
fn ending(path: &str) -> &'static str {
    if Path::new(path).extension().is_some() { "" } else { ".yaml" }
}

/// Moves the repository from before to after, and makes the edits of kubectl.
async fn change(stage: &Stage<'_>, situations: &[Situation]) {
    let mut changed: BTreeMap<String, Option<String>> = BTreeMap::new();
    for situation in situations {
        let path = |path: &str| format!("{}/{path}{}", situation.name, ending(path));
        changed.extend(situation.before.iter().map(|(file, _)| (path(file), None)));
        changed.extend(situation.after.iter().map(|(file, text)| (path(file), Some(text.clone()))));
    }
    let changed: Vec<(&str, Option<&str>)> =
        changed.iter().map(|(path, text)| (path.as_str(), text.as_deref())).collect();
    stage.repo.commit("main", "go on", &changed).unwrap();
    let params = PatchParams { field_manager: Some("kubectl-edit".to_owned()), ..PatchParams::default() };
    for (name, patch) in situations.iter().filter_map(|situation| situation.edit.as_ref()) {
        stage.config_maps().patch(name, &params, &Patch::Merge(patch)).await.unwrap();
    }
}

/// The agent reports a refusal in the same words.
fn told(status: &Value, said: &Value) {
    let message = condition(status, "Ready")["message"].as_str().unwrap_or_default().to_owned();
    let section = &said["kustomizations"][0];
    let refused =
        section["objects"].as_array().unwrap().iter().filter(|object| object["action"] == "refused");
    for text in refused.map(|object| &object["message"]).chain([&section["error"]["message"]]) {
        assert!(message.contains(text.as_str().unwrap_or_default()), "{text} is not in {message}");
    }
}

/// The announced values are on the cluster.
async fn values(stage: &Stage<'_>, said: &Value) {
    for object in said["kustomizations"][0]["objects"].as_array().unwrap() {
        let fields = object["fields"].as_array().unwrap().iter();
        if object["kind"] != "ConfigMap" || object["action"] != "configured" {
            continue;
        }
        let data = stage.data(object["name"].as_str().unwrap()).await.unwrap();
        for field in fields {
            let Some(key) = field["path"].as_str().unwrap().strip_prefix("data.") else { continue };
            assert_eq!(json!(data.get(key)), field["after"], "{object:#}");
        }
    }
}
