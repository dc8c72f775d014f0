//! `ExternalArtifact.source.toolkit.fluxcd.io`: v1.

use crate::api::kind::{Column, KindInfo, Role};
use lockgate_base::model::KindId;

pub(super) const INFO: KindInfo = KindInfo {
    id: KindId { group: "source.toolkit.fluxcd.io", kind: "ExternalArtifact" },
    plural: "externalartifacts",
    category: "fluxcd-sources",
    short_names: &["ea"],
    versions: &["v1"],
    columns: &[Column::AGE, Column::READY, Column::STATUS, Column::new("Source", ".spec.sourceRef.name")],
    role: Role::Source(None),
    controller: "source-controller",
    grants: &[],
    is_acted_on: false,
    outline: Some(OUTLINE),
};

/// The fields of all versions.
const OUTLINE: &str = r"
spec:
  sourceRef:
    apiVersion: string
    kind!: string
    name!: string
    namespace: string
status:
  artifact:
    digest!: digest
    lastUpdateTime!: time
    metadata{}: string
    path!: string
    revision!: string
    size: int
    url!: string
  conditions: conditions
  exportedInputs{}: any
";
