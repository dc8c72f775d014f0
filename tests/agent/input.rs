//! What is wrong with what is in Git: each case names file, object and cause, and leaves the last good state.

use harness::eventually;
use serde_json::{Value, json};

use super::stage::{PATIENCE, condition, config_map, stage};

fn object(api_version: &str, kind: &str, name: &str, rest: &Value) -> String {
    let mut object = json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": name}});
    json_patch::merge(&mut object, rest);
    object.to_string()
}

/// I01, I04, I07, I08, I11: nothing is applied, nothing is deleted, and the next good commit heals.
/// A case's name, the files that make it, and what its message names.
type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a str);

#[tokio::test]
async fn what_cannot_be_built_is_told_with_its_file_and_changes_nothing() {
    let good = config_map("good", "1");
    let stage = stage("build", &[("apps/good.yaml", &good)]).await;
    let _agent = stage.agent().await;
    stage.kustomization("apps", json!({})).await;
    stage.ready("apps").await;
    let kustomization = |resource: &str| format!("resources: [good.yaml, {resource}]\n");
    let (remote, outside) =
        (kustomization("https://example.com/base.yaml"), kustomization("../../../etc/passwd"));
    let (cycle, again) = (kustomization("../other"), "resources: [../apps]\n".to_owned());
    let cases: [Case<'_>; 5] = [
        ("malformed", &[("apps/bad.yaml", "a: [1,\nb: {")], "apps/bad.yaml"),
        ("duplicate", &[("apps/bad.yaml", &good)], "bad.yaml"),
        (
            "remote",
            &[("apps/bad.yaml", "{}"), ("apps/kustomization.yaml", &remote)],
            "https://example.com/base.yaml",
        ),
        ("outside", &[("apps/kustomization.yaml", &outside)], "etc/passwd"),
        ("cyclic", &[("apps/kustomization.yaml", &cycle), ("other/kustomization.yaml", &again)], "other"),
    ];
    for (case, files, named) in cases {
        let revision = stage.push(files);
        let status = stage
            .until("apps", case, |status| {
                condition(status, "Ready")["reason"] == "BuildFailed"
                    && status["lastAttemptedRevision"] == revision.as_str()
            })
            .await;
        let message = condition(&status, "Ready")["message"].as_str().unwrap().to_owned();
        assert!(message.contains(named), "{case}: {message}");
        assert_eq!(stage.data("good").await.unwrap()["value"], "1", "{case}");
    }
    stage.push(&[
        ("apps/kustomization.yaml", "resources: [good.yaml]\n"),
        ("apps/good.yaml", &config_map("good", "2")),
    ]);
    stage.ready("apps").await;
    assert_eq!(stage.data("good").await.unwrap()["value"], "2");
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

/// I17: a namespace that another Kustomization makes later is waited for, and not until the interval.
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

/// I18: a definition and its custom resource in one build, in one reconcile.
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
}

/// I31: what cannot change is said with its cure, and is made anew with force.
#[tokio::test]
async fn an_immutable_change_needs_force() {
    let secret = |value: &str| {
        object("v1", "Secret", "fixed", &json!({"immutable": true, "stringData": {"word": value}}))
    };
    let stage = stage("immutable", &[("apps/a.yaml", &secret("one"))]).await;
    let _agent = stage.agent().await;
    stage.kustomization("apps", json!({})).await;
    stage.ready("apps").await;
    let secrets = super::stage::api(&stage.client, &stage.namespace, "v1", "Secret", "secrets");
    let before = secrets.get("fixed").await.unwrap().metadata.uid;
    stage.push(&[("apps/a.yaml", &secret("two"))]);
    let message = stage.reason("apps", "ReconciliationFailed").await;
    assert!(message.contains("immutable") && message.contains("spec.force"), "{message}");
    stage.kustomization("apps", json!({"force": true})).await;
    stage.ready("apps").await;
    assert_ne!(secrets.get("fixed").await.unwrap().metadata.uid, before);
}

/// I36: a missing path deletes nothing, and an empty build deletes no more than ten objects unless that is allowed.
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
    stage.push(&[("apps/kustomization.yaml", "resources: []\n")]);
    let message = stage.reason("apps", "PruneFailed").await;
    assert!(message.contains("11 objects") && message.contains("lockgate.dev/prune-all"), "{message}");
    assert!(stage.data("c10").await.is_some());
    let allow = json!({"metadata": {"annotations": {"lockgate.dev/prune-all": "allowed"}}});
    let params = kube::api::PatchParams::default();
    stage.kustomizations().patch("apps", &params, &kube::api::Patch::Merge(allow)).await.unwrap();
    stage.ready("apps").await;
    assert!(stage.data("c0").await.is_none() && stage.data("c10").await.is_none());
}

/// What is taken out of Git goes, and what is not ours stays.
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
    stage.kustomizations().delete("apps", &kube::api::DeleteParams::default()).await.unwrap();
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
    let _agent = stage.agent().await;
    let from = json!([{"kind": "ConfigMap", "name": "cluster-variables"}]);
    stage.kustomization("apps", json!({"postBuild": {"substituteFrom": from}})).await;
    let message = stage.reason("apps", "BuildFailed").await;
    assert!(message.contains("substitute from 'ConfigMap/cluster-variables' error"), "{message}");
    stage
        .apply(json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"region": "eu-west9"},
                      "metadata": {"name": "cluster-variables", "namespace": stage.namespace}}))
        .await
        .unwrap();
    stage.ready("apps").await;
    assert_eq!(stage.data("a").await.unwrap()["value"], "eu-west9-none-${kept}");
    stage.push(&[("apps/a.yaml", &config_map("a", "${one}${two}"))]);
    let message = stage.reason("apps", "BuildFailed").await;
    assert!(message.contains("one") && message.contains("two"), "both are told: {message}");
}

/// I38: a malformed object stalls by itself, and holds up no other.
#[tokio::test]
async fn a_malformed_object_stalls_alone() {
    let stage = stage("malformed", &[("good/a.yaml", &config_map("a", "1"))]).await;
    let _agent = stage.agent().await;
    // The schema lets a number of digits through that no duration can hold.
    stage.kustomization("bad", json!({"interval": "99999999999999999999h"})).await;
    stage.kustomization("good", json!({})).await;
    stage.ready("good").await;
    let status =
        stage.until("bad", "stalled", |status| condition(status, "Stalled")["status"] == "True").await;
    assert!(condition(&status, "Ready")["message"].to_string().contains("99999999999999999999h"), "{status}");
}
