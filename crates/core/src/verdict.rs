//! `Outcome` to `Verdict`: the only place that writes condition reasons, messages, events, inventory and the next run.
//!
//! The functions are pure and total. An outcome that is added does not compile until it is judged here. Texts are Flux's
//! wherever Flux has one, since people and tools look for them; causes and cures follow after them.

mod outcome;
mod redact;
mod texts;
mod judge;
mod kustomization;
mod source;
#[cfg(test)]
mod tests;

use std::time::Duration as StdDuration;

use crate::api::KustomizationStatus;
use crate::queue::{Next, Rivalry};
use lockgate_base::model::{Condition, ConditionStatus, Conditions, Duration, Ref, Timestamp};

pub use kustomization::{progressing, verdict, waiting};
pub use outcome::{
    BlockReason, Blocker, Change, Deed, Done, FetchCause, FetchOutcome, Ill, Outcome, Refused, WaitEnd,
};
pub use redact::{NO_SECRETS, Redactor};
pub use source::{SourceContext, SourceVerdict, source_progressing, source_verdict};
pub use texts::paused;

/// What ends a fight over fields.
const FIGHT_CURE: &str =
    "Take these fields out of Git, annotate the object with kustomize.toolkit.fluxcd.io/ssa: IfNotPresent";
const READY: &str = "Ready";
const RECONCILING: &str = "Reconciling";
const STALLED: &str = "Stalled";
/// The longest message of a condition. Kubernetes allows 32768 characters; nobody reads as many.
const MESSAGE_LIMIT: usize = 8 * 1024;
/// The longest message of an event (`events.k8s.io/v1`).
const EVENT_LIMIT: usize = 1024;
/// Flux's floor for `spec.timeout`, and what it leaves of the interval where no timeout is given.
const TIMEOUT_FLOOR: StdDuration = StdDuration::from_secs(30);

/// When a Kustomization is reconciled and how long it may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    /// After a success.
    pub interval: StdDuration,
    /// After a failure.
    pub retry: StdDuration,
    /// For health checks and deletions.
    pub timeout: StdDuration,
}

impl Schedule {
    /// The times of a spec with Flux's defaults: retry after the interval, and a timeout of the interval less 30 s, but
    /// never under 30 s.
    pub fn new(interval: Duration, retry: Option<Duration>, timeout: Option<Duration>) -> Self {
        let interval = interval.std();
        let timeout = timeout.map_or_else(|| interval.saturating_sub(TIMEOUT_FLOOR), Duration::std);
        Self { interval, retry: retry.map_or(interval, Duration::std), timeout: timeout.max(TIMEOUT_FLOOR) }
    }
}

/// What a verdict needs besides the outcome.
#[derive(Debug, Clone)]
pub struct Context<'a> {
    /// The Kustomization.
    pub key: &'a Ref,
    /// `metadata.generation` of what was reconciled.
    pub generation: i64,
    /// When it runs again.
    pub schedule: Schedule,
    /// The `requestedAt` annotation.
    pub requested_at: Option<&'a str>,
    /// The status as it stands.
    pub previous: &'a KustomizationStatus,
    /// The source's revision that was built.
    pub revision: Option<&'a str>,
    /// The moment of the verdict.
    pub now: Timestamp,
    /// How long the reconcile took.
    pub took: StdDuration,
    /// The secret values that were handled.
    pub redactor: &'a Redactor,
}

impl<'a> Context<'a> {
    const fn writer(&self) -> Writer<'a> {
        Writer { generation: self.generation, now: self.now, redactor: self.redactor }
    }

    /// Whether the status is Ready at this generation and revision already.
    fn is_ready(&self) -> bool {
        let ready = self.previous.conditions.get(READY);
        let applied = self.previous.last_applied_revision.as_deref();
        ready.is_some_and(|ready| {
            ready.status == ConditionStatus::True && ready.observed_generation == Some(self.generation)
        }) && (self.revision.is_none() || applied == self.revision)
    }

    /// Whether this generation and revision are worked on for the first time.
    fn is_new(&self) -> bool {
        let ready = self.previous.conditions.get(READY);
        ready.is_none_or(|ready| ready.observed_generation != Some(self.generation))
            || self.previous.last_attempted_revision.as_deref() != self.revision
    }
}

/// What to write, to say and to do next.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// The whole new status.
    pub status: KustomizationStatus,
    /// Events on the object.
    pub events: Vec<Event>,
    /// When to reconcile again.
    pub next: Next,
    /// Whether the Kustomization is Ready, so that dependents may start.
    pub ready: bool,
    /// Whether the finalizer is taken off, so that the object may go.
    pub release: bool,
    /// Whether the whole verdict stays unwritten: there is nothing to write to, or no right to.
    pub silent: bool,
}

