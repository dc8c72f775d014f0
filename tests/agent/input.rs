//! Mistakes in Git: each case names file, object and cause, and leaves the last good state.

use harness::eventually;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};

use super::stage::{PATIENCE, Stage, condition, config_map, stage};

fn object(api_version: &str, kind: &str, name: &str, rest: &Value) -> String {
    let mut object = json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": name}});
    json_patch::merge(&mut object, rest);
    object.to_string()
}

/// I14: an unknown field is named by its path; nothing of the stage is written.
#[tokio::test]
async fn an_unknown_field_is_refused_with_its_path() {
    let bad = object("v1", "ConfigMap", "bad", &json!({"dataa": {"x": "y"}}));
    let stage =
        stage("field", &[("apps/bad.yaml", &bad), ("apps/good.yaml", &config_map("good", "1"))]).await;
    let _agent = stage.agent().await;
    stage.kustomization("apps", json!({})).await;
    let message = stage.reason("apps", "ReconciliationFailed").await;
    assert!(
        message.contains("ConfigMap/") && message.contains("bad") && message.contains("dataa"),
        "{message}"
    );
    assert!(stage.data("good").await.is_none());
    stage.push(&[("apps/bad.yaml", &config_map("bad", "1"))]);
    stage.ready("apps").await;
}

/// I17: the Kustomization waits for a namespace that another one creates later, and applies it before the
/// interval is over.
#[tokio::test]
async fn a_namespace_that_comes_later_is_picked_up_soon() {
    let stage = stage("late", &[("apps/a.yaml", &config_map("a", "1"))]).await;
    let _agent = stage.agent().await;
    let other = format!("{}-other", stage.namespace);
    stage.kustomization("apps", json!({"targetNamespace": other, "retryInterval": "10m"})).await;
    let message = stage.reason("apps", "ReconciliationFailed").await;
    assert!(message.contains("not found") && message.contains(&other), "{message}");
    stage.apply(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": other}})).await.unwrap();
    stage.ready("apps").await;
}

/// I18: one build with a definition and its custom resource takes one reconcile.
#[tokio::test]
async fn a_definition_and_its_resource_are_one_build() {
    let stage = stage("crd", &[]).await;
    let group = format!("{}.example.com", stage.namespace);
    let definition = object(
        "apiextensions.k8s.io/v1",
        "CustomResourceDefinition",
        &format!("widgets.{group}"),
        &json!({"spec": {
            "group": group, "scope": "Namespaced", "names": {"kind": "Widget", "plural": "widgets"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {
                "type": "object", "properties": {"spec": {"type": "object", "properties": {"size": {"type": "integer"}}}}}}}],
        }}),
    );
    let widget = object(&format!("{group}/v1"), "Widget", "one", &json!({"spec": {"size": 1}}));
    stage.push(&[("apps/crd.yaml", &definition), ("apps/widget.yaml", &widget)]);
    let agent = stage.agent().await;
    stage.kustomization("apps", json!({"retryInterval": "10m", "wait": true})).await;
    stage.ready("apps").await;
    assert!(!agent.output().contains("refused"), "it took more than one reconcile");
    // Another build uses the definition.
    let two = widget.replace("\"one\"", "\"two\"");
    stage.push(&[("more/widget.yaml", &two)]);
    stage.kustomization("more", json!({"dependsOn": [{"name": "apps"}], "retryInterval": "10m"})).await;
    stage.ready("more").await;
    // I14: a field that the definition does not have.
    stage.push(&[("more/widget.yaml", &two.replace("size", "sizee"))]);
    let message = stage.reason("more", "ReconciliationFailed").await;
    assert!(message.contains("Widget/") && message.contains(".spec.sizee"), "{message}");
}

/// I31: every immutable field is reported with its cure. With force only these objects are recreated.
#[tokio::test]
async fn an_immutable_change_needs_force() {
    let stage = stage("immutable", &[]).await;
    let _agent = stage.agent().await;
    let push = |word: &str| {
        let all = fixed(word).map(|value| value.to_string()).join("\n---\n");
        stage.push(&[("apps/fixed.yaml", &all), ("apps/free.yaml", &config_map("free", word))]);
    };
    push("one");
    stage.kustomization("apps", json!({})).await;
    stage.ready("apps").await;
    let before = uids(&stage).await;
    push("two");
    let message = stage.reason("apps", "ReconciliationFailed").await;
    assert!(message.starts_with("4 objects are refused"), "{message}");
    for subject in ["Secret/", "Job/", "Deployment/", "Service/"] {
        let line = message.lines().find(|line| line.contains(subject)).unwrap();
        assert!(line.contains("immutable") && line.contains("spec.force"), "{line}");
    }
    assert_eq!(uids(&stage).await, before);
    stage.kustomization("apps", json!({"force": true})).await;
    stage.ready("apps").await;
    let after = uids(&stage).await;
    let same: Vec<bool> = before.iter().zip(&after).map(|(before, after)| before == after).collect();
    assert_eq!(same, [false, false, false, false, true], "only what cannot change is made anew");
    assert_eq!(stage.data("free").await.unwrap()["value"], "two");
}

