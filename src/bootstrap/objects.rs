//! Puts objects on a cluster, and tells what that changed.

use std::fmt;
use std::time::{Duration, Instant};

use kube::api::{Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::Value;
use tokio::time::{sleep, timeout};

use crate::cluster;
use lockgate_base::keys;
use lockgate_base::model::Object;
use lockgate_core::pipeline::ports::ApiFailure;

/// The field manager of what bootstrap writes.
const MANAGER: &str = "lockgate";
/// Kinds of which there is one of a name in the whole cluster, among those that are written here.
const CLUSTER_SCOPED: [&str; 4] =
    ["Namespace", "CustomResourceDefinition", "ClusterRole", "ClusterRoleBinding"];

/// What a step changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// It was as it should be.
    Unchanged,
    /// It was there from elsewhere, and has been brought into line.
    Adopted,
    /// It was ours, and has been changed.
    Configured,
    /// It was not there.
    Created,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unchanged => "unchanged",
            Self::Adopted => "adopted",
            Self::Configured => "configured",
            Self::Created => "created",
        })
    }
}

/// The objects of a cluster.
#[derive(Clone)]
pub struct Objects {
    client: kube::Client,
    /// The time in which a read must be answered.
    read: Duration,
    /// The time in which a write or a dry run must be answered.
    write: Duration,
}

impl Objects {
    /// Over a connection.
    pub fn new(client: kube::Client) -> Self {
        Self { client, read: cluster::READ_LIMIT, write: cluster::WRITE_LIMIT }
    }

    /// An object as it is; `None` where there is none, or not even its kind.
    pub async fn get(&self, object: &Object) -> Result<Option<Object>, ApiFailure> {
        let id = object.id();
        let api = self.api(object);
        let got = within(self.read, || api.get_opt(&id.name)).await;
        found(got)?.flatten().map(read).transpose()
    }

    /// Applies an object. One that a Kustomization manages stays as Git has it.
    pub async fn put(&self, object: &Object) -> Result<Change, ApiFailure> {
        let live = self.get(object).await?;
        if live.as_ref().is_some_and(|live| live.label(keys::OWNER_NAME).is_some()) {
            return Ok(Change::Unchanged);
        }
        let id = object.id();
        let params = PatchParams::apply(MANAGER).force();
        let (api, patch) = (self.api(object), Patch::Apply(object.value()));
        let applied = read(within(self.write, || api.patch(&id.name, &params, &patch)).await?)?;
        let Some(live) = live else { return Ok(Change::Created) };
        let version = |object: &Object| object.text("/metadata/resourceVersion").map(ToOwned::to_owned);
        Ok(if version(&live) == version(&applied) {
            Change::Unchanged
        } else if is_ours(&live) {
            Change::Configured
        } else {
            Change::Adopted
        })
    }

    /// Whether the server would take an object, as far as it can tell without it.
    pub async fn rehearse(&self, object: &Object) -> Result<(), ApiFailure> {
        let params = PatchParams::apply(MANAGER).force().dry_run();
        let (id, api, patch) = (object.id(), self.api(object), Patch::Apply(object.value()));
        within(self.write, || api.patch(&id.name, &params, &patch)).await.map(drop)
    }

    /// Creates an object unless there is one of its name, which then stays as it is.
    pub async fn create(&self, object: &Object) -> Result<Change, ApiFailure> {
        if self.get(object).await?.is_some() {
            return Ok(Change::Unchanged);
        }
        let dynamic: DynamicObject =
            serde_json::from_value(object.value().clone()).map_err(|error| unreadable(&error))?;
        let params = kube::api::PostParams { field_manager: Some(MANAGER.into()), ..Default::default() };
        let api = self.api(object);
        match within(self.write, || api.create(&params, &dynamic)).await {
            Ok(_) => Ok(Change::Created),
            // Another run was faster.
            Err(ApiFailure::Answered { reason, .. }) if reason == "AlreadyExists" => Ok(Change::Unchanged),
            Err(failure) => Err(failure),
        }
    }

    /// Lays a merge patch over an object. `false` where there is none.
    pub async fn merge(&self, object: &Object, patch: &Value) -> Result<bool, ApiFailure> {
        let id = object.id();
        let params = PatchParams { field_manager: Some(MANAGER.into()), ..PatchParams::default() };
        let (api, patch) = (self.api(object), Patch::Merge(patch));
        Ok(found(within(self.write, || api.patch(&id.name, &params, &patch)).await)?.is_some())
    }

