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

/// An artifact in a registry.
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

/// Where an artifact is in a registry, and which part of it is wanted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OciRepositorySpec {
    /// `oci://HOST/REPOSITORY`, without a tag.
    pub url: String,
    /// How often to look for a new revision.
    #[schemars(with = "String")]
    pub interval: Duration,
    /// How long one fetch may take. Defaults to 60 s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub timeout: Option<Duration>,
    /// Which artifact. Defaults to the tag `latest`.
    #[serde(default, rename = "ref", skip_serializing_if = "Option::is_none")]
    pub reference: Option<OciReference>,
    /// Which layer of it, and whether that is unpacked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer_selector: Option<LayerSelector>,
    /// `generic`, `aws`, `azure` or `gcp`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// A Secret with the registry's credentials, of the type `kubernetes.io/dockerconfigjson`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<LocalReference>,
    /// Which signatures are wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verify: Option<Verification>,
    /// The ServiceAccount whose pull secrets are used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account_name: Option<String>,
    /// A Secret with a certificate authority, and a certificate to show and its key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cert_secret_ref: Option<LocalReference>,
    /// A Secret with a proxy's address and credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy_secret_ref: Option<LocalReference>,
    /// Patterns to leave out, in the syntax of `.gitignore`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ignore: Option<String>,
    /// Whether the registry is reached over plain HTTP, or over TLS with a certificate that nobody vouches
    /// for.
    #[serde(default)]
    pub insecure: bool,
    /// Whether fetching is paused.
    #[serde(default)]
    pub suspend: bool,
}

/// Which artifact of a repository. The first that is set wins: digest, semver, tag.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OciReference {
    /// `sha256:…`, of the manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// A range; the highest version within it is taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub semver: Option<String>,
    /// A regular expression that the tags must match of which `semver` chooses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub semver_filter: Option<String>,
    /// A tag.
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
