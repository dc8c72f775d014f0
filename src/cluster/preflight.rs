//! What bootstrap asks before it changes anything: the server's version, which rights are missing (all at once), and
//! whether Flux's own controllers run.

use futures::{StreamExt as _, stream};
use http::Method;
use serde_json::{Value, json};

use super::client::{Client, JSON, Request};
use super::failure::Failure;
use lockgate_core::api;
use lockgate_core::pipeline::ports::{ApiFailure, Denied};
use lockgate_core::plan::Answer;

/// A right that is needed. An empty namespace stands for the cluster scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Right {
    /// `create`, `patch`, ...
    pub verb: String,
    /// API group, empty for core.
    pub group: String,
    /// Plural, with the subresource behind a slash where there is one.
    pub resource: String,
    /// Namespace.
    pub namespace: String,
}

/// A Deployment of Flux.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FluxController {
    /// Namespace.
    pub namespace: String,
    /// For example `kustomize-controller`.
    pub name: String,
    /// How many replicas it is told to have.
    pub replicas: i64,
}

impl FluxController {
    /// The controller that a Deployment is, where it is told to run.
    pub(crate) fn running(deployment: &Value) -> Option<Self> {
        let text =
            |pointer| deployment.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (namespace, name) = (text("/metadata/namespace"), text("/metadata/name"));
        let replicas = deployment.pointer("/spec/replicas").and_then(Value::as_i64).unwrap_or(1);
        (replicas > 0).then_some(Self { namespace, name, replicas })
    }

    /// Whether it does what lockgate does, so that both would undo each other's work.
    pub(crate) fn is_rival(&self) -> bool {
        api::is_rival(&self.name)
    }

    /// Who acts on the kinds that lockgate does not act on.
    pub(crate) fn actors(controllers: &[Self]) -> api::Actors {
        api::Actors::new(controllers.iter().map(|one| (one.namespace.as_str(), one.name.as_str())))
    }

    /// Several, as a message names them: `namespace/name, namespace/name`.
    pub fn names(controllers: &[Self]) -> String {
        let names =
            controllers.iter().map(|controller| format!("{}/{}", controller.namespace, controller.name));
        names.collect::<Vec<_>>().join(", ")
    }
}

/// The server's version, for example `v1.35.4`.
pub async fn version(client: &Client) -> Result<String, ApiFailure> {
    let answer = client.send(Request::get("/version".into(), JSON)).await?;
    Ok(answer.body["gitVersion"].as_str().unwrap_or_default().to_owned())
}

/// Who the client is to the server: a user name, empty where the server cannot say.
pub(crate) async fn who_am_i(client: &Client) -> Result<String, ApiFailure> {
    let body = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
    match client.send(post("/apis/authentication.k8s.io/v1/selfsubjectreviews", &body)).await {
        Ok(answer) => {
            Ok(answer.body.pointer("/status/userInfo/username").and_then(Value::as_str).unwrap_or("").into())
        }
        Err(Failure::Answered(Answer { code: 404, .. })) => Ok(String::new()),
        Err(failure) => Err(failure.into()),
    }
}

/// Those of the rights that the client's user does not have, in the order asked.
pub async fn missing_rights(client: &Client, rights: &[Right]) -> Result<Vec<Denied>, ApiFailure> {
    let account = who_am_i(client).await?;
    let answers: Vec<_> = stream::iter(rights.to_vec())
        .map(|right| async move {
            let (resource, subresource) = right.resource.split_once('/').unwrap_or((&right.resource, ""));
            let body = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
                "spec": {"resourceAttributes": {"verb": right.verb, "group": right.group, "resource": resource,
                                                "subresource": subresource, "namespace": right.namespace}}});
            let answer = client.send(post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", &body)).await?;
            Ok::<_, Failure>((answer.body.pointer("/status/allowed") == Some(&Value::Bool(true)), right))
        })
        .buffered(8)
        .collect()
        .await;
    let mut missing = Vec::new();
    for answer in answers {
        let (allowed, right) = answer?;
        if !allowed {
            let resource = if right.group.is_empty() {
                right.resource
            } else {
                format!("{}.{}", right.resource, right.group)
            };
            missing.push(Denied {
                account: account.clone(),
                verb: right.verb,
                resource,
                namespace: right.namespace,
            });
        }
    }
    Ok(missing)
}

/// Flux's controllers that are told to run, in any namespace.
pub async fn flux_controllers(client: &Client) -> Result<Vec<FluxController>, ApiFailure> {
    let path = "/apis/apps/v1/deployments?labelSelector=app.kubernetes.io%2Fpart-of%3Dflux";
    let answer = client.send(Request::get(path.into(), JSON)).await?;
    let items = answer.body["items"].as_array().map_or(&[][..], Vec::as_slice);
    Ok(items.iter().filter_map(FluxController::running).collect())
}

fn post(path: &str, body: &Value) -> Request {
    Request {
        method: Method::POST,
        path: path.into(),
        accept: JSON,
        content_type: JSON,
        body: serde_json::to_vec(body).unwrap_or_default(),
    }
}
