//! The static description of a kind, and the one form that the objects of all kinds have.

use std::fmt::Debug;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::metadata::{Metadata, null_as_default};
use super::ownership::Ownership;
use super::source::SourceInfo;
use super::status::Status;
use lockgate_base::model::{Gvk, KindId, Object, Ref};

/// The description of a kind, apart from the types of its fields.
#[derive(Debug, PartialEq, Eq)]
pub struct KindInfo {
    /// Group and kind.
    pub id: KindId,
    /// Plural, lower-case, as in the URL.
    pub plural: &'static str,
    /// The name by which `kubectl get` lists the kind together with similar ones; `all` and `fluxcd` list all
    /// kinds.
    pub category: &'static str,
    /// Other names that `kubectl get` takes.
    pub short_names: &'static [&'static str],
    /// Served versions, the stored one first.
    pub versions: &'static [&'static str],
    /// The columns that `kubectl get` prints beside the name.
    pub columns: &'static [Column],
    /// The kind's place in the chain.
    pub role: Role,
    /// The Deployment of Flux's controller that acts on the kind.
    pub controller: &'static str,
    /// The rights that the agent needs to act on the kind, besides reading the objects and writing their
    /// status.
    pub grants: &'static [Grant],
    /// Whether lockgate acts on the kind. For any other kind it serves the definition and leaves the objects
    /// alone.
    pub is_acted_on: bool,
    /// The fields of a kind without types: an outline as `crd::outline` reads it.
    pub outline: Option<&'static str>,
}

/// The place of a kind in the chain from a source to the applied objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Its objects are fetched, and others build from them. The [`SourceInfo`] says how, if lockgate fetches
    /// them.
    Source(Option<&'static SourceInfo>),
    /// Its objects build from a source, and mark the objects that they apply with this ownership.
    Applier(&'static Ownership),
    /// Neither.
    Neither,
}

/// A column of `kubectl get`.
#[derive(Debug, PartialEq, Eq)]
pub struct Column {
    /// The heading.
    pub name: &'static str,
    /// The field, as a JSON path.
    pub path: &'static str,
    /// Whether only `-o wide` prints it.
    pub is_wide: bool,
}

impl Column {
    /// The object's age.
    pub const AGE: Self = Self::new("Age", ".metadata.creationTimestamp");
    /// The status of the Ready condition.
    pub const READY: Self = Self::new("Ready", ".status.conditions[?(@.type==\"Ready\")].status");
    /// The message of the Ready condition.
    pub const STATUS: Self = Self::new("Status", ".status.conditions[?(@.type==\"Ready\")].message");

    /// A column that is always printed.
    pub const fn new(name: &'static str, path: &'static str) -> Self {
        Self { name, path, is_wide: false }
    }

    /// A column that only `-o wide` prints.
    pub const fn wide(name: &'static str, path: &'static str) -> Self {
        Self { name, path, is_wide: true }
    }
}

/// Verbs on the resources of a group.
#[derive(Debug, PartialEq, Eq)]
pub struct Grant {
    /// The purpose of the right.
    pub reason: &'static str,
    /// API group, empty for core.
    pub group: &'static str,
    /// Plurals.
    pub resources: &'static [&'static str],
    /// Verbs.
    pub verbs: &'static [&'static str],
}

impl KindInfo {
    /// The name of the CustomResourceDefinition.
    pub fn definition(&self) -> String {
        format!("{}.{}", self.plural, self.id.group)
    }

    /// The ownership marks of the objects that the kind applies; `None` for a kind that applies nothing.
    pub fn ownership(&self) -> Option<&'static Ownership> {
        match self.role {
            Role::Applier(ownership) => Some(ownership),
            Role::Source(_) | Role::Neither => None,
        }
    }

    /// How objects of the kind are fetched; `None` for a kind that is no source, or that lockgate does not
    /// act on.
    pub fn source(&self) -> Option<&'static SourceInfo> {
        match self.role {
            Role::Source(source) => source,
            Role::Applier(_) | Role::Neither => None,
        }
    }

    /// `group/version` of the stored version.
    pub fn api_version(&self) -> String {
        format!("{}/{}", self.id.group, self.versions[0])
    }

    /// Group, stored version and kind.
    pub fn gvk(&self) -> Gvk {
        Gvk { group: self.id.group.into(), version: self.versions[0].into(), kind: self.id.kind.into() }
    }

    /// Whether an object is of this kind, in whichever version.
    pub fn is_of(&self, object: &Object) -> bool {
        (object.group(), object.kind()) == (self.id.group, self.id.kind)
    }
}

/// A kind whose fields have types, known by the type of its `spec`.
pub trait Kind: Debug + Clone + PartialEq + DeserializeOwned + JsonSchema + Send + Sync + 'static {
    /// The description of the kind.
    const INFO: &'static KindInfo;
    /// The type of `status`.
    type Status: Status;

    /// The fields below `spec` that lockgate does not support yet, each with whether it is set.
    fn unserved(&self) -> Vec<(&'static str, bool)>;
}

/// An object of a kind whose fields have types.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(bound = "")]
pub struct Resource<K: Kind> {
    /// `metadata`.
    pub metadata: Metadata,
    /// `spec`.
    pub spec: K,
    /// `status`; absent before the first reconcile.
    #[serde(default, deserialize_with = "null_as_default")]
    pub status: K::Status,
}

impl<K: Kind> Resource<K> {
    /// The description of the kind.
    pub const INFO: &'static KindInfo = K::INFO;
    /// Group and kind.
    pub const ID: KindId = K::INFO.id;

    /// The object of this kind that has a name.
    pub fn named(namespace: impl Into<String>, name: impl Into<String>) -> Ref {
        Ref::new(Self::ID, namespace, name)
    }

    /// The reference to this object.
    pub fn reference(&self) -> Ref {
        Self::named(&self.metadata.namespace, &self.metadata.name)
    }
}
