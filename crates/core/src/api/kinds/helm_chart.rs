//! `HelmChart.source.toolkit.fluxcd.io`: v1, v1beta2, v1beta1.

use crate::api::kind::{Column, KindInfo, Role};
use lockgate_base::model::KindId;

pub(super) const INFO: KindInfo = KindInfo {
    id: KindId { group: "source.toolkit.fluxcd.io", kind: "HelmChart" },
    plural: "helmcharts",
    category: "fluxcd-sources",
    short_names: &["hc"],
    versions: &["v1", "v1beta2", "v1beta1"],
    columns: &[
        Column::new("Chart", ".spec.chart"),
        Column::new("Version", ".spec.version"),
        Column::new("Source Kind", ".spec.sourceRef.kind"),
        Column::new("Source Name", ".spec.sourceRef.name"),
        Column::AGE,
        Column::READY,
        Column::STATUS,
    ],
    role: Role::Source(None),
    controller: "source-controller",
    grants: &[],
    is_acted_on: false,
    outline: Some(OUTLINE),
};

/// The fields of all versions.
const OUTLINE: &str = r#"
spec:
  chart!: string
  ignoreMissingValuesFiles: bool
  interval!: duration
  reconcileStrategy: ChartVersion | Revision = "ChartVersion"
  sourceRef!:
    apiVersion: string
    kind!: chart-source
    name!: string
  suspend: bool
  valuesFiles[]: string
  verify:
    matchOIDCIdentity[]:
      issuer!: string
      subject!: string
    provider!: cosign | notation = "cosign"
    secretRef: reference
  version: string = "*"
  accessFrom:
    namespaceSelectors![]:
      matchLabels{}: string
  valuesFile: string
status: = {"observedGeneration": -1}
  artifact:
    digest: digest
    lastUpdateTime!: time
    metadata{}: string
    path!: string
    revision: string
    size: int
    url!: string
    checksum: string
  conditions: conditions
  lastHandledReconcileAt: string
  observedChartName: string
  observedGeneration: int
  observedSourceArtifactRevision: string
  observedValuesFiles[]: string
  url: string
"#;