    /// Deletes an object, its dependents in the background. `false` where there is none.
    pub async fn delete(&self, object: &Object) -> Result<bool, ApiFailure> {
        let id = object.id();
        let (api, params) = (self.api(object), DeleteParams::background());
        Ok(found(within(self.write, || api.delete(&id.name, &params)).await)?.is_some())
    }

    /// All objects of a kind, in one namespace or in all; none where the cluster does not have the kind.
    pub async fn list(
        &self,
        api_version: &str,
        kind: &str,
        namespace: Option<&str>,
        selector: &str,
    ) -> Result<Vec<Object>, ApiFailure> {
        Ok(self.list_served(api_version, kind, namespace, selector).await?.unwrap_or_default())
    }

    /// The same; `None` where the cluster does not have the kind.
    pub async fn list_served(
        &self,
        api_version: &str,
        kind: &str,
        namespace: Option<&str>,
        selector: &str,
    ) -> Result<Option<Vec<Object>>, ApiFailure> {
        let resource = resource(api_version, kind);
        let api: Api<DynamicObject> = match namespace {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &resource),
            None => Api::all_with(self.client.clone(), &resource),
        };
        let params = ListParams::default().labels(selector);
        let Some(listed) = found(within(self.read, || api.list(&params)).await)? else { return Ok(None) };
        let items = listed.items.into_iter().map(|mut item| {
            // The items of a list do not repeat what they are.
            item.types = Some(kube::core::TypeMeta { api_version: api_version.into(), kind: kind.into() });
            read(item)
        });
        items.collect::<Result<_, _>>().map(Some)
    }

    fn api(&self, object: &Object) -> Api<DynamicObject> {
        let resource = resource(object.api_version(), object.kind());
        if CLUSTER_SCOPED.contains(&object.kind()) {
            return Api::all_with(self.client.clone(), &resource);
        }
        Api::namespaced_with(self.client.clone(), &object.id().namespace, &resource)
    }
}

/// Whether bootstrap has written the object before.
pub fn is_ours(live: &Object) -> bool {
    let managers = live.pointer("/metadata/managedFields").and_then(Value::as_array);
    managers.is_some_and(|managers| managers.iter().any(|entry| entry["manager"] == MANAGER))
}

fn resource(api_version: &str, kind: &str) -> ApiResource {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let singular = kind.to_lowercase();
    let plural = match singular.strip_suffix('y') {
        Some(stem) => format!("{stem}ies"),
        None => format!("{singular}s"),
    };
    ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), &plural)
}

/// What an error of the client means. The server's own words name the user, the verb and the resource.
fn failure_of(error: &kube::Error) -> ApiFailure {
    match error {
        kube::Error::Api(status) => ApiFailure::Answered {
            code: status.code,
            reason: status.reason.clone(),
            message: status.message.clone(),
        },
        other => {
            let mut cause: &dyn std::error::Error = other;
            while let Some(inner) = cause.source() {
                cause = inner;
            }
            ApiFailure::Unavailable { message: cause.to_string(), retry_after: None }
        }
    }
}

/// The answer to one request, or that there is none in time: a server may accept a connection and then say nothing.
///
/// One that is busy is asked again as long as there is time, as client-go does: it says so of a kind that it has only just
/// learned, too.
async fn within<T, R: Future<Output = Result<T, kube::Error>>>(
    limit: Duration,
    request: impl Fn() -> R,
) -> Result<T, ApiFailure> {
    let start = Instant::now();
    loop {
        let Ok(answer) = timeout(limit.saturating_sub(start.elapsed()), request()).await else {
            let message = format!("no answer within {}s", limit.as_secs());
            return Err(ApiFailure::Unavailable { message, retry_after: None });
        };
        let error = match answer {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        let Some(delay) = busy(&error).filter(|delay| start.elapsed() + *delay < limit) else {
            return Err(failure_of(&error));
        };
        sleep(delay).await;
    }
}

/// When a server that is busy wants to be asked again.
fn busy(error: &kube::Error) -> Option<Duration> {
    let kube::Error::Api(status) = error else { return None };
    let asked = status.details.as_ref().map_or(0, |details| details.retry_after_seconds);
    (status.code == 429).then(|| Duration::from_secs(asked.max(1).into()))
}

fn found<T>(result: Result<T, ApiFailure>) -> Result<Option<T>, ApiFailure> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(ApiFailure::Answered { code: 404, .. }) => Ok(None),
        Err(failure) => Err(failure),
    }
}

