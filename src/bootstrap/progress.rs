//! The progress of a run. The command line decides how it is printed.

use std::time::{Duration, Instant};

use super::problem::{FailedStep, Problem};
use super::put::PutOutcome;
use lockgate_base::model::Ref;

/// An event of a run: something happened, or the run waits.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ProgressEvent {
    /// A step is done.
    Step {
        /// Its name.
        name: &'static str,
        /// The finding or the result of the step.
        detail: String,
        /// The change that it made, for steps that may change something.
        change: Option<PutOutcome>,
        /// How long it took.
        took: Duration,
    },
    /// A step waits. The event may be repeated with another text.
    Waiting {
        /// The step's name.
        name: &'static str,
        /// The reason of the wait.
        detail: String,
        /// How long it has waited.
        since: Duration,
    },
    /// The order of the Kustomizations, by levels.
    Order(Vec<Vec<Ref>>),
    /// The new state of a Kustomization.
    Kustomization {
        /// The Kustomization.
        key: Ref,
        /// Its state in one word, as in `status`.
        state: &'static str,
        /// The number of its objects, or the cause.
        detail: String,
        /// The time since it could start.
        took: Duration,
    },
    /// A detail of what the run does, as the user wants it.
    Fact(String),
    /// Information for the user, or something to do.
    Note(String),
}

/// Collects the events, and passes them on.
pub(crate) struct ProgressLog<'p> {
    sink: &'p mut (dyn FnMut(ProgressEvent) + Send),
    /// When the run began.
    pub started: Instant,
    /// The greatest change so far.
    pub changed: PutOutcome,
}

impl<'p> ProgressLog<'p> {
    /// Begins a run.
    pub(crate) fn new(sink: &'p mut (dyn FnMut(ProgressEvent) + Send)) -> Self {
        Self { sink, started: Instant::now(), changed: PutOutcome::Unchanged }
    }

    /// Passes on an event.
    pub(crate) fn tell(&mut self, event: ProgressEvent) {
        if let ProgressEvent::Step { change: Some(change), .. } = &event {
            self.changed = self.changed.max(*change);
        }
        (self.sink)(event);
    }

    /// Passes on events, if there are any.
    pub(crate) fn tell_all(&mut self, events: impl IntoIterator<Item = ProgressEvent>) {
        for event in events {
            self.tell(event);
        }
    }

    /// Reports that a step is done.
    pub(crate) fn done(
        &mut self,
        name: &'static str,
        began: Instant,
        detail: String,
        change: Option<PutOutcome>,
    ) {
        self.tell(ProgressEvent::Step { name, detail, change, took: began.elapsed() });
    }
}

/// Turns one problem into the failure of a step.
pub(crate) fn at(step: &'static str) -> impl Fn(Problem) -> FailedStep {
    move |problem| FailedStep { step, problems: vec![problem] }
}
