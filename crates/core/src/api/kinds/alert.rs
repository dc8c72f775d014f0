//! `Alert.notification.toolkit.fluxcd.io`: v1, v1beta3, v1beta2, v1beta1.

use crate::api::kind::{Column, KindInfo, Role};
use lockgate_base::model::KindId;

pub(super) const INFO: KindInfo = KindInfo {
    id: KindId { group: "notification.toolkit.fluxcd.io", kind: "Alert" },
    plural: "alerts",
    category: "fluxcd-notifications",
    short_names: &[],
    versions: &["v1", "v1beta3", "v1beta2", "v1beta1"],
    columns: &[Column::AGE],
    role: Role::Neither,
    controller: "notification-controller",
    grants: &[],
    is_acted_on: false,
    outline: Some(OUTLINE),
};

/// The fields of all versions.
const OUTLINE: &str = r#"
spec:
  eventMetadata{}: string
  eventSeverity: info | error = "info"
  eventSources![]:
    apiVersion: string
    kind!: event-source
    matchLabels{}: string
    name!: string 1..253
    namespace: string 1..253
  exclusionList[]: string
  inclusionList[]: string
  providerRef!: reference
  suspend: bool
  summary: string
status: = {"observedGeneration": -1}
  conditions: conditions
  lastHandledReconcileAt: string
  observedGeneration: int
"#;
