//! The content of an event on an object.

use std::time::Duration;

use super::reason::Reason;
use super::texts;
use crate::queue::Rivalry;

/// The longest message of an event (`events.k8s.io/v1`).
pub(super) const EVENT_LIMIT: usize = 1024;

/// An event on an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Whether it is a warning.
    pub warning: bool,
    reason: Reason,
    /// For people.
    pub message: String,
    /// The revision that it is about.
    pub revision: Option<String>,
    /// The revision of the origin of that revision, if its maker names one.
    pub origin: Option<String>,
}

impl Notice {
    pub(super) fn new(warning: bool, reason: Reason, message: &str, revision: Option<&str>) -> Self {
        Self {
            warning,
            reason,
            message: texts::shorten(message, EVENT_LIMIT),
            revision: revision.map(ToOwned::to_owned),
            origin: None,
        }
    }

    /// This notice, about a revision that was made from another.
    pub(super) fn made_from(self, origin: Option<&str>) -> Self {
        Self { origin: origin.map(ToOwned::to_owned), ..self }
    }

    /// An object is corrected again and again, because somebody else keeps changing it.
    pub fn fight(subject: &str, rivalry: &Rivalry, interval: Duration) -> Self {
        Self::new(true, Reason::DriftFight, &texts::fight(subject, rivalry, interval), None)
    }

    /// A build has objects of kinds that no controller acts on.
    pub fn idle(subjects: &[String], revision: &str) -> Self {
        Self::new(false, Reason::NotActedOn, &texts::idle(subjects), Some(revision))
    }

    /// An object was deleted to be recreated.
    pub fn recreated(line: &str, revision: &str) -> Self {
        Self::new(true, Reason::Recreated, line, Some(revision))
    }

    /// An object that Git no longer has stays.
    pub fn kept(line: &str, revision: &str) -> Self {
        Self::new(true, Reason::NotPruned, line, Some(revision))
    }

    /// A CamelCase word.
    pub const fn reason(&self) -> &'static str {
        self.reason.as_str()
    }
}
