//! What the API server or a webhook refuses: each is told with its object and cause, and what is beside it
//! goes on.

use harness::{Answer, Webhook, eventually};
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use super::stage::{PATIENCE, Stage, condition, config_map, stage};

/// A folder, its objects, what the message of its Kustomization holds, and which of its objects are there all
/// the same.
struct Case {
    name: &'static str,
    objects: Vec<Value>,
    told: Vec<&'static str>,
    there: &'static [&'static str],
}

fn object(name: &str, rest: &Value) -> Value {
    let mut object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}});
    json_patch::merge(&mut object, rest);
    object
}

/// A definition of `Gadget` in two versions, of which the first is stored.
fn definition(group: &str, rest: &Value) -> Value {
    let schema = json!({"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}});
    let version =
        |name: &str| json!({"name": name, "served": true, "storage": name == "v1", "schema": schema});
    let mut definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("gadgets.{group}")},
        "spec": {"group": group, "scope": "Namespaced", "names": {"kind": "Gadget", "plural": "gadgets"},
                 "versions": [version("v1"), version("v2")]}});
    json_patch::merge(&mut definition, rest);
    definition
}

/// I19: definitions that are broken, not served, or converted by nobody.
fn definitions() -> Vec<Case> {
    let gadget = |group: &str, version: &str| json!({"apiVersion": format!("{group}/{version}"), "kind": "Gadget", "metadata": {"name": "g"}});
    let broken = json!([{"name": "v1", "served": true, "storage": true,
                         "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": {"type": "objekt"}}}}}]);
    let unserved = json!([{"name": "v1", "served": false, "storage": true,
                           "schema": {"openAPIV3Schema": {"type": "object"}}}]);
    let nobody = json!({"strategy": "Webhook", "webhook": {
        "conversionReviewVersions": ["v1"], "clientConfig": {"url": "https://127.0.0.1:9/"}}});
    vec![
        Case {
            name: "broken",
            objects: vec![
                definition("broken.example.org", &json!({"spec": {"versions": broken}})),
                object("broken", &json!({})),
            ],
            told: vec!["CustomResourceDefinition/gadgets.broken.example.org", "objekt"],
            there: &[],
        },
        Case {
            name: "unserved",
            objects: vec![
                definition("unserved.example.org", &json!({"spec": {"versions": unserved}})),
                gadget("unserved.example.org", "v1"),
            ],
            told: vec!["Gadget/", "unserved.example.org"],
            there: &[],
        },
        Case {
            name: "converted",
            objects: vec![
                definition("converted.example.org", &json!({"spec": {"conversion": nobody}})),
                gadget("converted.example.org", "v2"),
            ],
            told: vec!["Gadget/", "webhook", "converts"],
            there: &[],
        },
    ]
}

/// I09, I13, I39: what is too large, names and labels that the server does not take, all of them in one
/// message, and a Secret that SOPS has encrypted.
fn objects() -> Vec<Case> {
    let label = "x".repeat(64);
    vec![
        Case {
            name: "large",
            objects: vec![
                object("large", &json!({"data": {"value": "x".repeat(3_500_000)}})),
                object("beside-large", &json!({})),
            ],
            told: vec!["ConfigMap/", "/large", "too large", "split it"],
            there: &[],
        },
        Case {
            name: "encrypted",
            objects: vec![
                object(
                    "encrypted",
                    &json!({"kind": "Secret", "stringData": {"a": "ENC[AES256_GCM,data:x,type:str]"},
                                            "sops": {"mac": "ENC[AES256_GCM,data:y,type:str]"}}),
                ),
                object("beside-encrypted", &json!({})),
            ],
            told: vec!["Secret/", "/encrypted is SOPS encrypted", "configure spec.decryption"],
            there: &[],
        },
        Case {
            name: "long",
            objects: vec![object("long", &json!({"data": {"value": "x".repeat(1_100_000)}}))],
            told: vec!["ConfigMap/", "/long", "Too long"],
            there: &[],
        },
        Case {
            name: "names",
            objects: vec![
                object("Bad_Name", &json!({})),
                object("label", &json!({"metadata": {"labels": {"a": label}}})),
                object("beside-names", &json!({})),
            ],
            told: vec!["2 objects are refused", "Bad_Name", "/label ", "63"],
            there: &[],
        },
    ]
}

async fn refused(stage: &Stage<'_>, case: &Case) {
    let name = case.name;
    let message = stage.reason(name, "ReconciliationFailed").await;
    println!("{name}: {message}");
    for told in &case.told {
        assert!(message.contains(told), "{name}: no {told:?} in {message}");
    }
    assert!(message.len() < 20_000, "{name}: {} bytes", message.len());
    for there in case.there {
        assert!(stage.data(there).await.is_some(), "{name}: {there}");
    }
    assert!(stage.data(&format!("beside-{name}")).await.is_none(), "nothing of the stage is written");
}

