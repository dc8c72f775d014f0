//! Releases of charts: what Helm stores of them, and the actions on them as data.
//!
//! ```text
//! stored record × status × what is wanted → ReleaseState → ReleaseAction → acts
//! ```
//!
//! A release is stored before anything of it is written, so what an action was about is known from the Secret
//! alone: an action that was cut off is gone on with, without the chart. Nothing here writes.

mod json;
mod record;
mod secret;
mod digest;
mod history;
mod objects;
mod script;
mod state;
mod next;
#[cfg(test)]
mod tests;

pub use digest::{common_metadata, config, post_renderers};
pub use history::{ReleaseDeed, ReleaseLedger, observed};
pub use next::{ReleaseAction, ReleaseRequests, RemedyStep, next};
pub use objects::{hook_object, hook_object_in, inventory, is_kept, kept, objects, objects_of, owner};
pub use record::{
    ChartHead, HookPhase, HookRun, Record, RecordHead, ReleaseInfo, ReleaseStatus, StoredHook, StoredRelease,
};
pub use script::{ActionProgress, ReleaseAct, ScriptTerms, script};
pub use secret::{
    OURS, ReleaseTooLarge, ReleaseUnread, check_size, read, read_head, reference, secret, version_of,
};
pub use state::{ReleaseState, WantedRelease, is_moved, state};
