//! `HelmRelease.helm.toolkit.fluxcd.io`: v2, v2beta2, v2beta1.

use crate::api::kind::{Column, KindInfo, Role};
use crate::api::ownership::Ownership;
use lockgate_base::keys;
use lockgate_base::model::KindId;

const ID: KindId = KindId { group: "helm.toolkit.fluxcd.io", kind: "HelmRelease" };

const OWNERSHIP: Ownership = Ownership {
    kind: ID,
    name_label: "helm.toolkit.fluxcd.io/name",
    namespace_label: "helm.toolkit.fluxcd.io/namespace",
    manager: "helm-controller",
    finalizer: keys::FINALIZER,
};

pub(super) const INFO: KindInfo = KindInfo {
    id: ID,
    plural: "helmreleases",
    short_names: &["hr"],
    versions: &["v2", "v2beta2", "v2beta1"],
    columns: &[Column::AGE, Column::READY, Column::STATUS],
    role: Role::Applier(&OWNERSHIP),
    controller: "helm-controller",
    grants: &[],
    is_acted_on: false,
};
