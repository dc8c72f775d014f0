//! Three namespaces that each exhaust another resource, and a platform beside them that still works. The test
//! has a control plane of its own, with one agent for all namespaces.

use std::net::TcpListener;

use harness::{Answer, ControlPlane, Options, Webhook, eventually};
use kube::api::ListParams;
use serde_json::{Value, json};

use super::stage::{PATIENCE, Stage, api, config_map, stage_on};

/// How many Kustomizations, or sources, a hostile namespace has: more than there are slots, requests or
/// threads.
const HOGS: usize = 40;
/// How many objects each Kustomization has whose requests are delayed: they are asked about at once, so that
/// few Kustomizations hold all requests.
const DELAYED: usize = 8;
/// How many Kustomizations the platform has.
const PLATFORM: usize = 10;

/// An object that cannot be changed, and not be deleted either before somebody takes its finalizer off.
fn staying(name: &str, value: &str) -> String {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "immutable": true, "data": {"value": value},
           "metadata": {"name": name, "finalizers": ["example.org/stay"]}})
    .to_string()
}

/// The files of all, at one of their commits.
fn files(value: &str) -> Vec<(String, String)> {
    let hogs = (0..HOGS).flat_map(|at| {
        let (forcing, delayed) = (format!("forcing-{at}"), format!("delayed-{at}"));
        let objects: Vec<String> =
            (0..DELAYED).map(|object| config_map(&format!("{delayed}-{object}"), value)).collect();
        [
            (format!("{forcing}/a.yaml"), staying(&forcing, value)),
            (format!("{delayed}/a.yaml"), objects.join("\n---\n")),
        ]
    });
    let platform = (0..PLATFORM).map(|at| (format!("k{at}/a.yaml"), config_map(&format!("k{at}"), value)));
    hogs.chain(platform).collect()
}

fn push(stage: &Stage<'_>, value: &str) {
    let files = files(value);
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    stage.push(&files);
}

async fn namespace(stage: &Stage<'_>, name: &str, labels: Value) {
    let metadata = json!({"name": name, "labels": labels});
    stage.apply(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})).await.unwrap();
}

/// Kustomizations of a hostile namespace, which build from the platform's source.
async fn hogs(stage: &Stage<'_>, namespace: &str) {
    for at in 0..HOGS {
        let name = format!("{namespace}-{at}");
        let spec = json!({"interval": "1m", "retryInterval": "1s", "prune": true, "force": true, "path": name,
                          "targetNamespace": namespace,
                          "sourceRef": {"kind": "GitRepository", "name": "repo", "namespace": stage.namespace}});
        let metadata = json!({"name": name, "namespace": namespace});
        stage
            .apply(json!({"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization", "metadata": metadata,
                          "spec": spec}))
            .await
            .unwrap();
    }
}

/// Sources at hosts that take a connection and then say nothing.
async fn silent(stage: &Stage<'_>, namespace: &str, port: u16) {
    for at in 0..HOGS {
        let url = format!("http://127.1.0.{}:{port}/o/r.git", at + 1);
        let metadata = json!({"name": format!("s{at}"), "namespace": namespace});
        stage
            .apply(json!({"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository", "metadata": metadata,
                          "spec": {"url": url, "interval": "1s", "timeout": "1440m"}}))
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_platform_is_served_beside_three_hostile_namespaces() {
    let plane = &ControlPlane::start(Options::bare()).await.unwrap();
    let stage = stage_on(plane, "platform", &[]).await;
    push(&stage, "1");
    let webhook = Webhook::start().unwrap();
    let hosts = TcpListener::bind("0.0.0.0:0").unwrap();
    for (name, labels) in
        [("forcing", json!({})), ("delayed", json!({"webhook": "delayed"})), ("silent", json!({}))]
    {
        namespace(&stage, name, labels).await;
    }
    for at in 0..PLATFORM {
        stage.kustomization(&format!("k{at}"), json!({})).await;
    }
    let agent = stage.agent_everywhere().await;
    hogs(&stage, "forcing").await;
    let forcing = api(&stage.client, "forcing", "v1", "ConfigMap", "configmaps");
    let count = |deleting: bool| {
        let forcing = forcing.clone();
        async move {
            let objects = forcing.list(&ListParams::default()).await?.items;
            let is_meant = |object: &&kube::api::DynamicObject| {
                object.metadata.name.as_deref().is_some_and(|name| name.starts_with("forcing"))
                    && object.metadata.deletion_timestamp.is_some() == deleting
            };
            anyhow::Ok(objects.iter().filter(is_meant).count())
        }
    };
    eventually(PATIENCE, async || {
        let there = count(false).await?;
        anyhow::ensure!(there == HOGS, "{there} are there");
        Ok(())
    })
    .await
    .unwrap();

    // All of them at once: what cannot be made anew, requests without an answer, hosts without an answer.
    webhook.answer(|_| Answer::Silent);
    let mut configuration = webhook.validating("delayed", &["configmaps"]);
    // As long as the server lets one take: each request of that namespace holds its place for so long.
    configuration["webhooks"][0]["timeoutSeconds"] = json!(30);
    stage.apply(configuration).await.unwrap();
    hogs(&stage, "delayed").await;
    silent(&stage, "silent", hosts.local_addr().unwrap().port()).await;
    push(&stage, "2");
    eventually(PATIENCE, async || {
        let going = count(true).await?;
        anyhow::ensure!(going > 0 && !webhook.requests().is_empty(), "{going} are going");
        Ok(())
    })
    .await
    .unwrap();

    push(&stage, "3");
    for at in 0..PLATFORM {
        stage.ready(&format!("k{at}")).await;
        assert_eq!(stage.data(&format!("k{at}")).await.unwrap()["value"], "3");
    }
    assert!(agent.exited().is_none());
}
