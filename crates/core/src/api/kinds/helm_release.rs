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
    category: "fluxcd-appliers",
    short_names: &["hr"],
    versions: &["v2", "v2beta2", "v2beta1"],
    columns: &[Column::AGE, Column::READY, Column::STATUS],
    role: Role::Applier(&OWNERSHIP),
    controller: "helm-controller",
    grants: &[],
    is_acted_on: false,
    outline: Some(OUTLINE),
};

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
