//! The ports of the pipeline, implemented by the cluster.

use std::collections::HashSet;
use std::time::Duration;

use serde_json::Value;

use super::client::JSON;
use super::failure::refusal;
use super::gather;
use super::handle::{Cluster, ownership};
use super::runners;
use lockgate_base::model::{Gvk, Object, ObjectId, Ref};
use lockgate_core::pipeline::ports::{
    Accepted, ApiFailure, Data, DataKind, Deleted, Lookup, ObjectReference, Reads, Scope, Settle, Settled,
    Writes,
};
use lockgate_core::plan::{Observation, Phase, Refusal};

impl Reads for Cluster {
    async fn scope(&self, gvk: &Gvk) -> Result<Scope, ApiFailure> {
        Ok(self.shared.discovery.exact(&self.shared.client, gvk).await?.scope())
    }

    async fn get(&self, reference: &ObjectReference) -> Result<Option<Object>, ApiFailure> {
        self.read(reference, JSON).await
    }

    async fn identify(&self, references: &[ObjectReference]) -> Vec<Result<Option<Object>, ApiFailure>> {
        self.read_all(references).await
    }

    async fn observe(&self, objects: &[Object], known: &HashSet<ObjectId>) -> Vec<Observation> {
        self.observe_all(objects, known).await
    }

    async fn runners(&self, namespace: &str) -> Result<Vec<Object>, ApiFailure> {
        runners::runners(&self.client, namespace).await
    }
}

impl Lookup for Cluster {
    async fn data(&self, kind: DataKind, namespace: &str, name: &str) -> Result<Option<Data>, ApiFailure> {
        gather::data(&self.client, kind, namespace, name).await
    }
}

impl Writes for Cluster {
    async fn apply(&self, object: &Object) -> Result<Accepted, Refusal> {
        self.apply_one(object).await
    }

    async fn take_over(&self, object: &Object, patch: &Value) -> Result<(), Refusal> {
        let patched = self.patch_managed_fields(&ObjectReference::to(object), patch).await;
        patched.map_err(|failure| refusal(object, Phase::Apply, failure))
    }

    async fn clear(&self, object: &Object, uid: &str) -> Result<(), Refusal> {
        self.clear_one(object, uid).await
    }

    async fn cleared(&self, object: &Object, timeout: Duration) -> Result<(), Refusal> {
        self.cleared_one(object, timeout).await
    }

    async fn delete(
        &self,
        reference: &ObjectReference,
        uid: &str,
        resource_version: Option<&str>,
    ) -> Result<Deleted, ApiFailure> {
        Ok(self.delete_one(reference, uid, resource_version).await?)
    }

    fn hold(&self, live: &Object) {
        let gvk = live.gvk();
        if let Some(resource) = self.shared.discovery.cached(&gvk) {
            self.shared.watches.hold(&self.watched, live, &resource, self.owner.as_ref(), false);
        }
    }

    fn release(&self, owner: &Ref, ids: &[ObjectId]) {
        let Some(ownership) = ownership(owner) else { return };
        let watched = self.shared.watches.watched(ownership);
        let mut index = watched.index();
        for id in ids {
            index.release(id, Some(owner));
        }
    }
}

impl Settle for Cluster {
    async fn settle(&self, references: &[ObjectReference], timeout: Duration) -> Settled {
        self.settle_all(references, timeout).await
    }

    async fn gone(&self, references: &[ObjectReference], timeout: Duration) -> Vec<ObjectId> {
        let left = self.until_gone(references, timeout).await;
        left.unwrap_or_else(|_| references.iter().map(|reference| reference.id.clone()).collect())
    }

    fn intact(&self, ids: &[ObjectId]) -> bool {
        let index = self.watched.index();
        ids.iter().all(|id| index.intact(id))
    }
}
