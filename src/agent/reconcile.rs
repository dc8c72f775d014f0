//! One reconcile of one Kustomization, from the known object to the reported status.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use super::applier::{TOLD_AFTER, guarded, report, sound, threads};
use super::claims;
use super::journal::{BuildInput, Log, RemovalSlot};
use super::shared::Shared;
use super::task::Task;
use super::world::{Aim, SeenObject};
use crate::cluster::Cluster;
use crate::source::Held;
use lockgate_base::keys;
use lockgate_base::model::ObjectId;
use lockgate_base::tree::Snapshot;
use lockgate_core::api::{self, Kustomization};
use lockgate_core::pipeline::{self, Finish, Job};
use lockgate_core::queue::{Correction, Next, RunCause, RunEnd, Signal};
use lockgate_core::verdict::{Applied, ChangedObject, Common, Deed, Outcome, Schedule};

/// The part of the message that says what stays when a malformed Kustomization is deleted.
const LEFT: &str = "its objects were not deleted";

/// Reconciles, reports, and returns the signal for the queue.
pub(super) async fn reconcile(shared: Arc<Shared>, order: Task) -> Signal {
    let started = shared.clock.now();
    let Some(seen) = shared.world.get(&order.key) else {
        return finished(&order, RunEnd::silent(Next::Changed));
    };
    // Read once, so that the report is about the revision that was built, even if a newer one has been
    // fetched meanwhile.
    let snapshot = sound(&seen, LEFT).and_then(|kustomization| source(&shared, kustomization));
    let built = BuildInput::of(snapshot.as_ref().ok());
    // Boxed: it holds what all steps of a reconcile need.
    let finish = guarded(Box::pin(attempt(&shared, &order, &seen, snapshot, started))).await;
    let success = finish.outcome.is_success();
    let reported = report(&shared, &order, &seen, &finish, |_| built, started).await;
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

/// The correction of a managed object, for the detection of fights.
pub(super) fn correction(change: &ChangedObject) -> Correction {
    let deleted = change.deed == Deed::Created;
    Correction { object: change.id.clone(), fields: change.fields.clone(), deleted }
}

async fn attempt(
    shared: &Arc<Shared>,
    order: &Task,
    seen: &SeenObject<Kustomization>,
    snapshot: Result<Snapshot, Common>,
    started: Instant,
) -> Finish {
    let kustomization = match sound(seen, LEFT) {
        Ok(kustomization) => kustomization,
        Err(outcome) => return Finish::of(outcome),
    };
    let deleting = kustomization.metadata.deletion_timestamp.is_some();
    if kustomization.spec.suspend && !deleting {
        return Finish::of(Common::Suspended);
    }
    if !shared.fence.is_open() {
        return Finish::of(Common::Fenced);
    }
    let cluster = shared.cluster_for(kustomization);
    if deleting {
        return Finish::of(removed(shared, order, kustomization, cluster).await);
    }
    let cluster = match cluster {
        Ok(cluster) => cluster,
        Err(message) => return Finish::of(Common::AccessDenied { message }),
    };
    let supported = match pipeline::supported(kustomization) {
        Ok(supported) => supported,
        Err(outcome) => return Finish::of(outcome),
    };
    if let Err(outcome) = shared.tenancy.check_dependencies(kustomization) {
        return Finish::of(outcome);
    }
    let snapshot = match snapshot {
        Ok(snapshot) => snapshot,
        Err(outcome) => return Finish::of(outcome),
    };
    let memo = shared.world.memo(&order.key);
    let from = kustomization.spec.source_ref.target(&kustomization.metadata.namespace);
    let revision = snapshot.revision.to_string();
    if let Err(outcome) = shared.world.dependencies(&order.key, from.as_ref(), &revision) {
        // The memo stays valid: when the dependency is ready again, there may be nothing to do.
        return Finish { memo: memo.map(|memo| (*memo).clone()), ..Finish::of(outcome) };
    }
    let aim = aim(kustomization, &snapshot);
    let built = BuildInput::of(Some(&snapshot));
    let log = Log { shared, order, kustomization, aim, built, started };
    let (metadata, files) = (&kustomization.metadata, files(kustomization, &snapshot));
    let workers = match threads(shared, (order, &log), metadata, &files).await {
        Ok(workers) => workers,
        Err(outcome) => return Finish { memo: memo.map(|memo| (*memo).clone()), ..Finish::of(outcome) },
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

/// Deletes the objects of a Kustomization that is being deleted, after its dependents have gone.
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

/// The subject of the run's wait.
fn aim(kustomization: &Kustomization, snapshot: &Snapshot) -> Aim {
    let metadata = &kustomization.metadata;
    Aim {
        generation: metadata.generation,
        revision: snapshot.revision.to_string(),
        requested_at: metadata.annotations.get(keys::REQUESTED_AT).cloned(),
    }
}

/// The text that distinguishes one build from another. A commit that does not change the folder is no reason
/// to repeat a build that has ended the agent.
fn files(kustomization: &Kustomization, snapshot: &Snapshot) -> String {
    let folder = api::folder(kustomization.spec.path.as_deref().unwrap_or_default());
    snapshot.tree.folder_id(&folder).map_or_else(String::new, |id| id.to_string())
}

/// The objects whose drift caused the run.
fn drifted(causes: &BTreeSet<RunCause>) -> BTreeSet<ObjectId> {
    let drifted = causes.iter().filter_map(|cause| match cause {
        RunCause::Drift(object) => Some(object.clone()),
        _ => None,
    });
    drifted.collect()
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
            // The message of a source in another namespace may quote anything that only its own users may
            // see.
            let is_near = key.namespace == kustomization.metadata.namespace;
            let ready = repository.status.conditions.get("Ready").filter(|_| is_near);
            Err(Common::SourceNotReady { source, message: ready.map(|ready| ready.message.clone()) })
        }
        Some((SeenObject::Malformed { message, .. }, None)) => {
            Err(Common::SourceNotReady { source, message: Some(message) })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// F24: the panic's message may quote anything, so only the place is reported.
    #[tokio::test]
    async fn a_panic_is_an_outcome_that_tells_its_place_alone() {
        let hook = std::panic::take_hook();
        super::super::fault::hide_panics();
        let finish: Finish = guarded(async { panic!("with a secret") }).await;
        std::panic::set_hook(hook);
        let Outcome::Common(Common::Panicked { message }) = finish.outcome else {
            panic!("{:?}", finish.outcome)
        };
        assert!(message.contains("src/agent/reconcile.rs:"), "{message}");
        assert!(!message.contains("secret"));
        let finish: Finish = guarded(async { Finish::of(Applied::Unchanged) }).await;
        assert_eq!(finish.outcome, Applied::Unchanged.into(), "the next one is not concerned");
    }
}
