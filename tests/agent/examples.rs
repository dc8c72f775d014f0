//! Each folder of `examples/` is a repository that becomes Ready unchanged, and whose objects are all pruned
//! in the end.

use std::path::Path;

use harness::{ControlPlane, Options, eventually};
use kube::api::{Api, DeleteParams, ListParams};
use serde_json::{Value, json};

use super::stage::{HOME, PATIENCE, Stage, condition, stage_on};

/// The example, the cluster's folder, the Kustomizations that become Ready, and an object with an overlay's
/// change.
const EXAMPLES: [(&str, &str, &[&str], &str); 4] = [
    ("minimal", "production", &["apps"], "/apis/apps/v1/namespaces/hello/deployments/hello"),
    (
        "regions",
        "eu-west",
        &["infrastructure", "apps"],
        "/apis/networking.k8s.io/v1/namespaces/shop/ingresses/shop",
    ),
    (
        "regions",
        "us-east",
        &["infrastructure", "apps"],
        "/apis/networking.k8s.io/v1/namespaces/shop/ingresses/shop",
    ),
    (
        "tenants",
        "production",
        &["tenants", "team-a", "team-b"],
        "/apis/apps/v1/namespaces/team-b/deployments/web",
    ),
];

#[tokio::test]
async fn each_example_comes_up_as_it_is_and_goes_again() {
    let plane = ControlPlane::start(Options::default()).await.unwrap();
    let stage = stage_on(&plane, "examples", &[("README.md", "")]).await.moved_to(HOME);
    stage.secret("repo", json!({})).await.unwrap();
    stage.source("flux-system", json!({})).await.unwrap();
    let _agent = stage.agent_everywhere().await;
    for (example, cluster, names, object) in EXAMPLES {
        let files = files(example);
        let added: Vec<_> = files.iter().map(|(path, text)| (path.as_str(), Some(text.as_str()))).collect();
        stage.repo.commit("main", example, &added).unwrap();
        let spec = json!({"path": format!("./clusters/{cluster}"), "wait": true, "targetNamespace": null,
                          "sourceRef": {"name": "flux-system"}});
        stage.kustomization("flux-system", spec).await;
        stage.ready("flux-system").await;
        let all = all_ready(&stage).await;
        let expected: Vec<String> =
            names.iter().map(|name| (*name).to_owned()).chain(["flux-system".into()]).collect();
        assert!(expected.iter().all(|name| all.contains(name)), "{example}: {all:?}");
        let live = get(&stage, object).await.unwrap();
        match (example, cluster) {
            ("regions", "eu-west") => assert_eq!(live["spec"]["rules"][0]["host"], "shop.eu.example.com"),
            ("regions", _) => assert_eq!(live["spec"]["rules"][0]["host"], "shop.us.example.com"),
            _ => assert_eq!(live["status"]["availableReplicas"], 1, "{example}"),
        }
        stage.kustomizations().delete("flux-system", &DeleteParams::default()).await.unwrap();
        eventually(PATIENCE, async || {
            anyhow::ensure!(
                stage.kustomizations().list(&ListParams::default()).await?.items.is_empty(),
                "Kustomizations"
            );
            anyhow::ensure!(get(&stage, object).await.is_err(), "{object} is still there");
            Ok(())
        })
        .await
        .unwrap();
        let removed: Vec<(&str, Option<&str>)> =
            files.iter().map(|(path, _)| (path.as_str(), None)).collect();
        stage.repo.commit("main", "remove", &removed).unwrap();
    }
}

/// The names of the Kustomizations of all namespaces, once all are Ready.
async fn all_ready(stage: &Stage<'_>) -> Vec<String> {
    let kustomizations = Api::all_with(stage.client.clone(), &resource());
    let found = eventually(PATIENCE, async || {
        let all = kustomizations.list(&ListParams::default()).await?.items;
        let is_ready = |object: &kube::api::DynamicObject| {
            condition(&object.data["status"], "Ready")["status"] == "True"
        };
        let ill = all.iter().find(|object| !is_ready(object));
        anyhow::ensure!(ill.is_none(), "not ready: {ill:?}");
        Ok(all.into_iter().filter_map(|object| object.metadata.name).collect())
    });
    found.await.unwrap_or_else(|error: anyhow::Error| panic!("{error:#}"))
}

fn resource() -> kube::api::ApiResource {
    let gvk = kube::core::GroupVersionKind::gvk("kustomize.toolkit.fluxcd.io", "v1", "Kustomization");
    kube::api::ApiResource::from_gvk_with_plural(&gvk, "kustomizations")
}

async fn get(stage: &Stage<'_>, path: &str) -> anyhow::Result<Value> {
    Ok(stage.client.request(http::Request::get(path).body(Vec::new())?).await?)
}

/// The files of an example, by their paths in it.
fn files(example: &str) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(example);
    let mut folders = vec![root.clone()];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
                files.push((name, std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    files
}
