//! `ImageRepository.image.toolkit.fluxcd.io`: v1, v1beta2, v1beta1.

use crate::api::kind::{Column, KindInfo, Role};
use lockgate_base::model::KindId;

pub(super) const INFO: KindInfo = KindInfo {
    id: KindId { group: "image.toolkit.fluxcd.io", kind: "ImageRepository" },
    plural: "imagerepositories",
    category: "fluxcd-images",
    short_names: &["imgrepo", "imagerepo"],
    versions: &["v1", "v1beta2", "v1beta1"],
    columns: &[
        Column::new("Image", ".spec.image"),
        Column::new("Tags", ".status.lastScanResult.tagCount"),
        Column::READY,
        Column::STATUS,
        Column::wide("Last scan", ".status.lastScanResult.scanTime"),
        Column::AGE,
    ],
    role: Role::Neither,
    controller: "image-reflector-controller",
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
  exclusionList[]: string = ["^.*\\.sig$"]
  image!: string
  insecure: bool
  interval!: duration
  provider: generic | aws | azure | gcp = "generic"
  proxySecretRef: reference
  secretRef: reference
  serviceAccountName: string 0..253
  suspend: bool
  timeout: short-duration
status: = {"observedGeneration": -1}
  canonicalImageName: string
  conditions: conditions
  lastHandledReconcileAt: string
  lastScanResult:
    latestTags[]: string
    revision: string
    scanTime: time
    tagCount!: int
  observedExclusionList[]: string
  observedGeneration: int
"#;
