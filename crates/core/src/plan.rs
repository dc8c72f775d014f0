//! The steps of a build on a cluster. All decisions about the cluster are made here.
//!
//! A build is cut into stages ([`stages`]), and each object is prepared ([`prepare`]). The cluster returns
//! the live object and the result of a dry run ([`Observation`]), and from these alone each object gets its
//! [`Step`]. [`prune`] finds the objects that are no longer built. Nothing here writes; the pipeline carries
//! out the plan.

mod denied;
mod groups;
mod removed;
mod cause;
mod answer;
mod redact;
mod refusal;
mod inventory;
mod policy;
mod drift;
mod fields;
mod requests;
mod guarded;
mod scale;
mod managed_fields;
mod versions;
mod ignore;
mod reported;
mod normalize;
mod prepare;
mod flux;
mod forced;
mod step;
mod stages;
mod foreseen;
mod prune;
mod uses;
mod unique;

pub use answer::{Answer, AnswerCause};
pub use cause::Cause;
pub use denied::Denied;
pub use drift::{Drift, FieldDrift, compared, drift};
pub use foreseen::Foreseen;
pub use ignore::Ignored;
pub use inventory::Inventory;
pub use managed_fields::{after_take_over, is_edited, take_over};
pub use policy::{Apply, DriftPolicy, apply_policy, drift_policy, is_forced, is_reconcile_disabled};
pub use prepare::prepare;
pub use prune::{PruneDecision, PruneRefused, PruneSkip, Pruner, check_prune, prune, prune_decision, stays};
pub use refusal::{Phase, Refusal};
pub use removed::{Removed, removed};
pub use stages::{Gate, Stage, is_definition, plan_stage, sort_ids, stages};
pub use step::{Entry, Observation, Observed, PlanOptions, Skip, Step};
pub use unique::{has_unique, is_in_the_way};
pub use uses::{is_used, uses};

#[cfg(test)]
mod tests;
