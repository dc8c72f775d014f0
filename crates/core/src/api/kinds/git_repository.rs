//! `GitRepository.source.toolkit.fluxcd.io`: v1, with the fields of v1beta2 and v1beta1.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::api::kind::{Column, Grant, Kind, KindInfo, Resource, Role, Status};
use crate::api::{LocalReference, null_as_default};
use lockgate_base::model::{Conditions, Duration, KindId, Timestamp};

/// A Git repository and the revision of it that is wanted.
pub type GitRepository = Resource<GitRepositorySpec>;

pub(super) const INFO: KindInfo = KindInfo {
    id: KindId { group: "source.toolkit.fluxcd.io", kind: "GitRepository" },
    plural: "gitrepositories",
    category: "fluxcd-sources",
    short_names: &["gitrepo"],
    versions: &["v1", "v1beta2", "v1beta1"],
    columns: &[Column::new("URL", ".spec.url"), Column::AGE, Column::READY, Column::STATUS],
    role: Role::Source,
    controller: "source-controller",
    grants: &[Grant {
        reason: "Credentials of sources.",
        group: "",
        resources: &["secrets"],
        verbs: &["get", "list", "watch"],
    }],
    is_acted_on: true,
    outline: None,
};

impl Kind for GitRepositorySpec {
    const INFO: &'static KindInfo = &INFO;
    type Status = GitRepositoryStatus;

    fn unserved(&self) -> Vec<(&'static str, bool)> {
        vec![
            ("verify", self.verify.is_some()),
            ("recurseSubmodules", self.recurse_submodules),
            ("sparseCheckout", !self.sparse_checkout.is_empty()),
            ("include", !self.include.is_empty()),
            ("proxySecretRef", self.proxy_secret_ref.is_some()),
            ("provider", self.provider.as_deref().is_some_and(|provider| provider != "generic")),
            // It is a provider's account; with `generic`, Flux refuses it as well.
            ("serviceAccountName", self.service_account_name.is_some()),
        ]
    }
}

impl Status for GitRepositoryStatus {
    fn conditions(&self) -> &Conditions {
        &self.conditions
    }

    fn observed_generation(&self) -> Option<i64> {
        self.observed_generation
    }

    fn handled(&self) -> Option<&str> {
        self.last_handled_reconcile_at.as_deref()
    }
}

/// Where the repository is and what of it is wanted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GitRepositorySpec {
    /// `ssh://` or `https://`; the `git@host:path` form is not allowed.
    #[schemars(regex(pattern = "^(http|https|ssh)://.*$"))]
    pub url: String,
    /// How often to look for a new revision.
    #[schemars(with = "String", regex(pattern = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$"))]
    pub interval: Duration,
    /// How long one Git operation may take. Defaults to 60 s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", regex(pattern = r"^([0-9]+(\.[0-9]+)?(ms|s|m))+$"))]
    pub timeout: Option<Duration>,
    /// The Secret with credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<LocalReference>,
    /// `generic`, `aws`, `azure` or `github`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = ["generic", "aws", "azure", "github"]))]
    pub provider: Option<String>,
    /// The ServiceAccount for provider credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account_name: Option<String>,
    /// What to check out. Defaults to the branch `master`.
    #[serde(default, rename = "ref", skip_serializing_if = "Option::is_none")]
    pub reference: Option<GitReference>,
    /// Which signatures are wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verify: Option<Value>,
    /// Patterns to leave out, in the syntax of `.gitignore`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ignore: Option<String>,
    /// Whether submodules are fetched.
    #[serde(default)]
    pub recurse_submodules: bool,
    /// Folders to which the tree is limited.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub sparse_checkout: Vec<String>,
    /// Other repositories to copy in.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub include: Vec<Value>,
    /// A Secret with a proxy's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy_secret_ref: Option<LocalReference>,
    /// Whether fetching is paused.
    #[serde(default)]
    pub suspend: bool,
    /// Has no effect (v1beta1, v1beta2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub git_implementation: Option<String>,
    /// Has no effect (v1beta1, v1beta2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_from: Option<Value>,
}

/// What to check out. The first that is set wins: commit, name, tag, semver, branch (fluxcd/pkg `git/gogit` `Clone`).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
pub struct GitReference {
    /// A branch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// A tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// A range; the highest tag within it is taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub semver: Option<String>,
    /// A full reference name such as `refs/pull/1/head`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// A commit's SHA-1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
}

/// What was fetched.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GitRepositoryStatus {
    /// The generation that was looked at last; -1 before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready, ArtifactInStorage, Reconciling, Stalled, FetchFailed.
    #[serde(default, deserialize_with = "null_as_default")]
    #[schemars(with = "Vec<Value>")]
    pub conditions: Conditions,
    /// The last revision fetched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact: Option<Artifact>,
    /// The last value of the `requestedAt` annotation that was acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,
    /// The `ignore` that the artifact was made with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_ignore: Option<String>,
}

/// A fetched revision. lockgate serves no archive of it: `url` and `path` name the revision for tools that require them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Artifact {
    /// Name of the revision inside this agent; nothing is served under it.
    pub path: String,
    /// As `path`.
    pub url: String,
    /// `<name>@sha1:<commit>`.
    pub revision: String,
    /// Digest of the tree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// When it was fetched.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub last_update_time: Timestamp,
    /// In bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<i64>,
    /// More about it.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
}
