//! The verdict on a fetch of a GitRepository.

use std::collections::BTreeMap;
use std::time::Duration as StdDuration;

use super::judge::fetch_reason;
use super::{Event, FetchCause, FetchOutcome, READY, RECONCILING, Redactor, STALLED, Writer};
use crate::api::{Artifact, GitRepositoryStatus};
use crate::queue::Next;
use lockgate_base::model::{ConditionStatus, Key, Timestamp};

const STORED: &str = "ArtifactInStorage";
const FETCH_FAILED: &str = "FetchFailed";
const STORAGE_FAILED: &str = "StorageOperationFailed";

/// What a verdict needs besides the outcome.
#[derive(Debug, Clone)]
pub struct SourceContext<'a> {
    /// The GitRepository.
    pub key: &'a Key,
    /// `metadata.generation` of what was fetched.
    pub generation: i64,
    /// `spec.interval`.
    pub interval: StdDuration,
    /// The `requestedAt` annotation.
    pub requested_at: Option<&'a str>,
    /// `spec.ignore`.
    pub ignore: Option<&'a str>,
    /// The status as it stands.
    pub previous: &'a GitRepositoryStatus,
    /// The moment of the verdict.
    pub now: Timestamp,
    /// The secret values that were handled.
    pub redactor: &'a Redactor,
}

impl<'a> SourceContext<'a> {
    const fn writer(&self) -> Writer<'a> {
        Writer { generation: self.generation, now: self.now, redactor: self.redactor }
    }
}

/// What to write, to say and to do next.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceVerdict {
    /// The whole new status.
    pub status: GitRepositoryStatus,
    /// Events on the object.
    pub events: Vec<Event>,
    /// When to fetch again.
    pub next: Next,
}

/// The status while a generation is fetched for the first time, which may take until the timeout; `None` where nothing new is
/// to be said.
///
/// Ready says so only where it has no answer yet: what is in store stays usable until the fetch has ended, as in Flux.
pub fn source_progressing(context: &SourceContext<'_>) -> Option<GitRepositoryStatus> {
    let observed = context.previous.observed_generation.unwrap_or(-1);
    let failed = context.previous.conditions.get(READY).and_then(|ready| ready.observed_generation);
    if observed == context.generation || failed == Some(context.generation) {
        return None;
    }
    let mut status = context.previous.clone();
    let writer = context.writer();
    let message = format!("processing object: new generation {observed} -> {}", context.generation);
    let conditions = &mut status.conditions;
    conditions.remove(STALLED);
    writer.set(conditions, RECONCILING, ConditionStatus::True, "Progressing", &message);
    if conditions.get(READY).is_none_or(|ready| ready.status == ConditionStatus::Unknown) {
        writer.set(conditions, READY, ConditionStatus::Unknown, "Progressing", &message);
    }
    Some(status)
}

/// Judges the end of a fetch.
pub fn source_verdict(outcome: &FetchOutcome, context: &SourceContext<'_>) -> SourceVerdict {
    let mut status = context.previous.clone();
    // The answer to a request stays when the annotation goes.
    if let Some(requested_at) = context.requested_at {
        status.last_handled_reconcile_at = Some(requested_at.into());
    }
    match outcome {
        FetchOutcome::Fetched { revision, digest, subject, rewritten } => {
            let mut events: Vec<Event> =
                stored_event(revision, subject.as_deref(), context).into_iter().collect();
            if let Some(old) = rewritten {
                let message = format!("history rewritten: '{revision}' does not descend from {old}");
                events.push(context.writer().event(true, "HistoryRewritten", &message, Some(revision)));
            }
            store(&mut status, revision, Some(digest), context);
            SourceVerdict { status, events, next: Next::Interval(context.interval) }
        }
        FetchOutcome::Unchanged { revision } => {
            store(&mut status, revision, None, context);
            let events = stored_event(revision, None, context).into_iter().collect();
            SourceVerdict { status, events, next: Next::Interval(context.interval) }
        }
        FetchOutcome::Failed { cause, message, terminal } => {
            let next = if *terminal { Next::Changed } else { Next::Backoff };
            let failed = Failed { kind: failed_condition(*cause), reason: fetch_reason(*cause), message };
            fail(status, &failed, *terminal, next, context)
        }
        FetchOutcome::Malformed { message } => {
            let failed = Failed { kind: FETCH_FAILED, reason: "InvalidSpec", message };
            fail(status, &failed, true, Next::Changed, context)
        }
        FetchOutcome::Panicked { message } => {
            let message = format!("internal error: {message}");
            let reason = fetch_reason(FetchCause::Operation);
            let failed = Failed { kind: FETCH_FAILED, reason, message: &message };
            fail(status, &failed, true, Next::Interval(context.interval), context)
        }
    }
}

