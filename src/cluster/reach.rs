//! One object, in whatever version its kind is served now: its path on the server, and the server's answers
//! there.

use std::time::Duration;

use futures::{StreamExt as _, stream};
use tokio::time::sleep;

use super::client::{ApiRequest, METADATA, Reply};
use super::failure::{self, RequestFailure, refusal};
use super::handle::Cluster;
use super::path::ServedKind;
use lockgate_base::model::Object;
use lockgate_core::pipeline::ports::{ApiFailure, ObjectReference};
use lockgate_core::plan::{Answer, Cause, Phase, Refusal};

/// The most objects that are requested at one time for one Kustomization. The client bounds the sum of all.
pub(super) const BATCH: usize = 8;
/// The most requests that are prepared at one time, which bounds their memory.
pub(super) const CHUNK: usize = 200;
/// The pauses between the tries of a path that the server does not know. A new kind is served a moment after
/// its CustomResourceDefinition is established, and a version is listed for a moment after it has ceased to
/// be served.
pub(super) const UNSERVED: [Duration; 5] = [
    Duration::from_millis(50),
    Duration::from_millis(150),
    Duration::from_millis(400),
    Duration::from_secs(1),
    Duration::ZERO,
];

impl Cluster {
    pub(super) async fn read_all(
        &self,
        references: &[ObjectReference],
    ) -> Vec<Result<Option<Object>, ApiFailure>> {
        let mut answers = Vec::with_capacity(references.len());
        for some in references.chunks(CHUNK) {
            let reads: Vec<_> = some.iter().map(|reference| self.read(reference, METADATA)).collect();
            answers.extend(stream::iter(reads).buffered(BATCH).collect::<Vec<_>>().await);
        }
        answers
    }

    pub(super) async fn read(
        &self,
        reference: &ObjectReference,
        accept: &'static str,
    ) -> Result<Option<Object>, ApiFailure> {
        match self.shared.discovery.any(&self.shared.client, reference).await {
            Ok(resource) => Ok(self.live(&resource, reference, accept).await?),
            Err(RequestFailure::UnknownKind { unreachable: false, .. }) => Ok(None),
            Err(failure) => Err(failure.into()),
        }
    }

    /// The resource of an object to apply, if its name and namespace can be in a URL.
    pub(super) async fn resource_of(&self, object: &Object, phase: Phase) -> Result<ServedKind, Refusal> {
        let found = self.shared.discovery.exact(&self.shared.client, &object.gvk()).await;
        let resource = found.map_err(|failure| refusal(object, phase, failure))?;
        let namespace = object.namespace().unwrap_or_default();
        if resource.namespaced && namespace.is_empty() {
            return Err(Refusal::namespace_not_specified(object.id(), phase));
        }
        if resource.object(namespace, object.name()).is_none() {
            let text = "a name or namespace may not be '.' or '..', nor contain '/' or '%'";
            return Err(Refusal::new(object.id(), phase, Cause::Invalid, text));
        }
        Ok(resource)
    }

    /// The current object; `None` if there is none.
    pub(super) async fn live(
        &self,
        resource: &ServedKind,
        reference: &ObjectReference,
        accept: &'static str,
    ) -> Result<Option<Object>, RequestFailure> {
        let get = |path| ApiRequest::get(path, accept);
        let answer = self.about(resource, reference, get, |request| self.client.send(request)).await?;
        Ok(answer.and_then(|(answer, resource)| typed(answer, &resource)))
    }

    /// The server's answer to a request about one object, and the resource of the request; `None` if there is
    /// no such object. A version that is no longer served says nothing about the object, so its kind is
    /// looked up again.
    pub(super) async fn about<F: Future<Output = Result<Reply, RequestFailure>>>(
        &self,
        resource: &ServedKind,
        reference: &ObjectReference,
        request: impl Fn(String) -> ApiRequest,
        send: impl Fn(ApiRequest) -> F,
    ) -> Result<Option<(Reply, ServedKind)>, RequestFailure> {
        let mut resource = resource.clone();
        for delay in UNSERVED {
            let Some(path) = resource.object(&reference.id.namespace, &reference.id.name) else {
                return Ok(None);
            };
            match send(request(path)).await {
                Ok(answer) => return Ok(Some((answer, resource))),
                Err(failure) if failure::is_unserved(&failure) => {}
                Err(RequestFailure::Answered(Answer { code: 404, .. })) => return Ok(None),
                Err(failure) => return Err(failure),
            }
            self.shared.discovery.forget(&resource.group, &resource.kind);
            resource = match self.shared.discovery.any(&self.shared.client, reference).await {
                Ok(other) if other == resource => {
                    sleep(delay).await;
                    other
                }
                Ok(other) => other,
                Err(RequestFailure::UnknownKind { unreachable: false, .. }) => return Ok(None),
                Err(failure) => return Err(failure),
            };
        }
        let (kind, version) = (&resource.kind, resource.api_version());
        Err(failure::unavailable(format!("{kind} is listed in version {version}, which is not served")))
    }
}

/// The object of an answer, with its own type even if the answer holds only its metadata.
pub(super) fn typed(reply: Reply, resource: &ServedKind) -> Option<Object> {
    let mut value = reply.body;
    value["apiVersion"] = resource.api_version().into();
    value["kind"] = resource.kind.clone().into();
    Object::parse(value).ok()
}
