//! One reconcile of one Kustomization, from the known object to the reported status.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::claims;
use super::journal::{BuildInput, Log, RemovalSlot, context, tell};
use super::log::log;
use super::shared::Shared;
use super::subject::Subject;
use super::task::Task;
use super::world::{Aim, SeenObject};
use crate::cluster::Cluster;
use crate::source::Held;
use lockgate_base::keys;
use lockgate_base::model::ObjectId;
use lockgate_base::tree::Snapshot;
use lockgate_core::api::{self, Kustomization, KustomizationSpec, KustomizationStatus, Metadata};
use lockgate_core::pipeline::{self, Finish, Job};
use lockgate_core::quarantine::Marked;
use lockgate_core::queue::{Correction, Next, RunCause, RunEnd, Signal};
use lockgate_core::verdict::{
    self, Applied, ChangedObject, Common, Deed, Notice, Outcome, Redactor, Schedule, Verdict, VerdictContext,
};

/// The schedule of an object whose own cannot be read.
const UNKNOWN: Duration = Duration::from_mins(10);

/// After how long a wait for health says in the status what it is for. Most are over before, at the price of
/// no write.
const TOLD_AFTER: Duration = Duration::from_secs(5);

/// Reconciles, reports, and says what the queue must know.
pub(super) async fn reconcile(shared: Arc<Shared>, order: Task) -> Signal {
    let started = shared.clock.now();
    let Some(seen) = shared.world.get(&order.key) else {
        return finished(&order, RunEnd::silent(Next::Changed));
    };
    // Read once: what is said is said of what was built, whatever has been fetched meanwhile.
    let snapshot = match &seen {
        SeenObject::Sound(kustomization) => source(&shared, kustomization),
        SeenObject::Malformed { metadata, message, .. } => Err(malformed(metadata, message)),
    };
    let built = BuildInput::of(snapshot.as_ref().ok());
    let finish = guarded(attempt(&shared, &order, &seen, snapshot, started)).await;
    let success = finish.outcome.is_success();
    let reported = report(&shared, &order, &seen, &finish, &built, started).await;
    let changes = finish.outcome.done().map_or(&[][..], |done| &done.changes);
    let corrected = changes.iter().map(correction).collect();
    if !matches!(finish.outcome, Outcome::Own(Applied::Cancelled { .. })) {
        shared.world.ended(&order.key);
    }
    if let Some(done) = finish.outcome.done().filter(|done| done.digest.is_some()) {
        shared.metrics.reports(&order.key, done.drifted.len());
    }
    shared.world.remember(&order.key, finish.memo);
    shared.metrics.ended(&order.key, shared.clock.since(started), success);
    finished(&order, RunEnd { corrected, ..reported })
}

fn finished(order: &Task, end: RunEnd) -> Signal {
    Signal::Finished { key: order.key.clone(), run: order.run, end }
}

/// What was put back of an object, as far as a fight is concerned.
fn correction(change: &ChangedObject) -> Correction {
    let deleted = change.deed == Deed::Created;
    Correction { object: change.id.clone(), fields: change.fields.clone(), deleted }
}

/// A panic is an outcome of the one object that caused it.
async fn guarded(attempt: impl Future<Output = Finish>) -> Finish {
    use futures::FutureExt as _;
    match std::panic::AssertUnwindSafe(attempt).catch_unwind().await {
        Ok(finish) => finish,
        Err(_) => ended(Common::Panicked { message: super::fault::place() }),
    }
}

fn ended(outcome: impl Into<Outcome<Applied>>) -> Finish {
    Finish { outcome: outcome.into(), memo: None, redactor: Redactor::default() }
}

