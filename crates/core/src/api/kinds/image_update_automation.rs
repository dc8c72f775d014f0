//! `ImageUpdateAutomation.image.toolkit.fluxcd.io`: v1, v1beta2, v1beta1.

use crate::api::kind::{Column, KindInfo, Role};
use lockgate_base::model::KindId;

pub(super) const INFO: KindInfo = KindInfo {
    id: KindId { group: "image.toolkit.fluxcd.io", kind: "ImageUpdateAutomation" },
    plural: "imageupdateautomations",
    category: "fluxcd-images",
    short_names: &["iua", "imgupd", "imgauto"],
    versions: &["v1", "v1beta2", "v1beta1"],
    columns: &[
        Column::READY,
        Column::STATUS,
        Column::wide("Last run", ".status.lastAutomationRunTime"),
        Column::AGE,
    ],
    role: Role::Neither,
    controller: "image-automation-controller",
    grants: &[],
    is_acted_on: false,
    outline: Some(OUTLINE),
};

/// The fields of all versions.
const OUTLINE: &str = r#"
spec:
  git:
    checkout:
      ref!:
        branch: string
        commit: string
        name: string
        semver: string
        tag: string
    commit!:
      author!:
        email!: string
        name: string
      messageTemplate: string
      messageTemplateValues{}: string
      signingKey:
        secretRef!: reference
        type: gpg | ssh
    push:
      branch: string
      options{}: string
      refspec: string
  interval!: duration
  policyChangeDelay: duration
  policySelector:
    matchExpressions[]:
      key!: string
      operator!: string
      values[]: string
    matchLabels{}: string
  sourceRef!:
    apiVersion: string
    kind!: GitRepository = "GitRepository"
    name!: string
    namespace: string
  suspend: bool
  update: = {"strategy": "Setters"}
    path: string
    strategy: Setters = "Setters"
status: = {"observedGeneration": -1}
  conditions: conditions
  lastAutomationRunTime: time
  lastHandledReconcileAt: string
  lastPushCommit: string
  lastPushTime: time
  observedGeneration: int
  observedPolicies{}:
    digest: string
    name!: string
    tag!: string
  observedSourceRevision: string
"#;
