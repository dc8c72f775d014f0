//! `HelmRelease.helm.toolkit.fluxcd.io`: v2, v2beta2, v2beta1.

use crate::api::kind::{Column, KindInfo, Role};
use lockgate_base::model::KindId;

pub(super) const INFO: KindInfo = KindInfo {
    id: KindId { group: "helm.toolkit.fluxcd.io", kind: "HelmRelease" },
    plural: "helmreleases",
    short_names: &["hr"],
    versions: &["v2", "v2beta2", "v2beta1"],
    columns: &[Column::AGE, Column::READY, Column::STATUS],
    role: Role::Applier,
    controller: "helm-controller",
    grants: &[],
    is_acted_on: false,
};
