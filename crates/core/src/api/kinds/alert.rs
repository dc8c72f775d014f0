//! `Alert.notification.toolkit.fluxcd.io`: v1, v1beta3, v1beta2, v1beta1.

use crate::api::kind::{Column, KindInfo, Role};
use lockgate_base::model::KindId;

pub(super) const INFO: KindInfo = KindInfo {
    id: KindId { group: "notification.toolkit.fluxcd.io", kind: "Alert" },
    plural: "alerts",
    short_names: &[],
    versions: &["v1", "v1beta3", "v1beta2", "v1beta1"],
    columns: &[Column::AGE],
    role: Role::Neither,
    controller: "notification-controller",
    grants: &[],
    is_acted_on: false,
};