/// An artifact that the status already names is news to this process only, unless it could not be fetched for a while.
fn stored_event(revision: &str, subject: Option<&str>, context: &SourceContext<'_>) -> Option<Event> {
    let previous = context.previous;
    let is_known = previous.artifact.as_ref().is_some_and(|artifact| artifact.revision == revision);
    let has_failed =
        [FETCH_FAILED, STORAGE_FAILED].iter().any(|kind| previous.conditions.get(kind).is_some());
    let reason = match (is_known, has_failed) {
        (false, _) => "NewArtifact",
        (true, true) => "Succeeded",
        (true, false) => return None,
    };
    let message = match subject {
        Some(subject) => format!("stored artifact for commit '{subject}'"),
        None => format!("stored artifact for revision '{revision}'"),
    };
    Some(context.writer().event(false, reason, &message, Some(revision)))
}

fn store(
    status: &mut GitRepositoryStatus,
    revision: &str,
    digest: Option<&String>,
    context: &SourceContext<'_>,
) {
    let known = status.artifact.as_ref().is_some_and(|artifact| {
        artifact.revision == revision && (digest.is_none() || artifact.digest.as_ref() == digest)
    });
    if !known {
        let name = format!("gitrepository/{}/{}/{revision}", context.key.namespace, context.key.name);
        status.artifact = Some(Artifact {
            path: name.clone(),
            // Nothing is served: the agent reads its object store. The field is there since tools require it.
            url: format!("lockgate://{name}"),
            revision: revision.into(),
            digest: digest.cloned(),
            last_update_time: context.now,
            size: None,
            metadata: BTreeMap::new(),
        });
    }
    status.observed_generation = Some(context.generation);
    status.observed_ignore = context.ignore.map(Into::into);
    let writer = context.writer();
    let conditions = &mut status.conditions;
    for abnormal in [FETCH_FAILED, STORAGE_FAILED, RECONCILING, STALLED] {
        conditions.remove(abnormal);
    }
    let message = format!("stored artifact for revision '{revision}'");
    writer.set(conditions, READY, ConditionStatus::True, "Succeeded", &message);
    writer.set(conditions, STORED, ConditionStatus::True, "Succeeded", &message);
}

/// What is said of a fetch that failed.
struct Failed<'a> {
    /// The condition that is true because of it, beside Ready that is false.
    kind: &'static str,
    reason: &'static str,
    message: &'a str,
}

const fn failed_condition(cause: FetchCause) -> &'static str {
    match cause {
        FetchCause::Storage => STORAGE_FAILED,
        FetchCause::Authentication | FetchCause::Operation | FetchCause::Url | FetchCause::Empty => {
            FETCH_FAILED
        }
    }
}

/// The artifact that is held stays, and what was applied from it goes on being enforced.
fn fail(
    mut status: GitRepositoryStatus,
    failed: &Failed<'_>,
    stalled: bool,
    next: Next,
    context: &SourceContext<'_>,
) -> SourceVerdict {
    let &Failed { kind, reason, message } = failed;
    let writer = context.writer();
    let (told, repeated) = writer.failure(&status.conditions, message);
    let conditions = &mut status.conditions;
    for other in [FETCH_FAILED, STORAGE_FAILED].into_iter().filter(|other| *other != kind) {
        conditions.remove(other);
    }
    writer.set(conditions, kind, ConditionStatus::True, reason, &told);
    if stalled {
        status.observed_generation = Some(context.generation);
        conditions.remove(RECONCILING);
        writer.set(conditions, STALLED, ConditionStatus::True, reason, &told);
    } else {
        conditions.remove(STALLED);
        let retrying = "building artifact: retrying";
        writer.set(conditions, RECONCILING, ConditionStatus::True, "ProgressingWithRetry", retrying);
    }
    writer.set(conditions, READY, ConditionStatus::False, reason, &told);
    let revision = status.artifact.as_ref().map(|artifact| artifact.revision.clone());
    let event = writer.event(true, reason, message, revision.as_deref());
    SourceVerdict { status, events: if repeated { Vec::new() } else { vec![event] }, next }
}
