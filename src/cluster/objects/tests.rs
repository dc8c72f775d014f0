//! A stand-in for the API server, and the requests that it receives.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use http::Response;
use kube::client::Body;

use super::*;

/// The kinds that a stand-in serves: group, version, kind and plural. Only the last two are cluster-scoped.
const SERVED: [(&str, &str, &str, &str); 10] = [
    ("", "v1", "Secret", "secrets"),
    ("", "v1", "Pod", "pods"),
    ("", "v1", "Event", "events"),
    ("apps", "v1", "Deployment", "deployments"),
    ("coordination.k8s.io", "v1", "Lease", "leases"),
    ("source.toolkit.fluxcd.io", "v1", "GitRepository", "gitrepositories"),
    ("kustomize.toolkit.fluxcd.io", "v1", "Kustomization", "kustomizations"),
    ("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies"),
    ("", "v1", "Namespace", "namespaces"),
    ("apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions"),
];

/// The stand-in's discovery document at one of its two paths.
fn discovery(path: &str) -> Value {
    let in_path = |group: &&(&str, &str, &str, &str)| group.0.is_empty() == (path == "/api");
    let group = |(group, version, kind, plural): &(&str, &str, &str, &str)| {
        let is_cluster_wide = matches!(*kind, "Namespace" | "CustomResourceDefinition");
        let scope = if is_cluster_wide { "Cluster" } else { "Namespaced" };
        let resource = json!({"resource": plural, "scope": scope, "responseKind": {"kind": kind}});
        json!({"metadata": {"name": group}, "versions": [{"version": version, "resources": [resource]}]})
    };
    json!({"items": SERVED.iter().filter(in_path).map(group).collect::<Vec<_>>()})
}

fn response(code: u16, body: &Value) -> Response<Body> {
    Response::builder().status(code).body(Body::from(body.to_string().into_bytes())).unwrap()
}

/// A cluster with these kinds, which answers every other request with `answer`, by method and path.
pub(crate) fn serving<F>(answer: impl Fn(&Method, &str) -> F + Send + Sync + 'static) -> Objects
where
    F: Future<Output = Result<(u16, Value), std::io::Error>> + Send + 'static,
{
    Objects::new(&client_of(move |method, uri, _| answer(method, uri.path())))
}

/// A client of such a cluster, whose `answer` also gets the whole address and the body of a request.
pub(crate) fn client_of<F>(
    answer: impl Fn(&Method, &http::Uri, Vec<u8>) -> F + Send + Sync + 'static,
) -> Client
where
    F: Future<Output = Result<(u16, Value), std::io::Error>> + Send + 'static,
{
    let answer = Arc::new(answer);
    let service = tower::service_fn(move |request: http::Request<Body>| {
        let answer = Arc::clone(&answer);
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect_bytes().await.map_err(std::io::Error::other)?;
            // `answer` also sees discovery requests; its results for these are dropped.
            let answered = answer(&head.method, &head.uri, body.to_vec());
            let path = head.uri.path();
            if matches!(path, "/api" | "/apis") {
                return Ok(response(200, &discovery(path)));
            }
            answered.await.map(|(code, body)| response(code, &body))
        }
    });
    Client::of_service(service, "http://test")
}

/// A cluster that gives these answers one after the other, and then the last of them for ever. For an answer
/// without a code it cuts the connection.
pub(crate) fn answering(answers: Vec<(Option<u16>, Value)>) -> Objects {
    let answers = Arc::new(Mutex::new(VecDeque::from(answers)));
    serving(move |_, path| {
        let mut answers = answers.lock().unwrap();
        // Discovery requests use up no answer.
        let next = answers.front().cloned().filter(|_| !matches!(path, "/api" | "/apis"));
        if next.is_some() && answers.len() > 1 {
            answers.pop_front();
        }
        std::future::ready(match next {
            Some((Some(code), body)) => Ok((code, body)),
            _ => Err(std::io::Error::other("the connection was cut")),
        })
    })
}

fn secret() -> Object {
    let value = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "n"}});
    Object::parse(value).unwrap()
}

#[tokio::test]
async fn a_server_that_stays_silent_is_not_waited_for() {
    let limit = Duration::from_millis(10);
    let mute = serving(|_, _| std::future::pending());
    let mute = Objects { read: limit, write: limit, ..mute };
    let object = &secret();
    for (request, answer) in [
        ("get", mute.get(object).await.map(drop)),
        ("apply", mute.apply(object).await.map(drop)),
        ("rehearse", mute.rehearse(object).await),
        ("create", mute.create(object).await.map(drop)),
        ("merge", mute.merge(object, &Value::Null).await.map(drop)),
        ("delete", mute.delete(object).await.map(drop)),
        ("list", mute.list("v1", "Secret", None, "").await.map(drop)),
    ] {
        let message = match answer {
            Err(ApiFailure::Unavailable { message, .. }) => message,
            other => unreachable!("{request}: {other:?}"),
        };
        assert!(message.starts_with("no answer within "), "{request}: {message}");
    }
}

