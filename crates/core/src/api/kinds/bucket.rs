//! `Bucket.source.toolkit.fluxcd.io`: v1, v1beta2, v1beta1.

use crate::api::kind::{Column, KindInfo, Role};
use lockgate_base::model::KindId;

pub(super) const INFO: KindInfo = KindInfo {
    id: KindId { group: "source.toolkit.fluxcd.io", kind: "Bucket" },
    plural: "buckets",
    category: "fluxcd-sources",
    short_names: &[],
    versions: &["v1", "v1beta2", "v1beta1"],
    columns: &[Column::new("Endpoint", ".spec.endpoint"), Column::AGE, Column::READY, Column::STATUS],
    role: Role::Source(None),
    controller: "source-controller",
    grants: &[],
    is_acted_on: false,
    outline: Some(OUTLINE),
};

/// The fields of all versions.
const OUTLINE: &str = r#"
spec:
  bucketName!: string
  certSecretRef: reference
  endpoint!: string
  ignore: string
  insecure: bool
  interval!: duration
  prefix: string
  provider: generic | aws | gcp | azure = "generic"
  proxySecretRef: reference
  region: string
  secretRef: reference
  serviceAccountName: string
  sts:
    certSecretRef: reference
    endpoint!: /^(http|https)://.*$/
    provider!: aws | ldap
    secretRef: reference
  suspend: bool
  timeout: short-duration = "60s"
  accessFrom:
    namespaceSelectors![]:
      matchLabels{}: string
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
  observedIgnore: string
  url: string
"#;
