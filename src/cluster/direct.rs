//! Objects at known paths, which the agent keeps on the server for itself. No discovery is needed for them,
//! and their requests have a bound of their own, so that an apply cannot hold them up.

use std::fmt;
use std::sync::Arc;

use http::Method;
use serde_json::Value;

use super::client::{ApiRequest, Client, JSON, JSON_PATCH, METADATA};
use super::failure::{self, RequestFailure};
use super::handle::WriteGuard;
use super::path::{ServedKind, encode};
use lockgate_core::pipeline::ports::ApiFailure;
use lockgate_core::plan::Answer;

/// A namespaced kind that needs no discovery, since it is Kubernetes' own or the agent's.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KnownKind<'k> {
    /// API group, empty for core.
    pub group: &'k str,
    /// Version.
    pub version: &'k str,
    /// Lower-case plural, as in the URL.
    pub plural: &'k str,
}

impl KnownKind<'_> {
    fn resource(self) -> ServedKind {
        ServedKind {
            group: self.group.into(),
            version: self.version.into(),
            kind: String::new(),
            plural: self.plural.into(),
            namespaced: true,
        }
    }

    fn object(self, namespace: &str, name: &str) -> Result<String, RequestFailure> {
        let path = self.resource().object(namespace, name);
        path.ok_or_else(|| failure::unavailable(format!("'{namespace}/{name}' cannot be a part of a path")))
    }
}

/// The part of an object that a patch changes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum PatchedPart {
    /// All of it except its status.
    Object,
    /// Its status alone.
    Status,
}

impl PatchedPart {
    /// The suffix behind the path of the object.
    const fn path(self) -> &'static str {
        match self {
            Self::Object => "",
            Self::Status => "/status",
        }
    }
}

/// Reads and writes objects at known paths, always with our own identity.
#[derive(Clone)]
pub(crate) struct Direct {
    client: Client,
    fence: WriteGuard,
}

impl fmt::Debug for Direct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Direct").field("client", &self.client).finish_non_exhaustive()
    }
}

impl Direct {
    /// Uses the connections of a client, with at most `in_flight` requests of its own at a time.
    pub(crate) fn new(client: &Client, in_flight: usize) -> Self {
        Self { client: client.apart(in_flight), fence: Arc::new(|| Ok(())) }
    }

    /// Checks `fence` before each write.
    #[must_use]
    pub(crate) fn fenced(self, fence: WriteGuard) -> Self {
        Self { fence, ..self }
    }

    /// The current object; `None` if there is none. An error if the server does not know its kind.
    pub(crate) async fn get(
        &self,
        kind: KnownKind<'_>,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Value>, ApiFailure> {
        match self.client.send(ApiRequest::get(kind.object(namespace, name)?, JSON)).await {
            Ok(reply) => Ok(Some(reply.body)),
            Err(RequestFailure::Answered(Answer { code: 404, message, .. }))
                if !failure::is_unserved_path(&message) =>
            {
                Ok(None)
            }
            Err(failure) => Err(failure.into()),
        }
    }

    /// The current object, read by a list: an account that may watch a kind may list it, and need not have
    /// the right to get.
    pub(crate) async fn find(
        &self,
        kind: KnownKind<'_>,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Value>, ApiFailure> {
        let collection = kind.resource().collection(namespace);
        let path = format!("{collection}?fieldSelector=metadata.name%3D{}", encode(name));
        let mut reply = self.client.send(ApiRequest::get(path, JSON)).await?;
        let items = reply.body["items"].as_array_mut().map(std::mem::take).unwrap_or_default();
        Ok(items.into_iter().find(|item| item["metadata"]["name"] == name))
    }

    /// Creates an object, and returns its resourceVersion.
    pub(crate) async fn create(
        &self,
        kind: KnownKind<'_>,
        namespace: &str,
        object: &Value,
    ) -> Result<String, ApiFailure> {
        let path = kind.resource().collection(namespace);
        self.write(Method::POST, path, JSON, object).await
    }

    /// Replaces an object, and returns its new resourceVersion. The request fails if the object was changed
    /// since the resourceVersion in it.
    pub(crate) async fn replace(
        &self,
        kind: KnownKind<'_>,
        namespace: &str,
        name: &str,
        object: &Value,
    ) -> Result<String, ApiFailure> {
        self.write(Method::PUT, kind.object(namespace, name)?, JSON, object).await
    }

    /// Changes an object by the operations of a JSON patch (RFC 6902), and returns its new resourceVersion.
    ///
    /// The API server need not decode strictly to warn of unknown fields: we send none.
    pub(crate) async fn patch(
        &self,
        kind: KnownKind<'_>,
        (namespace, name): (&str, &str),
        part: PatchedPart,
        manager: &str,
        operations: &Value,
    ) -> Result<String, ApiFailure> {
        let object = kind.object(namespace, name)?;
        let part = part.path();
        let url = format!("{object}{part}?fieldManager={}&fieldValidation=Ignore", encode(manager));
        self.write(Method::PATCH, url, JSON_PATCH, operations).await
    }

    /// Sends an object or a patch, and returns the resourceVersion in the answer.
    async fn write(
        &self,
        method: Method,
        path: String,
        content_type: &'static str,
        body: &Value,
    ) -> Result<String, ApiFailure> {
        let body = body.to_string().into_bytes();
        let request = ApiRequest { method, path, accept: METADATA, content_type, body };
        let sent = self.client.send_while(request, || (self.fence)().map_err(RequestFailure::Fenced)).await;
        let reply = sent?;
        let version = reply.body.pointer("/metadata/resourceVersion").and_then(Value::as_str);
        Ok(version.unwrap_or_default().to_owned())
    }
}
