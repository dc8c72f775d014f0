//! The table of README: what comes of each habit of people with kubectl, by the policy for drift.

use kube::api::{Api, DeleteParams, DynamicObject};
use serde_json::{Value, json};

use super::stage::{PATIENCE, Stage, api, condition, patch, stage};

const POLICIES: [&str; 3] = ["watch", "interval", "report"];
const KUBECTL: &str = "kubectl-edit";

/// A ConfigMap of a policy's Kustomization.
fn map(policy: &str, name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": format!("{name}-{policy}")},
           "data": {"value": "1"}})
}

/// A Deployment of a policy's Kustomization, of which Git sets the replica count or not.
fn deployment(policy: &str, name: &str, replicas: Option<u32>) -> Value {
    let pods = json!({"containers": [{"name": "c", "image": "example.org/c"}]});
    let mut object = json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": format!("{name}-{policy}")},
        "spec": {"selector": {"matchLabels": {"app": name}},
                 "template": {"metadata": {"labels": {"app": name}}, "spec": pods}}});
    if let Some(replicas) = replicas {
        object["spec"]["replicas"] = replicas.into();
    }
    object
}

/// A child Kustomization whose build is not checked.
fn child(stage: &Stage<'_>, policy: &str) -> Value {
    json!({"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
           "metadata": {"name": format!("child-{policy}"), "namespace": stage.namespace},
           "spec": {"interval": "10m", "prune": true, "path": format!("./child/{policy}"), "targetNamespace": stage.namespace,
                    "sourceRef": {"kind": "GitRepository", "name": "repo"}}})
}

const MAPS: [&str; 5] = ["edited", "deleted", "kept", "left", "joined"];

fn files(stage: &Stage<'_>, policy: &str) -> Vec<(String, String)> {
    let mut objects: Vec<Value> = MAPS.iter().map(|name| map(policy, name)).collect();
    objects.push(deployment(policy, "scaled", Some(2)));
    objects.push(deployment(policy, "free", None));
    objects.push(child(stage, policy));
    let text = |object: &Value| {
        (format!("{policy}/{}.yaml", object["metadata"]["name"]).replace('"', ""), object.to_string())
    };
    let inner = (format!("child/{policy}/c.yaml"), map(policy, "c").to_string());
    objects.iter().map(text).chain([inner]).collect()
}

struct People<'s> {
    stage: &'s Stage<'s>,
    deployments: Api<DynamicObject>,
}

impl People<'_> {
    /// Each habit, on the objects of a Kustomization.
    async fn work(&self, policy: &str) {
        let maps = self.stage.config_maps();
        let of = |name: &str| format!("{name}-{policy}");
        // Requests come first: the annotations that protect an object must be set before anything is
        // corrected.
        let annotate = |key: &str, value: &str| json!({"metadata": {"annotations": {format!("kustomize.toolkit.fluxcd.io/{key}"): value}}});
        patch(&maps, &of("kept"), "kubectl-annotate", annotate("prune", "disabled")).await;
        patch(&maps, &of("left"), "kubectl-annotate", annotate("reconcile", "disabled")).await;
        let edit = json!({"data": {"value": "edited"}});
        patch(&maps, &of("left"), KUBECTL, edit.clone()).await;
        let restart = json!({"kubectl.kubernetes.io/restartedAt": "2026-01-01T00:00:00Z"});
        let restart = json!({"spec": {"template": {"metadata": {"annotations": restart}}}});
        patch(&self.deployments, &of("free"), "kubectl-rollout", restart).await;
        self.scale(&of("free"), 3).await;
        patch(&self.stage.kustomizations(), &of("child"), "flux", json!({"spec": {"suspend": true}})).await;
        patch(&maps, &of("joined"), "dashboard", json!({"data": {"theirs": "x"}})).await;
        patch(&maps, &of("edited"), KUBECTL, edit).await;
        maps.delete(&of("deleted"), &DeleteParams::default()).await.unwrap();
        self.scale(&of("scaled"), 5).await;
    }

    /// `kubectl scale`.
    async fn scale(&self, name: &str, replicas: u32) {
        let params = kube::api::PatchParams { field_manager: Some("kubectl".into()), ..Default::default() };
        let count = kube::api::Patch::Merge(json!({"spec": {"replicas": replicas}}));
        self.deployments.patch_scale(name, &params, &count).await.unwrap();
    }

    /// Whether drift is corrected: the edit, the deletion, and the count that Git sets.
    async fn drift(&self, policy: &str) -> [bool; 3] {
        let of = |name: &str| format!("{name}-{policy}");
        let value = self.stage.data(&of("edited")).await.map(|data| data["value"].clone());
        let is_there = self.stage.data(&of("deleted")).await.is_some();
        let scaled = self.deployments.get(&of("scaled")).await.unwrap();
        [value.as_deref() == Some("1"), is_there, scaled.data["spec"]["replicas"] == 2]
    }

    async fn put_back(&self, policy: &str) {
        harness::eventually(PATIENCE, async || {
            let is_as_in_git = self.drift(policy).await;
            anyhow::ensure!(is_as_in_git == [true; 3], "{policy}: {is_as_in_git:?}");
            Ok(())
        })
        .await
        .unwrap();
    }

    /// A request, and a field of somebody else, stay under every policy.
    async fn stands(&self, policy: &str) {
        let of = |name: &str| format!("{name}-{policy}");
        let data = async |name: &str| self.stage.data(&of(name)).await.unwrap();
        assert_eq!(data("left").await["value"], "edited", "{policy}");
        assert_eq!(data("joined").await["theirs"], "x", "{policy}");
        assert!(self.stage.data(&of("kept")).await.is_some(), "{policy}");
        let free = self.deployments.get(&of("free")).await.unwrap();
        assert_eq!(free.data["spec"]["replicas"], 3, "{policy}");
        let annotations = &free.data["spec"]["template"]["metadata"]["annotations"];
        assert_eq!(annotations["kubectl.kubernetes.io/restartedAt"], "2026-01-01T00:00:00Z", "{policy}");
        let child = self.stage.kustomizations().get(&of("child")).await.unwrap();
        assert_eq!(child.data["spec"]["suspend"], true, "{policy}");
    }
}

