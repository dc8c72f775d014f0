//! `ImagePolicy.image.toolkit.fluxcd.io`: v1, v1beta2, v1beta1.

use crate::api::kind::{Column, KindInfo, Role};
use lockgate_base::model::KindId;

pub(super) const INFO: KindInfo = KindInfo {
    id: KindId { group: "image.toolkit.fluxcd.io", kind: "ImagePolicy" },
    plural: "imagepolicies",
    category: "fluxcd-images",
    short_names: &["imgpol", "imagepol"],
    versions: &["v1", "v1beta2", "v1beta1"],
    columns: &[
        Column::new("Image", ".status.latestRef.name"),
        Column::new("Tag", ".status.latestRef.tag"),
        Column::READY,
        Column::STATUS,
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
  digestReflectionPolicy: Always | IfNotPresent | Never = "Never"
  filterTags:
    extract: string
    pattern: string
  imageRepositoryRef!:
    name!: string
    namespace: string
  interval: duration
  policy!:
    alphabetical:
      order: asc | desc = "asc"
    numerical:
      order: asc | desc = "asc"
    semver:
      range!: string
  suspend: bool
status: = {"observedGeneration": -1}
  conditions: conditions
  lastHandledReconcileAt: string
  latestRef:
    digest: string
    name!: string
    tag!: string
  observedGeneration: int
  observedPreviousRef:
    digest: string
    name!: string
    tag!: string
  latestImage: string
  observedPreviousImage: string
"#;
