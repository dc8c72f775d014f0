//! `HelmRepository.source.toolkit.fluxcd.io`: v1, v1beta2, v1beta1.

use crate::api::kind::{Column, KindInfo, Role};
use lockgate_base::model::KindId;

pub(super) const INFO: KindInfo = KindInfo {
    id: KindId { group: "source.toolkit.fluxcd.io", kind: "HelmRepository" },
    plural: "helmrepositories",
    category: "fluxcd-sources",
    short_names: &["helmrepo"],
    versions: &["v1", "v1beta2", "v1beta1"],
    columns: &[Column::new("URL", ".spec.url"), Column::AGE, Column::READY, Column::STATUS],
    role: Role::Source(None),
    controller: "source-controller",
    grants: &[],
    is_acted_on: false,
    outline: Some(OUTLINE),
};

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
