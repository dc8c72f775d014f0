//! DaemonSet: healthy when every node that wants a pod has an up-to-date one that is available.

use super::super::state::Health;
use super::super::status::{JudgedObject, in_progress};

pub(super) fn health(status: JudgedObject<'_>) -> Health {
    let Some(desired) = status.number("/status/desiredNumberScheduled") else {
        return in_progress("the controller has not counted the nodes yet");
    };
    // The controller always sets this field, so without it the numbers are not from the controller.
    if status.number("/status/observedGeneration").is_none() {
        return in_progress("the controller has not seen it yet");
    }
    let numbers = [
        ("/status/currentNumberScheduled", "scheduled"),
        ("/status/updatedNumberScheduled", "updated"),
        ("/status/numberAvailable", "available"),
        ("/status/numberReady", "ready"),
    ];
    let short = numbers.iter().find(|(pointer, _)| status.count(pointer) < desired);
    match short {
        Some((pointer, what)) => {
            in_progress(format!("{} of {desired} pods are {what}", status.count(pointer)))
        }
        None => Health::Current,
    }
}
