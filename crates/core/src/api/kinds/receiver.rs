//! `Receiver.notification.toolkit.fluxcd.io`: v1, v1beta2, v1beta1.

use crate::api::kind::{Column, KindInfo, Role};
use lockgate_base::model::KindId;

pub(super) const INFO: KindInfo = KindInfo {
    id: KindId { group: "notification.toolkit.fluxcd.io", kind: "Receiver" },
    plural: "receivers",
    category: "fluxcd-notifications",
    short_names: &[],
    versions: &["v1", "v1beta2", "v1beta1"],
    columns: &[Column::AGE, Column::READY, Column::STATUS],
    role: Role::Neither,
    controller: "notification-controller",
    grants: &[],
    is_acted_on: false,
    outline: Some(OUTLINE),
};

/// The fields of all versions.
const OUTLINE: &str = r#"
spec:
  events[]: string
  interval: duration = "10m"
  oidcProviders[]:
    audience: string
    issuerURL!: /^https?:///
    validations![]:
      expression!: string
      message!: string
    variables[]:
      expression!: string
      name!: string
  resourceFilter: string
  resources![]:
    apiVersion: string
    filter: string
    kind!: event-source
    matchLabels{}: string
    name!: string 1..253
    namespace: string 1..253
  secretRef: reference
  suspend: bool
  type!: generic | generic-hmac | generic-oidc | github | gitlab | bitbucket | harbor | dockerhub | quay | gcr | nexus | acr | cdevents
status: = {"observedGeneration": -1}
  conditions: conditions
  lastHandledReconcileAt: string
  observedGeneration: int
  webhookPath: string
  url: string
"#;