/// An object with data is not deleted because a Kustomization has `spec.force`, and no message recommends it.
#[tokio::test]
async fn a_claim_outlives_the_force_of_its_kustomization() {
    let claim = |mode: &str, annotations: Value| {
        let spec = json!({"accessModes": [mode], "storageClassName": "", "resources": {"requests": {"storage": "1Gi"}}});
        object(
            "v1",
            "PersistentVolumeClaim",
            "data",
            &json!({"metadata": {"annotations": annotations}, "spec": spec}),
        )
    };
    let stage = stage("claim", &[("apps/a.yaml", &claim("ReadWriteOnce", json!({})))]).await;
    let _agent = stage.agent().await;
    stage.kustomization("apps", json!({"force": true})).await;
    stage.ready("apps").await;
    let claims = super::stage::api(
        &stage.client,
        &stage.namespace,
        "v1",
        "PersistentVolumeClaim",
        "persistentvolumeclaims",
    );
    let before = claims.get("data").await.unwrap().metadata.uid;
    stage.push(&[("apps/a.yaml", &claim("ReadWriteMany", json!({})))]);
    let message = stage.reason("apps", "ReconciliationFailed").await;
    assert!(message.contains("undo the change") && message.contains("its data would be lost"), "{message}");
    assert!(!message.contains("force"), "{message}");
    assert_eq!(claims.get("data").await.unwrap().metadata.uid, before);
    // An annotation on the object itself is explicit.
    let forced = json!({"kustomize.toolkit.fluxcd.io/force": "enabled"});
    stage.push(&[("apps/a.yaml", &claim("ReadWriteMany", forced))]);
    stage.ready("apps").await;
    assert_ne!(claims.get("data").await.unwrap().metadata.uid, before);
    let event = stage
        .event("about the deletion", |message| {
            message.contains("is deleted and recreated, and loses its data")
        })
        .await;
    assert_eq!(
        (event.data["type"].as_str(), event.data["reason"].as_str()),
        (Some("Warning"), Some("Recreated"))
    );
}

/// I31: an object may request for itself the behaviour that `spec.force` requests for all.
#[tokio::test]
async fn one_object_asks_to_be_made_anew() {
    let secret = |name: &str, word: &str, annotations: Value| {
        let rest = json!({"metadata": {"annotations": annotations}, "immutable": true, "stringData": {"word": word}});
        object("v1", "Secret", name, &rest)
    };
    let willing =
        |word: &str| secret("willing", word, json!({"kustomize.toolkit.fluxcd.io/force": "enabled"}));
    let other = |word: &str| secret("other", word, json!({}));
    let stage = stage("anew", &[("apps/a.yaml", &willing("one")), ("apps/b.yaml", &other("one"))]).await;
    let _agent = stage.agent().await;
    stage.kustomization("apps", json!({})).await;
    stage.ready("apps").await;
    let secrets = super::stage::api(&stage.client, &stage.namespace, "v1", "Secret", "secrets");
    let before = secrets.get("willing").await.unwrap().metadata.uid;
    stage.push(&[("apps/b.yaml", &other("two"))]);
    let message = stage.reason("apps", "ReconciliationFailed").await;
    assert!(message.contains("Secret/") && message.contains("/other"), "{message}");
    stage.push(&[("apps/a.yaml", &willing("two")), ("apps/b.yaml", &other("one"))]);
    stage.ready("apps").await;
    let after = secrets.get("willing").await.unwrap();
    assert_ne!(after.metadata.uid, before);
    assert_eq!(after.data["data"]["word"], "dHdv", "`two` in base64");
}

/// Objects with an immutable field, which contains this word.
fn fixed(word: &str) -> [Value; 4] {
    let object = |api_version: &str, kind: &str, rest: Value| {
        let mut value = json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": "fixed"}});
        json_patch::merge(&mut value, &rest);
        value
    };
    let pod = |labels: Value, restart: &str| {
        json!({"metadata": {"labels": labels},
               "spec": {"restartPolicy": restart, "containers": [{"name": "c", "image": format!("example.org/{word}")}]}})
    };
    let labels = json!({"app": word});
    [
        object("v1", "Secret", json!({"immutable": true, "stringData": {"word": word}})),
        object("batch/v1", "Job", json!({"spec": {"template": pod(json!({}), "Never")}})),
        object(
            "apps/v1",
            "Deployment",
            json!({"spec": {"replicas": 0, "selector": {"matchLabels": labels},
                                                        "template": pod(labels.clone(), "Always")}}),
        ),
        object(
            "v1",
            "Service",
            json!({"spec": {"clusterIP": if word == "one" { "10.0.31.1" } else { "10.0.31.2" }, "ports": [{"port": 80}]}}),
        ),
    ]
}

