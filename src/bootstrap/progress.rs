//! What a run tells while it goes on. How it is printed is for the command line to decide.

use std::time::{Duration, Instant};

use super::problem::{FailedStep, Problem};
use super::put::PutOutcome;
use lockgate_base::model::Ref;

/// Something that happened, or is being waited for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ProgressEvent {
    /// A step is done.
    Step {
        /// Its name.
        name: &'static str,
        /// What it found or did.
        detail: String,
        /// What it changed, for steps that may change something.
        change: Option<PutOutcome>,
        /// How long it took.
        took: Duration,
    },
    /// A step waits, and for what. It may come again with another text.
    Waiting {
        /// The step's name.
        name: &'static str,
        /// What for.
        detail: String,
        /// How long already.
        since: Duration,
    },
    /// The order of the Kustomizations, by levels.
    Order(Vec<Vec<Ref>>),
    /// A Kustomization became ready, fails, or is waited for.
    Kustomization {
        /// Which.
        key: Ref,
        /// Its state in one word, as in `status`.
        state: &'static str,
        /// Objects, or the cause.
        detail: String,
        /// How long since it could start.
        took: Duration,
    },
    /// For the user to do or to know.
    Note(String),
}

/// Collects what happened, and passes it on.
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

    /// Tells that a step is done.
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
