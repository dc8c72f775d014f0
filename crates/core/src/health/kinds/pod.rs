//! Pod: well when it is ready or has succeeded; failed when it failed or its containers crash over and over.

use serde_json::Value;

use super::super::status::{Status, in_progress, with_cause};
use super::Health;

pub(super) fn health(status: Status<'_>) -> Health {
    match status.text("/status/phase") {
        "Succeeded" => Health::Current,
        "Failed" => Health::Failed(failure(status)),
        "Running" => running(status),
        // The scheduler may still find a node, or the autoscaler make one, so this is no failure.
        "Pending" => match status.condition("PodScheduled").filter(|condition| condition.is_false()) {
            Some(scheduled) => with_cause(in_progress("no node takes it"), Some(scheduled)),
            None => in_progress(waiting(status).unwrap_or_else(|| "it is pending".into())),
        },
        "" => in_progress("it has not been seen by a node"),
        phase => in_progress(format!("its phase is {phase}")),
    }
}

fn running(status: Status<'_>) -> Health {
    if status.true_condition("Ready").is_some() {
        return Health::Current;
    }
    let crashing: Vec<&str> = containers(status)
        .filter(|container| reason(container) == Some("CrashLoopBackOff"))
        .filter_map(|container| container.get("name")?.as_str())
        .collect();
    if !crashing.is_empty() {
        return Health::Failed(format!("CrashLoopBackOff: {}", crashing.join(", ")));
    }
    match waiting(status) {
        Some(waiting) => in_progress(waiting),
        None => with_cause(in_progress("it runs and is not ready"), status.condition("Ready")),
    }
}

fn failure(status: Status<'_>) -> String {
    let parts = [status.text("/status/reason"), status.text("/status/message")];
    let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    if parts.is_empty() { "it has failed".into() } else { parts.join(": ") }
}

/// What the first waiting container waits for: `ImagePullBackOff: web: Back-off pulling image ...`.
fn waiting(status: Status<'_>) -> Option<String> {
    let container = containers(status).find(|container| reason(container).is_some())?;
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
    let (name, message) = (text(container.get("name")), text(container.pointer("/state/waiting/message")));
    let reason = reason(container)?;
    Some(if message.is_empty() {
        format!("{reason}: {name}")
    } else {
        format!("{reason}: {name}: {message}")
    })
}

fn containers(status: Status<'_>) -> impl Iterator<Item = &Value> {
    status.list("/status/initContainerStatuses").iter().chain(status.list("/status/containerStatuses"))
}

fn reason(container: &Value) -> Option<&str> {
    container.pointer("/state/waiting/reason")?.as_str()
}
