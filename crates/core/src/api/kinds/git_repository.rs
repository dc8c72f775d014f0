//! `GitRepository.source.toolkit.fluxcd.io`: v1, with the fields of v1beta2 and v1beta1.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::api::decode;
use crate::api::kind::{Column, Grant, Kind, KindInfo, Resource, Role};
use crate::api::source::{Selection, SourceInfo, SourceSpec, SourceStatus, secrets};
use crate::api::{LocalReference, null_as_default};
use lockgate_base::model::{Duration, KindId};

/// The provider whose credentials are those of a GitHub App.
pub const PROVIDER_GITHUB: &str = "github";

/// A Git repository, and the revision of it to fetch.
pub type GitRepository = Resource<GitRepositorySpec>;

pub(super) const INFO: KindInfo = KindInfo {
    id: KindId { group: "source.toolkit.fluxcd.io", kind: "GitRepository" },
    plural: "gitrepositories",
    category: "fluxcd-sources",
    short_names: &["gitrepo"],
    versions: &["v1", "v1beta2", "v1beta1"],
    columns: &[Column::new("URL", ".spec.url"), Column::AGE, Column::READY, Column::STATUS],
    role: Role::Source(Some(&SourceInfo {
        read: decode::source::<GitRepositorySpec>,
        command: "source git",
        is_built_from: true,
    })),
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
    type Status = SourceStatus;

    fn unserved(&self) -> Vec<(&'static str, bool)> {
        vec![
            ("verify", self.verify.is_some()),
            ("recurseSubmodules", self.recurse_submodules),
            ("sparseCheckout", !self.sparse_checkout.is_empty()),
            ("include", !self.include.is_empty()),
            ("proxySecretRef", self.proxy_secret_ref.is_some()),
            ("provider", !matches!(self.provider.as_deref(), None | Some("generic" | PROVIDER_GITHUB))),
            // A ServiceAccount is for a provider's credentials; with `generic`, Flux refuses it too.
            ("serviceAccountName", self.service_account_name.is_some()),
        ]
    }
}

impl SourceSpec for GitRepositorySpec {
    fn url(&self) -> &str {
        &self.url
    }

    fn interval(&self) -> Duration {
        self.interval
    }

    fn timeout(&self) -> Option<Duration> {
        self.timeout
    }

    fn suspended(&self) -> bool {
        self.suspend
    }

    fn inputs(&self) -> Vec<(KindId, &str)> {
        secrets([&self.secret_ref])
    }

    fn selection(&self) -> Selection {
        Selection { ignore: self.ignore.clone(), layer: None }
    }
}

/// The address of the repository, and the part of it to fetch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GitRepositorySpec {
    /// The address, as `ssh://` or `https://`. The form `git@host:path` is not allowed.
    #[schemars(regex(pattern = "^(http|https|ssh)://.*$"))]
    pub url: String,
    /// How often to look for a new revision.
    #[schemars(with = "String", regex(pattern = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$"))]
    pub interval: Duration,
    /// How long one Git operation may take. Defaults to 60 s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", regex(pattern = r"^([0-9]+(\.[0-9]+)?(ms|s|m))+$"))]
    pub timeout: Option<Duration>,
    /// The Secret with the credentials for the repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<LocalReference>,
    /// The provider of the credentials: `generic`, or `github` if the Secret is for a GitHub App. `aws` and
    /// `azure` are not supported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = ["generic", "aws", "azure", "github"]))]
    pub provider: Option<String>,
    /// The ServiceAccount that requests the provider's credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account_name: Option<String>,
    /// The branch, tag or commit to fetch. Defaults to the branch `master`.
    #[serde(default, rename = "ref", skip_serializing_if = "Option::is_none")]
    pub reference: Option<GitReference>,
    /// The signatures that the commit or the tag must have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verify: Option<Value>,
    /// Patterns of files to exclude, in the syntax of `.gitignore`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ignore: Option<String>,
    /// Whether the submodules of the repository are fetched too.
    #[serde(default)]
    pub recurse_submodules: bool,
    /// The folders to fetch. Defaults to all.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub sparse_checkout: Vec<String>,
    /// Other GitRepositories whose files are copied into this one.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub include: Vec<Value>,
    /// A Secret with the address and the credentials of a proxy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy_secret_ref: Option<LocalReference>,
    /// Whether fetching is suspended.
    #[serde(default)]
    pub suspend: bool,
    /// Has no effect (v1beta1, v1beta2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub git_implementation: Option<String>,
    /// Has no effect (v1beta1, v1beta2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_from: Option<Value>,
}

/// The branch, tag or commit to fetch. If several are set, the first of these wins: commit, name, tag,
/// semver, branch (fluxcd/pkg `git/gogit` `Clone`).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
pub struct GitReference {
    /// A branch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// A tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// A range of versions; the highest tag in it is fetched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub semver: Option<String>,
    /// A full reference name, such as `refs/pull/1/head`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The SHA-1 of a commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
}