async fn uids(stage: &Stage<'_>) -> Vec<Option<String>> {
    let kinds = [
        ("v1", "Secret", "secrets", "fixed"),
        ("batch/v1", "Job", "jobs", "fixed"),
        ("apps/v1", "Deployment", "deployments", "fixed"),
        ("v1", "Service", "services", "fixed"),
        ("v1", "ConfigMap", "configmaps", "free"),
    ];
    let mut uids = Vec::new();
    for (api_version, kind, plural, name) in kinds {
        let api = super::stage::api(&stage.client, &stage.namespace, api_version, kind, plural);
        uids.push(api.get(name).await.unwrap().metadata.uid);
    }
    uids
}

/// I35: a namespace that is being deleted is reported with the time and the finalizers that hold it, and the
/// agent waits for its end.
#[tokio::test]
async fn a_namespace_on_its_way_out_is_waited_for() {
    let stage = stage("terminating", &[("apps/a.yaml", &config_map("a", "1"))]).await;
    let other = format!("{}-other", stage.namespace);
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": other}});
    stage.apply(namespace.clone()).await.unwrap();
    let held = json!({"apiVersion": "v1", "kind": "ConfigMap",
                      "metadata": {"name": "held", "namespace": other, "finalizers": ["example.com/hold"]}});
    stage.apply(held).await.unwrap();
    let namespaces: kube::Api<k8s_openapi::api::core::v1::Namespace> = kube::Api::all(stage.client.clone());
    namespaces.delete(&other, &DeleteParams::default()).await.unwrap();
    eventually(PATIENCE, async || {
        let text = serde_json::to_string(&namespaces.get(&other).await?)?;
        anyhow::ensure!(text.contains("finalizers remaining"), "{text}");
        Ok(())
    })
    .await
    .unwrap();
    let since = namespaces.get(&other).await.unwrap().metadata.deletion_timestamp.unwrap().0.to_string();
    let _agent = stage.agent().await;
    // Neither interval nor retry comes round in this test.
    stage.kustomization("apps", json!({"targetNamespace": other, "retryInterval": "10m"})).await;
    let message = stage.reason("apps", "ReconciliationFailed").await;
    let told = format!(
        "namespace {other} terminating since {since} (finalizers: kubernetes, example.com/hold in 1 resource instances)"
    );
    assert!(message.contains(&told), "no {told:?} in {message}");
    let status = stage.kustomizations().get("apps").await.unwrap().data["status"].clone();
    assert_eq!(condition(&status, "Reconciling")["reason"], "ProgressingWithRetry", "it is transient");
    let maps = super::stage::api(&stage.client, &other, "v1", "ConfigMap", "configmaps");
    let free = json!({"metadata": {"finalizers": null}});
    maps.patch("held", &PatchParams::default(), &Patch::Merge(free)).await.unwrap();
    eventually(PATIENCE, async || {
        anyhow::ensure!(namespaces.get_opt(&other).await?.is_none(), "the namespace is still there");
        Ok(())
    })
    .await
    .unwrap();
    stage.apply(namespace).await.unwrap();
    stage.ready("apps").await;
}

/// I36: a missing path deletes nothing, and an empty build deletes no more than ten objects unless that is
/// allowed.
#[tokio::test]
async fn a_missing_path_and_an_empty_build_do_not_delete() {
    let many: Vec<(String, String)> =
        (0..11).map(|n| (format!("apps/{n}.yaml"), config_map(&format!("c{n}"), "1"))).collect();
    let files: Vec<(&str, &str)> = many.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    let stage = stage("empty", &files).await;
    let _agent = stage.agent().await;
    stage.kustomization("apps", json!({})).await;
    stage.ready("apps").await;
    let gone: Vec<(&str, Option<&str>)> = files.iter().map(|(path, _)| (*path, None)).collect();
    stage.repo.commit("main", "remove", &gone).unwrap();
    let message = stage.reason("apps", "ArtifactFailed").await;
    assert!(message.contains("kustomization path not found"), "{message}");
    assert!(stage.data("c0").await.is_some());
    // A folder without manifests builds to nothing, and so does a kustomization without resources.
    stage.push(&[("apps/README.md", "# Apps\n")]);
    stage.reason("apps", "PruneFailed").await;
    stage.push(&[("apps/kustomization.yaml", "resources: []\n")]);
    let message = stage.reason("apps", "PruneFailed").await;
    assert!(message.contains("11 objects") && message.contains("lockgate.dev/prune-all"), "{message}");
    assert!(stage.data("c10").await.is_some());
    let allow = json!({"metadata": {"annotations": {"lockgate.dev/prune-all": "allowed"}}});
    let params = PatchParams::default();
    stage.kustomizations().patch("apps", &params, &Patch::Merge(allow)).await.unwrap();
    stage.ready("apps").await;
    assert!(stage.data("c0").await.is_none() && stage.data("c10").await.is_none());
}

