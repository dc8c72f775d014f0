//! The adapter against a stand-in that answers what a test wants of an API server.

use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use serde_json::json;

use super::*;

type Answer = (StatusCode, Value);

/// A cluster whose server gives these answers, by method and path.
async fn stand_in(answer: impl Fn(&Method, &str) -> Answer + Clone + Send + Sync + 'static) -> Cluster {
    let handler = move |method: Method, uri: Uri| async move {
        let (status, body) = answer(&method, uri.path());
        let mut response: Response = (status, body.to_string()).into_response();
        if status == StatusCode::TOO_MANY_REQUESTS {
            response.headers_mut().insert("retry-after", http::HeaderValue::from_static("0"));
        }
        response
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(handler)).await });
    let config = kube::Config::new(format!("http://{address}").parse().unwrap());
    Cluster::new(Client::from_config(config).unwrap()).0
}

/// What discovery says of a cluster that serves widgets in this version, or none.
fn discovery(path: &str, version: Option<&str>) -> Answer {
    let resource = json!({"resource": "widgets", "scope": "Namespaced", "responseKind": {"kind": "Widget"}});
    let groups = version.filter(|_| path == "/apis").map(|version| {
        json!({"metadata": {"name": "x.io"}, "versions": [{"version": version, "resources": [resource]}]})
    });
    (StatusCode::OK, json!({"items": groups.into_iter().collect::<Vec<_>>()}))
}

fn not_served() -> Answer {
    (StatusCode::NOT_FOUND, json!({"kind": "Status", "reason": "NotFound", "message": "404 page not found"}))
}

fn widget(version: &str) -> Object {
    Object::parse(json!({"apiVersion": format!("x.io/{version}"), "kind": "Widget",
                         "metadata": {"name": "w", "namespace": "n", "uid": "u"}}))
    .unwrap()
}

#[tokio::test]
async fn many_objects_of_a_missing_kind_cost_one_look() {
    let looks = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&looks);
    let cluster = stand_in(move |_, path| {
        count.fetch_add(usize::from(path == "/apis"), Ordering::Relaxed);
        discovery(path, None)
    })
    .await;
    let gvk = widget("v1").gvk();
    for _ in 0..300 {
        let scope = cluster.scope(&gvk).await;
        assert!(matches!(scope, Err(ApiFailure::UnknownKind { unreachable: false, .. })), "{scope:?}");
    }
    let before = looks.load(Ordering::Relaxed);
    assert!(before < 30, "{before} looks");
    // A definition that was accepted is served though no look has listed it, and what is still missing is looked for.
    let definition = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.x.io"}, "spec": {"group": "x.io", "scope": "Namespaced",
        "names": {"kind": "Widget", "plural": "widgets"}, "versions": [{"name": "v1", "served": true}]}});
    cluster.shared.discovery.learn(&Object::parse(definition).unwrap());
    assert_eq!(cluster.scope(&gvk).await, Ok(Scope::Namespaced));
    assert_eq!(looks.load(Ordering::Relaxed), before);
    assert!(cluster.scope(&Gvk { kind: "Gadget".into(), ..gvk.clone() }).await.is_err());
    assert_eq!(looks.load(Ordering::Relaxed), before + 1);
    assert_eq!(cluster.scope(&gvk).await, Ok(Scope::Namespaced));
}
