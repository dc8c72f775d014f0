//! Whether an object is well, judged from the object alone by the rules of kstatus (sigs.k8s.io/cli-utils).
//!
//! First what all kinds share: it is being deleted, its controller has not seen it yet, it says that it is reconciling or
//! stalled. Then the rule of its kind ([`kinds`], one file each), then its Ready condition. What says nothing is well,
//! since most kinds have no status.

mod status;
mod trouble;
mod generic;
mod kinds;

use std::fmt;

pub use trouble::{PodTrouble, TroubleSubject, pod_troubles};

use status::Status;

use lockgate_base::model::Object;

/// The health of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// It is as it should be.
    Current,
    /// It is on its way, or waits for something.
    InProgress(String),
    /// It will not get there by itself.
    Failed(String),
    /// It is being deleted.
    Terminating(String),
    /// It does not exist.
    NotFound,
}

impl Health {
    /// kstatus's word for it.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Current => "Current",
            Self::InProgress(_) => "InProgress",
            Self::Failed(_) => "Failed",
            Self::Terminating(_) => "Terminating",
            Self::NotFound => "NotFound",
        }
    }

    /// What is the matter; nothing with what is well.
    pub fn message(&self) -> Option<&str> {
        match self {
            Self::Current => None,
            Self::InProgress(message) | Self::Failed(message) | Self::Terminating(message) => Some(message),
            Self::NotFound => Some("it does not exist"),
        }
    }

    /// Whether it is as it should be.
    pub const fn is_current(&self) -> bool {
        matches!(self, Self::Current)
    }
}

impl fmt::Display for Health {
    /// `InProgress: 2 of 3 replicas are available`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())?;
        match self.message() {
            Some(message) => write!(f, ": {message}"),
            None => Ok(()),
        }
    }
}

/// The health of an object as it was read from the cluster.
pub fn health(object: &Object) -> Health {
    let status = Status::of(object);
    if let Some(health) = generic::before(status) {
        return health;
    }
    match kinds::rule(object.group(), object.kind()) {
        Some(rule) => rule(status),
        None => generic::ready_condition(status),
    }
}

/// The health of an object of which more is asked than that: a Job or a Pod has to have done its work. What has no end is
/// judged as [`health`] does.
pub fn completion(object: &Object) -> Health {
    let status = Status::of(object);
    let is_done = match (object.group(), object.kind()) {
        ("", "Pod") => status.text("/status/phase") == "Succeeded",
        ("batch", "Job") => status.true_condition("Complete").is_some(),
        _ => true,
    };
    match health(object) {
        Health::Current if !is_done => status::in_progress("it has not done its work yet"),
        health => health,
    }
}

#[cfg(test)]
mod tests;
