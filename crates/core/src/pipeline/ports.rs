//! The ports of the chain to a cluster. `Reads` cannot change anything, so whoever holds only a `Reads` (a
//! diff) cannot write; `Writes` adds the writes, and `Settle` the waits.
//!
//! Dispatch is static: the chain is generic over the ports, and dropping a future that a port returned
//! cancels its work.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::future::Future;
use std::time::Duration;

use serde_json::Value;

use crate::health::Health;
pub use crate::plan::Denied;
use crate::plan::{Observation, Refusal};
use lockgate_base::model::{Gvk, Object, ObjectId, Ref, Secret};
use lockgate_render::helm::chart::capabilities::Capabilities;
use lockgate_render::helm::context::LookupQuery;

/// An object on a cluster, and the version in which to speak of it. Where the cluster no longer serves that
/// version, the one that it prefers is used, since the object is the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ObjectReference {
    /// Which object.
    pub id: ObjectId,
    /// API version without the group.
    pub version: String,
    /// Whether the cluster deletes it some time after it has done its work, so that it is not missed once it
    /// is gone: a Job with `ttlSecondsAfterFinished`.
    pub expires: bool,
    /// What a wait for it is for.
    pub expect: Expect,
}

/// What is expected of an object that is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Expect {
    /// That it is healthy.
    Healthy,
    /// That it has done its work, where it has an end: a Job is complete, a Pod has succeeded.
    Completed,
}

impl ObjectReference {
    /// The reference to an object of which no more is known.
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

/// Whether the objects of a kind live in namespaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// They do.
    Namespaced,
    /// There is one of a name in the whole cluster.
    Cluster,
}

/// The kinds that hold named values.
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

/// A request that did not do what it was for. Refusals of one object's content are `plan::Refusal`s.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApiFailure {
    /// The server could not be asked, or asked to be left alone for a while.
    #[error("the API server cannot be asked: {message}")]
    Unavailable {
        /// What happened.
        message: String,
        /// How long the server asked to be left alone.
        retry_after: Option<Duration>,
    },
    /// A right is missing.
    #[error("{0}")]
    Forbidden(Denied),
    /// The cluster has no such kind, or the group that has it does not answer.
    #[error("{}", unknown(.gvk, *.unreachable))]
    UnknownKind {
        /// The kind.
        gvk: Gvk,
        /// Whether the kind's group is served by something that does not answer now.
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
    /// The lease is no longer held, so nothing may be written.
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
    /// Whether nothing can be asked of the server, or told to it: then it cannot be told of the failure
    /// either.
    pub const fn is_unreachable(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Fenced(_))
    }

    /// Whether the same request may succeed later without anyone changing anything in Git or in the rights.
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::Unavailable { .. } | Self::Fenced(_) => true,
            Self::UnknownKind { unreachable, .. } => *unreachable,
            Self::Answered { code, .. } => matches!(code, 409 | 429 | 500..),
            Self::Forbidden(_) => false,
        }
    }
}

/// What the server accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// Which object, in which version.
    pub reference: ObjectReference,
    /// Its uid.
    pub uid: String,
    /// Its resourceVersion after the write.
    pub resource_version: String,
    /// Its generation, for kinds that count it.
    pub generation: Option<i64>,
    /// What the server warns of: a version that is deprecated, a policy that is not kept.
    pub warnings: Vec<String>,
}

/// What a deletion found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deleted {
    /// The server accepted the deletion; finalizers may still hold the object.
    Accepted,
    /// There was no such object.
    Gone,
    /// It is not what was looked at any more: it has changed, or another has its name. Nothing was deleted.
    Changed,
}

/// An object that is not healthy, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unhealthy {
    /// Which object.
    pub id: ObjectId,
    /// Its health.
    pub health: Health,
    /// The cause one level down, for example a pod's `ImagePullBackOff`, where it was looked up.
    pub cause: Option<String>,
}

/// How a wait for health ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// All objects are current.
    Healthy,
    /// All that is not current has failed, so waiting on would not help.
    Stalled(Vec<Unhealthy>),
    /// The time was up.
    TimedOut(Vec<Unhealthy>),
    /// Health could not be looked at.
    Unknown(ApiFailure),
}

/// Where the values to substitute are looked up.
pub trait Lookup: Send + Sync {
    /// The values of a ConfigMap or Secret; `None` where there is none.
    fn data(
        &self,
        kind: DataKind,
        namespace: &str,
        name: &str,
    ) -> impl Future<Output = Result<Option<Data>, ApiFailure>> + Send;
}

/// What can be asked of a cluster without changing it.
pub trait Reads: Lookup {
    /// Whether a kind is namespaced. [`ApiFailure::UnknownKind`] where the cluster does not have it, after a
    /// fresh look.
    fn scope(&self, gvk: &Gvk) -> impl Future<Output = Result<Scope, ApiFailure>> + Send;

