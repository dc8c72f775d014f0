//! `Provider.notification.toolkit.fluxcd.io`: v1, v1beta3, v1beta2, v1beta1.

use crate::api::kind::{Column, KindInfo, Role};
use lockgate_base::model::KindId;

pub(super) const INFO: KindInfo = KindInfo {
    id: KindId { group: "notification.toolkit.fluxcd.io", kind: "Provider" },
    plural: "providers",
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
  address: string
  certSecretRef: reference
  channel: string
  commitStatusExpr: string
  proxySecretRef: reference
  secretRef: reference
  serviceAccountName: string
  suspend: bool
  timeout: short-duration
  type!: slack | discord | msteams | rocket | generic | generic-hmac | github | gitlab | gitea | giteapullrequestcomment | bitbucketserver | bitbucket | azuredevops | googlechat | googlepubsub | webex | sentry | azureeventhub | telegram | lark | matrix | opsgenie | alertmanager | grafana | githubdispatch | githubpullrequestcomment | gitlabmergerequestcomment | pagerduty | datadog | nats | zulip | otel | zoom | incident.io | mastodon
  username: string
  interval: duration
  proxy: string
status: = {"observedGeneration": -1}
  conditions: conditions
  lastHandledReconcileAt: string
  observedGeneration: int
"#;
