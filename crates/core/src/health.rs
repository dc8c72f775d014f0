//! Whether an object is well, judged from the object alone by the rules of kstatus (sigs.k8s.io/cli-utils).
//!
//! First what all kinds share: it is being deleted, its controller has not seen it yet, it says that it is
//! reconciling or stalled. Then the rule of its kind ([`kinds`], one file each), then its Ready condition.
//! What says nothing is well, since most kinds have no status. An object of a kind that nothing acts on is
//! well, whatever it says ([`HealthRules`]).

mod state;
mod status;
mod trouble;
mod generic;
mod kinds;
mod rules;

pub use rules::HealthRules;
pub use state::Health;
pub use trouble::{PodTrouble, TroubleKind, newest_refusal, pod_trouble};

use status::JudgedObject;

use lockgate_base::model::Object;

/// The health of an object as it was read from the cluster, by the rules of its owner.
pub fn health(object: &Object, rules: &HealthRules) -> Health {
    rules.counted(object.group(), object.kind(), judged(object, rules))
}

/// What an object says of itself.
fn judged(object: &Object, rules: &HealthRules) -> Health {
    let status = JudgedObject::of(object);
    if let Some(health) = generic::before(status) {
        return health;
    }
    match rules.of(object.group(), object.kind()) {
        Some(rule) => rule(status),
        None => generic::ready_condition(status),
    }
}

/// The health of an object of which more is asked than that: a Job or a Pod has to have done its work. What
/// has no end is judged as [`health`] does.
pub fn completion(object: &Object, rules: &HealthRules) -> Health {
    let status = JudgedObject::of(object);
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
