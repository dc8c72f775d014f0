//! Ready, Reconciling and Stalled, the events and the next run: computed once for all kinds.

use super::context::VerdictContext;
use super::face::Face;
use super::judged::Judged;
use super::judgement::{Failure, Judgement, Mark, RunStage, Severity, Success, Told};
use super::judges;
use super::notice::Notice;
use super::outcome::{Ill, Outcome};
use super::reason::Reason;
use super::texts;
use super::writer::{READY, RECONCILING, STALLED, Writer};
use crate::queue::Next;
use lockgate_base::model::ConditionStatus;

/// The status to write, the events, and the next run. `S` is the status of the object's kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict<S> {
    /// Write the status and the events.
    Say(Said<S>),
    /// Write nothing: the status still holds, or nobody may write.
    Keep {
        /// Whether the object is Ready, as its status says.
        ready: bool,
        /// When to run again.
        next: Next,
    },
    /// Remove the finalizer, so that the object can go.
    LetGo(Notice),
}

/// The status and the events to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said<S> {
    /// The whole new status.
    pub status: Judged<S>,
    /// Events on the object; none if they would repeat the last ones.
    pub notices: Vec<Notice>,
    /// When to run again.
    pub next: Next,
}

impl<S: Face> Verdict<S> {
    /// Whether the object is Ready, so that its dependents may start.
    pub fn is_ready(&self) -> bool {
        match self {
            Self::Say(said) => {
                let ready = said.status.conditions().get(READY);
                ready.is_some_and(|ready| ready.status == ConditionStatus::True)
            }
            Self::Keep { ready, .. } => *ready,
            Self::LetGo(_) => false,
        }
    }
}

impl<S> Verdict<S> {
    /// When to run again.
    pub const fn next(&self) -> Next {
        match self {
            Self::Say(said) => said.next,
            Self::Keep { next, .. } => *next,
            Self::LetGo(_) => Next::Changed,
        }
    }

    /// Events on the object.
    pub fn notices(&self) -> &[Notice] {
        match self {
            Self::Say(said) => &said.notices,
            Self::Keep { .. } => &[],
            Self::LetGo(notice) => std::slice::from_ref(notice),
        }
    }
}

/// Judges an outcome.
pub fn verdict<F: Face>(outcome: &Outcome<F::Ending>, context: &VerdictContext<'_, F>) -> Verdict<F> {
    let judgement = match outcome {
        Outcome::Common(common) => judges::common::judge(common, context),
        Outcome::Own(ending) => F::judge(ending, context),
    };
    match judgement {
        Judgement::Success(success) => Verdict::Say(succeed(outcome, success, context)),
        Judgement::Failure(failure) => Verdict::Say(fail(outcome, &failure, context)),
        Judgement::Unsaid(next) => Verdict::Keep { ready: context.is_ready(), next },
        Judgement::Gone { severity, message } => Verdict::LetGo(gone(severity, &message, context)),
    }
}

fn gone<F>(severity: Severity, message: &str, context: &VerdictContext<'_, F>) -> Notice {
    let (warning, reason) = match severity {
        Severity::Info => (false, Reason::ReconciliationSucceeded),
        Severity::Error => (true, Reason::PruneFailed),
    };
    Writer::new(context).notice(warning, reason, message, context.revision)
}

fn succeed<F: Face>(
    outcome: &Outcome<F::Ending>,
    success: Success,
    context: &VerdictContext<'_, F>,
) -> Said<F> {
    let Success { reason, message, notices } = success;
    let mut status = context.previous.clone();
    let base = status.base();
    *base.observed_generation = Some(context.generation);
    base.conditions.remove(STALLED);
    base.conditions.remove(RECONCILING);
    Writer::new(context).set(base.conditions, READY, ConditionStatus::True, reason, &message);
    let told = Told { success: true, reason, stage: None, repeated: false };
    finish(&mut status, outcome, told, &message, context);
    Said { status: Judged::new(status), notices, next: Next::Interval(context.schedule.interval) }
}

fn fail<F: Face>(
    outcome: &Outcome<F::Ending>,
    failure: &Failure,
    context: &VerdictContext<'_, F>,
) -> Said<F> {
    let &Failure { reason, severity, stalled, stage, next, .. } = failure;
    let writer = Writer::new(context);
    let mut status = context.previous.clone();
    let base = status.base();
    let (message, repeated) = writer.failure(base.conditions, &failure.message);
    if stalled {
        *base.observed_generation = Some(context.generation);
        base.conditions.remove(RECONCILING);
        writer.set(base.conditions, STALLED, ConditionStatus::True, reason, &message);
    } else {
        base.conditions.remove(STALLED);
        let (retry, stage) = (Reason::ProgressingWithRetry, F::stage(stage, context));
        writer.set(base.conditions, RECONCILING, ConditionStatus::True, retry, &stage);
    }
    writer.set(base.conditions, READY, ConditionStatus::False, reason, &message);
    let told = Told { success: false, reason, stage: Some(stage), repeated };
    finish(&mut status, outcome, told, &message, context);
    let notice = writer.notice(severity == Severity::Error, reason, &failure.message, context.revision);
    let notices = if repeated { Vec::new() } else { vec![notice] };
    Said { status: Judged::new(status), notices, next }
}

/// Writes the rest of the status. `message` is Ready's.
fn finish<F: Face>(
    status: &mut F,
    outcome: &Outcome<F::Ending>,
    told: Told,
    message: &str,
    context: &VerdictContext<'_, F>,
) {
    let writer = Writer::new(context);
    let base = status.base();
    // The handled request stays when the annotation is removed, so that the same request is recognised again.
    if let Some(requested_at) = context.requested_at {
        *base.handled = Some(requested_at.into());
    }
    for mark in F::marks(outcome, told, context) {
        match mark {
            Mark::Gone(kind) => base.conditions.remove(kind),
            Mark::AsReady(kind, status) => {
                writer.set(base.conditions, kind, status, told.reason, message);
            }
            Mark::True(kind, reason, text) => {
                writer.set(base.conditions, kind, ConditionStatus::True, reason, &text);
            }
            Mark::False(kind, reason, text) => {
                writer.set(base.conditions, kind, ConditionStatus::False, reason, &text);
            }
        }
    }
    status.write(outcome, told, context);
}

/// Reports a run under way: `stage` in Reconciling and `ready` in Ready, which otherwise stays as it is.
pub(super) fn begin<F: Face>(
    status: &mut F,
    stage: &str,
    ready: Option<&str>,
    context: &VerdictContext<'_, F>,
) {
    let writer = Writer::new(context);
    let conditions = status.base().conditions;
    conditions.remove(STALLED);
    writer.set(conditions, RECONCILING, ConditionStatus::True, Reason::Progressing, stage);
    if let Some(ready) = ready {
        writer.set(conditions, READY, ConditionStatus::Unknown, Reason::Progressing, ready);
    }
}

/// The status during a wait for health, if a new generation or revision waits. A re-check, and a retry of a
/// failure, leave the conditions as they are.
pub fn waiting<F: Face>(context: &VerdictContext<'_, F>, objects: &[Ill]) -> Judged<F> {
    let mut status = context.previous.clone();
    let conditions = status.base().conditions;
    let is_first = conditions
        .get(RECONCILING)
        .is_some_and(|reconciling| reconciling.reason == Reason::Progressing.as_str());
    if is_first {
        let message = texts::waiting(&F::stage(RunStage::Checking, context), objects);
        let writer = Writer::new(context);
        writer.set(conditions, RECONCILING, ConditionStatus::True, Reason::Progressing, &message);
    }
    Judged::new(status)
}
