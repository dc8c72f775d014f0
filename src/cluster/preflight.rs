//! The checks of bootstrap before any change: the server's version, and all missing rights at once.

use futures::{StreamExt as _, stream};
use http::Method;
use serde_json::{Value, json};

use super::client::{ApiRequest, Client, JSON};
use super::failure::RequestFailure;
use lockgate_core::pipeline::ports::{ApiFailure, Denied};
use lockgate_core::plan::Answer;

/// A needed right. An empty namespace stands for the cluster scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Right {
    /// `create`, `patch`, ...
    pub verb: String,
    /// API group, empty for core.
    pub group: String,
    /// The plural, with a subresource after a slash, if any.
    pub resource: String,
    /// Namespace.
    pub namespace: String,
}

/// The server's version, for example `v1.35.4`.
pub async fn version(client: &Client) -> Result<String, ApiFailure> {
    let answer = client.send(ApiRequest::get("/version".into(), JSON)).await?;
    Ok(answer.body["gitVersion"].as_str().unwrap_or_default().to_owned())
}

/// The user name of the client; empty if the server cannot tell it.
pub(crate) async fn who_am_i(client: &Client) -> Result<String, ApiFailure> {
    let body = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
    match client.send(post("/apis/authentication.k8s.io/v1/selfsubjectreviews", &body)).await {
        Ok(answer) => {
            Ok(answer.body.pointer("/status/userInfo/username").and_then(Value::as_str).unwrap_or("").into())
        }
        Err(RequestFailure::Answered(Answer { code: 404, .. })) => Ok(String::new()),
        Err(failure) => Err(failure.into()),
    }
}

/// The missing rights of the client's user, in the order of `rights`.
pub async fn missing_rights(client: &Client, rights: &[Right]) -> Result<Vec<Denied>, ApiFailure> {
    let account = who_am_i(client).await?;
    let answers: Vec<_> = stream::iter(rights.to_vec())
        .map(|right| async move {
            let (resource, subresource) = right.resource.split_once('/').unwrap_or((&right.resource, ""));
            let body = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
                "spec": {"resourceAttributes": {"verb": right.verb, "group": right.group, "resource": resource,
                                                "subresource": subresource, "namespace": right.namespace}}});
            let answer = client.send(post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", &body)).await?;
            Ok::<_, RequestFailure>((answer.body.pointer("/status/allowed") == Some(&Value::Bool(true)), right))
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

fn post(path: &str, body: &Value) -> ApiRequest {
    ApiRequest {
        method: Method::POST,
        path: path.into(),
        accept: JSON,
        content_type: JSON,
        body: body.to_string().into_bytes(),
    }
}