/// An event on an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Whether it is a warning.
    pub warning: bool,
    /// A CamelCase word.
    pub reason: &'static str,
    /// For people.
    pub message: String,
    /// The revision that it is about.
    pub revision: Option<String>,
}

impl Event {
    fn new(warning: bool, reason: &'static str, message: &str, revision: Option<&str>) -> Self {
        Self {
            warning,
            reason,
            message: shorten(message, EVENT_LIMIT),
            revision: revision.map(ToOwned::to_owned),
        }
    }

    /// That an object is put back again and again, as someone else keeps changing it.
    pub fn fight(subject: &str, rivalry: &Rivalry, interval: StdDuration) -> Self {
        let names: Vec<String> = rivalry.managers.iter().cloned().collect();
        let who = if names.is_empty() { "someone".to_owned() } else { names.join(", ") };
        let fields: Vec<String> = rivalry.fields.iter().cloned().collect();
        let (deed, cure) = match fields.as_slice() {
            [] if rivalry.deleted => ("deleting it, though Git has it".to_owned(), "Remove it from Git"),
            [] => ("changing it, though Git sets it otherwise".to_owned(), FIGHT_CURE),
            fields => {
                (format!("changing {}, which Git sets otherwise", outcome::some_of(fields)), FIGHT_CURE)
            }
        };
        let message = format!(
            "{subject}: {who} keeps {deed}; from now on it is put back less often, at the latest every {}. {cure}, or \
             stop what does so",
            Duration::from(interval)
        );
        Self::new(true, "DriftFight", &message, None)
    }
}

/// Writes what is said of one generation at one moment. Secret values are blotted out before anything is cut, since what is
/// left of a value that was cut would no longer be known for one.
struct Writer<'a> {
    generation: i64,
    now: Timestamp,
    redactor: &'a Redactor,
}

impl Writer<'_> {
    /// A message as it stands in a condition.
    fn message(&self, text: &str) -> String {
        shorten(&self.redactor.redact(text), MESSAGE_LIMIT)
    }

    fn event(&self, warning: bool, reason: &'static str, text: &str, revision: Option<&str>) -> Event {
        Event::new(warning, reason, &self.redactor.redact(text), revision)
    }

    /// The message of a failure, and whether it only repeats what the conditions say of this generation. Then the message
    /// stays as it is, also if it tells of another length of time.
    fn failure(&self, conditions: &Conditions, text: &str) -> (String, bool) {
        let message = self.message(text);
        let said = conditions.get(READY).filter(|ready| {
            ready.status == ConditionStatus::False
                && ready.observed_generation == Some(self.generation)
                && texts::timeless(&ready.message) == texts::timeless(&message)
        });
        (said.map_or(message, |ready| ready.message.clone()), said.is_some())
    }

    fn set(
        &self,
        conditions: &mut Conditions,
        kind: &str,
        status: ConditionStatus,
        reason: &str,
        message: &str,
    ) {
        conditions.set(Condition {
            kind: kind.into(),
            status,
            observed_generation: Some(self.generation),
            last_transition_time: self.now,
            reason: reason.into(),
            message: self.message(message),
        });
    }
}

/// At most `limit` bytes of a text, cut at a character, with a note that there was more.
fn shorten(text: &str, limit: usize) -> String {
    const NOTE: &str = " ... (shortened)";
    if text.len() <= limit {
        return text.to_owned();
    }
    let mut end = limit - NOTE.len();
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{NOTE}", &text[..end])
}

/// What is said of fields that ask for what is not there yet, by their names below `spec`; `None` where none is asked for.
pub fn unsupported(fields: &[(&str, bool)]) -> Option<String> {
    let asked: Vec<String> =
        fields.iter().filter(|(_, asked)| *asked).map(|(field, _)| format!("spec.{field}")).collect();
    match asked.as_slice() {
        [] => None,
        [one] => Some(format!("{one} is not supported yet; remove it")),
        many => Some(format!("{} are not supported yet; remove them", many.join(", "))),
    }
}

/// Several findings as one message: alone as it is, more as a list.
fn listed(what: &str, findings: &[String]) -> String {
    match findings {
        [one] => one.clone(),
        many => many
            .iter()
            .fold(format!("{} {what}:", many.len()), |text, finding| format!("{text}\n- {finding}")),
    }
}
