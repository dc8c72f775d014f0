//! `HelmChart.source.toolkit.fluxcd.io`: v1, v1beta2, v1beta1.

use crate::api::kind::{Column, KindInfo, Role};
use lockgate_base::model::KindId;

pub(super) const INFO: KindInfo = KindInfo {
    id: KindId { group: "source.toolkit.fluxcd.io", kind: "HelmChart" },
    plural: "helmcharts",
    short_names: &["hc"],
    versions: &["v1", "v1beta2", "v1beta1"],
    columns: &[
        Column { name: "Chart", path: ".spec.chart" },
        Column { name: "Version", path: ".spec.version" },
        Column { name: "Source Kind", path: ".spec.sourceRef.kind" },
        Column { name: "Source Name", path: ".spec.sourceRef.name" },
        Column::AGE,
        Column::READY,
        Column::STATUS,
    ],
    role: Role::Source,
    controller: "source-controller",
    grants: &[],
    is_acted_on: false,
};
