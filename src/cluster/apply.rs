//! The writes: the only file that changes objects of a cluster. Each write checks the fence right before it
//! is sent, so that a process that has lost its lease writes nothing. A dry run is the same request with one
//! more parameter, and is made here as well.

use std::time::Duration;

use http::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::client::{APPLY, ApiRequest, JSON, JSON_PATCH, METADATA, Reply};
use super::failure::{self, RequestFailure, refusal};
use super::handle::Cluster;
use super::judge;
use super::path::{ServedKind, encode};
use super::reach::{UNSERVED, typed};
use lockgate_base::model::{Object, ObjectId};
use lockgate_core::pipeline::ports::{Accepted, Deleted, ObjectReference};
use lockgate_core::plan::{Answer, Phase, Refusal};

impl Cluster {
    pub(super) async fn apply_one(&self, object: &Object) -> Result<Accepted, Refusal> {
        let resource = self.resource_of(object, Phase::Apply).await?;
        self.write(object, &resource).await.map_err(|failure| refusal(object, Phase::Apply, failure))
    }

    async fn write(&self, object: &Object, resource: &ServedKind) -> Result<Accepted, RequestFailure> {
        let writing = Writing::begin(self, object.id());
        let accept = if judge::is_stateless(object.group(), object.kind()) { METADATA } else { JSON };
        let mut answer = self.patch(resource, object, false, accept).await?;
        let warnings = std::mem::take(&mut answer.warnings);
        let left = typed(answer, resource).ok_or_else(|| failure::unavailable("the answer is no object"))?;
        self.shared.discovery.learn(&left);
        writing.left(&left, resource);
        let text = |pointer| left.text(pointer).unwrap_or_default().to_owned();
        Ok(Accepted {
            reference: ObjectReference::to(&left),
            uid: text("/metadata/uid"),
            resource_version: text("/metadata/resourceVersion"),
            generation: left.pointer("/metadata/generation").and_then(Value::as_i64),
            warnings,
        })
    }

    pub(super) async fn patch_managed_fields(
        &self,
        reference: &ObjectReference,
        patch: &Value,
    ) -> Result<(), RequestFailure> {
        let resource = self.shared.discovery.any(&self.shared.client, reference).await?;
        let url = resource.object(&reference.id.namespace, &reference.id.name).unwrap_or_default();
        // The patch changes lockgate's entry in managedFields, so sightings are no drift until the apply that
        // follows.
        self.watched.index().release(&reference.id, None);
        let request = ApiRequest {
            method: Method::PATCH,
            path: format!("{url}?fieldManager={}", encode(self.watched.ownership.manager)),
            accept: METADATA,
            content_type: JSON_PATCH,
            body: patch.to_string().into_bytes(),
        };
        self.send_write(request).await.map(drop)
    }

    pub(super) async fn clear_one(&self, object: &Object, uid: &str) -> Result<(), Refusal> {
        let deleted = self.delete_one(&ObjectReference::to(object), uid, None).await;
        deleted.map(drop).map_err(|failure| refusal(object, Phase::Apply, failure))
    }

    pub(super) async fn cleared_one(&self, object: &Object, timeout: Duration) -> Result<(), Refusal> {
        let told = |failure| refusal(object, Phase::Apply, failure);
        let reference = ObjectReference::to(object);
        let left = self.until_gone(std::slice::from_ref(&reference), timeout).await;
        let left = left.map_err(|failure| {
            let message = format!("it was deleted to be recreated; whether it is gone is unknown: {failure}");
            told(failure::unavailable(message))
        })?;
        if left.is_empty() {
            return Ok(());
        }
        let held = self.held_by(&reference).await;
        let held = held.map(|finalizers| format!(", held by finalizers {finalizers}")).unwrap_or_default();
        let seconds = timeout.as_secs();
        let message = format!("it was deleted to be recreated, and still exists after {seconds}s{held}");
        Err(told(failure::answered(StatusCode::CONFLICT, "Conflict", message)))
    }

    /// The finalizers of an object, as a note for a message; `None` if they are unknown or there are none.
    async fn held_by(&self, reference: &ObjectReference) -> Option<String> {
        let live = self.read(reference, METADATA).await.ok()??;
        live.pointer("/metadata/finalizers").map(ToString::to_string)
    }

