//! The objects of a cluster as a command reads and writes them: one at a time, and with patience with a busy server.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::client::{APPLY, Client, JSON, MERGE_PATCH, READ_LIMIT, Reply, Request, WRITE_LIMIT};
use super::discovery::Discovery;
use super::failure::{self, Failure};
use super::path::{Resource, encode};
use super::reach::typed;
use lockgate_base::model::{Gvk, Object};
use lockgate_core::pipeline::ports::{ApiFailure, Denied};
use lockgate_core::plan::Answer;

/// The field manager of what commands write.
pub(crate) const MANAGER: &str = "lockgate";

/// The objects of a cluster.
#[derive(Debug, Clone)]
pub(crate) struct Objects {
    client: Client,
    discovery: Arc<Discovery>,
    /// The time in which a read must be answered.
    read: Duration,
    /// The time in which a write or a dry run must be answered.
    write: Duration,
}

impl Objects {
    /// Over a connection.
    pub(crate) fn new(client: &Client) -> Self {
        Self { client: client.clone(), discovery: Arc::default(), read: READ_LIMIT, write: WRITE_LIMIT }
    }

    /// An object as it is; `None` where there is none, or not even its kind.
    pub(crate) async fn get(&self, object: &Object) -> Result<Option<Object>, ApiFailure> {
        let Some(resource) = self.served(&object.gvk()).await? else { return Ok(None) };
        let request = Request::get(path(&resource, object)?, JSON);
        let denied = || denied("get", &resource, object.namespace());
        let answer = found(self.send(request).await).map_err(|failure| told_of_read(failure, denied))?;
        answer.map(|reply| read(reply, &resource)).transpose()
    }

    /// Applies an object by force; the object as it is afterwards.
    pub(crate) async fn apply(&self, object: &Object) -> Result<Object, ApiFailure> {
        let resource = self.known(object).await?;
        let reply = self.patch(&resource, object, "&force=true", APPLY, object.value()).await;
        let applied = read(reply.map_err(told)?, &resource)?;
        self.discovery.learn(&applied);
        Ok(applied)
    }

    /// Whether the server would take an object, as far as it can tell without it.
    pub(crate) async fn rehearse(&self, object: &Object) -> Result<(), ApiFailure> {
        let resource = self.known(object).await?;
        let parameters = "&force=true&dryRun=All";
        self.patch(&resource, object, parameters, APPLY, object.value()).await.map(drop).map_err(told)
    }

    /// Creates an object; `false` where there is one of its name already.
    pub(crate) async fn create(&self, object: &Object) -> Result<bool, ApiFailure> {
        let resource = self.known(object).await?;
        let collection = resource.collection(object.namespace().unwrap_or_default());
        let request = Request {
            method: Method::POST,
            path: format!("{collection}?fieldManager={MANAGER}"),
            accept: JSON,
            content_type: JSON,
            body: object.value().to_string().into_bytes(),
        };
        match self.send(request).await {
            Ok(_) => Ok(true),
            Err(Failure::Answered(Answer { reason, .. })) if reason == "AlreadyExists" => Ok(false),
            Err(failure) => Err(told(failure)),
        }
    }

    /// Lays a merge patch over an object. `false` where there is none.
    pub(crate) async fn merge(&self, object: &Object, patch: &Value) -> Result<bool, ApiFailure> {
        let Some(resource) = self.served(&object.gvk()).await? else { return Ok(false) };
        let reply = self.patch(&resource, object, "", MERGE_PATCH, patch).await;
        found(reply).map(|reply| reply.is_some()).map_err(told)
    }

    /// Deletes an object, its dependents in the background. `false` where there is none.
    pub(crate) async fn delete(&self, object: &Object) -> Result<bool, ApiFailure> {
        let Some(resource) = self.served(&object.gvk()).await? else { return Ok(false) };
        let options = json!({"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"});
        let request = Request {
            method: Method::DELETE,
            path: path(&resource, object)?,
            accept: JSON,
            content_type: JSON,
            body: options.to_string().into_bytes(),
        };
        found(self.send(request).await).map(|reply| reply.is_some()).map_err(told)
    }

