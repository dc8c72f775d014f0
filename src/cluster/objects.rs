//! Reads and writes the objects of a cluster for a command, one at a time, and waits for a busy server.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::client::{APPLY, ApiRequest, Client, JSON, MERGE_PATCH, READ_LIMIT, Reply, WRITE_LIMIT};
use super::discovery::Discovery;
use super::failure::{self, RequestFailure};
use super::path::{ServedKind, encode};
use super::reach::typed;
use lockgate_base::model::{Gvk, Object};
use lockgate_core::api::KindInfo;
use lockgate_core::pipeline::ports::{ApiFailure, Denied};
use lockgate_core::plan::Answer;

/// The field manager of the objects that commands write.
pub(crate) const MANAGER: &str = "lockgate";

/// The objects of a cluster.
#[derive(Debug, Clone)]
pub(crate) struct Objects {
    client: Client,
    discovery: Arc<Discovery>,
    /// The time limit of a read.
    read: Duration,
    /// The time limit of a write or a dry run.
    write: Duration,
}

impl Objects {
    /// Uses the connections of a client.
    pub(crate) fn new(client: &Client) -> Self {
        Self { client: client.clone(), discovery: Arc::default(), read: READ_LIMIT, write: WRITE_LIMIT }
    }

    /// The current object; `None` if there is none, or its kind does not exist.
    pub(crate) async fn get(&self, object: &Object) -> Result<Option<Object>, ApiFailure> {
        let Some(resource) = self.served(&object.gvk()).await? else { return Ok(None) };
        let request = ApiRequest::get(path(&resource, object)?, JSON);
        let denied = || denied("get", &resource, object.namespace());
        let answer = found(self.send(request).await).map_err(|failure| told_of_read(failure, denied))?;
        answer.map(|reply| read(reply, &resource)).transpose()
    }

    /// Applies an object with force, and returns the result.
    pub(crate) async fn apply(&self, object: &Object) -> Result<Object, ApiFailure> {
        let resource = self.known(object).await?;
        let reply = self.patch(&resource, object, "&force=true", APPLY, object.value()).await;
        let applied = read(reply.map_err(told)?, &resource)?;
        self.discovery.learn(&applied);
        Ok(applied)
    }

    /// Checks by a dry run whether the server would accept an object.
    pub(crate) async fn rehearse(&self, object: &Object) -> Result<(), ApiFailure> {
        let resource = self.known(object).await?;
        let parameters = "&force=true&dryRun=All";
        self.patch(&resource, object, parameters, APPLY, object.value()).await.map(drop).map_err(told)
    }

    /// Creates an object; `false` if it exists already.
    pub(crate) async fn create(&self, object: &Object) -> Result<bool, ApiFailure> {
        let resource = self.known(object).await?;
        let collection = resource.collection(object.namespace().unwrap_or_default());
        let request = ApiRequest {
            method: Method::POST,
            path: format!("{collection}?fieldManager={MANAGER}"),
            accept: JSON,
            content_type: JSON,
            body: object.value().to_string().into_bytes(),
        };
        match self.send(request).await {
            Ok(_) => Ok(true),
            Err(RequestFailure::Answered(Answer { reason, .. })) if reason == "AlreadyExists" => Ok(false),
            Err(failure) => Err(told(failure)),
        }
    }

    /// Applies a merge patch to an object; `false` if it does not exist.
    pub(crate) async fn merge(&self, object: &Object, patch: &Value) -> Result<bool, ApiFailure> {
        let Some(resource) = self.served(&object.gvk()).await? else { return Ok(false) };
        let reply = self.patch(&resource, object, "", MERGE_PATCH, patch).await;
        found(reply).map(|reply| reply.is_some()).map_err(told)
    }

    /// Deletes an object, and its dependents in the background; `false` if it does not exist.
    pub(crate) async fn delete(&self, object: &Object) -> Result<bool, ApiFailure> {
        let Some(resource) = self.served(&object.gvk()).await? else { return Ok(false) };
        let options = json!({"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"});
        let request = ApiRequest {
            method: Method::DELETE,
            path: path(&resource, object)?,
            accept: JSON,
            content_type: JSON,
            body: options.to_string().into_bytes(),
        };
        found(self.send(request).await).map(|reply| reply.is_some()).map_err(told)
    }

    /// All objects of a kind, in one namespace or in all; none if the cluster does not have the kind.
    pub(crate) async fn list(
        &self,
        api_version: &str,
        kind: &str,
        namespace: Option<&str>,
        selector: &str,
    ) -> Result<Vec<Object>, ApiFailure> {
        Ok(self.list_served(api_version, kind, namespace, selector).await?.unwrap_or_default())
    }

    /// All objects of a kind, in one namespace or in all; `None` if the cluster does not have the kind.
    pub(crate) async fn list_served(
        &self,
        api_version: &str,
        kind: &str,
        namespace: Option<&str>,
        selector: &str,
    ) -> Result<Option<Vec<Object>>, ApiFailure> {
        self.list_by(api_version, kind, namespace, &format!("labelSelector={}", encode(selector))).await
    }