    pub(super) async fn delete_one(
        &self,
        reference: &ObjectReference,
        uid: &str,
        resource_version: Option<&str>,
    ) -> Result<Deleted, RequestFailure> {
        let resource = match self.shared.discovery.any(&self.shared.client, reference).await {
            Ok(resource) => resource,
            // If its kind is gone, so is the object.
            Err(RequestFailure::UnknownKind { unreachable: false, .. }) => return Ok(Deleted::Gone),
            Err(failure) => return Err(failure),
        };
        self.watched.index().release(&reference.id, self.owner.as_ref());
        let mut options = json!({"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background",
                                 "preconditions": {"uid": uid}});
        if let Some(version) = resource_version {
            options["preconditions"]["resourceVersion"] = version.into();
        }
        let body = options.to_string().into_bytes();
        let request = |path| ApiRequest {
            method: Method::DELETE,
            path,
            accept: METADATA,
            content_type: JSON,
            body: body.clone(),
        };
        let answer = self.about(&resource, reference, request, |request| self.send_write(request)).await;
        match answer {
            Ok(Some(_)) => Ok(Deleted::Accepted),
            Ok(None) => Ok(Deleted::Gone),
            // A precondition failed, or the object is a namespace that is terminating already.
            Err(RequestFailure::Answered(Answer { code: 409, .. })) => Ok(Deleted::Changed),
            Err(failure) => Err(failure),
        }
    }

    /// Writes the Secret of a version of a release, and returns the stored one. The result is a conflict if
    /// the Secret exists or was changed.
    pub(super) async fn store_secret(
        &self,
        secret: &Object,
        resource: &ServedKind,
    ) -> Result<Value, RequestFailure> {
        let request = storing(secret, resource, self.watched.ownership.manager);
        Ok(self.send_write(request).await?.body)
    }

    /// Sends a server-side apply, or its dry run.
    ///
    /// Without `fieldValidation=Ignore` the API server parses the body a second time to warn of duplicate
    /// keys, which lockgate never sends. It refuses a field that the schema lacks in either case
    /// (`applyPatcher` in its handlers/patch.go).
    pub(super) async fn patch(
        &self,
        resource: &ServedKind,
        object: &Object,
        is_dry_run: bool,
        accept: &'static str,
    ) -> Result<Reply, RequestFailure> {
        let path = resource.object(object.namespace().unwrap_or_default(), object.name()).unwrap_or_default();
        let dry_run = if is_dry_run { "&dryRun=All" } else { "" };
        let request = ApiRequest {
            method: Method::PATCH,
            path: format!(
                "{path}?fieldManager={}&force=true&fieldValidation=Ignore{dry_run}",
                encode(self.watched.ownership.manager)
            ),
            accept,
            content_type: APPLY,
            body: object.value().to_string().into_bytes(),
        };
        for delay in UNSERVED {
            let sent = async {
                if is_dry_run {
                    self.client.send(request.clone()).await
                } else {
                    self.send_write(request.clone()).await
                }
            };
            match sent.await {
                Err(failure) if failure::is_unserved(&failure) => sleep(delay).await,
                other => return other,
            }
        }
        self.shared.discovery.forget(object.group(), object.kind());
        Err(RequestFailure::UnknownKind { gvk: object.gvk(), unreachable: false })
    }

    /// Sends a write. Every write goes through this function.
    async fn send_write(&self, request: ApiRequest) -> Result<Reply, RequestFailure> {
        self.client.send_while(request, || (self.fence)().map_err(RequestFailure::Fenced)).await
    }
}

/// How the Secret of a version is written: created, or in place of the one that was read.
fn storing(secret: &Object, resource: &ServedKind, manager: &str) -> ApiRequest {
    let namespace = secret.namespace().unwrap_or_default();
    let is_new = secret.pointer("/metadata/resourceVersion").is_none();
    let (method, path) = if is_new {
        (Method::POST, resource.collection(namespace))
    } else {
        (Method::PUT, resource.object(namespace, secret.name()).unwrap_or_default())
    };
    ApiRequest {
        method,
        path: format!("{path}?fieldManager={}", encode(manager)),
        accept: JSON,
        content_type: JSON,
        body: serde_json::to_vec(secret.value()).unwrap_or_default(),
    }
}

/// A running write. If it is dropped without an answer (it failed or was cancelled), the sightings meanwhile
/// are judged.
struct Writing<'a> {
    cluster: &'a Cluster,
    id: Option<ObjectId>,
}

impl<'a> Writing<'a> {
    fn begin(cluster: &'a Cluster, id: ObjectId) -> Self {
        cluster.watched.index().begin(&id);
        Self { cluster, id: Some(id) }
    }

    fn left(mut self, object: &Object, resource: &ServedKind) {
        self.id = None;
        let Cluster { shared, watched, owner, .. } = self.cluster;
        shared.watches.hold(watched, object, resource, owner.as_ref(), true);
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        if let Some(id) = self.id.take() {
            let change = self.cluster.watched.index().abandon(&id);
            self.cluster.shared.watches.report(change);
        }
    }
}