    /// All objects of a kind, in one namespace or in all; none where the cluster does not have the kind.
    pub(crate) async fn list(
        &self,
        api_version: &str,
        kind: &str,
        namespace: Option<&str>,
        selector: &str,
    ) -> Result<Vec<Object>, ApiFailure> {
        Ok(self.list_served(api_version, kind, namespace, selector).await?.unwrap_or_default())
    }

    /// All objects of a kind, in one namespace or in all; `None` where the cluster does not have the kind.
    pub(crate) async fn list_served(
        &self,
        api_version: &str,
        kind: &str,
        namespace: Option<&str>,
        selector: &str,
    ) -> Result<Option<Vec<Object>>, ApiFailure> {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let gvk = Gvk { group: group.into(), version: version.into(), kind: kind.into() };
        let Some(resource) = self.served(&gvk).await? else { return Ok(None) };
        let collection = resource.collection(namespace.unwrap_or_default());
        let request = Request::get(format!("{collection}?labelSelector={}", encode(selector)), JSON);
        let denied = || denied("list", &resource, namespace);
        let answer = found(self.send(request).await).map_err(|failure| told_of_read(failure, denied))?;
        let Some(Reply { status, mut body }) = answer else { return Ok(None) };
        let items = body.get_mut("items").and_then(Value::as_array_mut).map(std::mem::take);
        let items = items.unwrap_or_default().into_iter();
        items.map(|body| read(Reply { status, body }, &resource)).collect::<Result<_, _>>().map(Some)
    }

    /// Where the objects of a kind are; `None` where the cluster does not have it.
    async fn served(&self, gvk: &Gvk) -> Result<Option<Resource>, ApiFailure> {
        match self.discovery.exact(&self.client, gvk).await {
            Ok(resource) => Ok(Some(resource)),
            Err(Failure::UnknownKind { unreachable: false, .. }) => Ok(None),
            Err(failure) => Err(told(failure)),
        }
    }

    /// Where an object is to be, whose kind the cluster must have.
    async fn known(&self, object: &Object) -> Result<Resource, ApiFailure> {
        self.discovery.exact(&self.client, &object.gvk()).await.map_err(told)
    }

    async fn patch(
        &self,
        resource: &Resource,
        object: &Object,
        parameters: &str,
        content_type: &'static str,
        patch: &Value,
    ) -> Result<Reply, Failure> {
        let request = Request {
            method: Method::PATCH,
            path: format!("{}?fieldManager={MANAGER}{parameters}", path(resource, object)?),
            accept: JSON,
            content_type,
            body: patch.to_string().into_bytes(),
        };
        self.send(request).await
    }

    async fn send(&self, request: Request) -> Result<Reply, Failure> {
        let limit = if request.method == Method::GET { self.read } else { self.write };
        self.client.send_within(&request, limit).await
    }
}

fn path(resource: &Resource, object: &Object) -> Result<String, Failure> {
    let path = resource.object(object.namespace().unwrap_or_default(), object.name());
    path.ok_or_else(|| {
        let message = format!("{} has no name or namespace that can be asked for", object.id().subject());
        failure::answered(StatusCode::BAD_REQUEST, "BadRequest", message)
    })
}

