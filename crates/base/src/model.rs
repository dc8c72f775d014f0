//! The words of the domain: plain values with their invariants, used by every other module.
//!
//! Nothing here touches a clock, a disk, a network or randomness.

mod condition;
mod digest;
mod duration;
mod id;
mod key;
mod object;
mod revision;
mod secret;
mod timestamp;
pub mod version;
pub mod yaml;

pub use condition::{Condition, ConditionStatus, Conditions};
pub use digest::Digest;
pub use duration::{Duration, ParseDurationError};
pub use id::{Gvk, ObjectId, ParseObjectIdError};
pub use key::Key;
pub use object::type_name;
pub use object::{NotAnObject, Object};
pub use revision::{ParseRevisionError, Revision};
pub use secret::Secret;
pub use timestamp::Timestamp;
