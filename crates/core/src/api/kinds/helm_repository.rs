//! `HelmRepository.source.toolkit.fluxcd.io`: v1, v1beta2, v1beta1.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::api::decode;
use crate::api::kind::{Column, Grant, Kind, KindInfo, Resource, Role};
use crate::api::reference::LocalReference;
use crate::api::source::{SourceInfo, SourceSpec, SourceStatus, secrets};
use lockgate_base::model::{Duration, KindId};

/// A repository of Helm charts.
pub type HelmRepository = Resource<HelmRepositorySpec>;

/// Flux's default of `spec.interval`.
const INTERVAL: std::time::Duration = std::time::Duration::from_mins(1);

pub(super) const INFO: KindInfo = KindInfo {
    id: KindId { group: "source.toolkit.fluxcd.io", kind: "HelmRepository" },
    plural: "helmrepositories",
    category: "fluxcd-sources",
    short_names: &["helmrepo"],
    versions: &["v1", "v1beta2", "v1beta1"],
    columns: &[Column::new("URL", ".spec.url"), Column::AGE, Column::READY, Column::STATUS],
    role: Role::Source(Some(&SourceInfo {
        read: decode::source::<HelmRepositorySpec>,
        command: "source helm",
        is_built_from: false,
    })),
    controller: "source-controller",
    grants: &[Grant {
        reason: "Credentials of Helm repositories.",
        group: "",
        resources: &["secrets"],
        verbs: &["get", "list", "watch"],
    }],
    is_acted_on: true,
    outline: Some(OUTLINE),
};

impl Kind for HelmRepositorySpec {
    const INFO: &'static KindInfo = &INFO;
    type Status = SourceStatus;

    fn unserved(&self) -> Vec<(&'static str, bool)> {
        vec![("provider", self.provider.as_deref().is_some_and(|provider| provider != "generic"))]
    }
}

impl SourceSpec for HelmRepositorySpec {
    fn url(&self) -> &str {
        &self.url
    }

    fn interval(&self) -> Duration {
        self.interval.unwrap_or(INTERVAL.into())
    }

    fn timeout(&self) -> Option<Duration> {
        self.timeout
    }

    fn suspended(&self) -> bool {
        self.suspend
    }

    fn inputs(&self) -> Vec<(KindId, &str)> {
        secrets([&self.secret_ref, &self.cert_secret_ref])
    }

    fn is_static(&self) -> bool {
        self.form == RepositoryType::Oci
    }
}

/// The address of a Helm repository, and how to fetch from it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HelmRepositorySpec {
    /// `https://HOST/PATH` of the folder with `index.yaml`, or `oci://HOST/PATH` of a registry.
    pub url: String,
    /// `default` for a web server with an index, or `oci` for a registry.
    #[serde(default, rename = "type")]
    pub form: RepositoryType,
    /// How often to fetch the index. Defaults to 1 minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub interval: Option<Duration>,
    /// The time limit of one request. Defaults to 60 s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub timeout: Option<Duration>,
    /// A Secret with a user name and a password. For a registry it may also be of the type
    /// `kubernetes.io/dockerconfigjson`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<LocalReference>,
    /// A Secret with a certificate authority, or with a client certificate and its key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cert_secret_ref: Option<LocalReference>,
    /// Whether the credentials are also sent to every host that the index names.
    #[serde(default)]
    pub pass_credentials: bool,
    /// Whether to reach a registry over plain HTTP, or over TLS without checking its certificate.
    #[serde(default)]
    pub insecure: bool,
    /// The provider of the credentials: `generic`. `aws`, `azure` and `gcp` are not supported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// Has no effect, as in Flux.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_from: Option<Value>,
    /// Whether fetching is suspended.
    #[serde(default)]
    pub suspend: bool,
}

/// The type of a Helm repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RepositoryType {
    /// A web server with an index.
    #[default]
    Default,
    /// A registry. It has no index, so only the charts themselves are fetched.
    Oci,
}

/// The fields of all versions.
const OUTLINE: &str = r#"
spec:
  accessFrom:
    namespaceSelectors![]:
      matchLabels{}: string
  certSecretRef: reference
  insecure: bool
  interval: duration
  passCredentials: bool
  provider: generic | aws | azure | gcp = "generic"
  secretRef: reference
  suspend: bool
  timeout: short-duration
  type: default | oci
  url!: string
status: = {"observedGeneration": -1}
  artifact:
    digest: digest
    lastUpdateTime!: time
    metadata{}: string
    path!: string
    revision: string
    size: int
    url!: string
    checksum: string
  conditions: conditions
  lastHandledReconcileAt: string
  observedGeneration: int
  url: string
"#;
