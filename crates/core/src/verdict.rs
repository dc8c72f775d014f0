//! `Outcome` to `Verdict`: the only place that writes condition reasons, messages, events, inventory and the
//! next run.
//!
//! The functions are pure and total. An outcome that is added does not compile until it is judged here. Texts
//! are Flux's wherever Flux has one, since people and tools look for them; causes and cures follow after
//! them.
//!
//! An outcome is judged ([`judges`]); the judgement is written into what all kinds have ([`conditions`]) and,
//! by the kind's [`Face`], into what only it has. [`read`] reads a status back.

mod reason;
mod redact;
mod judged;
mod outcome;
mod texts;
mod notice;
mod context;
mod writer;
mod judgement;
mod face;
mod judges;
mod conditions;
mod faces;
mod read;
#[cfg(test)]
mod tests;

pub use conditions::{Said, Verdict, verdict, waiting};
pub use context::{Schedule, VerdictContext};
pub use face::Face;
pub use faces::helm_release::releasing;
pub use faces::kustomization::applying;
pub use faces::source::fetching;
pub use judged::Judged;
pub use judges::common::QUARANTINE;
pub use notice::Notice;
pub(crate) use outcome::some_of;
pub use outcome::{
    ActionEnd, ActionKind, Applied, BlockReason, Blocker, ChangedObject, Common, Content, Deed, Done,
    DriftEnd, DriftFound, Ending, FetchCause, Fetched, Ill, Outcome, PackedChart, Refused, ReleaseEnd,
    Released, WaitEnd,
};
pub use read::{Progress, Stance, Standing};
pub use redact::{NO_SECRETS, Redactor};
pub use texts::{paused, unsupported, waited_in_vain};