#[tokio::test]
async fn a_busy_server_is_asked_again_while_there_is_time() {
    for (limit, is_answered) in [(30, true), (1, false)] {
        let refused = AtomicBool::new(false);
        let objects = serving(move |_, path| {
            let is_look = matches!(path, "/api" | "/apis");
            std::future::ready(Ok(if is_look || refused.swap(true, Ordering::Relaxed) {
                (200, json!({"kind": "SecretList", "apiVersion": "v1", "metadata": {}, "items": []}))
            } else {
                let body = json!({"kind": "Status", "code": 429, "status": "Failure",
                    "reason": "TooManyRequests", "message": "storage is (re)initializing",
                    "details": {"retryAfterSeconds": 1}});
                (429, body)
            }))
        });
        let limit = Duration::from_secs(limit);
        let objects = Objects { read: limit, write: limit, ..objects };
        let listed = objects.list("v1", "Secret", None, "").await;
        assert_eq!(listed.is_ok(), is_answered, "within {limit:?}: {listed:?}");
        // The request reached the server, whatever the answer.
        assert!(is_answered || matches!(listed, Err(ApiFailure::Answered { code: 429, .. })), "{listed:?}");
    }
}

#[tokio::test]
async fn objects_are_where_discovery_has_them() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let list = Arc::clone(&asked);
    let objects = serving(move |_, path| {
        list.lock().unwrap().push(path.to_owned());
        std::future::ready(Ok((
            404,
            json!({"kind": "Status", "code": 404, "message": "m", "reason": "NotFound"}),
        )))
    });
    for (api_version, kind, path) in [
        ("v1", "Namespace", Some("/api/v1/namespaces/x")),
        (
            "networking.k8s.io/v1",
            "NetworkPolicy",
            Some("/apis/networking.k8s.io/v1/namespaces/n/networkpolicies/x"),
        ),
        (
            "source.toolkit.fluxcd.io/v1",
            "GitRepository",
            Some("/apis/source.toolkit.fluxcd.io/v1/namespaces/n/gitrepositories/x"),
        ),
        ("v1", "Gadget", None),
    ] {
        asked.lock().unwrap().clear();
        let value =
            json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": "x", "namespace": "n"}});
        assert_eq!(objects.get(&Object::parse(value).unwrap()).await, Ok(None), "{kind}");
        let asked = asked.lock().unwrap().clone();
        let asked: Vec<&str> =
            asked.iter().map(String::as_str).filter(|path| path.matches('/').count() > 1).collect();
        assert_eq!(asked, path.into_iter().collect::<Vec<_>>(), "{kind}");
    }
}

#[tokio::test]
async fn a_kind_that_was_just_applied_needs_no_look() {
    let looks = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&looks);
    let definition = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.x.io"}, "spec": {"group": "x.io", "scope": "Namespaced",
        "names": {"kind": "Widget", "plural": "widgets"}, "versions": [{"name": "v1", "served": true}]}});
    let answer = definition.clone();
    let objects = serving(move |_, path| {
        count.fetch_add(usize::from(path == "/apis"), Ordering::Relaxed);
        std::future::ready(Ok((200, answer.clone())))
    });
    objects.apply(&Object::parse(definition).unwrap()).await.unwrap();
    let widget =
        json!({"apiVersion": "x.io/v1", "kind": "Widget", "metadata": {"name": "w", "namespace": "n"}});
    assert!(objects.get(&Object::parse(widget).unwrap()).await.unwrap().is_some());
    assert_eq!(looks.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_missing_right_has_one_spelling() {
    let sentence = r#"secrets "s" is forbidden: User "u" cannot VERB resource "secrets" in API group "" in the namespace "n""#;
    let answer = |message: &str| {
        (Some(403), json!({"kind": "Status", "code": 403, "reason": "Forbidden", "message": message}))
    };
    let object = &secret();
    for verb in ["get", "patch", "create", "delete"] {
        let objects = answering(vec![answer(&sentence.replace("VERB", verb))]);
        let failure = match verb {
            "get" => objects.get(object).await.unwrap_err(),
            "patch" => objects.apply(object).await.unwrap_err(),
            "create" => objects.create(object).await.unwrap_err(),
            _ => objects.delete(object).await.unwrap_err(),
        };
        assert_eq!(failure.to_string(), format!("u may not {verb} secrets in namespace n"));
        assert!(matches!(failure, ApiFailure::Forbidden(_)), "{failure:?}");
    }
    // A proxy answers in words of its own, and an admission plugin names no right.
    let objects = answering(vec![answer("no")]);
    let failure = objects.list("v1", "Secret", Some("n"), "").await.unwrap_err();
    assert_eq!(failure.to_string(), "lockgate may not list secrets in namespace n");
    assert!(matches!(objects.apply(object).await, Err(ApiFailure::Answered { code: 403, .. })));
}