async fn attempt(
    shared: &Arc<Shared>,
    order: &Task,
    seen: &SeenObject<Kustomization>,
    snapshot: Result<Snapshot, Common>,
    started: Instant,
) -> Finish {
    let kustomization = match seen {
        SeenObject::Sound(kustomization) => kustomization,
        SeenObject::Malformed { metadata, message, .. } => return ended(malformed(metadata, message)),
    };
    let deleting = kustomization.metadata.deletion_timestamp.is_some();
    if kustomization.spec.suspend && !deleting {
        return ended(Common::Suspended);
    }
    if !shared.fence.is_open() {
        return ended(Common::Fenced);
    }
    let cluster = shared.cluster_for(kustomization);
    if deleting {
        return ended(removed(shared, order, kustomization, cluster).await);
    }
    let cluster = match cluster {
        Ok(cluster) => cluster,
        Err(message) => return ended(Common::AccessDenied { message }),
    };
    let supported = match pipeline::supported(kustomization) {
        Ok(supported) => supported,
        Err(outcome) => return ended(outcome),
    };
    if let Err(outcome) = shared.tenancy.check_dependencies(kustomization) {
        return ended(outcome);
    }
    let snapshot = match snapshot {
        Ok(snapshot) => snapshot,
        Err(outcome) => return ended(outcome),
    };
    let memo = shared.world.memo(&order.key);
    let from = kustomization.spec.source_ref.target(&kustomization.metadata.namespace);
    let revision = snapshot.revision.to_string();
    if let Err(outcome) = shared.world.dependencies(&order.key, from.as_ref(), &revision) {
        // What was built is still what is applied: when the dependency is back there may be nothing to do.
        return Finish { memo: memo.map(|memo| (*memo).clone()), ..ended(outcome) };
    }
    let aim = aim(kustomization, &snapshot);
    let built = BuildInput::of(Some(&snapshot));
    let log = Log { shared, order, kustomization, aim, built, started };
    let workers = match threads(&log, &snapshot).await {
        Ok(workers) => workers,
        Err(outcome) => return Finish { memo: memo.map(|memo| (*memo).clone()), ..ended(outcome) },
    };
    let rules = shared.cluster.rules();
    let job = Job {
        kustomization: supported,
        snapshot: &snapshot,
        memo: memo.as_deref(),
        thorough: order.causes.contains(&RunCause::Timer),
        drift: shared.drift,
        drifted: drifted(&order.causes),
        timeout: Schedule::from(&kustomization.spec).timeout,
        waited: shared.world.waited(&order.key, &log.aim, shared.clock.now()),
        told_after: TOLD_AFTER,
        rules: &rules,
        clock: &*shared.clock,
        workers: &workers,
        cancel: order.cancel.clone(),
    };
    pipeline::reconcile(&cluster, &shared.cluster, &job, &log).await
}

/// Takes away what a Kustomization holds that is being deleted, once those have gone that depend on it.
async fn removed(
    shared: &Arc<Shared>,
    order: &Task,
    kustomization: &Kustomization,
    cluster: Result<Cluster, String>,
) -> Common {
    if let Some(waits) = claims::dependents_leaving(shared, kustomization) {
        return waits;
    }
    let (cluster, account) =
        (cluster.as_ref().map_err(Clone::clone), shared.tenancy.account_of(kustomization));
    let removal = RemovalSlot { shared, order, kustomization };
    pipeline::remove(cluster, &shared.cluster, kustomization, account, &removal).await
}

/// What is to be reached.
fn aim(kustomization: &Kustomization, snapshot: &Snapshot) -> Aim {
    let metadata = &kustomization.metadata;
    Aim {
        generation: metadata.generation,
        revision: snapshot.revision.to_string(),
        requested_at: metadata.annotations.get(keys::REQUESTED_AT).cloned(),
    }
}

/// The threads for the build, once it may begin. Where it has to wait for its turn, others may have the slot.
async fn threads(log: &Log<'_>, snapshot: &Snapshot) -> Result<Marked, Common> {
    let (shared, metadata) = (log.shared, &log.kustomization.metadata);
    let requested_at = log.aim.requested_at.as_deref().unwrap_or_default();
    // A commit that leaves the folder as it was is no reason to try again what the agent has ended at.
    let folder = api::folder(log.kustomization.spec.path.as_deref().unwrap_or_default());
    let files = snapshot.tree.folder_id(&folder).map_or_else(String::new, |id| id.to_string());
    let state = format!("{}/{}/{requested_at}/{files}", metadata.uid, metadata.generation);
    let admission = shared.quarantine.admit(&log.order.key, state);
    let pass = pipeline::aside(log, &*shared.clock, admission, Result::is_ok).await?;
    Ok(Marked { workers: Arc::clone(&shared.workers), pass: Arc::new(pass) })
}

/// The objects that were seen to drift.
fn drifted(causes: &BTreeSet<RunCause>) -> BTreeSet<ObjectId> {
    let drifted = causes.iter().filter_map(|cause| match cause {
        RunCause::Drift(object) => Some(object.clone()),
        _ => None,
    });
    drifted.collect()
}

fn malformed(metadata: &Metadata, message: &str) -> Common {
    if metadata.deletion_timestamp.is_some() {
        let note = Some("the object is malformed, so its objects were left as they are".into());
        return Common::Removed { deleted: 0, note };
    }
    Common::Malformed { message: message.to_owned() }
}

