//! `OCIRepository.source.toolkit.fluxcd.io`: v1, v1beta2.

use crate::api::kind::{Column, KindInfo, Role};
use lockgate_base::model::KindId;

pub(super) const INFO: KindInfo = KindInfo {
    id: KindId { group: "source.toolkit.fluxcd.io", kind: "OCIRepository" },
    plural: "ocirepositories",
    short_names: &["ocirepo"],
    versions: &["v1", "v1beta2"],
    columns: &[Column { name: "URL", path: ".spec.url" }, Column::READY, Column::STATUS, Column::AGE],
    role: Role::Source,
    controller: "source-controller",
    grants: &[],
    is_acted_on: false,
};
