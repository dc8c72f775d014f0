//! `HelmRelease.helm.toolkit.fluxcd.io`: v2, v2beta2, v2beta1.

pub(in crate::api) mod values;
pub(in crate::api) mod status;
pub(in crate::api) mod actions;
pub(in crate::api) mod remedy;
pub(in crate::api) mod chart;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::api::kind::{Column, Grant, Kind, KindInfo, Resource, Role};
use crate::api::kinds::helm_chart::ReconcileStrategy;
use crate::api::kinds::kustomization::{CommonMetadata, DependsOn, HealthCheckExpr};
use crate::api::null_as_default;
use crate::api::ownership::Ownership;
use crate::api::reference::SourceReference;
use actions::{Install, Rollback, TestAction, Uninstall, Upgrade};
use lockgate_base::keys;
use lockgate_base::model::{Duration, KindId};
use lockgate_render::helm::flux::release_name;
use status::HelmReleaseStatus;
use values::{DriftDetection, PostRenderer, ValuesFrom};

/// A chart that is installed in the cluster.
pub type HelmRelease = Resource<HelmReleaseSpec>;

const ID: KindId = KindId { group: "helm.toolkit.fluxcd.io", kind: "HelmRelease" };

const OWNERSHIP: Ownership = Ownership {
    kind: ID,
    name_label: "helm.toolkit.fluxcd.io/name",
    namespace_label: "helm.toolkit.fluxcd.io/namespace",
    manager: "helm-controller",
    stand_ins: &["helm"],
    finalizer: keys::FINALIZER,
};

impl HelmRelease {
    /// The labels and the field manager of HelmReleases.
    pub const OWNERSHIP: &'static Ownership = &OWNERSHIP;

    /// The name of the release, shortened to the length that Helm allows.
    pub fn release_name(&self) -> String {
        let (spec, name) = (&self.spec, &self.metadata.name);
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        release_name(given(&spec.release_name).as_deref(), given(&spec.target_namespace).as_deref(), name)
    }

    /// The namespace of the release.
    pub fn target_namespace(&self) -> &str {
        self.or_own(self.spec.target_namespace.as_deref())
    }

    /// The namespace of the release's Secrets.
    pub fn storage_namespace(&self) -> &str {
        self.or_own(self.spec.storage_namespace.as_deref())
    }

    fn or_own<'a>(&'a self, namespace: Option<&'a str>) -> &'a str {
        namespace.filter(|namespace| !namespace.is_empty()).unwrap_or(&self.metadata.namespace)
    }
}

pub(super) const INFO: KindInfo = KindInfo {
    id: ID,
    plural: "helmreleases",
    category: "fluxcd-appliers",
    short_names: &["hr"],
    versions: &["v2", "v2beta2", "v2beta1"],
    columns: &[Column::AGE, Column::READY, Column::STATUS],
    role: Role::Applier(HelmRelease::OWNERSHIP),
    controller: "helm-controller",
    grants: &[
        Grant {
            reason: "The HelmCharts that are made for HelmReleases.",
            group: "source.toolkit.fluxcd.io",
            resources: &["helmcharts"],
            verbs: &["get", "create", "patch", "delete"],
        },
        Grant {
            reason: "The values of HelmReleases.",
            group: "",
            resources: &["secrets", "configmaps"],
            verbs: &["get", "list", "watch"],
        },
        Grant {
            reason: "Releasing in the name of a ServiceAccount.",
            group: "",
            resources: &["serviceaccounts"],
            verbs: &["get", "impersonate"],
        },
    ],
    is_acted_on: true,
    outline: Some(OUTLINE),
};

impl Kind for HelmReleaseSpec {
    const INFO: &'static KindInfo = &INFO;
    type Status = HelmReleaseStatus;

    fn unserved(&self) -> Vec<(&'static str, bool)> {
        let template = self.chart.as_ref().map(|chart| &chart.spec);
        let post_render = self.post_render_strategy.as_deref();
        vec![
            ("kubeConfig", self.kube_config.is_some()),
            ("chart.kind", self.chart.as_ref().is_some_and(ChartTemplate::is_no_helm_chart)),
            ("chart.spec.verify", template.is_some_and(|template| template.verify.is_some())),
            ("dependsOn[].readyExpr", self.depends_on.iter().any(|named| named.ready_expr.is_some())),
            ("healthCheckExprs", !self.health_check_exprs.is_empty()),
            ("postRenderStrategy", post_render.is_some_and(|strategy| strategy != "combined")),
            ("test.enable", self.test.enable),
            ("upgrade.preserveValues", self.upgrade.preserve_values),
            ("install.disableTakeOwnership", self.install.disable_take_ownership),
            ("upgrade.disableTakeOwnership", self.upgrade.disable_take_ownership),
            ("uninstall.deletionPropagation", self.uninstall.propagates_otherwise()),
        ]
    }
}

