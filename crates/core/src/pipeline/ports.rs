//! The ports of the chain to a cluster. `Reads` cannot change anything, so a caller with only a `Reads` (a
//! diff) cannot write. `Writes` adds the writes, and `Settle` the waits.
//!
//! Dispatch is static: the chain is generic over the ports, and dropping a future that a port returned
//! cancels its work.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use serde_json::Value;

use crate::health::Health;
pub use crate::plan::Denied;
use crate::plan::{Observation, Refusal};
use lockgate_base::model::{Gvk, Object, ObjectId, Ref, Secret};
use lockgate_render::helm::chart::capabilities::Capabilities;
use lockgate_render::helm::context::LookupQuery;

/// An object on a cluster, and the version for requests about it. If the cluster no longer serves that
/// version, its preferred version is used, since the object is the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ObjectReference {
    /// The object.
    pub id: ObjectId,
    /// API version without the group.
    pub version: String,
    /// Whether the cluster deletes it some time after it has completed, so that its absence is no failure: a
    /// Job with `ttlSecondsAfterFinished`.
    pub expires: bool,
    /// The aim of a wait for it.
    pub expect: Expect,
}

/// The aim of a wait for an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Expect {
    /// The object is healthy.
    Healthy,
    /// The object has completed, if its kind has an end: a Job is complete, a Pod has succeeded.
    Completed,
}

impl ObjectReference {
    /// The reference to an object about which nothing more is known.
    pub fn new(id: ObjectId, version: impl Into<String>) -> Self {
        Self { id, version: version.into(), expires: false, expect: Expect::Healthy }
    }

    /// The reference to an object.
    pub fn to(object: &Object) -> Self {
        let is_job = (object.group(), object.kind()) == ("batch", "Job");
        let limit = object.pointer("/spec/ttlSecondsAfterFinished");
        let expires = is_job && limit.is_some_and(|limit| !limit.is_null());
        Self { expires, ..Self::new(object.id(), object.version()) }
    }

    /// Group, version and kind.
    pub fn gvk(&self) -> Gvk {
        Gvk { group: self.id.group.clone(), version: self.version.clone(), kind: self.id.kind.clone() }
    }
}

/// The scope of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Its objects have namespaces.
    Namespaced,
    /// It is cluster-scoped.
    Cluster,
}

/// The kinds with named values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DataKind {
    /// A ConfigMap; its `binaryData` does not count, as in Flux.
    ConfigMap,
    /// A Secret.
    Secret,
}

impl fmt::Display for DataKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ConfigMap => "ConfigMap",
            Self::Secret => "Secret",
        })
    }
}

/// The values of a ConfigMap or Secret, decoded. Both are treated as secret.
pub type Data = BTreeMap<String, Secret<Vec<u8>>>;

/// A failed request. A refusal of one object's content is a `plan::Refusal`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApiFailure {
    /// The server could not be reached, or asked to wait.
    #[error("the API server cannot be reached: {message}")]
    Unavailable {
        /// The error.
        message: String,
        /// The server's Retry-After.
        retry_after: Option<Duration>,
    },
    /// A right is missing.
    #[error("{0}")]
    Forbidden(Denied),
    /// The cluster has no such kind, or the group of the kind does not answer.
    #[error("{}", unknown(.gvk, *.unreachable))]
    UnknownKind {
        /// The kind.
        gvk: Gvk,
        /// Whether the server behind the kind's group does not answer now.
        unreachable: bool,
    },
    /// Any other answer of the server.
    #[error("{message}")]
    Answered {
        /// HTTP status.
        code: u16,
        /// `NotFound`, `Conflict`, ...
        reason: String,
        /// The server's text.
        message: String,
    },
    /// The lease is lost, so nothing may be written.
    #[error("nothing was written: {0}")]
    Fenced(String),
}

fn unknown(gvk: &Gvk, unreachable: bool) -> String {
    if unreachable {
        return format!(
            "the server behind the API group {} does not answer; see kubectl get apiservices",
            gvk.group
        );
    }
    format!("no matches for kind \"{}\" in version \"{}\"", gvk.kind, gvk.api_version())
}

impl ApiFailure {
    /// Whether the server cannot be reached: then the failure cannot be reported there either.
    pub const fn is_unreachable(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Fenced(_))
    }

    /// Whether the same request may succeed later without a change in Git or of rights.
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::Unavailable { .. } | Self::Fenced(_) => true,
            Self::UnknownKind { unreachable, .. } => *unreachable,
            Self::Answered { code, .. } => matches!(code, 409 | 429 | 500..),
            Self::Forbidden(_) => false,
        }
    }
}

/// The server's answer to an accepted write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The object, with its version.
    pub reference: ObjectReference,
    /// Its uid.
    pub uid: String,
    /// Its resourceVersion after the write.
    pub resource_version: String,
    /// Its generation, for kinds that count it.
    pub generation: Option<i64>,
    /// The server's warnings: a deprecated version, a violated policy.
    pub warnings: Vec<String>,
}

/// The result of a deletion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deleted {
    /// The server accepted the deletion; finalizers may still hold the object.
    Accepted,
    /// There was no such object.
    Gone,
    /// The object has changed since it was read, or another object has its name. Nothing was deleted.
    Changed,
}

/// An unhealthy object, and the cause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unhealthy {
    /// The object.
    pub id: ObjectId,
    /// Its health.
    pub health: Health,
    /// The cause one level down, for example a pod's `ImagePullBackOff`, if it was looked up.
    pub cause: Option<String>,
}

/// The end of a wait for health.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// All objects are current.
    Healthy,
    /// All objects that are not healthy have failed, so more time would not help.
    Stalled(Vec<Unhealthy>),
    /// The time limit was reached.
    TimedOut(Vec<Unhealthy>),
    /// The health could not be read.
    Unknown(ApiFailure),
}

