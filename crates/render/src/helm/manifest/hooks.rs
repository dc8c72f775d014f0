//! Hooks: documents that are applied at an event of a release, and are no part of it.

use serde_json::Value as Json;

use crate::helm::error::Error;
use crate::helm::go::number::parse_int;

/// The annotation that makes a document a hook.
pub const HOOK: &str = "helm.sh/hook";
/// The annotation for the order of hooks.
pub const WEIGHT: &str = "helm.sh/hook-weight";
/// The annotation that says when a hook is deleted.
pub const DELETE_POLICY: &str = "helm.sh/hook-delete-policy";
/// The annotation that says when a hook's logs are shown.
pub const LOG_POLICY: &str = "helm.sh/hook-output-log-policy";

/// An event of a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HookEvent {
    /// Before an install.
    PreInstall,
    /// After an install.
    PostInstall,
    /// Before an uninstall.
    PreDelete,
    /// After an uninstall.
    PostDelete,
    /// Before an upgrade.
    PreUpgrade,
    /// After an upgrade.
    PostUpgrade,
    /// Before a rollback.
    PreRollback,
    /// After a rollback.
    PostRollback,
    /// A test.
    Test,
}

impl HookEvent {
    /// The word in a stored release.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PreInstall => "pre-install",
            Self::PostInstall => "post-install",
            Self::PreDelete => "pre-delete",
            Self::PostDelete => "post-delete",
            Self::PreUpgrade => "pre-upgrade",
            Self::PostUpgrade => "post-upgrade",
            Self::PreRollback => "pre-rollback",
            Self::PostRollback => "post-rollback",
            Self::Test => "test",
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        Some(match &*text.trim().to_lowercase() {
            "pre-install" => Self::PreInstall,
            "post-install" => Self::PostInstall,
            "pre-delete" => Self::PreDelete,
            "post-delete" => Self::PostDelete,
            "pre-upgrade" => Self::PreUpgrade,
            "post-upgrade" => Self::PostUpgrade,
            "pre-rollback" => Self::PreRollback,
            "post-rollback" => Self::PostRollback,
            "test" | "test-success" => Self::Test,
            _ => return None,
        })
    }
}

/// A hook.
#[derive(Debug, Clone)]
pub struct Hook {
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: String,
    /// The template that printed it.
    pub path: String,
    /// Its text, without space before it.
    pub text: String,
    /// When it is applied.
    pub events: Vec<HookEvent>,
    /// Hooks of one event are applied in the order of their weights.
    pub weight: i64,
    /// When it is deleted, such as `hook-succeeded`.
    pub deletes: Vec<String>,
    /// When its logs are shown.
    pub logs: Vec<String>,
}

impl Hook {
    /// Its content, parsed at each call.
    pub fn value(&self) -> Result<Json, Error> {
        super::split::value_of(&self.path, &self.text)
    }
}

/// A weight; zero where it is no number.
pub(super) fn weight(text: Option<&str>) -> i64 {
    match text.map(|text| parse_int(text.as_bytes(), 10)) {
        Some((weight, None)) => weight,
        _ => 0,
    }
}

/// The words of an annotation.
pub(super) fn list(text: Option<&str>) -> Vec<String> {
    text.map(|text| text.split(',').map(|word| word.trim().to_lowercase()).collect()).unwrap_or_default()
}
