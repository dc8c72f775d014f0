//! The rules that all kinds share, and the Ready condition for kinds without a rule of their own: custom
//! resources, Flux's among them.

use super::state::Health;
use super::status::{JudgedObject, StatusCondition, in_progress};

/// The health that follows from the fields of every kind, before the rule of the kind; `None` if the kind
/// decides.
pub(super) fn before(status: JudgedObject<'_>) -> Option<Health> {
    if !status.text("/metadata/deletionTimestamp").is_empty() {
        return Some(Health::Terminating(terminating(status)));
    }
    if let (Some(generation), Some(observed)) =
        (status.number("/metadata/generation"), status.number("/status/observedGeneration"))
        && generation != observed
    {
        // A source that has never been fetched has observed nothing, and its Ready condition says why.
        let failed = status.condition("Ready").filter(|ready| ready.is_false() && ready.is_about(generation));
        return Some(in_progress(failed.map_or_else(
            || {
                format!(
                    "the controller has not observed generation {generation} yet; it has observed {observed}"
                )
            },
            StatusCondition::message,
        )));
    }
    status.conditions().filter(|condition| condition.is_true()).find_map(|condition| match condition.kind() {
        "Reconciling" => Some(Health::InProgress(condition.message())),
        "Stalled" => Some(Health::Failed(condition.message())),
        _ => None,
    })
}

/// Judges by the Ready condition. An object without one is healthy: either no controller acts on it, or its
/// controller does not report.
pub(super) fn ready_condition(status: JudgedObject<'_>) -> Health {
    match status.condition("Ready") {
        Some(ready) if !ready.is_true() => Health::InProgress(ready.message()),
        _ => Health::Current,
    }
}

fn terminating(status: JudgedObject<'_>) -> String {
    let since = status.text("/metadata/deletionTimestamp");
    let finalizers: Vec<&str> =
        status.list("/metadata/finalizers").iter().filter_map(serde_json::Value::as_str).collect();
    if finalizers.is_empty() {
        format!("it has been terminating since {since}")
    } else {
        format!(
            "it has been terminating since {since}, and waits for the finalizers {}",
            finalizers.join(", ")
        )
    }
}