/// An object that is removed from Git is pruned, and an object that is not ours stays.
#[tokio::test]
async fn what_is_no_longer_built_is_deleted() {
    let stage =
        stage("prune", &[("apps/a.yaml", &config_map("a", "1")), ("apps/b.yaml", &config_map("b", "1"))])
            .await;
    let _agent = stage.agent().await;
    stage.kustomization("apps", json!({})).await;
    stage.ready("apps").await;
    stage.repo.commit("main", "remove", &[("apps/b.yaml", None::<&str>)]).unwrap();
    let status = stage.ready("apps").await;
    assert!(stage.data("a").await.is_some() && stage.data("b").await.is_none());
    assert_eq!(status["inventory"]["entries"].as_array().unwrap().len(), 1);
    stage.kustomizations().delete("apps", &DeleteParams::default()).await.unwrap();
    eventually(PATIENCE, async || {
        anyhow::ensure!(
            stage.kustomizations().get_opt("apps").await?.is_none(),
            "the Kustomization is still there"
        );
        Ok(())
    })
    .await
    .unwrap();
    assert!(stage.data("a").await.is_none());
}

/// I20: a variable of a ConfigMap; an unset one is an error; a missing ConfigMap is waited for.
#[tokio::test]
async fn variables_are_substituted_and_missing_ones_are_told() {
    let stage =
        stage("vars", &[("apps/a.yaml", &config_map("a", "${region}-${missing:=none}-$${kept}"))]).await;
    let untouched = r#"{"apiVersion": "v1", "kind": "ConfigMap", "data": {"value": "${region}"}, "metadata": {"name": "raw",
        "annotations": {"kustomize.toolkit.fluxcd.io/substitute": "disabled"}}}"#;
    let structured =
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: yaml}\ndata:\n  value: ${structure}\n";
    stage.push(&[("apps/raw.yaml", untouched), ("apps/yaml.yaml", structured)]);
    let _agent = stage.agent().await;
    let from = json!([{"kind": "ConfigMap", "name": "cluster-variables"}]);
    stage.kustomization("apps", json!({"postBuild": {"substituteFrom": from}})).await;
    let message = stage.reason("apps", "BuildFailed").await;
    assert!(message.contains("substitute from 'ConfigMap/cluster-variables' error"), "{message}");
    stage
        .apply(json!({"apiVersion": "v1", "kind": "ConfigMap", 
                      "data": {"region": "eu-west9", "structure": "'a: b # \"c\"'\n"},
                      "metadata": {"name": "cluster-variables", "namespace": stage.namespace}}))
        .await
        .unwrap();
    stage.ready("apps").await;
    assert_eq!(stage.data("a").await.unwrap()["value"], "eu-west9-none-${kept}");
    assert_eq!(
        stage.data("yaml").await.unwrap()["value"],
        r#"a: b # "c""#,
        "its own quotes make it a string"
    );
    assert_eq!(stage.data("raw").await.unwrap()["value"], "${region}", "its annotation says so");
    stage.push(&[("apps/a.yaml", &config_map("a", "${one}${two}"))]);
    let message = stage.reason("apps", "BuildFailed").await;
    assert!(message.contains("one") && message.contains("two"), "both are told: {message}");
}

/// I38: a malformed object stalls alone, and holds up no other.
#[tokio::test]
async fn a_malformed_object_stalls_alone() {
    let stage = stage("malformed", &[("good/a.yaml", &config_map("a", "1"))]).await;
    let _agent = stage.agent().await;
    // The schema accepts a number with more digits than a duration can hold.
    stage.kustomization("bad", json!({"interval": "99999999999999999999h"})).await;
    stage.kustomization("good", json!({})).await;
    stage.ready("good").await;
    let status =
        stage.until("bad", "stalled", |status| condition(status, "Stalled")["status"] == "True").await;
    assert!(condition(&status, "Ready")["message"].to_string().contains("99999999999999999999h"), "{status}");
}
