//! `OCIRepository.source.toolkit.fluxcd.io`: v1, v1beta2.

use crate::api::kind::{Column, KindInfo, Role};
use lockgate_base::model::KindId;

pub(super) const INFO: KindInfo = KindInfo {
    id: KindId { group: "source.toolkit.fluxcd.io", kind: "OCIRepository" },
    plural: "ocirepositories",
    category: "fluxcd-sources",
    short_names: &["ocirepo"],
    versions: &["v1", "v1beta2"],
    columns: &[Column::new("URL", ".spec.url"), Column::READY, Column::STATUS, Column::AGE],
    role: Role::Source,
    controller: "source-controller",
    grants: &[],
    is_acted_on: false,
    outline: Some(OUTLINE),
};

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