    /// An object as it is now; `None` where there is none, or not even its kind.
    fn get(
        &self,
        reference: &ObjectReference,
    ) -> impl Future<Output = Result<Option<Object>, ApiFailure>> + Send;

    /// Type and metadata of objects, in the order asked; `None` as in [`Reads::get`]. It is what pruning
    /// asks.
    fn identify(
        &self,
        references: &[ObjectReference],
    ) -> impl Future<Output = Vec<Result<Option<Object>, ApiFailure>>> + Send;

    /// For each object, in order: what is there, and what a server-side apply would make of it (a dry run).
    ///
    /// `known` holds those that are likely there, as the inventory has them: the answer is the same without,
    /// at the price of a request more for each. All objects are asked for, whatever becomes of one of them.
    fn observe(
        &self,
        objects: &[Object],
        known: &HashSet<ObjectId>,
    ) -> impl Future<Output = Vec<Observation>> + Send;

    /// What runs pods in a namespace, or is to: the Pods themselves, ReplicaSets, and workloads. Each is
    /// whole.
    fn runners(&self, namespace: &str) -> impl Future<Output = Result<Vec<Object>, ApiFailure>> + Send;
}

/// What changes a cluster. Each write asks first whether this process may still write.
pub trait Writes: Reads {
    /// Applies an object server-side, by force, and watches for drift from what the server made of it.
    fn apply(&self, object: &Object) -> impl Future<Output = Result<Accepted, Refusal>> + Send;

    /// Hands the fields of other managers to ours, by a JSON 6902 patch of `/metadata/managedFields` (`plan`
    /// makes it).
    fn take_over(&self, object: &Object, patch: &Value) -> impl Future<Output = Result<(), Refusal>> + Send;

    /// Deletes the object with that uid in the background, so that it can be applied anew once it is gone.
    fn clear(&self, object: &Object, uid: &str) -> impl Future<Output = Result<(), Refusal>> + Send;

    /// Waits until an object is gone that was cleared; refused where it is still there when the time is up.
    fn cleared(&self, object: &Object, timeout: Duration)
    -> impl Future<Output = Result<(), Refusal>> + Send;

    /// Deletes the object with that uid, its dependents in the background; with a resourceVersion, only as it
    /// was then.
    fn delete(
        &self,
        reference: &ObjectReference,
        uid: &str,
        resource_version: Option<&str>,
    ) -> impl Future<Output = Result<Deleted, ApiFailure>> + Send;

    /// Declares that a live object is as Git wants it (a `Keep` step), so that its drift is watched from here
    /// on.
    fn hold(&self, live: &Object);

    /// Ends the watch for drift of objects that `owner` lets go. Those that another has applied since stay
    /// watched for it.
    fn release(&self, owner: &Ref, ids: &[ObjectId]);
}

/// What can be waited for. Waits watch, they do not poll; dropping the future ends the wait.
pub trait Settle: Reads {
    /// Waits until all objects are as expected, all that are not have failed, or the time is up. With a zero
    /// timeout it says how things stand now.
    fn settle(
        &self,
        references: &[ObjectReference],
        timeout: Duration,
    ) -> impl Future<Output = Settled> + Send;

    /// Waits until the objects are gone; returns those that are still there when the time is up.
    fn gone(
        &self,
        references: &[ObjectReference],
        timeout: Duration,
    ) -> impl Future<Output = Vec<ObjectId>> + Send;

    /// Whether all these objects are known to be as they were applied: each is held, its watch is alive, and
    /// it has not drifted. `false` means "look again", not "drifted".
    fn intact(&self, ids: &[ObjectId]) -> bool;
}

/// Where releases are stored, and what charts see of a cluster.
pub trait Stores: Writes + Settle {
    /// Type and metadata of the Secrets that hold the versions of a release of this name.
    fn versions(
        &self,
        namespace: &str,
        name: &str,
    ) -> impl Future<Output = Result<Vec<Object>, ApiFailure>> + Send;

    /// Writes the Secret of a version: a new one, or one in the place of what was read, where it has a
    /// resourceVersion. A conflict where there is one already, or another one by now. Returns what is stored.
    fn store(&self, secret: &Object) -> impl Future<Output = Result<Object, ApiFailure>> + Send;

    /// What the cluster can do.
    fn capabilities(&self) -> impl Future<Output = Result<Capabilities, ApiFailure>> + Send;

    /// The object, or the list of objects, that a template looks up; an empty map where there is none.
    fn look(&self, query: &LookupQuery) -> impl Future<Output = Result<Value, ApiFailure>> + Send;
}
