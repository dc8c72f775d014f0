//! What is said of an outcome: Flux's texts where Flux has one, then the cause and the cure.

use std::time::Duration as StdDuration;

use super::{BlockReason, Blocker, Ill, WaitEnd, listed};
use crate::api::Kustomization;
use crate::graph::Cycle;
use crate::overview::PATH_MISSING;
use lockgate_base::model::{Duration, Ref};

/// What stands before the time that a wait took.
const HEALTH_FAILED: &str = "health check failed after ";
const NOT_ESTABLISHED: &str = "definitions are not established after ";

pub(super) fn source_missing(source: &str) -> String {
    format!(
        "Source '{source}' not found: create it, or correct spec.sourceRef; it is picked up as soon as it is there"
    )
}

pub(super) fn source_not_ready(source: &str, message: Option<&str>) -> String {
    let known = message.map(|message| format!(": {message}")).unwrap_or_default();
    format!("Source is not ready, artifact not found: {source}{known}")
}

pub(super) fn path_missing(path: &str) -> String {
    format!(
        "{PATH_MISSING}stat {path}: no such file or directory; what was applied before is left as it is. \
         Correct spec.path, or delete the Kustomization to remove its objects"
    )
}

pub(super) fn blocked(blocker: &Blocker) -> String {
    let dependency = named(&blocker.dependency);
    match &blocker.reason {
        BlockReason::Missing => {
            format!("dependency '{dependency}' not found: create it, or correct spec.dependsOn")
        }
        BlockReason::Outdated => format!("dependency '{dependency}' revision is not up to date"),
        BlockReason::NotReady { chain, message } => {
            let mut text = format!("dependency '{dependency}' is not ready");
            if chain.len() > 1 {
                let names: Vec<&str> = chain.iter().map(|key| key.name.as_str()).collect();
                text = format!("{text}: blocked by {}", names.join(" -> "));
            }
            match message {
                Some(message) => format!("{text}: {message}"),
                None => text,
            }
        }
    }
}

/// What is the matter with a dependency that is paused, whatever it said last.
pub fn paused(dependency: &Ref) -> String {
    let Ref { kind, namespace, name } = dependency;
    let command = if *kind == Kustomization::ID { "kustomization" } else { "source git" };
    format!(
        "{} '{}' is suspended; set its spec.suspend to false (flux resume {command} {name} -n {namespace})",
        kind.kind,
        dependency.path()
    )
}

pub(super) fn cyclic(cycle: &[Ref]) -> String {
    format!("dependency {}; remove one of these from spec.dependsOn", Cycle(cycle.to_vec()))
}

/// How a message names an object: by its kind too where that is not the usual one.
fn named(object: &Ref) -> String {
    if object.kind == Kustomization::ID { object.path() } else { object.to_string() }
}

pub(super) fn unhealthy(end: &WaitEnd, waited: StdDuration) -> String {
    format!("{HEALTH_FAILED}{}", ended(end, waited))
}

pub(super) fn not_established(end: &WaitEnd, waited: StdDuration) -> String {
    format!("{NOT_ESTABLISHED}{}", ended(end, waited))
}

/// What a message says besides the time that a wait took, which is another in each try.
pub(super) fn timeless(message: &str) -> &str {
    let mut prefixes = [HEALTH_FAILED, NOT_ESTABLISHED].iter();
    let after = prefixes.find_map(|prefix| message.strip_prefix(prefix)?.split_once(": "));
    after.map_or(message, |(_, rest)| rest)
}

fn ended(end: &WaitEnd, waited: StdDuration) -> String {
    let waited = Duration::from(rounded(waited));
    let list = |objects: &[Ill]| {
        let texts: Vec<String> =
            objects.iter().map(|ill| format!("{} status: '{}'", ill.subject, ill.status)).collect();
        let causes = objects
            .iter()
            .filter(|ill| !ill.cause.is_empty())
            .fold(String::new(), |text, ill| format!("{text}\n{}: {}", ill.subject, ill.cause));
        format!("[{}]{causes}", texts.join(", "))
    };
    match end {
        WaitEnd::TimedOut(ill) => format!("{waited}: timeout waiting for: {}", list(ill)),
        WaitEnd::Stalled(ill) => {
            format!("{waited}: failed early due to stalled resources: {}", list(ill))
        }
        WaitEnd::Unknown(message) => format!("{waited}: can't determine status: {message}"),
    }
}

/// How many objects are named that are waited for.
const NAMED: usize = 5;

pub(super) fn pending(objects: &[Ill]) -> String {
    let one = |ill: &Ill| {
        let why = if ill.cause.is_empty() { &ill.status } else { &ill.cause };
        format!("{}: {why}", ill.subject)
    };
    let mut texts: Vec<String> = objects.iter().take(NAMED).map(one).collect();
    if objects.len() > NAMED {
        texts.push(format!("and {} more", objects.len() - NAMED));
    }
    texts.join("; ")
}

pub(super) fn not_deleted(failures: &[String]) -> String {
    format!("delete failed, errors: {}", listed("objects could not be deleted", failures))
}

pub(super) fn prune_refused(count: usize) -> String {
    format!(
        "the build has become empty, which would delete all {count} objects, so nothing was done. If that is meant, \
         annotate the Kustomization with {}: allowed",
        lockgate_base::keys::PRUNE_ALL
    )
}

pub(super) fn removed(deleted: usize, note: Option<&str>) -> String {
    let note = note.map(|note| format!("; {note}")).unwrap_or_default();
    format!("garbage collection completed: {deleted} objects deleted{note}")
}

pub(super) fn abandoned(account: &str, deleted: usize, left: &[String]) -> String {
    format!(
        "unable to prune objects: the ServiceAccount {account} does not exist; {deleted} objects deleted, left as they \
         are: {}",
        left.join(", ")
    )
}

/// Durations in messages have the precision of a millisecond.
pub(super) fn rounded(duration: StdDuration) -> StdDuration {
    StdDuration::from_millis(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}
