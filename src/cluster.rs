//! The adapter to an API server: reads, writes and waits, for the whole agent over one set of connections.
//!
//! [`Cluster`] implements the ports of the chain. Copies made by [`Cluster::acting_for`] share connections, discovery and
//! watches, and act for one Kustomization, in the name of a ServiceAccount where it names one.

mod apply;
mod client;
mod discovery;
mod failure;
mod feed;
mod follow;
mod gather;
mod impersonate;
mod index;
mod judge;
mod observe;
mod path;
pub mod preflight;
mod settle;
mod watch;

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt as _, stream};
use serde_json::Value;
use tokio::sync::mpsc;

pub use client::{Client, ConnectError, READ_LIMIT, Target, WRITE_LIMIT};
pub use failure::is_unserved_path;
pub use follow::{Query, Seen};
pub use impersonate::{InvalidAccount, user_of};
pub use index::Change;
pub use judge::version_number;

use self::failure::Failure;
use lockgate_base::model::{Gvk, Object, ObjectId, Ref};
use lockgate_core::api::{self, Kustomization, Ownership};
use lockgate_core::pipeline::ports::{
    ApiFailure, Applied, Data, DataKind, Deleted, Reads, Reference, Scope, Settle, Settled, Writes,
};
use lockgate_core::plan::{Observation, Phase, Refusal};

/// Objects that are asked for at once, for one Kustomization. The client bounds the sum of all.
const BATCH: usize = 8;
/// Requests that are prepared at once, which bounds their memory.
const CHUNK: usize = 200;

/// Asked before each write; the error says why nothing may be written.
pub type Fence = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// A cluster.
#[derive(Clone)]
pub struct Cluster {
    shared: Arc<Shared>,
    client: Client,
    owner: Option<Ref>,
    /// What appliers of the owner's kind hold, and how it is marked.
    watched: Arc<watch::Watched>,
    fence: Fence,
}

struct Shared {
    /// Ourselves, whomever the copy acts as.
    client: Client,
    discovery: Arc<discovery::Discovery>,
    watches: watch::Watches,
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster")
            .field("client", &self.client)
            .field("owner", &self.owner)
            .finish_non_exhaustive()
    }
}

impl Cluster {
    /// A cluster, and where changes of the objects that are held arrive. Must be called within a tokio runtime; the
    /// watches end when the last copy is dropped.
    pub fn new(client: Client) -> (Self, mpsc::UnboundedReceiver<Change>) {
        let (sender, changes) = mpsc::unbounded_channel();
        let discovery = Arc::new(discovery::Discovery::default());
        let watches = watch::Watches::new(client.clone(), Arc::clone(&discovery), sender);
        let watched = watches.watched(Kustomization::OWNERSHIP);
        let shared = Arc::new(Shared { client: client.clone(), discovery, watches });
        (Self { shared, client, owner: None, watched, fence: Arc::new(|| Ok(())) }, changes)
    }

    /// The same cluster, asking `fence` before each write.
    #[must_use]
    pub fn fenced(self, fence: Fence) -> Self {
        Self { fence, ..self }
    }

    /// The same cluster on behalf of a Kustomization: in the name of a ServiceAccount of its namespace, where it names one.
    pub fn acting_for(&self, owner: Ref, account: Option<&str>) -> Result<Self, InvalidAccount> {
        let client = match account {
            Some(account) => self.shared.client.impersonating(&owner.namespace, account)?,
            None => self.shared.client.clone(),
        };
        let watched = ownership(&owner).map(|ownership| self.shared.watches.watched(ownership));
        let watched = watched.unwrap_or_else(|| Arc::clone(&self.watched));
        Ok(Self { client, owner: Some(owner), watched, ..self.clone() })
    }

    /// The client, acting as this copy does.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Follows what a query asks for, as [`Query::follow`] does: `standing` is told each time that changes are seen from now
    /// on, and each time that they may be missed.
    pub async fn follow(
        &self,
        query: &Query,
        sink: impl FnMut(Seen),
        mut standing: impl FnMut(Result<(), ApiFailure>),
    ) -> ApiFailure {
        let told = |watching| match watching {
            index::Watching::Broken(failure) => standing(Err(failure)),
            index::Watching::Starting | index::Watching::Live => standing(Ok(())),
        };
        query.follow(&self.client, sink, told).await
    }

