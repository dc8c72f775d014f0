//! How well an object is.

use std::fmt;

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