/// The source of the values to substitute.
pub trait Lookup: Send + Sync {
    /// The values of a ConfigMap or Secret; `None` if it does not exist.
    fn data(
        &self,
        kind: DataKind,
        namespace: &str,
        name: &str,
    ) -> impl Future<Output = Result<Option<Data>, ApiFailure>> + Send;
}

/// The reads of a cluster.
pub trait Reads: Lookup {
    /// The scope of a kind. [`ApiFailure::UnknownKind`] if the cluster does not have it, after a fresh
    /// discovery.
    fn scope(&self, gvk: &Gvk) -> impl Future<Output = Result<Scope, ApiFailure>> + Send;

    /// The current object; `None` if there is none, or not even its kind.
    fn get(
        &self,
        reference: &ObjectReference,
    ) -> impl Future<Output = Result<Option<Object>, ApiFailure>> + Send;

    /// Type and metadata of objects, in the given order; `None` as in [`Reads::get`]. Pruning uses this.
    fn identify(
        &self,
        references: &[ObjectReference],
    ) -> impl Future<Output = Vec<Result<Option<Object>, ApiFailure>>> + Send;

    /// For each object, in order: the live object, and the result of a server-side apply (a dry run).
    ///
    /// `known` are the objects that probably exist, according to the inventory. The answer is the same
    /// without it, but each of them costs one more request. All objects are observed, even if some fail.
    fn observe(
        &self,
        objects: &[Object],
        known: &HashSet<ObjectId>,
    ) -> impl Future<Output = Vec<Observation>> + Send;

    /// The objects that run pods in a namespace, or will: the Pods themselves, ReplicaSets, and workloads.
    /// Each is complete.
    fn runners(&self, namespace: &str) -> impl Future<Output = Result<Vec<Object>, ApiFailure>> + Send;
}

/// The writes of a cluster. Each write first checks whether this process may still write.
pub trait Writes: Reads {
    /// Applies an object server-side, by force, and watches the result for drift.
    fn apply(&self, object: &Object) -> impl Future<Output = Result<Accepted, Refusal>> + Send;

    /// Hands the fields of other managers to ours, by a JSON 6902 patch of `/metadata/managedFields` (made by
    /// `plan`).
    fn take_over(&self, object: &Object, patch: &Value) -> impl Future<Output = Result<(), Refusal>> + Send;

    /// Deletes the object with that uid in the background, so that it can be applied again once it is gone.
    fn clear(&self, object: &Object, uid: &str) -> impl Future<Output = Result<(), Refusal>> + Send;

    /// Waits until a cleared object is gone; refused if it still exists at the time limit.
    fn cleared(&self, object: &Object, timeout: Duration)
    -> impl Future<Output = Result<(), Refusal>> + Send;

    /// Deletes the object with that uid, and its dependents in the background. With a resourceVersion, only
    /// an unchanged object is deleted.
    fn delete(
        &self,
        reference: &ObjectReference,
        uid: &str,
        resource_version: Option<&str>,
    ) -> impl Future<Output = Result<Deleted, ApiFailure>> + Send;

    /// Declares that a live object is as in Git (a `Keep` step), so that it is watched for drift from now on.
    fn hold(&self, live: &Object);

    /// Ends the watch for drift of objects that `owner` no longer manages. Objects that another owner has
    /// applied since stay watched for that owner.
    fn release(&self, owner: &Ref, ids: &[ObjectId]);
}

/// The waits of a cluster. They watch and do not poll; dropping the future ends the wait.
pub trait Settle: Reads {
    /// Waits until all objects are as expected, or all others have failed, or the time limit is reached. With
    /// a zero timeout it returns the present state.
    fn settle(
        &self,
        references: &[ObjectReference],
        timeout: Duration,
    ) -> impl Future<Output = Settled> + Send;

    /// Waits until the objects are gone. Returns those that still exist at the time limit.
    fn gone(
        &self,
        references: &[ObjectReference],
        timeout: Duration,
    ) -> impl Future<Output = Vec<ObjectId>> + Send;

    /// Whether all these objects are known to be unchanged since they were applied: each is held, its watch
    /// works, and it has not drifted. `false` means "read again", not "drifted".
    fn intact(&self, ids: &[ObjectId]) -> bool;
}

/// Documents as they were fetched: each by its URL, with its text or why it could not be had.
pub type FetchedDocuments<'f> =
    Pin<Box<dyn Future<Output = Vec<(String, Result<Vec<u8>, String>)>> + Send + 'f>>;

/// Where the documents are that the schemas of charts refer to.
pub trait DocumentHosts: fmt::Debug + Send + Sync {
    /// Fetches documents, in the order of their URLs.
    fn fetch(&self, urls: Vec<String>) -> FetchedDocuments<'_>;
}

/// Where releases are stored, and what charts see of a cluster.
pub trait ReleaseStores: Writes + Settle {
    /// Type and metadata of the Secrets that hold the versions of a release of this name.
    fn versions(
        &self,
        namespace: &str,
        name: &str,
    ) -> impl Future<Output = Result<Vec<Object>, ApiFailure>> + Send;

    /// Writes the Secret of a version: a new one, or one in the place of what was read, where it has a
    /// resourceVersion. A conflict where there is one already, or another one by now. Returns what is stored.
    fn store(&self, secret: &Object) -> impl Future<Output = Result<Object, ApiFailure>> + Send;

    /// The capabilities of the cluster.
    fn capabilities(&self) -> impl Future<Output = Result<Capabilities, ApiFailure>> + Send;

    /// The object, or the list of objects, that a template looks up; an empty map where there is none.
    fn look(&self, query: &LookupQuery) -> impl Future<Output = Result<Value, ApiFailure>> + Send;
}
