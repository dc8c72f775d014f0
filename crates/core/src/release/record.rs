//! What Helm stores of one version of a release, field by field in the order in which it writes them.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::api::null_as_default;

/// A version of a release. `C` is what is read of its chart: the whole of it where the release is to be
/// stored again, and [`ChartHead`] where it is only looked at, so that templates and files take no memory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoredRelease<C> {
    /// Its name.
    pub name: String,
    /// What became of it.
    pub info: ReleaseInfo,
    /// The chart.
    pub chart: C,
    /// The values that it was given; not those of the chart.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Map::is_empty")]
    pub config: Map<String, Value>,
    /// The documents, each with the template that it is from, but for hooks.
    #[serde(default)]
    pub manifest: String,
    /// The hooks.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub hooks: Vec<StoredHook>,
    /// Its version, from 1.
    pub version: i64,
    /// Its namespace.
    #[serde(default)]
    pub namespace: String,
    /// `ssa` or `csa`; Helm 3 says nothing of it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub apply_method: String,
}

/// A version of a release as it is stored.
pub type Record = StoredRelease<Value>;

/// A version of a release as it is looked at.
pub type RecordHead = StoredRelease<ChartHead>;

/// What is read of a chart that is only looked at.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ChartHead {
    /// What it says of itself.
    #[serde(default)]
    pub metadata: Value,
}

impl ChartHead {
    fn text(&self, field: &str) -> &str {
        self.metadata.get(field).and_then(Value::as_str).unwrap_or_default()
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.text("name")
    }

    /// Its version.
    pub fn version(&self) -> &str {
        self.text("version")
    }

    /// The version of what is in it.
    pub fn app_version(&self) -> &str {
        self.text("appVersion")
    }
}

impl Record {
    /// The same with what is looked at of its chart.
    pub fn head(&self) -> RecordHead {
        let metadata = self.chart.get("metadata").cloned().unwrap_or_default();
        StoredRelease {
            name: self.name.clone(),
            info: self.info.clone(),
            chart: ChartHead { metadata },
            config: self.config.clone(),
            manifest: self.manifest.clone(),
            hooks: self.hooks.clone(),
            version: self.version,
            namespace: self.namespace.clone(),
            apply_method: self.apply_method.clone(),
        }
    }
}

impl<C> StoredRelease<C> {
    /// `namespace/name.vN`, as messages name it.
    pub fn subject(&self) -> String {
        format!("{}/{}.v{}", self.namespace, self.name, self.version)
    }
}

/// What became of a version.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ReleaseInfo {
    /// When the release was deployed first (RFC 3339).
    #[serde(default, skip_serializing_if = "is_no_time")]
    pub first_deployed: Option<String>,
    /// When this version was.
    #[serde(default, skip_serializing_if = "is_no_time")]
    pub last_deployed: Option<String>,
    /// When it was uninstalled.
    #[serde(default, skip_serializing_if = "is_no_time")]
    pub deleted: Option<String>,
    /// For people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// How it stands.
    #[serde(default)]
    pub status: ReleaseStatus,
    /// What the chart has to say to people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub notes: String,
}

/// Helm 3 writes an empty text where there is no time.
#[expect(clippy::ref_option, reason = "the signature that serde asks for")]
fn is_no_time(time: &Option<String>) -> bool {
    time.as_deref().is_none_or(str::is_empty)
}

/// How a version stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReleaseStatus {
    /// It is the one that is there.
    Deployed,
    /// It was uninstalled, and is kept.
    Uninstalled,
    /// A later one took its place.
    Superseded,
    /// Its action failed.
    Failed,
    /// It is being uninstalled.
    Uninstalling,
    /// It is being installed.
    PendingInstall,
    /// It is being upgraded to.
    PendingUpgrade,
    /// It is being rolled back to.
    PendingRollback,
    /// What Helm calls so, and all that it has no word for.
    #[default]
    #[serde(other)]
    Unknown,
}

impl ReleaseStatus {
    /// The word as it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Deployed => "deployed",
            Self::Uninstalled => "uninstalled",
            Self::Superseded => "superseded",
            Self::Failed => "failed",
            Self::Uninstalling => "uninstalling",
            Self::PendingInstall => "pending-install",
            Self::PendingUpgrade => "pending-upgrade",
            Self::PendingRollback => "pending-rollback",
        }
    }

    /// Whether an action is under way, or was cut off.
    pub const fn is_pending(self) -> bool {
        matches!(self, Self::PendingInstall | Self::PendingUpgrade | Self::PendingRollback)
    }
}

impl fmt::Display for ReleaseStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A hook, and its last run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredHook {
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// Its kind.
    #[serde(default)]
    pub kind: String,
    /// The template that printed it.
    #[serde(default)]
    pub path: String,
    /// Its document.
    #[serde(default)]
    pub manifest: String,
    /// When it is run: `pre-install`, ...
    #[serde(default, deserialize_with = "null_as_default")]
    pub events: Vec<String>,
    /// How it was run last.
    #[serde(default)]
    pub last_run: HookRun,
    /// Hooks of one event are run in the order of their weights.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub weight: i64,
    /// When it is deleted: `before-hook-creation`, `hook-succeeded`, `hook-failed`.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub delete_policies: Vec<String>,
    /// When its logs are shown.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub output_log_policies: Vec<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
const fn is_zero(count: &i64) -> bool {
    *count == 0
}

impl StoredHook {
    /// Whether it is run at an event.
    pub fn is_for(&self, event: &str) -> bool {
        self.events.iter().any(|own| own == event)
    }

    /// Whether it is deleted then; before it is made where it says nothing.
    pub fn is_deleted(&self, policy: &str) -> bool {
        if self.delete_policies.is_empty() {
            return policy == "before-hook-creation";
        }
        self.delete_policies.iter().any(|own| own == policy)
    }
}

/// A run of a hook.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct HookRun {
    /// When it was begun.
    #[serde(default, skip_serializing_if = "is_no_time")]
    pub started_at: Option<String>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "is_no_time")]
    pub completed_at: Option<String>,
    /// How.
    #[serde(default)]
    pub phase: HookPhase,
}

/// How a run of a hook stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum HookPhase {
    /// It was not run.
    #[default]
    #[serde(rename = "")]
    None,
    /// It was begun.
    Running,
    /// It has done its work.
    Succeeded,
    /// It has not.
    Failed,
    /// What Helm calls so, and all that it has no word for.
    #[serde(other)]
    Unknown,
}