fn source(shared: &Shared, kustomization: &Kustomization) -> Result<Snapshot, Common> {
    let reference = &kustomization.spec.source_ref;
    let namespace = reference.namespace.as_ref().unwrap_or(&kustomization.metadata.namespace);
    let source = format!("{}/{namespace}/{}", reference.kind, reference.name);
    let Some(key) = reference.target(&kustomization.metadata.namespace) else {
        let message = format!(
            "spec.sourceRef: {source} is of a kind that lockgate does not serve yet; use {}",
            api::either(api::built_from())
        );
        return Err(Common::SourceRefused { message });
    };
    shared.tenancy.check_source(kustomization)?;
    let found = shared.world.source(&key);
    match found.map(|(source, held)| (source, held.and_then(Held::into_files))) {
        None => Err(Common::SourceMissing { source }),
        Some((_, Some(snapshot))) => Ok(snapshot),
        Some((SeenObject::Sound(repository), None)) => {
            // What a source of another namespace says may quote anything that its own people may see.
            let is_near = key.namespace == kustomization.metadata.namespace;
            let ready = repository.status.conditions.get("Ready").filter(|_| is_near);
            Err(Common::SourceNotReady { source, message: ready.map(|ready| ready.message.clone()) })
        }
        Some((SeenObject::Malformed { message, .. }, None)) => {
            Err(Common::SourceNotReady { source, message: Some(message) })
        }
    }
}

/// Judges and reports. What was reconciled is `seen`; what
/// the status says now may have moved on since, by this reconcile's own hand.
async fn report(
    shared: &Shared,
    order: &Task,
    seen: &SeenObject<Kustomization>,
    finish: &Finish,
    built: &BuildInput,
    started: Instant,
) -> RunEnd {
    let metadata = seen.metadata();
    let (schedule, previous) = match (seen, shared.world.get::<Kustomization>(&order.key)) {
        (SeenObject::Sound(seen), Some(SeenObject::Sound(now))) => {
            (Schedule::from(&seen.spec), now.status.clone())
        }
        _ => {
            (Schedule { interval: UNKNOWN, retry: UNKNOWN, timeout: UNKNOWN }, KustomizationStatus::default())
        }
    };
    let context = VerdictContext {
        redactor: &finish.redactor,
        ..context(shared, &order.key, metadata, schedule, &previous, built, started)
    };
    let verdict = verdict::verdict(&finish.outcome, &context);
    let told = match &verdict {
        Verdict::Say(said) => &said.status,
        Verdict::Keep { .. } | Verdict::LetGo(_) => &previous,
    };
    log(order, built.revision.as_deref(), finish, told, verdict.notices(), shared.clock.since(started));
    let (ready, news, next) = (verdict.is_ready(), !verdict.notices().is_empty(), verdict.next());
    let subject = Subject::of(&order.key, metadata);
    match tell::<KustomizationSpec>(shared, &subject, metadata, &previous, verdict).await {
        Ok(()) => RunEnd { ready, news, ..RunEnd::silent(next) },
        // Tried again even if the object is said to have gone: where that is so, the watch ends it.
        Err(error) => {
            error.log(&subject);
            RunEnd { news, ..RunEnd::silent(Next::Backoff) }
        }
    }
}

fn log(
    order: &Task,
    revision: Option<&str>,
    finish: &Finish,
    status: &KustomizationStatus,
    notices: &[Notice],
    took: Duration,
) {
    let ready = status.conditions.get("Ready");
    let reason = ready.map_or("", |ready| ready.reason.as_str());
    let message = ready.map_or("", |ready| ready.message.as_str());
    let outcome = finish.redactor.redact(&finish.outcome.summary());
    let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    let (name, namespace, reconcile) = (&order.key.name, &order.key.namespace, order.run);
    let kind = order.key.kind.kind;
    log!(notices, kind, name, namespace, revision, reconcile, took_ms, outcome, reason, "{message}");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// F24: what it said may quote anything, so only the place is told.
    #[tokio::test]
    async fn a_panic_is_an_outcome_that_tells_its_place_alone() {
        let hook = std::panic::take_hook();
        super::super::fault::hide_panics();
        let finish = guarded(async { panic!("with a secret") }).await;
        std::panic::set_hook(hook);
        let Outcome::Common(Common::Panicked { message }) = finish.outcome else {
            panic!("{:?}", finish.outcome)
        };
        assert!(message.contains("src/agent/reconcile.rs:"), "{message}");
        assert!(!message.contains("secret"));
        let finish = guarded(async { ended(Applied::Unchanged) }).await;
        assert_eq!(finish.outcome, Applied::Unchanged.into(), "the next one is not concerned");
    }
}
