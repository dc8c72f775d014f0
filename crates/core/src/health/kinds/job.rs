//! Job: healthy when it is complete. Flux waits for completion, kstatus only for the start.

use super::super::state::Health;
use super::super::status::{JudgedObject, in_progress};

pub(super) fn health(status: JudgedObject<'_>) -> Health {
    if status.true_condition("Complete").is_some() {
        return Health::Current;
    }
    if let Some(failed) = status.true_condition("Failed") {
        return Health::Failed(failed.message());
    }
    if status.true_condition("Suspended").is_some() {
        return Health::Current;
    }
    if status.text("/status/startTime").is_empty() {
        return in_progress("it has not started");
    }
    let parallelism = status.number("/spec/parallelism").unwrap_or(1);
    let wanted = status.number("/spec/completions").unwrap_or(parallelism);
    let count = |field: &str| status.count(&format!("/status/{field}"));
    let (succeeded, active, failed) = (count("succeeded"), count("active"), count("failed"));
    in_progress(format!(
        "{succeeded} of {wanted} pods have succeeded, {active} are active, {failed} have failed"
    ))
}
