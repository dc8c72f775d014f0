//! The health of an object, judged from the object alone by the rules of kstatus (sigs.k8s.io/cli-utils).
//!
//! The common rules come first: the object is being deleted, its controller has not observed it yet, or it
//! reports that it is reconciling or stalled. Then comes the rule of its kind ([`kinds`], one file each),
//! then its Ready condition. An object without a status is healthy, since most kinds have none. An object of
//! a kind without a controller is healthy whatever its status says ([`HealthRules`]).

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

/// The health that the object itself shows.
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

/// The health of an object that must complete its work: a Job or a Pod. Any other object is judged as by
/// [`health`].
pub fn completion(object: &Object, rules: &HealthRules) -> Health {
    let status = JudgedObject::of(object);
    let is_done = match (object.group(), object.kind()) {
        ("", "Pod") => status.text("/status/phase") == "Succeeded",
        ("batch", "Job") => status.true_condition("Complete").is_some(),
        _ => true,
    };
    match health(object, rules) {
        Health::Current if !is_done => status::in_progress("it has not completed yet"),
        health => health,
    }
}

#[cfg(test)]
mod tests;
