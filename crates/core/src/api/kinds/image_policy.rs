//! `ImagePolicy.image.toolkit.fluxcd.io`: v1, v1beta2, v1beta1.

use crate::api::kind::{Column, KindInfo, Role};
use lockgate_base::model::KindId;

pub(super) const INFO: KindInfo = KindInfo {
    id: KindId { group: "image.toolkit.fluxcd.io", kind: "ImagePolicy" },
    plural: "imagepolicies",
    short_names: &["imgpol", "imagepol"],
    versions: &["v1", "v1beta2", "v1beta1"],
    columns: &[
        Column { name: "Image", path: ".status.latestRef.name" },
        Column { name: "Tag", path: ".status.latestRef.tag" },
        Column::READY,
        Column::STATUS,
        Column::AGE,
    ],
    role: Role::Neither,
    controller: "image-reflector-controller",
    grants: &[],
    is_acted_on: false,
};
