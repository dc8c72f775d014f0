//! A read-only cluster: by its type nothing can be written to it.

use std::collections::HashSet;

use super::client::Client;
use super::handle::Cluster;
use super::impersonate::InvalidAccount;
use super::objects::Objects;
use lockgate_base::model::{Gvk, Object, ObjectId, Ref};
use lockgate_core::api::KindInfo;
use lockgate_core::pipeline::ports::{ApiFailure, Data, DataKind, Lookup, ObjectReference, Reads, Scope};
use lockgate_core::plan::Observation;

/// Reads a cluster, including dry runs, and cannot write to it.
#[derive(Debug, Clone)]
pub(crate) struct Reader {
    cluster: Cluster,
    objects: Objects,
}

impl Reader {
    /// Uses the connections of a client. Must be called within a tokio runtime.
    pub(crate) fn new(client: &Client) -> Self {
        Self::of(Cluster::new(client.clone()).0)
    }

    /// The same cluster without the verbs that write.
    pub(crate) fn of(cluster: Cluster) -> Self {
        let objects = Objects::new(cluster.client());
        Self { cluster, objects }
    }

    /// The same reader for an owner, as in [`Cluster::acting_for`].
    pub(crate) fn acting_for(&self, owner: Ref, account: Option<&str>) -> Result<Self, InvalidAccount> {
        Ok(Self { cluster: self.cluster.acting_for(owner, account)?, objects: self.objects.clone() })
    }

    /// All objects of a kind, or only those of one namespace if the user may not list all. `None` if the
    /// cluster does not have the kind.
    pub(crate) async fn list(
        &self,
        info: &KindInfo,
        namespace: Option<&str>,
    ) -> Result<Option<Vec<Object>>, ApiFailure> {
        self.objects.list_all_or_near(info, namespace).await
    }

    /// The objects of a kind in one namespace.
    pub(crate) async fn near(&self, info: &KindInfo, namespace: &str) -> Result<Vec<Object>, ApiFailure> {
        self.objects.list(&info.api_version(), info.id.kind, Some(namespace), "").await
    }

    /// All objects of a kind that a label selector chooses.
    pub(crate) async fn labelled(
        &self,
        api_version: &str,
        kind: &str,
        selector: &str,
    ) -> Result<Vec<Object>, ApiFailure> {
        self.objects.list(api_version, kind, None, selector).await
    }
}

impl Reads for Reader {
    async fn scope(&self, gvk: &Gvk) -> Result<Scope, ApiFailure> {
        self.cluster.scope(gvk).await
    }

    async fn get(&self, reference: &ObjectReference) -> Result<Option<Object>, ApiFailure> {
        self.cluster.get(reference).await
    }

    async fn identify(&self, references: &[ObjectReference]) -> Vec<Result<Option<Object>, ApiFailure>> {
        self.cluster.identify(references).await
    }

    async fn observe(&self, objects: &[Object], known: &HashSet<ObjectId>) -> Vec<Observation> {
        self.cluster.observe(objects, known).await
    }

    async fn runners(&self, namespace: &str) -> Result<Vec<Object>, ApiFailure> {
        self.cluster.runners(namespace).await
    }
}

impl Lookup for Reader {
    async fn data(&self, kind: DataKind, namespace: &str, name: &str) -> Result<Option<Data>, ApiFailure> {
        self.cluster.data(kind, namespace, name).await
    }
}
