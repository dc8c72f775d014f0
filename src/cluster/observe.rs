//! The dry run: what is there, and what a server-side apply would make of it.
//!
//! An object that is not there costs one request, whose answer (201) says so; one that is there costs two, sent together
//! where it was known before.

use std::collections::HashSet;

use futures::{StreamExt as _, stream};
use http::StatusCode;
use tokio::time::sleep;

use super::apply::UNSERVED;
use super::client::{JSON, METADATA, Reply, Request};
use super::failure::{self, Failure, refusal};
use super::path::Resource;
use super::{BATCH, CHUNK, Cluster};
use lockgate_base::model::{Object, ObjectId};
use lockgate_core::pipeline::ports::Reference;
use lockgate_core::plan::{Answer, Cause, Observation, Phase, Refusal};

impl Cluster {
    pub(super) async fn observe_all(
        &self,
        objects: &[Object],
        known: &HashSet<ObjectId>,
    ) -> Vec<Observation> {
        let mut observations = Vec::with_capacity(objects.len());
        for some in objects.chunks(CHUNK) {
            let looks: Vec<_> =
                some.iter().map(|object| self.observe_one(object, known.contains(&object.id()))).collect();
            observations.extend(stream::iter(looks).buffered(BATCH).collect::<Vec<_>>().await);
        }
        observations
    }

    async fn observe_one(&self, object: &Object, known: bool) -> Observation {
        let resource = match self.resource_of(object, Phase::DryRun).await {
            Ok(resource) => resource,
            Err(refusal) => return Observation { live: None, dry_run: Err(refusal) },
        };
        if !known {
            match self.patch(&resource, object, true, METADATA).await {
                Ok(Reply { status: StatusCode::CREATED, .. }) => {
                    return Observation { live: None, dry_run: Ok(object.clone()) };
                }
                // It is there, and the whole of both sides is needed to compare them.
                Ok(_) => {}
                Err(failure) => return self.refused(object, &resource, failure).await,
            }
        }
        let reference = Reference::to(object);
        let (live, dry_run) =
            futures::join!(self.live(&resource, &reference, JSON), self.patch(&resource, object, true, JSON));
        let refused = |failure| refusal(object, Phase::DryRun, failure);
        let live = match live {
            Ok(live) => live,
            Err(failure) => return Observation { live: None, dry_run: Err(refused(failure)) },
        };
        let whole = |reply: Reply| {
            Object::parse(reply.body)
                .map_err(|error| failure::unavailable(format!("the answer is no object: {error}")))
        };
        let dry_run = dry_run.and_then(whole).map_err(refused);
        Observation { live, dry_run }
    }

    /// The observation of an object whose dry run failed. Whether it is there decides what can be done about it, so that
    /// is asked when the answer can mean an immutable field.
    async fn refused(&self, object: &Object, resource: &Resource, failure: Failure) -> Observation {
        let about_the_live_one = matches!(failure, Failure::Answered(Answer { code: 409 | 422, .. }));
        let live = if about_the_live_one {
            self.live(resource, &Reference::to(object), JSON).await.unwrap_or_default()
        } else {
            None
        };
        Observation { live, dry_run: Err(refusal(object, Phase::DryRun, failure)) }
    }

    /// The resource of an object that is to be applied, once its name and namespace can be in a URL.
    pub(super) async fn resource_of(&self, object: &Object, phase: Phase) -> Result<Resource, Refusal> {
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

    /// An object as it is now; `None` where there is none.
    pub(super) async fn live(
        &self,
        resource: &Resource,
        reference: &Reference,
        accept: &'static str,
    ) -> Result<Option<Object>, Failure> {
        let get = |path| Request::get(path, accept);
        let answer = self.about(resource, reference, get, |request| self.client.send(request)).await?;
        Ok(answer.and_then(|(answer, resource)| typed(answer, &resource)))
    }

    /// What the server answers to a request about one object, and the resource by which it was reached; `None` where there
    /// is no such object. That a version is not served any more says nothing of the object: its kind is looked for anew.
    pub(super) async fn about<F: Future<Output = Result<Reply, Failure>>>(
        &self,
        resource: &Resource,
        reference: &Reference,
        request: impl Fn(String) -> Request,
        send: impl Fn(Request) -> F,
    ) -> Result<Option<(Reply, Resource)>, Failure> {
        let mut resource = resource.clone();
        for delay in UNSERVED {
            let Some(path) = resource.object(&reference.id.namespace, &reference.id.name) else {
                return Ok(None);
            };
            match send(request(path)).await {
                Ok(answer) => return Ok(Some((answer, resource))),
                Err(failure) if failure::is_unserved(&failure) => {}
                Err(Failure::Answered(Answer { code: 404, .. })) => return Ok(None),
                Err(failure) => return Err(failure),
            }
            self.shared.discovery.forget(&resource.group, &resource.kind);
            resource = match self.shared.discovery.any(&self.shared.client, reference).await {
                Ok(other) if other == resource => {
                    sleep(delay).await;
                    other
                }
                Ok(other) => other,
                Err(Failure::UnknownKind { unreachable: false, .. }) => return Ok(None),
                Err(failure) => return Err(failure),
            };
        }
        let (kind, version) = (&resource.kind, resource.api_version());
        Err(failure::unavailable(format!("{kind} is listed in version {version}, which is not served")))
    }
}

/// The object of an answer, under its own type where the answer holds its metadata alone.
pub(super) fn typed(reply: Reply, resource: &Resource) -> Option<Object> {
    let mut value = reply.body;
    value["apiVersion"] = resource.api_version().into();
    value["kind"] = resource.kind.clone().into();
    Object::parse(value).ok()
}
