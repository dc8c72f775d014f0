//! The parts of a run that are the same for every kind that applies objects: its frame, its threads and its
//! report.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt as _;

use super::fault;
use super::journal::{BuildInput, context, tell};
use super::log::log;
use super::shared::Shared;
use super::subject::Subject;
use super::task::Task;
use super::world::{SeenObject, Tracked};
use lockgate_base::keys;
use lockgate_core::api::{Kind, Metadata, Resource};
use lockgate_core::pipeline::{self, Finish, Slot};
use lockgate_core::quarantine::Marked;
use lockgate_core::queue::{Next, RunEnd};
use lockgate_core::verdict::{self, Common, Ending, Face, Notice, Schedule, Verdict, VerdictContext};

/// The schedule of a malformed object.
const UNKNOWN: Duration = Duration::from_mins(10);

/// How long a wait for health lasts before the status says what it waits for. Most waits end earlier, and so
/// cost no write.
pub(super) const TOLD_AFTER: Duration = Duration::from_secs(5);

/// Turns a panic into an outcome of the object that caused it.
pub(super) async fn guarded<E, M>(attempt: impl Future<Output = Finish<E, M>>) -> Finish<E, M> {
    match AssertUnwindSafe(attempt).catch_unwind().await {
        Ok(finish) => finish,
        Err(_) => Finish::of(Common::Panicked { message: fault::place() }),
    }
}

/// The object, or the outcome if it is malformed. `left` names what stays when a malformed object is deleted.
pub(super) fn sound<'s, O: Tracked>(seen: &'s SeenObject<O>, left: &str) -> Result<&'s O, Common> {
    match seen {
        SeenObject::Sound(object) => Ok(object),
        SeenObject::Malformed { metadata, .. } if metadata.deletion_timestamp.is_some() => {
            let note = Some(format!("the object is malformed, so {left}"));
            Err(Common::Removed { deleted: 0, note })
        }
        SeenObject::Malformed { message, .. } => Err(Common::Malformed { message: message.clone() }),
    }
}

/// The threads for a build of `content`, once the build may begin. While it waits for its turn, other runs
/// may use the slot.
pub(super) async fn threads(
    shared: &Shared,
    (order, slot): (&Task, &impl Slot),
    metadata: &Metadata,
    content: &str,
) -> Result<Marked, Common> {
    let requested_at = metadata.annotations.get(keys::REQUESTED_AT).map_or("", String::as_str);
    let state = format!("{}/{}/{requested_at}/{content}", metadata.uid, metadata.generation);
    let admission = shared.quarantine.admit(&order.key, state);
    let pass = pipeline::aside(slot, &*shared.clock, admission, Result::is_ok).await?;
    Ok(Marked { workers: Arc::clone(&shared.workers), pass: Arc::new(pass) })
}

/// Judges the outcome and reports it. `seen` is the object that the run worked on; its status may have
/// changed since, through this run. `built` is what the run was made from.
pub(super) async fn report<K, E, M>(
    shared: &Shared,
    order: &Task,
    seen: &SeenObject<Resource<K>>,
    finish: &Finish<E, M>,
    built: impl FnOnce(&K::Status) -> BuildInput,
    started: Instant,
) -> RunEnd
where
    K: Kind<Status: Face<Ending = E>>,
    E: Ending,
    Resource<K>: Tracked,
    for<'s> Schedule: From<&'s K>,
{
    let metadata = seen.metadata();
    let (schedule, previous) = match (seen, shared.world.get::<Resource<K>>(&order.key)) {
        (SeenObject::Sound(seen), Some(SeenObject::Sound(now))) => {
            (Schedule::from(&seen.spec), now.status.clone())
        }
        _ => (Schedule { interval: UNKNOWN, retry: UNKNOWN, timeout: UNKNOWN }, K::Status::default()),
    };
    let built = built(&previous);
    let context = VerdictContext {
        redactor: &finish.redactor,
        ..context(shared, &order.key, metadata, schedule, &previous, &built, started)
    };
    let verdict = verdict::verdict(&finish.outcome, &context);
    let told = match &verdict {
        Verdict::Say(said) => &said.status,
        Verdict::Keep { .. } | Verdict::LetGo(_) => &previous,
    };
    log(order, &built, finish, told, verdict.notices(), shared.clock.since(started));
    let (ready, news, next) = (verdict.is_ready(), !verdict.notices().is_empty(), verdict.next());
    let subject = Subject::of(&order.key, metadata);
    match tell::<K>(shared, &subject, metadata, &previous, verdict).await {
        Ok(()) => RunEnd { ready, news, ..RunEnd::silent(next) },
        // Retried even if the object seems to be deleted: if it is, the watch ends the retries.
        Err(error) => {
            error.log(&subject);
            RunEnd { news, ..RunEnd::silent(Next::Backoff) }
        }
    }
}

fn log<S: Face<Ending = E>, E: Ending, M>(
    order: &Task,
    built: &BuildInput,
    finish: &Finish<E, M>,
    status: &S,
    notices: &[Notice],
    took: Duration,
) {
    let ready = status.conditions().get("Ready");
    let reason = ready.map_or("", |ready| ready.reason.as_str());
    let message = ready.map_or("", |ready| ready.message.as_str());
    let outcome = finish.redactor.redact(&finish.outcome.summary());
    let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    let (name, namespace, reconcile) = (&order.key.name, &order.key.namespace, order.run);
    let (kind, revision) = (order.key.kind.kind, built.revision.as_deref());
    log!(ready, notices, kind, name, namespace, revision, reconcile, took_ms, outcome, reason, "{message}");
}