/// The chart to release, its values, and the handling of failures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HelmReleaseSpec {
    /// The HelmChart to create for the release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chart: Option<ChartTemplate>,
    /// An existing source that contains the chart, in place of `chart`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chart_ref: Option<SourceReference>,
    /// How often to reconcile after a success.
    #[schemars(with = "String")]
    pub interval: Duration,
    /// The kubeconfig of another cluster to release to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kube_config: Option<Value>,
    /// Whether reconciliation is suspended.
    #[serde(default)]
    pub suspend: bool,
    /// The name of the release. Defaults to the name of the object, with `targetNamespace` before it if that
    /// is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release_name: Option<String>,
    /// The namespace of the release. Defaults to the namespace of the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_namespace: Option<String>,
    /// The namespace of the Secrets in which Helm stores the release. Defaults to the namespace of the
    /// object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_namespace: Option<String>,
    /// Objects that must be ready before the release; HelmReleases if no kind is set.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<DependsOn>,
    /// How long one action may wait for objects. Defaults to five minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub timeout: Option<Duration>,
    /// How many versions of the release to keep. Defaults to five; zero keeps all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_history: Option<i64>,
    /// The ServiceAccount to impersonate for the release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account_name: Option<String>,
    /// Has no effect in lockgate, which always uses one client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub persistent_client: Option<bool>,
    /// How to install the release.
    #[serde(default, deserialize_with = "null_as_default")]
    pub install: Install,
    /// How to upgrade the release.
    #[serde(default, deserialize_with = "null_as_default")]
    pub upgrade: Upgrade,
    /// Whether and how to run the chart's tests.
    #[serde(default, deserialize_with = "null_as_default")]
    pub test: TestAction,
    /// How to roll back the release.
    #[serde(default, deserialize_with = "null_as_default")]
    pub rollback: Rollback,
    /// How to uninstall the release.
    #[serde(default, deserialize_with = "null_as_default")]
    pub uninstall: Uninstall,
    /// ConfigMaps and Secrets with values for the chart; later ones win.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub values_from: Vec<ValuesFrom>,
    /// Values for the chart; they win over `valuesFrom`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub values: Option<Map<String, Value>>,
    /// Labels and annotations to set on every object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub common_metadata: Option<CommonMetadata>,
    /// Changes of the rendered objects, in this order.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub post_renderers: Vec<PostRenderer>,
    /// Which of the chart's documents the post-renderers change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub post_render_strategy: Option<String>,
    /// Has no effect in lockgate, which watches the health of the objects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_strategy: Option<Value>,
    /// The health of custom resources, as CEL expressions.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub health_check_exprs: Vec<HealthCheckExpr>,
    /// How to handle drift.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drift_detection: Option<DriftDetection>,
}

/// The HelmChart to create.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ChartTemplate {
    /// The kind to create: `HelmChart` (the default) or `OCIRepository`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Labels and annotations of the HelmChart.
    #[serde(default, deserialize_with = "null_as_default")]
    pub metadata: CommonMetadata,
    /// The spec of the HelmChart.
    pub spec: ChartTemplateSpec,
}

impl ChartTemplate {
    fn is_no_helm_chart(&self) -> bool {
        self.kind.as_deref().is_some_and(|kind| kind != "HelmChart")
    }
}

/// The spec of the HelmChart to create.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChartTemplateSpec {
    /// The name of the chart in its Helm repository, or its path in a GitRepository.
    #[serde(default)]
    pub chart: String,
    /// A version, or a range whose newest version is fetched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The source that contains the chart.
    pub source_ref: SourceReference,
    /// How often to look for a newer version. Defaults to the interval of the HelmRelease.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub interval: Option<Duration>,
    /// When a chart in Git is packaged again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reconcile_strategy: Option<ReconcileStrategy>,
    /// Files whose values replace those of the chart; later files win.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub values_files: Vec<String>,
    /// One more file of values (v2beta1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub values_file: Option<String>,
    /// Whether files of `valuesFiles` may be missing.
    #[serde(default)]
    pub ignore_missing_values_files: bool,
    /// The signatures that the chart must have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verify: Option<Value>,
}

