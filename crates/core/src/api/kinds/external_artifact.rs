//! `ExternalArtifact.source.toolkit.fluxcd.io`: v1.

use crate::api::kind::{Column, KindInfo, Role};
use lockgate_base::model::KindId;

pub(super) const INFO: KindInfo = KindInfo {
    id: KindId { group: "source.toolkit.fluxcd.io", kind: "ExternalArtifact" },
    plural: "externalartifacts",
    short_names: &["ea"],
    versions: &["v1"],
    columns: &[
        Column::AGE,
        Column::READY,
        Column::STATUS,
        Column { name: "Source", path: ".spec.sourceRef.name" },
    ],
    role: Role::Source,
    controller: "source-controller",
    grants: &[],
    is_acted_on: false,
};
