//! `HelmChart.source.toolkit.fluxcd.io`: v1, v1beta2, v1beta1.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::api::decode;
use crate::api::kind::{Column, Kind, KindInfo, Resource, Role};
use crate::api::null_as_default;
use crate::api::reference::SourceReference;
use crate::api::source::{SourceInfo, SourceSpec, SourceStatus, Verification, secrets};
use lockgate_base::model::{Duration, KindId};

/// A chart from a Helm repository, a Git repository or an OCI artifact.
pub type HelmChart = Resource<HelmChartSpec>;

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
    role: Role::Source(Some(&SourceInfo {
        read: decode::source::<HelmChartSpec>,
        command: "source chart",
        is_built_from: false,
    })),
    controller: "source-controller",
    grants: &[],
    is_acted_on: true,
    outline: Some(OUTLINE),
};

impl Kind for HelmChartSpec {
    const INFO: &'static KindInfo = &INFO;
    type Status = SourceStatus;

    fn unserved(&self) -> Vec<(&'static str, bool)> {
        Verification::unserved(self.verify.as_ref())
    }
}

impl SourceSpec for HelmChartSpec {
    fn url(&self) -> &str {
        &self.chart
    }

    fn interval(&self) -> Duration {
        self.interval
    }

    fn timeout(&self) -> Option<Duration> {
        None
    }

    fn suspended(&self) -> bool {
        self.suspend
    }

    fn inputs(&self) -> Vec<(KindId, &str)> {
        secrets([self.verify.as_ref().map_or(&None, |verify| &verify.secret_ref)])
    }

    fn is_verified(&self) -> bool {
        self.verify.is_some()
    }

    fn upstream(&self) -> Option<&SourceReference> {
        Some(&self.source_ref)
    }
}

impl HelmChartSpec {
    /// The files whose values replace those of the chart.
    pub fn values_files(&self) -> Vec<String> {
        let old = self.values_file.iter().filter(|file| !file.is_empty());
        self.values_files.iter().chain(old).cloned().collect()
    }
}

/// The name, version and origin of a chart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HelmChartSpec {
    /// The name of the chart in its Helm repository, or its path in a GitRepository or OCIRepository.
    pub chart: String,
    /// A version, or a range whose newest version is fetched. It has no effect on charts of a GitRepository.
    #[serde(default = "any")]
    pub version: String,
    /// The source that contains the chart.
    pub source_ref: SourceReference,
    /// How often to look for a newer version.
    #[schemars(with = "String")]
    pub interval: Duration,
    /// Whether a chart in Git is packaged again for each commit, or only for a new version of the chart.
    #[serde(default)]
    pub reconcile_strategy: ReconcileStrategy,
    /// Files whose values replace those of the chart; later files win.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub values_files: Vec<String>,
    /// One more file of values (v1beta1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub values_file: Option<String>,
    /// Whether files of `valuesFiles` may be missing.
    #[serde(default)]
    pub ignore_missing_values_files: bool,
    /// The signatures that the chart must have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verify: Option<Verification>,
    /// Has no effect, as in Flux.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_from: Option<Value>,
    /// Whether fetching is suspended.
    #[serde(default)]
    pub suspend: bool,
}

fn any() -> String {
    "*".into()
}

/// When a chart in Git is packaged again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum ReconcileStrategy {
    /// For each new version of the chart.
    #[default]
    ChartVersion,
    /// For each commit.
    Revision,
}

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
