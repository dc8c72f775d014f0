//! The adapter against a stand-in for the API server, whose answers the test chooses.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use kube::client::Body;
use serde_json::{Value, json};

use super::client::{ApiRequest, JSON};
use super::*;
use lockgate_base::model::{Gvk, Object};
use lockgate_core::pipeline::ports::{
    ApiFailure, DataKind, Deleted, Lookup as _, ObjectReference, Reads as _, Scope, Writes as _,
};

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

/// The discovery document of a cluster that serves widgets in this version, or no widgets.
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
    // The kind of an accepted definition is served although no discovery has listed it, and a missing kind is
    // looked up again.
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

#[tokio::test]
async fn an_object_is_not_gone_because_its_version_is_not_served_any_more() {
    let (moved, deleted) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let (has_moved, count) = (Arc::clone(&moved), Arc::clone(&deleted));
    let cluster = stand_in(move |method, path| match path {
        "/api" | "/apis" => {
            discovery(path, Some(if has_moved.load(Ordering::Relaxed) { "v2" } else { "v1" }))
        }
        "/apis/x.io/v2/namespaces/n/widgets/w" => {
            count.fetch_add(usize::from(method == Method::DELETE), Ordering::Relaxed);
            (StatusCode::OK, widget("v2").value().clone())
        }
        _ => not_served(),
    })
    .await;
    let reference = ObjectReference::to(&widget("v1"));
    for what in ["read", "deleted"] {
        // The kind is known in its first version, which is then no longer served.
        moved.store(false, Ordering::Relaxed);
        cluster.shared.discovery.forget("x.io", "Widget");
        assert_eq!(cluster.scope(&widget("v1").gvk()).await, Ok(Scope::Namespaced));
        moved.store(true, Ordering::Relaxed);
        if what == "read" {
            let live = cluster.get(&reference).await.unwrap().expect("it is there");
            assert_eq!(live.version(), "v2");
        } else {
            assert_eq!(cluster.delete(&reference, "u", None).await, Ok(Deleted::Accepted));
        }
    }
    assert_eq!(deleted.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_version_that_is_listed_and_not_served_leaves_the_question_open() {
    let cluster = stand_in(|_, path| match path {
        "/api" | "/apis" => discovery(path, Some("v1")),
        _ => not_served(),
    })
    .await;
    let reference = ObjectReference::to(&widget("v1"));
    let failure = cluster.get(&reference).await.unwrap_err();
    assert!(failure.is_transient() && failure.to_string().contains("not served"), "{failure}");
}

#[tokio::test]
async fn an_object_of_a_kind_that_is_no_more_is_gone() {
    let cluster = stand_in(|_, path| match path {
        "/api" | "/apis" => discovery(path, None),
        _ => not_served(),
    })
    .await;
    let reference = ObjectReference::to(&widget("v1"));
    assert_eq!(cluster.get(&reference).await, Ok(None));
    assert_eq!(cluster.delete(&reference, "u", None).await, Ok(Deleted::Gone));
}

#[tokio::test]
async fn a_write_that_is_put_off_is_not_sent_again_once_the_fence_is_up() {
    let (fenced, writes) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let (lost, count) = (Arc::clone(&fenced), Arc::clone(&writes));
    let cluster = stand_in(move |method, path| {
        if method == Method::GET {
            return discovery(path, Some("v1"));
        }
        // Another process gets the lease while the server is busy.
        lost.store(true, Ordering::Relaxed);
        count.fetch_add(1, Ordering::Relaxed);
        (StatusCode::TOO_MANY_REQUESTS, json!({"kind": "Status", "message": "too many requests"}))
    })
    .await;
    let is_fenced = Arc::clone(&fenced);
    let cluster = cluster.fenced(Arc::new(move || {
        if is_fenced.load(Ordering::Relaxed) { Err("the lease is another's".into()) } else { Ok(()) }
    }));
    for what in ["apply", "delete", "take over"] {
        fenced.store(false, Ordering::Relaxed);
        writes.store(0, Ordering::Relaxed);
        let reference = ObjectReference::to(&widget("v1"));
        let told = match what {
            "apply" => cluster.apply(&widget("v1")).await.unwrap_err().to_string(),
            "delete" => cluster.delete(&reference, "u", None).await.unwrap_err().to_string(),
            _ => cluster.take_over(&widget("v1"), &json!([])).await.unwrap_err().to_string(),
        };
        assert!(told.contains("the lease is another's"), "{what}: {told}");
        assert_eq!(writes.load(Ordering::Relaxed), 1, "{what}");
    }
}

#[tokio::test]
async fn the_values_of_a_config_map_are_its_texts() {
    let cluster = stand_in(|_, path| match path {
        "/api/v1/namespaces/n/configmaps/c" => {
            (StatusCode::OK, json!({"data": {"a": "1"}, "binaryData": {"logo.png": "iVBORw=="}}))
        }
        _ => not_served(),
    })
    .await;
    let data = cluster.data(DataKind::ConfigMap, "n", "c").await.unwrap().unwrap();
    assert_eq!(data.keys().collect::<Vec<_>>(), ["a"]);
}

/// A server that never answers requests for `/slow`, puts off those for `/busy` for a long time, and answers
/// the rest at once; and the number of its requests.
fn uneven_server() -> (Client, Arc<AtomicUsize>) {
    let sent = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&sent);
    let service = tower::service_fn(move |request: http::Request<Body>| {
        count.fetch_add(1, Ordering::Relaxed);
        async move {
            if request.uri().path() == "/slow" {
                std::future::pending::<()>().await;
            }
            let response = if request.uri().path() == "/busy" {
                http::Response::builder().status(429).header("retry-after", "10")
            } else {
                http::Response::builder()
            };
            Ok::<_, std::convert::Infallible>(response.body(Body::from(b"{}".to_vec())).unwrap())
        }
    });
    (Client::of_service(service, "http://test"), sent)
}

/// Sends many slow requests for each of these namespaces.
fn hogs(client: &Client, namespaces: &[&str], path: &str) -> tokio::task::JoinSet<()> {
    let mut hogs = tokio::task::JoinSet::new();
    for namespace in namespaces.iter().cycle().take(60) {
        let (client, path) = (client.on_behalf_of(namespace), path.to_owned());
        hogs.spawn(async move { drop(client.send(ApiRequest::get(path, JSON)).await) });
    }
    hogs
}

/// A webhook that delays three namespaces at once does not delay a fourth.
#[tokio::test]
async fn requests_that_are_not_answered_hold_up_their_own_namespaces_alone() {
    let (client, sent) = uneven_server();
    let _hogs = hogs(&client, &["a", "b", "c"], "/slow");
    while sent.load(Ordering::Relaxed) < 11 {
        tokio::task::yield_now().await;
    }
    let victim = client.on_behalf_of("victim");
    let answer = victim.send(ApiRequest::get("/api".into(), JSON));
    let answer = tokio::time::timeout(Duration::from_secs(10), answer).await;
    assert!(answer.expect("it is held up").is_ok());
    assert_eq!(sent.load(Ordering::Relaxed), 12, "one is kept for those who have none");
}

#[tokio::test]
async fn a_request_that_is_put_off_holds_up_no_other_while_it_waits() {
    let (client, sent) = uneven_server();
    let _hogs = hogs(&client, &["a"], "/busy");
    let all = async {
        while sent.load(Ordering::Relaxed) < 60 {
            tokio::task::yield_now().await;
        }
    };
    let all = tokio::time::timeout(Duration::from_secs(8), all).await;
    assert!(all.is_ok(), "{} were sent", sent.load(Ordering::Relaxed));
}

#[tokio::test]
async fn a_broken_kubeconfig_is_not_quoted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config");
    let broken = "users:\n- name: a\n  user:\n    token: hunter2\n  bad: [\nclusters: x\n";
    for text in [broken, "users: hunter2\n", "hunter2"] {
        std::fs::write(&path, text).unwrap();
        let target = ClusterTarget { kubeconfig: Some(path.clone()), context: None, withheld: &[] };
        let told = Client::connect(&target).await.unwrap_err().to_string();
        assert!(!told.contains("hunter2"), "{told}");
        assert!(told.starts_with("kubeconfig: it cannot be read as a kubeconfig"), "{told}");
    }
}