#[tokio::test]
async fn what_the_server_does_not_take_is_told_with_its_object() {
    let cases: Vec<Case> = objects().into_iter().chain(definitions()).collect();
    let file = |case: &Case| {
        let text: Vec<String> = case.objects.iter().map(Value::to_string).collect();
        (format!("{}/a.yaml", case.name), text.join("\n---\n"))
    };
    let mut files: Vec<(String, String)> = cases.iter().map(file).collect();
    files.push(("good/a.yaml".into(), config_map("good", "1")));
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    let stage = stage("refused", &files).await;
    let agent = stage.agent().await;
    for case in &cases {
        stage.kustomization(case.name, json!({})).await;
    }
    stage.kustomization("good", json!({})).await;
    stage.ready("good").await;
    for case in &cases {
        refused(&stage, case).await;
    }
    assert!(agent.exited().is_none());
}

/// I32: of twenty objects a webhook denies one; its words are told, and the next try heals.
#[tokio::test]
async fn what_a_webhook_denies_is_told_in_its_words() {
    let files: Vec<(String, String)> =
        (0..20).map(|at| (format!("apps/{at}.yaml"), config_map(&format!("c{at}"), "1"))).collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    let stage = stage("denied", &files).await;
    let webhook = Webhook::start().unwrap();
    webhook.answer(|request| match request["name"].as_str() {
        Some("c7") => Answer::Deny("sevens are not wanted".into()),
        _ => Answer::Allow,
    });
    let name = stage.namespace.clone();
    let labels = json!({"webhook": name});
    stage
        .apply(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}))
        .await
        .unwrap();
    stage.apply(webhook.validating(&name, &["configmaps"])).await.unwrap();
    // The API server learns of it a moment after it is registered.
    eventually(PATIENCE, async || {
        let seven = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c7"}});
        let params = PatchParams::apply("test").dry_run();
        let refused = stage.config_maps().patch("c7", &params, &Patch::Apply(&seven)).await;
        anyhow::ensure!(refused.is_err(), "it is let in");
        Ok(())
    })
    .await
    .unwrap();
    let _agent = stage.agent().await;
    stage.kustomization("apps", json!({})).await;
    let message = stage.reason("apps", "ReconciliationFailed").await;
    let told = format!("admission webhook \"{name}.example.org\" denied the request: sevens are not wanted");
    assert!(message.contains("/c7 ") && message.contains(&told), "{message}");
    webhook.answer(|_| Answer::Allow);
    stage.ready("apps").await;
    assert!(stage.data("c7").await.is_some() && stage.data("c19").await.is_some());
}

/// I34: what a finalizer holds is pruned as far as it can be, and holds up neither the rest nor its owner's
/// end for longer than its timeout.
#[tokio::test]
async fn what_a_finalizer_holds_is_no_hindrance_to_the_rest() {
    let held = object("held", &json!({"metadata": {"finalizers": ["example.org/stay"]}})).to_string();
    let stage = stage(
        "finalizer",
        &[
            ("apps/held.yaml", &held),
            ("apps/free.yaml", &config_map("free", "1")),
            ("apps/kept.yaml", &config_map("kept", "1")),
        ],
    )
    .await;
    let _agent = stage.agent().await;
    stage.kustomization("apps", json!({"timeout": "5s"})).await;
    stage.ready("apps").await;
    let gone = [("apps/held.yaml", None::<&str>), ("apps/free.yaml", None)];
    stage.repo.commit("main", "remove", &gone).unwrap();
    stage.ready("apps").await;
    assert!(stage.data("free").await.is_none() && stage.data("kept").await.is_some());
    let object = stage.config_maps().get("held").await.unwrap();
    assert!(object.metadata.deletion_timestamp.is_some());
    // It is waited for no longer once its owner goes, too.
    stage.kustomizations().delete("apps", &kube::api::DeleteParams::default()).await.unwrap();
    eventually(PATIENCE, async || {
        let left = stage.kustomizations().get_opt("apps").await?;
        let status = left.map(|object| condition(&object.data["status"], "Ready"));
        anyhow::ensure!(status.is_none(), "the Kustomization is still there: {status:?}");
        Ok(())
    })
    .await
    .unwrap();
    assert!(stage.data("kept").await.is_none());
    let free = json!({"metadata": {"finalizers": null}});
    stage.config_maps().patch("held", &PatchParams::default(), &Patch::Merge(free)).await.unwrap();
}