/// Asks for a run, as the end of the interval does.
async fn ask(stage: &Stage<'_>, name: &str, token: &str) {
    let request = json!({"metadata": {"annotations": {"reconcile.fluxcd.io/requestedAt": token}}});
    patch(&stage.kustomizations(), name, "test", request).await;
    let handled = |status: &Value| {
        status["lastHandledReconcileAt"] == token && condition(status, "Ready")["status"] == "True"
    };
    stage.until(name, "asked", handled).await;
}

#[tokio::test]
async fn each_habit_comes_to_what_the_table_says() {
    let stage = stage("habits", &[]).await;
    let files: Vec<(String, String)> = POLICIES.iter().flat_map(|policy| files(&stage, policy)).collect();
    let all: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    stage.push(&all);
    let _agent = stage.agent().await;
    for policy in POLICIES {
        stage.kustomization(policy, json!({})).await;
        patch(
            &stage.kustomizations(),
            policy,
            "test",
            json!({"metadata": {"annotations": {"lockgate.dev/drift": policy}}}),
        )
        .await;
    }
    for policy in POLICIES {
        stage.ready(policy).await;
        stage.ready(&format!("child-{policy}")).await;
    }
    let deployments = api(&stage.client, &stage.namespace, "apps/v1", "Deployment", "deployments");
    let people = People { stage: &stage, deployments };
    for policy in ["interval", "report", "watch"] {
        people.work(policy).await;
    }
    people.put_back("watch").await;
    assert_eq!(people.drift("interval").await, [false; 3]);
    for policy in POLICIES {
        ask(&stage, policy, "now").await;
    }
    people.put_back("interval").await;
    let drifted = |status: &Value| {
        let drifted = condition(status, "Drifted");
        let message = drifted["message"].as_str().unwrap_or_default().to_owned();
        let told = [
            "/edited-report (data.value)",
            "/deleted-report (metadata.name)",
            "/scaled-report (spec.replicas)",
        ];
        told.iter().all(|object| message.contains(object))
            && !message.contains("/free")
            && !message.contains("/joined")
    };
    stage.until("report", "said to have drifted", drifted).await;
    assert_eq!(people.drift("report").await, [false; 3]);
    // A commit is a new revision for all of them, and objects that are protected from pruning stay.
    let dropped: Vec<(String, Option<&str>)> =
        POLICIES.iter().map(|policy| (format!("{policy}/kept-{policy}.yaml"), None)).collect();
    let dropped: Vec<(&str, Option<&str>)> =
        dropped.iter().map(|(path, text)| (path.as_str(), *text)).collect();
    stage.repo.commit("main", "drop what is kept", &dropped).unwrap();
    for policy in POLICIES {
        stage.ready(policy).await;
        people.stands(policy).await;
    }
    let [is_unedited, _, is_unscaled] = people.drift("report").await;
    assert!(!is_unedited && !is_unscaled);
}

/// An object may say otherwise than its Kustomization, in either direction.
#[tokio::test]
async fn what_an_object_says_of_its_drift_counts_before_its_kustomization() {
    let said = |name: &str, policy: &str| {
        let mut map = map(policy, name);
        map["metadata"]["annotations"] = json!({"lockgate.dev/drift": policy});
        map.to_string()
    };
    let stage = stage(
        "said",
        &[("late/a.yaml", &said("said", "watch")), ("prompt/a.yaml", &said("said", "interval"))],
    )
    .await;
    let _agent = stage.agent().await;
    for (name, policy) in [("late", "interval"), ("prompt", "watch")] {
        stage.kustomization(name, json!({})).await;
        patch(
            &stage.kustomizations(),
            name,
            "test",
            json!({"metadata": {"annotations": {"lockgate.dev/drift": policy}}}),
        )
        .await;
        stage.ready(name).await;
    }
    let maps = stage.config_maps();
    for name in ["said-interval", "said-watch"] {
        patch(&maps, name, KUBECTL, json!({"data": {"value": "edited"}})).await;
    }
    let is = async |name: &str, value: &str| {
        let data = stage.data(name).await.unwrap_or_default();
        anyhow::ensure!(data.get("value").map(String::as_str) == Some(value), "{name}: {data:?}");
        Ok(())
    };
    harness::eventually(PATIENCE, async || is("said-watch", "1").await).await.unwrap();
    is("said-interval", "edited").await.unwrap();
    maps.delete("said-watch", &DeleteParams::default()).await.unwrap();
    harness::eventually(PATIENCE, async || is("said-watch", "1").await).await.unwrap();
    is("said-interval", "edited").await.unwrap();
    ask(&stage, "prompt", "now").await;
    harness::eventually(PATIENCE, async || is("said-interval", "1").await).await.unwrap();
}
