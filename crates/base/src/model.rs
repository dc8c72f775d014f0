//! The vocabulary of the domain: plain values with their invariants, used by every other module.
//!
//! Nothing here touches a clock, a disk, a network or randomness.

mod digest;
mod duration;
mod entry;
mod id;
mod object;
mod reference;
mod revision;
mod secret;
mod timestamp;
mod condition;
pub mod version;
pub mod yaml;

pub use condition::{Condition, ConditionStatus, Conditions};
pub use digest::Digest;
pub use duration::{Duration, ParseDurationError};
pub use entry::{entry, entry_mut, field};
pub use id::{Gvk, ObjectId, ParseObjectIdError};
pub use object::type_name;
pub use object::{NotAnObject, Object};
pub use reference::{KindId, Ref};
pub use revision::{ParseRevisionError, Revision};
pub use secret::Secret;
pub use timestamp::Timestamp;