/// The fields of all versions.
const OUTLINE: &str = r#"
spec:
  chart:
    kind: HelmChart | OCIRepository
    metadata:
      annotations{}: string
      labels{}: string
    spec!:
      chart: string
      ignoreMissingValuesFiles: bool
      reconcileStrategy: ChartVersion | Revision
      sourceRef:
        apiVersion: string
        kind!: chart-source
        name!: string 1..253
        namespace: string 1..63
      valuesFiles[]: string
      version: string
      interval: duration
      verify:
        provider!: cosign | notation = "cosign"
        secretRef: reference
      valuesFile: string
  chartRef:
    apiVersion: string
    kind!: OCIRepository | HelmChart | ExternalArtifact
    name!: string 1..253
    namespace: string 1..63
  commonMetadata:
    annotations{}: string
    labels{}: string
  dependsOn[]:
    apiVersion: string
    kind: string
    name!: string
    namespace: string
    readyExpr: string
  driftDetection:
    ignore[]:
      paths![]: string
      target:
        annotationSelector: string
        group: string
        kind: string
        labelSelector: string
        name: string
        namespace: string
        version: string
    mode: enabled | warn | disabled
  healthCheckExprs[]:
    apiVersion!: string
    current!: string
    failed: string
    inProgress: string
    kind: string
  install:
    crds: Skip | Create | CreateReplace
    createNamespace: bool
    disableHooks: bool
    disableOpenAPIValidation: bool
    disableSchemaValidation: bool
    disableTakeOwnership: bool
    disableWait: bool
    disableWaitForJobs: bool
    remediation:
      ignoreTestFailures: bool
      remediateLastFailure: bool
      retries: int
    replace: bool
    serverSideApply: bool
    skipCRDs: bool
    strategy:
      name!: RemediateOnFailure | RetryOnFailure
      retryInterval: duration
    timeout: duration
  interval!: duration
  kubeConfig:
    configMapRef: reference
    secretRef:
      key: string
      name!: string
  maxHistory: int
  persistentClient: bool
  postRenderStrategy: nohooks | combined | separate
  postRenderers[]:
    kustomize:
      images[]:
        digest: string
        name!: string
        newName: string
        newTag: string
      patches[]:
        patch!: string
        target:
          annotationSelector: string
          group: string
          kind: string
          labelSelector: string
          name: string
          namespace: string
          version: string
      patchesJson6902[]:
        patch![]:
          from: string
          op!: test | remove | add | replace | move | copy
          path!: string
          value: any
        target!:
          annotationSelector: string
          group: string
          kind: string
          labelSelector: string
          name: string
          namespace: string
          version: string
      patchesStrategicMerge[]: any
  releaseName: string 1..53
  rollback:
    cleanupOnFail: bool
    disableHooks: bool
    disableWait: bool
    disableWaitForJobs: bool
    force: bool
    recreate: bool
    serverSideApply: enabled | disabled | auto
    timeout: duration
  serviceAccountName: string
  storageNamespace: string 1..63
  suspend: bool
  targetNamespace: string 1..63
  test:
    enable: bool
    filters[]:
      exclude: bool
      name!: string 1..253
    ignoreFailures: bool
    timeout: duration
  timeout: duration
  uninstall:
    deletionPropagation: background | foreground | orphan = "background"
    disableHooks: bool
    disableWait: bool
    keepHistory: bool
    timeout: duration
  upgrade:
    chartNameChangeStrategy: InPlaceUpdate | Reinstall
    cleanupOnFail: bool
    crds: Skip | Create | CreateReplace
    disableHooks: bool
    disableOpenAPIValidation: bool
    disableSchemaValidation: bool
    disableTakeOwnership: bool
    disableWait: bool
    disableWaitForJobs: bool
    force: bool
    preserveValues: bool
    remediation:
      ignoreTestFailures: bool
      remediateLastFailure: bool
      retries: int
      strategy: rollback | uninstall
    serverSideApply: enabled | disabled | auto
    strategy:
      name!: RemediateOnFailure | RetryOnFailure
      retryInterval: duration
    timeout: duration
  values: any
  valuesFrom[]:
    kind!: Secret | ConfigMap
    literal: bool
    name!: string 1..253
    optional: bool
    targetPath: /^([a-zA-Z0-9_\-.\\\/]|\[[0-9]{1,5}\])+$/ 0..250
    valuesKey: /^[\-._a-zA-Z0-9]+$/ 0..253
  waitStrategy:
    name!: poller | legacy
status: = {"observedGeneration": -1}
  conditions: conditions
  failures: int
  helmChart: string
  history[]:
    action: string
    apiVersion: string
    appVersion: string
    chartName!: string
    chartVersion!: string
    configDigest!: string
    deleted: time
    digest!: string
    firstDeployed!: time
    lastDeployed!: time
    name!: string
    namespace!: string
    ociDigest: string
    status!: string
    testHooks{}:
      lastCompleted: time
      lastStarted: time
      phase: string
    version!: int
  installFailures: int
  inventory:
    entries![]:
      id!: string
      v!: string
  lastAttemptedConfigDigest: string
  lastAttemptedGeneration: int
  lastAttemptedReleaseAction: string
  lastAttemptedReleaseActionDuration: string
  lastAttemptedRevision: string
  lastAttemptedRevisionDigest: string
  lastAttemptedValuesChecksum: string
  lastHandledForceAt: string
  lastHandledReconcileAt: string
  lastHandledResetAt: string
  lastReleaseRevision: int
  observedCommonMetadataDigest: string
  observedGeneration: int
  observedPostRenderersDigest: string
  storageNamespace: string
  upgradeFailures: int
  lastAppliedRevision: string
"#;
