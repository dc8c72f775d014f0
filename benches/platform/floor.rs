//! The floor: the same objects as bare server-side applies over eight connections, and nothing else.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use futures::{StreamExt as _, TryStreamExt as _};
use harness::ControlPlane;
use serde_json::Value;

const CONNECTIONS: usize = 8;

/// Applies the objects, and returns how long that took.
pub(crate) async fn measure(cluster: &ControlPlane, objects: Vec<Value>) -> anyhow::Result<Duration> {
    // One client a connection: an HTTP/2 client would put all requests on one.
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        clients.push(cluster.client().await?);
    }
    let start = Instant::now();
    let lanes = futures::stream::iter(objects.into_iter().enumerate().map(|(number, object)| {
        let client = clients[number % CONNECTIONS].clone();
        async move { apply(&client, &object).await }
    }));
    lanes.buffer_unordered(CONNECTIONS).try_collect::<()>().await?;
    Ok(start.elapsed())
}

/// Waits until all Deployments of a namespace are available.
pub(crate) async fn available(client: &kube::Client, namespace: &str) -> anyhow::Result<()> {
    loop {
        let path = format!("/apis/apps/v1/namespaces/{namespace}/deployments");
        let list: Value = client.request(http::Request::get(path).body(Vec::new())?).await?;
        let is_available = |deployment: &Value| deployment["status"]["availableReplicas"] == 1;
        if list["items"].as_array().is_some_and(|items| items.iter().all(is_available)) {
            return Ok(());
        }
        // Seldom enough to be no load of its own.
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Applies one object server-side as `kubectl apply --server-side` does.
pub(crate) async fn apply(client: &kube::Client, object: &Value) -> anyhow::Result<()> {
    let path = path(object).context("the bench has an object of a kind that it does not know")?;
    let request = http::Request::patch(format!("{path}?fieldManager=kustomize-controller&force=true"))
        .header("Content-Type", "application/apply-patch+yaml")
        .body(serde_json::to_vec(object)?)?;
    client.request_text(request).await?;
    Ok(())
}

fn path(object: &Value) -> Option<String> {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
    let (api_version, kind, name) = (text("/apiVersion")?, text("/kind")?, text("/metadata/name")?);
    let plural = match kind.strip_suffix('y') {
        Some(stem) => format!("{}ies", stem.to_lowercase()),
        None => format!("{}s", kind.to_lowercase()),
    };
    let root = if api_version == "v1" { "/api/v1".into() } else { format!("/apis/{api_version}") };
    Some(match text("/metadata/namespace") {
        Some(namespace) => format!("{root}/namespaces/{namespace}/{plural}/{name}"),
        None => format!("{root}/{plural}/{name}"),
    })
}