fn read(object: DynamicObject) -> Result<Object, ApiFailure> {
    let value = serde_json::to_value(object).map_err(|error| unreadable(&error))?;
    Object::parse(value).map_err(|error| unreadable(&error))
}

fn unreadable(error: &impl fmt::Display) -> ApiFailure {
    ApiFailure::Unavailable { message: format!("an object cannot be read: {error}"), retry_after: None }
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::VecDeque;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::{Arc, Mutex};

    use kube::client::Body;

    use super::*;

    /// A cluster that gives these answers one after the other, and then the last of them for ever. Without a code it cuts the
    /// connection.
    pub(in crate::bootstrap) fn answering(answers: Vec<(Option<u16>, Value)>) -> Objects {
        let answers = Arc::new(Mutex::new(VecDeque::from(answers)));
        let service = tower::service_fn(move |_: http::Request<Body>| {
            let mut answers = answers.lock().unwrap();
            let next = answers.pop_front().unwrap();
            if answers.is_empty() {
                answers.push_back(next.clone());
            }
            let answer = match next {
                (Some(code), body) => {
                    Ok(http::Response::builder().status(code).body(Body::from(body.to_string().into_bytes())))
                }
                (None, _) => Err(std::io::Error::other("the connection was cut")),
            };
            std::future::ready(answer.map(Result::unwrap))
        });
        Objects::new(kube::Client::new(service, "n"))
    }

    #[tokio::test]
    async fn a_server_that_stays_silent_is_not_waited_for() {
        // One server says nothing at all, and one only answers that there is no such object.
        let to = |answers: bool| {
            let service = tower::service_fn(move |request: http::Request<Body>| async move {
                if answers && request.method() == http::Method::GET {
                    let status = r#"{"kind": "Status", "code": 404, "message": "", "reason": "NotFound"}"#;
                    return http::Response::builder()
                        .status(404)
                        .body(Body::from(status.as_bytes().to_vec()));
                }
                std::future::pending().await
            });
            let limit = Duration::from_millis(10);
            Objects { client: kube::Client::new(service, "default"), read: limit, write: limit }
        };
        let (mute, objects) = (to(false), to(true));
        let object = serde_json::json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}});
        let object = &Object::parse(object).unwrap();
        for (request, answer) in [
            ("get", mute.get(object).await.map(drop)),
            ("put", objects.put(object).await.map(drop)),
            ("rehearse", objects.rehearse(object).await),
            ("create", objects.create(object).await.map(drop)),
            ("merge", objects.merge(object, &Value::Null).await.map(drop)),
            ("delete", objects.delete(object).await.map(drop)),
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
            let refused = Arc::new(AtomicBool::new(false));
            let service = tower::service_fn(move |_: http::Request<Body>| {
                let (code, body) = if refused.swap(true, Ordering::Relaxed) {
                    (200, r#"{"kind": "SecretList", "apiVersion": "v1", "metadata": {}, "items": []}"#)
                } else {
                    let body = r#"{"kind": "Status", "code": 429, "status": "Failure", "reason": "TooManyRequests",
                        "message": "storage is (re)initializing", "details": {"retryAfterSeconds": 1}}"#;
                    (429, body)
                };
                let answer =
                    http::Response::builder().status(code).body(Body::from(body.as_bytes().to_vec()));
                std::future::ready(answer)
            });
            let limit = Duration::from_secs(limit);
            let objects = Objects { client: kube::Client::new(service, "n"), read: limit, write: limit };
            let listed = objects.list("v1", "Secret", None, "").await;
            assert_eq!(listed.is_ok(), is_answered, "within {limit:?}: {listed:?}");
        }
    }

    #[test]
    fn plurals_are_those_of_the_api() {
        for (api_version, kind, plural) in [
            ("v1", "Namespace", "namespaces"),
            ("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies"),
            ("source.toolkit.fluxcd.io/v1", "GitRepository", "gitrepositories"),
            ("apiextensions.k8s.io/v1", "CustomResourceDefinition", "customresourcedefinitions"),
        ] {
            let resource = resource(api_version, kind);
            assert_eq!((resource.api_version.as_str(), resource.plural.as_str()), (api_version, plural));
        }
    }
}