/// An answer about an object that need not be there.
fn found(answer: Result<Reply, Failure>) -> Result<Option<Reply>, Failure> {
    match answer {
        Ok(reply) => Ok(Some(reply)),
        Err(Failure::Answered(Answer { code: 404, .. })) => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// What a failure means to a command: a server that gave an answer of its own could be asked, whatever it said.
fn told(failure: Failure) -> ApiFailure {
    match failure {
        Failure::Busy { answer, .. } | Failure::Answered(answer @ Answer { code: 502..=504, .. }) => {
            ApiFailure::Answered { code: answer.code, reason: answer.reason, message: answer.message }
        }
        failure => failure.into(),
    }
}

/// What a failure of a read means. No admission plugin sees reads, so a 403 is always a missing right, though a proxy before
/// the server may say so in words of its own.
fn told_of_read(failure: Failure, denied: impl Fn() -> Denied) -> ApiFailure {
    match told(failure) {
        ApiFailure::Answered { code: 403, .. } => ApiFailure::Forbidden(denied()),
        told => told,
    }
}

/// The right to read that is missing, where the server does not name the user.
fn denied(verb: &str, resource: &Resource, namespace: Option<&str>) -> Denied {
    let Resource { group, plural, namespaced, .. } = resource;
    Denied {
        account: String::new(),
        verb: verb.into(),
        resource: if group.is_empty() { plural.clone() } else { format!("{plural}.{group}") },
        namespace: namespace.filter(|_| *namespaced).unwrap_or_default().into(),
    }
}

fn read(reply: Reply, resource: &Resource) -> Result<Object, ApiFailure> {
    typed(reply, resource).ok_or_else(|| unreadable(&resource.kind))
}

fn unreadable(what: &impl fmt::Display) -> ApiFailure {
    ApiFailure::Unavailable { message: format!("an object of kind {what} cannot be read"), retry_after: None }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::VecDeque;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use http::Response;
    use kube::client::Body;

    use super::*;

    /// What a stand-in serves: group, version, kind and plural. Only the last two are cluster-scoped.
    const SERVED: [(&str, &str, &str, &str); 8] = [
        ("", "v1", "Secret", "secrets"),
        ("", "v1", "Pod", "pods"),
        ("apps", "v1", "Deployment", "deployments"),
        ("source.toolkit.fluxcd.io", "v1", "GitRepository", "gitrepositories"),
        ("kustomize.toolkit.fluxcd.io", "v1", "Kustomization", "kustomizations"),
        ("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies"),
        ("", "v1", "Namespace", "namespaces"),
        ("apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions"),
    ];

    /// What discovery says of a stand-in at one of its two paths.
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

    /// A cluster that has these kinds, and gives to each other request what `answer` makes of its method and path.
    pub(crate) fn serving<F>(answer: impl Fn(&Method, &str) -> F + Send + Sync + 'static) -> Objects
    where
        F: Future<Output = Result<(u16, Value), std::io::Error>> + Send + 'static,
    {
        let service = tower::service_fn(move |request: http::Request<Body>| {
            let path = request.uri().path();
            let known = matches!(path, "/api" | "/apis").then(|| response(200, &discovery(path)));
            let answer = answer(request.method(), path);
            async move {
                match known {
                    Some(known) => Ok(known),
                    None => answer.await.map(|(code, body)| response(code, &body)),
                }
            }
        });
        Objects::new(&Client::of_service(service))
    }

    /// A cluster that gives these answers one after the other, and then the last of them for ever. Without a code it cuts the
    /// connection.
    pub(crate) fn answering(answers: Vec<(Option<u16>, Value)>) -> Objects {
        let answers = Arc::new(Mutex::new(VecDeque::from(answers)));
        serving(move |_, path| {
            let mut answers = answers.lock().unwrap();
            // Discovery is answered without them.
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
        let value =
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "n"}});
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
            // It could be asked, whatever it said.
            assert!(
                is_answered || matches!(listed, Err(ApiFailure::Answered { code: 429, .. })),
                "{listed:?}"
            );
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
        // A proxy has words of its own, and an admission plugin speaks of no right.
        let objects = answering(vec![answer("no")]);
        let failure = objects.list("v1", "Secret", Some("n"), "").await.unwrap_err();
        assert_eq!(failure.to_string(), "lockgate may not list secrets in namespace n");
        assert!(matches!(objects.apply(object).await, Err(ApiFailure::Answered { code: 403, .. })));
    }
}
