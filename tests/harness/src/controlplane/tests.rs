//! The control plane behaves like a cluster.

use std::time::{Duration, Instant};

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Namespace, PersistentVolumeClaim, Pod, Service, ServiceAccount};
use kube::Client;
use kube::api::DynamicObject;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::*;

const MINUTE: Duration = Duration::from_mins(1);

fn object<T: DeserializeOwned>(value: serde_json::Value) -> T {
    serde_json::from_value(value).unwrap()
}

async fn namespace(client: &Client, name: &str) {
    let all: Api<Namespace> = Api::all(client.clone());
    all.create(&PostParams::default(), &object(json!({ "metadata": { "name": name } }))).await.unwrap();
}

fn deployment(name: &str, annotations: &serde_json::Value) -> Deployment {
    object(json!({
        "metadata": { "name": name },
        "spec": {
            "replicas": 2,
            "selector": { "matchLabels": { "app": name } },
            "template": {
                "metadata": { "labels": { "app": name }, "annotations": annotations },
                "spec": { "containers": [{ "name": "main", "image": "example.org/main:1" }] },
            },
        },
    }))
}

#[tokio::test]
async fn a_deployment_becomes_available() {
    let client = shared().client().await.unwrap();
    namespace(&client, "deploys").await;
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), "deploys");
    deployments.create(&PostParams::default(), &deployment("good", &json!({}))).await.unwrap();
    deployments
        .create(&PostParams::default(), &deployment("bad", &json!({ "harness/pod": "crash" })))
        .await
        .unwrap();
    eventually(MINUTE, async || {
        let status = deployments.get("good").await?.status.unwrap_or_default();
        anyhow::ensure!(
            status.available_replicas == Some(2),
            "{:?} of 2 available",
            status.available_replicas
        );
        Ok(())
    })
    .await
    .unwrap();
    let pods: Api<Pod> = Api::namespaced(client, "deploys");
    eventually(MINUTE, async || {
        let pods = pods.list(&ListParams::default().labels("app=bad")).await?;
        let text = serde_json::to_string(&pods.items)?;
        anyhow::ensure!(text.matches("CrashLoopBackOff").count() == 2, "no crash in {text}");
        Ok(())
    })
    .await
    .unwrap();
    assert_eq!(deployments.get("bad").await.unwrap().status.unwrap().available_replicas, None);
}

#[tokio::test]
async fn claims_are_bound_and_load_balancers_get_an_address() {
    let client = shared().client().await.unwrap();
    namespace(&client, "cloud").await;
    let services: Api<Service> = Api::namespaced(client.clone(), "cloud");
    let service = json!({ "metadata": { "name": "lb" }, "spec": { "type": "LoadBalancer", "ports": [{ "port": 80 }] } });
    services.create(&PostParams::default(), &object(service)).await.unwrap();
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(client, "cloud");
    let claim = json!({ "metadata": { "name": "data" }, "spec": {
        "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": "1Gi" } } } });
    claims.create(&PostParams::default(), &object(claim)).await.unwrap();
    eventually(MINUTE, async || {
        let service = serde_json::to_string(&services.get("lb").await?.status)?;
        anyhow::ensure!(service.contains("192.0.2.10"), "the service's status is {service}");
        let claim = serde_json::to_string(&claims.get("data").await?.status)?;
        anyhow::ensure!(claim.contains("Bound"), "the claim's status is {claim}");
        Ok(())
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_service_account_has_no_more_rights_than_its_own() {
    let plane = shared();
    let client = plane.client().await.unwrap();
    namespace(&client, "rights").await;
    let accounts: Api<ServiceAccount> = Api::namespaced(client, "rights");
    accounts
        .create(&PostParams::default(), &object(json!({ "metadata": { "name": "agent" } })))
        .await
        .unwrap();
    let kubeconfig = plane.service_account_kubeconfig("rights", "agent").await.unwrap();
    let agent = client_of(&kubeconfig).await.unwrap();
    let pods: Api<Pod> = Api::namespaced(agent, "rights");
    let error = pods.list(&ListParams::default()).await.unwrap_err().to_string();
    assert!(
        error.contains(r#"User "system:serviceaccount:rights:agent" cannot list resource "pods""#),
        "{error}"
    );
    let user = client_of(&plane.user_kubeconfig("jane", &["dev", "ops"]).unwrap()).await.unwrap();
    let review: DynamicObject = serde_json::from_value(json!({
        "apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview", "metadata": {} }))
    .unwrap();
    let resource = kube::api::ApiResource {
        group: "authentication.k8s.io".into(),
        version: "v1".into(),
        api_version: "authentication.k8s.io/v1".into(),
        kind: "SelfSubjectReview".into(),
        plural: "selfsubjectreviews".into(),
    };
    let reviews: Api<DynamicObject> = Api::all_with(user, &resource);
    let answer = reviews.create(&PostParams::default(), &review).await.unwrap().data.to_string();
    assert!(
        answer.contains(r#""jane""#) && answer.contains(r#""dev""#) && answer.contains(r#""ops""#),
        "{answer}"
    );
}

#[tokio::test]
async fn the_api_server_restarts_and_everything_ends_on_drop() {
    let started = Instant::now();
    let plane = ControlPlane::start(Options::bare()).await.unwrap();
    println!("bare start: {:?}", started.elapsed());
    let client = plane.client().await.unwrap();
    namespace(&client, "kept").await;
    plane.kill_apiserver();
    let all: Api<Namespace> = Api::all(client);
    assert!(all.get("kept").await.is_err());
    plane.restart_apiserver().await.unwrap();
    all.get("kept").await.unwrap();
    plane.pause_etcd();
    plane.resume_etcd();
    plane.compact_etcd().await.unwrap();
    let pids: Vec<i32> = {
        let processes = lock(&plane.processes);
        processes
            .clients
            .iter()
            .chain(&processes.apiserver)
            .chain(&processes.etcd)
            .map(Process::pid)
            .collect()
    };
    assert_eq!(pids.len(), 3);
    let dir = plane.dir().to_owned();
    drop(plane);
    assert!(!dir.exists());
    assert!(pids.iter().all(|&pid| !crate::process::exists(pid)));
}

#[tokio::test]
async fn a_kept_control_plane_goes_on_until_it_is_stopped() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("kept");
    let options = Options { dir: Some(dir.clone()), keep: true, ..Options::default() };
    let started = Instant::now();
    let plane = ControlPlane::start(options).await.unwrap();
    println!("full start: {:?}", started.elapsed());
    let kubeconfig = plane.admin_kubeconfig();
    plane.restart_apiserver().await.unwrap();
    drop(plane);
    let client = client_of(&kubeconfig).await.unwrap();
    let nodes: Api<Node> = Api::all(client.clone());
    assert_eq!(nodes.list(&ListParams::default()).await.unwrap().items.len(), 1);
    let git = crate::GitServer::start_with(&crate::GitServerOptions {
        dir: Some(dir.join("git")),
        keep: true,
        ..crate::GitServerOptions::default()
    })
    .unwrap();
    let address = git.address();
    drop(git);
    std::net::TcpStream::connect(address).unwrap();
    ControlPlane::stop_left_running(&dir.join("git")).unwrap();
    ControlPlane::stop_left_running(&dir).unwrap();
    assert!(nodes.list(&ListParams::default()).await.is_err());
    assert!(std::net::TcpStream::connect(address).is_err());
    assert!(!dir.exists());
}
