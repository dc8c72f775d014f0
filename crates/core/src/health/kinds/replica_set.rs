//! ReplicaSet: healthy when all its replicas are labelled, available and ready.

use super::super::state::Health;
use super::super::status::{JudgedObject, replicas, surplus, with_cause};

pub(super) fn health(status: JudgedObject<'_>) -> Health {
    let wanted = status.number("/spec/replicas").unwrap_or(1);
    let count = |field: &str| status.count(&format!("/status/{field}"));
    let numbers =
        [("fullyLabeledReplicas", "there"), ("availableReplicas", "available"), ("readyReplicas", "ready")];
    let short = numbers.iter().find(|(field, _)| count(field) < wanted);
    let failure = status.true_condition("ReplicaFailure");
    match short {
        Some((field, what)) => with_cause(replicas(count(field), wanted, what), failure),
        None if count("replicas") > wanted => with_cause(surplus(count("replicas") - wanted), failure),
        None if failure.is_some() => {
            with_cause(Health::InProgress("its pods cannot be created".into()), failure)
        }
        None => Health::Current,
    }
}