    /// The kinds whose drift is not watched, and why: it is looked for at the interval only.
    pub fn unwatched(&self) -> Vec<(Gvk, ApiFailure)> {
        self.shared.watches.all().iter().flat_map(|watched| watched.index().unwatched()).collect()
    }
}

/// How what an applier has applied is marked; `None` for what applies nothing.
fn ownership(owner: &Ref) -> Option<&'static Ownership> {
    api::info(owner.kind)?.ownership()
}

impl Reads for Cluster {
    async fn scope(&self, gvk: &Gvk) -> Result<Scope, ApiFailure> {
        Ok(self.shared.discovery.exact(&self.shared.client, gvk).await?.scope())
    }

    async fn get(&self, reference: &Reference) -> Result<Option<Object>, ApiFailure> {
        self.read(reference, client::JSON).await
    }

    async fn identify(&self, references: &[Reference]) -> Vec<Result<Option<Object>, ApiFailure>> {
        self.read_all(references).await
    }

    async fn observe(&self, objects: &[Object], known: &HashSet<ObjectId>) -> Vec<Observation> {
        self.observe_all(objects, known).await
    }

    async fn data(&self, kind: DataKind, namespace: &str, name: &str) -> Result<Option<Data>, ApiFailure> {
        gather::data(&self.client, kind, namespace, name).await
    }
}

impl Writes for Cluster {
    async fn apply(&self, object: &Object) -> Result<Applied, Refusal> {
        self.apply_one(object).await
    }

    async fn take_over(&self, object: &Object, patch: &Value) -> Result<(), Refusal> {
        let patched = self.patch_managed_fields(&Reference::to(object), patch).await;
        patched.map_err(|failure| failure::refusal(object, Phase::Apply, failure))
    }

    async fn clear(&self, object: &Object, uid: &str) -> Result<(), Refusal> {
        self.clear_one(object, uid).await
    }

    async fn cleared(&self, object: &Object, timeout: Duration) -> Result<(), Refusal> {
        self.cleared_one(object, timeout).await
    }

    async fn delete(
        &self,
        reference: &Reference,
        uid: &str,
        resource_version: Option<&str>,
    ) -> Result<Deleted, ApiFailure> {
        Ok(self.delete_one(reference, uid, resource_version).await?)
    }

    fn hold(&self, live: &Object) {
        let gvk = live.gvk();
        if let Some(resource) = self.shared.discovery.cached(&gvk) {
            self.shared.watches.hold(&self.watched, live, &resource, false);
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
    async fn settle(&self, references: &[Reference], timeout: Duration) -> Settled {
        self.settle_all(references, timeout).await
    }

    async fn gone(&self, references: &[Reference], timeout: Duration) -> Vec<ObjectId> {
        let left = self.until_gone(references, timeout).await;
        left.unwrap_or_else(|_| references.iter().map(|reference| reference.id.clone()).collect())
    }

    fn intact(&self, ids: &[ObjectId]) -> bool {
        let index = self.watched.index();
        ids.iter().all(|id| index.intact(id))
    }
}

impl Cluster {
    async fn read_all(&self, references: &[Reference]) -> Vec<Result<Option<Object>, ApiFailure>> {
        let mut answers = Vec::with_capacity(references.len());
        for some in references.chunks(CHUNK) {
            let reads: Vec<_> = some.iter().map(|reference| self.read(reference, client::METADATA)).collect();
            answers.extend(stream::iter(reads).buffered(BATCH).collect::<Vec<_>>().await);
        }
        answers
    }

    async fn read(&self, reference: &Reference, accept: &'static str) -> Result<Option<Object>, ApiFailure> {
        match self.shared.discovery.any(&self.shared.client, reference).await {
            Ok(resource) => Ok(self.live(&resource, reference, accept).await?),
            Err(Failure::UnknownKind { unreachable: false, .. }) => Ok(None),
            Err(failure) => Err(failure.into()),
        }
    }
}

#[cfg(test)]
mod tests;
