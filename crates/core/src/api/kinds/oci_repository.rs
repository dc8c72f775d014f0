//! `OCIRepository.source.toolkit.fluxcd.io`: v1, v1beta2.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::LocalReference;
use crate::api::decode;
use crate::api::kind::{Column, Grant, Kind, KindInfo, Resource, Role};
use crate::api::source::{
    LayerSelector, Selection, SourceInfo, SourceSpec, SourceStatus, Verification, secrets,
};
use lockgate_base::model::{Duration, KindId};

/// An OCI artifact in a registry.
pub type OciRepository = Resource<OciRepositorySpec>;

pub(super) const INFO: KindInfo = KindInfo {
    id: KindId { group: "source.toolkit.fluxcd.io", kind: "OCIRepository" },
    plural: "ocirepositories",
    category: "fluxcd-sources",
    short_names: &["ocirepo"],
    versions: &["v1", "v1beta2"],
    columns: &[Column::new("URL", ".spec.url"), Column::READY, Column::STATUS, Column::AGE],
    role: Role::Source(Some(&SourceInfo {
        read: decode::source::<OciRepositorySpec>,
        command: "source oci",
        is_built_from: true,
    })),
    controller: "source-controller",
    grants: &[
        Grant {
            reason: "Credentials of registries.",
            group: "",
            resources: &["secrets"],
            verbs: &["get", "list", "watch"],
        },
        Grant {
            reason: "The pull secrets of the ServiceAccounts that OCIRepositories name.",
            group: "",
            resources: &["serviceaccounts"],
            verbs: &["get"],
        },
    ],
    is_acted_on: true,
    outline: Some(OUTLINE),
};

impl Kind for OciRepositorySpec {
    const INFO: &'static KindInfo = &INFO;
    type Status = SourceStatus;

    fn unserved(&self) -> Vec<(&'static str, bool)> {
        let mut fields = Verification::unserved(self.verify.as_ref());
        fields.push(("provider", self.provider.as_deref().is_some_and(|provider| provider != "generic")));
        fields
    }
}

impl SourceSpec for OciRepositorySpec {
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
        let keys = self.verify.as_ref().map_or(&None, |verify| &verify.secret_ref);
        secrets([&self.secret_ref, &self.cert_secret_ref, &self.proxy_secret_ref, keys])
    }

    fn is_verified(&self) -> bool {
        self.verify.is_some()
    }

    fn selection(&self) -> Selection {
        Selection { ignore: self.ignore.clone(), layer: self.layer_selector.clone() }
    }
}

/// The address of an artifact in a registry, and the part of it to fetch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OciRepositorySpec {
    /// The address, as `oci://HOST/REPOSITORY`, without a tag.
    pub url: String,
    /// How often to look for a new revision.
    #[schemars(with = "String")]
    pub interval: Duration,
    /// How long one fetch may take. Defaults to 60 s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub timeout: Option<Duration>,
    /// The tag, version or digest to fetch. Defaults to the tag `latest`.
    #[serde(default, rename = "ref", skip_serializing_if = "Option::is_none")]
    pub reference: Option<OciReference>,
    /// The layer to fetch, and whether to unpack it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer_selector: Option<LayerSelector>,
    /// The provider of the credentials: `generic`. `aws`, `azure` and `gcp` are not supported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// A Secret with the registry's credentials, of the type `kubernetes.io/dockerconfigjson`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<LocalReference>,
    /// The signatures that the artifact must have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verify: Option<Verification>,
    /// The ServiceAccount whose pull secrets are used for the registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account_name: Option<String>,
    /// A Secret with a certificate authority, or with a client certificate and its key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cert_secret_ref: Option<LocalReference>,
    /// A Secret with the address and the credentials of a proxy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy_secret_ref: Option<LocalReference>,
    /// Patterns of files to exclude, in the syntax of `.gitignore`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ignore: Option<String>,
    /// Whether to reach the registry over plain HTTP, or over TLS without checking its certificate.
    #[serde(default)]
    pub insecure: bool,
    /// Whether fetching is suspended.
    #[serde(default)]
    pub suspend: bool,
}

/// The tag, version or digest to fetch. If several are set, the first of these wins: digest, semver, tag.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OciReference {
    /// The digest of the manifest, as `sha256:…`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// A range of versions; the highest tag in it is fetched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub semver: Option<String>,
    /// A regular expression that a tag must match before `semver` considers it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub semver_filter: Option<String>,
    /// The tag to fetch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
}

/// The fields of all versions.
const OUTLINE: &str = r#"
spec:
  certSecretRef: reference
  ignore: string
  insecure: bool
  interval: duration
  layerSelector:
    mediaType: string
    operation: extract | copy
  provider: generic | aws | azure | gcp
  proxySecretRef: reference
  ref:
    digest: string
    semver: string
    semverFilter: string
    tag: string
  secretRef: reference
  serviceAccountName: string
  suspend: bool
  timeout: short-duration
  url: /^oci://.*$/
  verify:
    matchOIDCIdentity[]:
      issuer!: string
      subject!: string
    provider!: cosign | notation = "cosign"
    secretRef: reference
    trustedRootSecretRef: reference
status: = {"observedGeneration": -1}
  artifact:
    digest: digest
    lastUpdateTime!: time
    metadata{}: string
    path!: string
    revision!: string
    size: int
    url!: string
  conditions: conditions
  lastHandledReconcileAt: string
  observedGeneration: int
  observedIgnore: string
  observedLayerSelector:
    mediaType: string
    operation: extract | copy
  sourceVerificationFingerprint: string
  url: string
  contentConfigChecksum: string
"#;
