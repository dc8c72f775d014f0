//! Deployment: healthy when all its replicas are up to date and available; failed when it missed its progress
//! deadline.

use super::super::state::Health;
use super::super::status::{JudgedObject, in_progress, replicas, surplus, with_cause};

/// The API server's notation for "no deadline".
const NO_DEADLINE: i64 = i32::MAX as i64;

pub(super) fn health(status: JudgedObject<'_>) -> Health {
    let progressing = status.condition("Progressing");
    if let Some(progressing) =
        progressing.filter(|progressing| progressing.reason() == "ProgressDeadlineExceeded")
    {
        return Health::Failed(format!("it missed its progress deadline: {}", progressing.message()));
    }
    // A quota or an admission plugin that refuses the pods is reported here.
    let failure = status.true_condition("ReplicaFailure");
    if let Some(health) = by_replicas(status) {
        return with_cause(health, failure);
    }
    // Without a deadline the controller does not report progress.
    let no_deadline = status.number("/spec/progressDeadlineSeconds").unwrap_or(NO_DEADLINE) == NO_DEADLINE;
    let has_progressed = progressing
        .is_some_and(|progressing| progressing.is_true() && progressing.reason() == "NewReplicaSetAvailable");
    if !no_deadline && !has_progressed {
        return with_cause(in_progress("its new replica set is not available"), progressing);
    }
    match status.condition("Available") {
        Some(available) if available.is_true() => Health::Current,
        available => with_cause(in_progress("it is not available"), available),
    }
}

fn by_replicas(status: JudgedObject<'_>) -> Option<Health> {
    // The default of the controller is 1.
    let wanted = status.number("/spec/replicas").unwrap_or(1);
    let count = |field: &str| status.count(&format!("/status/{field}"));
    let (all, updated, available) = (count("replicas"), count("updatedReplicas"), count("availableReplicas"));
    Some(if all < wanted {
        replicas(all, wanted, "there")
    } else if updated < wanted {
        replicas(updated, wanted, "updated")
    } else if all > wanted {
        surplus(all - wanted)
    } else if available < updated {
        replicas(available, updated, "available")
    } else if count("readyReplicas") < wanted {
        replicas(count("readyReplicas"), wanted, "ready")
    } else {
        return None;
    })
}