    /// The objects of a kind that a query selects; `None` if the cluster does not have the kind.
    async fn list_by(
        &self,
        api_version: &str,
        kind: &str,
        namespace: Option<&str>,
        query: &str,
    ) -> Result<Option<Vec<Object>>, ApiFailure> {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let gvk = Gvk { group: group.into(), version: version.into(), kind: kind.into() };
        let Some(resource) = self.served(&gvk).await? else { return Ok(None) };
        let collection = resource.collection(namespace.unwrap_or_default());
        let request = ApiRequest::get(format!("{collection}?{query}"), JSON);
        let denied = || denied("list", &resource, namespace);
        let answer = found(self.send(request).await).map_err(|failure| told_of_read(failure, denied))?;
        let Some(Reply { status, mut body, .. }) = answer else { return Ok(None) };
        let items = body.get_mut("items").and_then(Value::as_array_mut).map(std::mem::take);
        let items = items.unwrap_or_default().into_iter();
        items
            .map(|body| read(Reply { status, body, warnings: Vec::new() }, &resource))
            .collect::<Result<_, _>>()
            .map(Some)
    }

    /// The events about an object; none if they may not be read, since they are only additional information.
    pub(crate) async fn events(&self, object: &Object) -> Vec<Object> {
        let Some(uid) = object.text("/metadata/uid") else { return Vec::new() };
        let query = format!("fieldSelector={}", encode(&format!("involvedObject.uid={uid}")));
        let listed = self.list_by("v1", "Event", object.namespace(), &query).await;
        listed.ok().flatten().unwrap_or_default()
    }

    /// All objects of a kind, or only those of one namespace if the user may not list all. `None` if the
    /// cluster does not have the kind.
    pub(crate) async fn list_all_or_near(
        &self,
        info: &KindInfo,
        namespace: Option<&str>,
    ) -> Result<Option<Vec<Object>>, ApiFailure> {
        let (version, kind) = (info.api_version(), info.id.kind);
        let mut listed = self.list_served(&version, kind, None, "").await;
        if let (Err(ApiFailure::Forbidden(_)), Some(_)) = (&listed, namespace) {
            listed = self.list_served(&version, kind, namespace, "").await;
        }
        listed
    }

    /// The path of the objects of a kind; `None` if the cluster does not have it.
    async fn served(&self, gvk: &Gvk) -> Result<Option<ServedKind>, ApiFailure> {
        match self.discovery.exact(&self.client, gvk).await {
            Ok(resource) => Ok(Some(resource)),
            Err(RequestFailure::UnknownKind { unreachable: false, .. }) => Ok(None),
            Err(failure) => Err(told(failure)),
        }
    }

    /// The path of an object whose kind the cluster has to have.
    async fn known(&self, object: &Object) -> Result<ServedKind, ApiFailure> {
        self.discovery.exact(&self.client, &object.gvk()).await.map_err(told)
    }

    async fn patch(
        &self,
        resource: &ServedKind,
        object: &Object,
        parameters: &str,
        content_type: &'static str,
        patch: &Value,
    ) -> Result<Reply, RequestFailure> {
        let request = ApiRequest {
            method: Method::PATCH,
            path: format!("{}?fieldManager={MANAGER}{parameters}", path(resource, object)?),
            accept: JSON,
            content_type,
            body: patch.to_string().into_bytes(),
        };
        self.send(request).await
    }

    async fn send(&self, request: ApiRequest) -> Result<Reply, RequestFailure> {
        let limit = if request.method == Method::GET { self.read } else { self.write };
        self.client.send_within(&request, limit).await
    }
}

fn path(resource: &ServedKind, object: &Object) -> Result<String, RequestFailure> {
    let path = resource.object(object.namespace().unwrap_or_default(), object.name());
    path.ok_or_else(|| {
        let message = format!("{} has no name or namespace that can be asked for", object.id().subject());
        failure::answered(StatusCode::BAD_REQUEST, "BadRequest", message)
    })
}

/// The answer about an object that need not exist.
fn found(answer: Result<Reply, RequestFailure>) -> Result<Option<Reply>, RequestFailure> {
    match answer {
        Ok(reply) => Ok(Some(reply)),
        Err(RequestFailure::Answered(Answer { code: 404, .. })) => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// The failure from a command's view: a server that gave an answer of its own was reachable, whatever it
/// said.
fn told(failure: RequestFailure) -> ApiFailure {
    match failure {
        RequestFailure::Busy { answer, .. }
        | RequestFailure::Answered(answer @ Answer { code: 502..=504, .. }) => {
            ApiFailure::Answered { code: answer.code, reason: answer.reason, message: answer.message }
        }
        failure => failure.into(),
    }
}

/// The failure of a read. No admission plugin sees reads, so a 403 is always a missing right, even if a proxy
/// before the server answers in its own words.
fn told_of_read(failure: RequestFailure, denied: impl Fn() -> Denied) -> ApiFailure {
    match told(failure) {
        ApiFailure::Answered { code: 403, .. } => ApiFailure::Forbidden(denied()),
        told => told,
    }
}

/// The missing right to read, if the server does not name the user.
fn denied(verb: &str, resource: &ServedKind, namespace: Option<&str>) -> Denied {
    let ServedKind { group, plural, namespaced, .. } = resource;
    Denied {
        account: String::new(),
        verb: verb.into(),
        resource: if group.is_empty() { plural.clone() } else { format!("{plural}.{group}") },
        namespace: namespace.filter(|_| *namespaced).unwrap_or_default().into(),
    }
}

fn read(reply: Reply, resource: &ServedKind) -> Result<Object, ApiFailure> {
    typed(reply, resource).ok_or_else(|| unreadable(&resource.kind))
}

fn unreadable(what: &impl fmt::Display) -> ApiFailure {
    ApiFailure::Unavailable { message: format!("an object of kind {what} cannot be read"), retry_after: None }
}

#[cfg(test)]
pub(crate) mod tests;
