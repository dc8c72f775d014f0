//! `ImageUpdateAutomation.image.toolkit.fluxcd.io`: v1, v1beta2, v1beta1.

use crate::api::kind::{Column, KindInfo, Role};
use lockgate_base::model::KindId;

pub(super) const INFO: KindInfo = KindInfo {
    id: KindId { group: "image.toolkit.fluxcd.io", kind: "ImageUpdateAutomation" },
    plural: "imageupdateautomations",
    short_names: &["iua", "imgupd", "imgauto"],
    versions: &["v1", "v1beta2", "v1beta1"],
    columns: &[
        Column { name: "Last run", path: ".status.lastAutomationRunTime" },
        Column::READY,
        Column::STATUS,
        Column::AGE,
    ],
    role: Role::Neither,
    controller: "image-automation-controller",
    grants: &[],
    is_acted_on: false,
};
