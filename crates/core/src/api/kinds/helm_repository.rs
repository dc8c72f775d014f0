//! `HelmRepository.source.toolkit.fluxcd.io`: v1, v1beta2, v1beta1.

use crate::api::kind::{Column, KindInfo, Role};
use lockgate_base::model::KindId;

pub(super) const INFO: KindInfo = KindInfo {
    id: KindId { group: "source.toolkit.fluxcd.io", kind: "HelmRepository" },
    plural: "helmrepositories",
    short_names: &["helmrepo"],
    versions: &["v1", "v1beta2", "v1beta1"],
    columns: &[Column { name: "URL", path: ".spec.url" }, Column::AGE, Column::READY, Column::STATUS],
    role: Role::Source,
    controller: "source-controller",
    grants: &[],
    is_acted_on: false,
};
