//! Whether an object is well, judged from the object alone by the rules of kstatus (sigs.k8s.io/cli-utils).
//!
//! First what all kinds share: it is being deleted, its controller has not seen it yet, it says that it is reconciling or
//! stalled. Then the rule of its kind ([`kinds`], one file each), then its Ready condition. What says nothing is well,
//! since most kinds have no status.

mod state;
mod status;
mod trouble;
mod generic;
mod kinds;
mod rules;

pub use rules::Rules;
pub use state::Health;
pub use trouble::{PodTrouble, TroubleSubject, pod_troubles};

use status::Status;

use crate::api;
use lockgate_base::model::Object;

/// The health of an object as it was read from the cluster, by the rules of its owner.
pub fn health(object: &Object, rules: &Rules) -> Health {
    let status = Status::of(object);
    if is_untouched(object, status) {
        return Health::Current;
    }
    if let Some(health) = generic::before(status) {
        return health;
    }
    match rules.of(object.group(), object.kind()) {
        Some(rule) => rule(status),
        None => generic::ready_condition(status),
    }
}

/// Whether an object is of a kind that lockgate does not act on, and nobody else has: then there is nothing to wait for. One
/// that a controller of Flux has looked at is judged by what that says of it.
fn is_untouched(object: &Object, status: Status<'_>) -> bool {
    let is_idle = api::info_of(object).is_some_and(|info| !info.is_acted_on);
    let is_unseen = status.number("/status/observedGeneration").is_none_or(|observed| observed < 1);
    is_idle
        && is_unseen
        && status.conditions().next().is_none()
        && status.text("/metadata/deletionTimestamp").is_empty()
}

/// The health of an object of which more is asked than that: a Job or a Pod has to have done its work. What has no end is
/// judged as [`health`] does.
pub fn completion(object: &Object, rules: &Rules) -> Health {
    let status = Status::of(object);
    let is_done = match (object.group(), object.kind()) {
        ("", "Pod") => status.text("/status/phase") == "Succeeded",
        ("batch", "Job") => status.true_condition("Complete").is_some(),
        _ => true,
    };
    match health(object, rules) {
        Health::Current if !is_done => status::in_progress("it has not done its work yet"),
        health => health,
    }
}

#[cfg(test)]
mod tests;
