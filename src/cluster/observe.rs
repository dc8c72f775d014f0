//! The dry run: the live object, and the result of a server-side apply.
//!
//! An object that does not exist costs one request, whose answer is 201. An existing one costs two, which are
//! sent together if it was known before.

use std::collections::HashSet;

use futures::{StreamExt as _, stream};
use http::StatusCode;

use super::client::{JSON, METADATA, Reply};
use super::failure::{self, RequestFailure, refusal};
use super::handle::Cluster;
use super::path::ServedKind;
use super::reach::{BATCH, CHUNK};
use lockgate_base::model::{Object, ObjectId};
use lockgate_core::pipeline::ports::ObjectReference;
use lockgate_core::plan::{Answer, Observation, Phase};

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
            Err(refusal) => return Observation::new(None, Err(refusal)),
        };
        if !known {
            match self.patch(&resource, object, true, METADATA).await {
                Ok(Reply { status: StatusCode::CREATED, warnings, .. }) => {
                    return Observation { warnings, ..Observation::new(None, Ok(object.clone())) };
                }
                // The object exists, and a comparison needs both sides whole.
                Ok(_) => {}
                Err(failure) => return self.refused(object, &resource, failure).await,
            }
        }
        let reference = ObjectReference::to(object);
        let (live, dry_run) =
            futures::join!(self.live(&resource, &reference, JSON), self.patch(&resource, object, true, JSON));
        let refused = |failure| refusal(object, Phase::DryRun, failure);
        let live = match live {
            Ok(live) => live,
            Err(failure) => return Observation::new(None, Err(refused(failure))),
        };
        let mut warnings = Vec::new();
        let whole = |reply: Reply| {
            warnings = reply.warnings;
            Object::parse(reply.body)
                .map_err(|error| failure::unavailable(format!("the answer is no object: {error}")))
        };
        let dry_run = dry_run.and_then(whole).map_err(refused);
        Observation { live, dry_run, warnings }
    }

    /// The observation of an object whose dry run failed. The cure depends on whether the object exists, so
    /// it is read if its existence can be the cause: for an immutable field, or a field that another version
    /// has.
    async fn refused(&self, object: &Object, resource: &ServedKind, failure: RequestFailure) -> Observation {
        let about_the_live_one =
            matches!(failure, RequestFailure::Answered(Answer { code: 400 | 409 | 422 | 500, .. }));
        let live = if about_the_live_one {
            self.live(resource, &ObjectReference::to(object), JSON).await.unwrap_or_default()
        } else {
            None
        };
        Observation::new(live, Err(refusal(object, Phase::DryRun, failure)))
    }
}
