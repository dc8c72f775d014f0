//! Pod: healthy when it is ready or has succeeded; failed when it has failed or its containers crash over and
//! over.

use super::super::state::Health;
use super::super::status::{JudgedObject, in_progress, with_cause};
use super::super::trouble::{TroubleKind, trouble};

pub(super) fn health(status: JudgedObject<'_>) -> Health {
    match status.text("/status/phase") {
        "Succeeded" => Health::Current,
        "Failed" => Health::Failed(failure(status)),
        "Running" => running(status),
        // The scheduler may still find a node, or the autoscaler may create one, so this is no failure.
        "Pending" => match status.condition("PodScheduled").filter(|condition| condition.is_false()) {
            Some(scheduled) => with_cause(in_progress("it cannot be scheduled"), Some(scheduled)),
            None => in_progress(
                trouble(status, &[]).map_or_else(|| "it is pending".into(), |trouble| trouble.text),
            ),
        },
        "" => in_progress("no kubelet has seen it yet"),
        phase => in_progress(format!("its phase is {phase}")),
    }
}

fn running(status: JudgedObject<'_>) -> Health {
    if status.true_condition("Ready").is_some() {
        return Health::Current;
    }
    match trouble(status, &[]) {
        Some(trouble) if trouble.kind == TroubleKind::Crashing => Health::Failed(trouble.text),
        Some(trouble) => in_progress(trouble.text),
        None => with_cause(in_progress("it runs and is not ready"), status.condition("Ready")),
    }
}

fn failure(status: JudgedObject<'_>) -> String {
    let parts = [status.text("/status/reason"), status.text("/status/message")];
    let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    if parts.is_empty() { "it has failed".into() } else { parts.join(": ") }
}
