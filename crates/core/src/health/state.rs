//! The health of one object.

use std::fmt;

/// The health of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// The object is healthy.
    Current,
    /// The object is changing, or waits for something.
    InProgress(String),
    /// The object will not become healthy by itself.
    Failed(String),
    /// The object is being deleted.
    Terminating(String),
    /// The object does not exist.
    NotFound,
}

impl Health {
    /// The word of kstatus for this state.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Current => "Current",
            Self::InProgress(_) => "InProgress",
            Self::Failed(_) => "Failed",
            Self::Terminating(_) => "Terminating",
            Self::NotFound => "NotFound",
        }
    }

    /// The reason for this state; `None` for a healthy object.
    pub fn message(&self) -> Option<&str> {
        match self {
            Self::Current => None,
            Self::InProgress(message) | Self::Failed(message) | Self::Terminating(message) => Some(message),
            Self::NotFound => Some("it does not exist"),
        }
    }

    /// Whether the object is healthy.
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
