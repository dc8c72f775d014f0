//! One reconcile, from the fetched source to healthy objects.

use std::time::Duration;

use super::apply::{self, ApplyProgress, Stop};
use super::build::{Build, build_spec};
use super::decide::{Intent, Terms, intend, managed};
use super::gather::{ByHand, Gathered, gather};
use super::hands::Hands;
use super::origins::ObjectOrigins;
use super::ports::{Lookup, ObjectReference, Settle, Settled, Writes};
use super::wait::{Wait, ill, settled};
use super::workers;
use super::{Finish, Job, Journal, JournalError, Memo, News, idle, room, sweep};
use crate::api::{HealthCheck, Kustomization};
use crate::plan::{Gate, Ignored, Inventory, Stage};
use crate::verdict::{Applied, Common, Done, Outcome, Redactor, WaitEnd};
use lockgate_base::model::{Digest, Object, ObjectId};

/// Brings the cluster to what the source says.
///
/// `cluster` acts as the Kustomization's ServiceAccount, `own` as the agent, which reads variables as Flux
/// does.
pub async fn reconcile<C: Writes + Settle, O: Lookup, J: Journal>(
    cluster: &C,
    own: &O,
    job: &Job<'_>,
    journal: &J,
) -> Finish {
    let mut redactor = Redactor::default();
    if let Err(message) = Ignored::read(&job.kustomization.spec.ignore) {
        return Finish { outcome: Common::Malformed { message }.into(), memo: None, redactor };
    }
    let gathered = match gather(own, &job.kustomization, &ByHand::NOTHING, &mut redactor).await {
        Ok(gathered) => gathered,
        Err(error) => return Finish { outcome: Common::from(error).into(), memo: None, redactor },
    };
    if nothing_changed(cluster, job, &gathered) && is_healthy(cluster, &job.kustomization).await {
        return Finish { outcome: Applied::Unchanged.into(), memo: job.memo.cloned(), redactor };
    }
    let inputs = gathered.digest;
    let built = match built(job, gathered).await {
        Ok(built) => built,
        Err(outcome) => return Finish { outcome, memo: None, redactor },
    };
    let footprint = built.footprint.clone();
    let mut awaits = false;
    let outcome = enact(cluster, job, journal, built, &redactor, &mut awaits).await;
    let memo = match &outcome {
        // The next run checks whether the awaited objects have been taken over.
        Outcome::Own(Applied::Ready(done)) if !awaits => Some(Memo {
            generation: job.kustomization.metadata.generation,
            footprint,
            inputs,
            ids: Inventory::read(&done.inventory).iter().map(|(id, _)| id.clone()).collect(),
        }),
        _ => None,
    };
    Finish { outcome, memo, redactor }
}

/// Builds on threads outside of the runtime. Newer work does not wait for the end of the build.
async fn built(job: &Job<'_>, gathered: Gathered) -> Result<Build, Outcome<Applied>> {
    let (spec, tree) = (job.kustomization.spec.clone(), job.snapshot.tree.clone());
    let memory = job.workers.memory();
    let build =
        workers::output(job.workers, move || build_spec(&spec, &tree, gathered, &workers::budget(memory)));
    let mut cancel = job.cancel.clone();
    tokio::select! {
        biased;
        built = build => match built {
            Ok(built) => Ok(built?),
            Err(place) => Err(Common::Panicked { message: place }.into()),
        },
        Ok(_) = cancel.wait_for(|cancel| *cancel) => {
            // Nothing was written, so the inventory is unchanged.
            let inventory = managed(&job.kustomization).entries();
            let done = Done { inventory, digest: None, changes: vec![], warnings: vec![], drifted: vec![], health: None };
            Err(Applied::Cancelled { done }.into())
        }
    }
}

/// Whether this run would repeat the last success, object by object.
fn nothing_changed(cluster: &impl Settle, job: &Job<'_>, gathered: &Gathered) -> bool {
    let Some(memo) = job.memo else { return false };
    !job.thorough
        && job.drifted.is_empty()
        && memo.inputs == gathered.digest
        && memo.is_of(job.kustomization.metadata.generation, &job.snapshot.tree)
        && cluster.intact(&memo.ids)
}

/// Whether all objects that the last success found healthy are healthy now: an applied object may have failed
/// since.
async fn is_healthy(cluster: &impl Settle, kustomization: &Kustomization) -> bool {
    let applied = || {
        let reference = |(id, version): (&ObjectId, &str)| ObjectReference::new(id.clone(), version);
        managed(kustomization).iter().map(reference).collect()
    };
    let checked = checked(kustomization, applied);
    checked.is_empty() || Box::pin(cluster.settle(&checked, Duration::ZERO)).await == Settled::Healthy
}

async fn enact<C: Writes + Settle, J: Journal>(
    cluster: &C,
    job: &Job<'_>,
    journal: &J,
    built: Build,
    redactor: &Redactor,
    awaits: &mut bool,
) -> Outcome<Applied> {
    let kustomization: &Kustomization = &job.kustomization;
    let Build { resources, digest, warnings, .. } = built;
    let Intent { stages, terms, managed, wanted, origins } =
        match intend(cluster, kustomization, resources, (Some(digest), job.drift)).await {
            Ok(intent) => intent,
            Err(refused) => return refused.into(),
        };
    if let Err(error) = journal.begin(managed.union(&wanted).entries()).await {
        return unrecorded(error).into();
    }
    let mut progress = ApplyProgress { warnings, ..ApplyProgress::default() };
    let stages = (stages, &terms, &managed.difference(&wanted));
    let applied = applied(cluster, job, journal, stages, &mut progress).await;
    if !progress.forced.is_empty() {
        let lines: Vec<String> = progress.forced.iter().map(|line| redactor.redact(line)).collect();
        journal.tell(&News::Recreated(lines));
    }
    if let Err(stop) = applied {
        tell_of_idle(journal, job, &managed, &managed.union(&progress.inventory));
        return stopped(stop, &managed, progress, (digest, &origins));
    }
    tell_of_idle(journal, job, &managed, &progress.inventory);
    let references = std::mem::take(&mut progress.references);
    let checked = checked(kustomization, || references);
    let is_waited = kustomization.spec.wait || !checked.is_empty();
    let swept = match sweep::swept(cluster, journal, job, &managed, &mut progress, is_waited).await {
        Ok(swept) => swept,
        // All managed objects are still in the inventory that was stored first.
        Err(message) => return Common::Unreachable { message }.into(),
    };
    *awaits = swept.awaits;
    let mut done = Done {
        inventory: progress.inventory.entries(),
        digest: Some(digest),
        warnings: progress.told(),
        drifted: progress.drifted,
        changes: progress.changes,
        health: None,
    };
    if !swept.failures.is_empty() {
        return Applied::PruneFailed { done, failures: swept.failures }.into();
    }
    if !is_waited {
        return Applied::Ready(done).into();
    }
    drop(origins);
    journal.written();
    journal.waits();
    let started = job.clock.now();
    let settled = settled(cluster, &checked, wait(job, redactor), journal).await;
    let took = job.waited + job.clock.since(started);
    match settled {
        None => Applied::Cancelled { done }.into(),
        Some(Settled::Healthy) => {
            done.health = Some(took);
            // Few runs have anything left to do, so this is boxed.
            Box::pin(sweep::ended(cluster, journal, job, swept.later, done, awaits)).await
        }
        Some(other) => unhealthy(other, done, took),
    }
}

/// Why nothing is written, where what will be managed could not be recorded.
fn unrecorded(error: JournalError) -> Common {
    match error {
        JournalError::Fenced | JournalError::Gone => Common::Fenced,
        JournalError::Unavailable(message) => Common::Unreachable { message },
    }
}

/// How health is waited for.
fn wait<'a>(job: &Job<'a>, redactor: &'a Redactor) -> Wait<'a> {
    Wait {
        limit: job.timeout.saturating_sub(job.waited),
        told_after: job.told_after,
        clock: job.clock,
        cancel: job.cancel.clone(),
        redactor,
    }
}

/// Applies a build, and makes room for new objects that stale ones block.
async fn applied<C: Writes + Settle, J: Journal>(
    cluster: &C,
    job: &Job<'_>,
    journal: &J,
    (stages, terms, stale): (Vec<Stage<Object>>, &Terms, &Inventory),
    progress: &mut ApplyProgress,
) -> Result<(), Stop> {
    let kustomization: &Kustomization = &job.kustomization;
    let hands = Hands { cluster, slot: journal, clock: job.clock, limit: job.timeout };
    let spare = room::spare(kustomization, &stages, stale);
    let applied = apply::apply(&hands, stages, terms, progress).await;
    let (Err(Stop::Refused { refusals, .. }), Some(spare)) = (&applied, spare) else { return applied };
    // Few objects replace others, so this is boxed.
    if !Box::pin(room::made(&hands, journal, kustomization, refusals, &spare)).await {
        return applied;
    }
    let before = std::mem::take(progress);
    let applied = apply::apply(&hands, spare.stages, terms, progress).await;
    progress.follows(before);
    applied
}

/// Reports the objects without a controller, if they differ from those before the run.
fn tell_of_idle(journal: &impl Journal, job: &Job<'_>, managed: &Inventory, now: &Inventory) {
    let news = idle::news((managed, job.rules), (now, job.rules));
    if !news.is_empty() {
        journal.tell(&News::Idle(news));
    }
}

/// The inventory after applying stopped: the earlier objects, and those that were written before the stop.
fn stopped(
    stop: Stop,
    managed: &Inventory,
    progress: ApplyProgress,
    (digest, origins): (Digest, &ObjectOrigins),
) -> Outcome<Applied> {
    let inventory = managed.union(&progress.inventory);
    match stop {
        Stop::Refused { refusals, is_reached } => apply::refused(&refusals, is_reached, &inventory, origins),
        Stop::Shut { gate, settled, waited } => {
            let done = Done {
                inventory: inventory.entries(),
                digest: Some(digest),
                changes: progress.changes,
                warnings: progress.warnings,
                drifted: progress.drifted,
                health: None,
            };
            match unhealthy(settled, done, waited) {
                Outcome::Own(Applied::Unhealthy { done, end, waited }) if gate == Gate::Served => {
                    Applied::NotEstablished { done, end, waited }.into()
                }
                other => other,
            }
        }
    }
}

/// The objects that must be healthy: all applied ones, or the named ones, but never the Kustomization itself.
fn checked(
    kustomization: &Kustomization,
    applied: impl FnOnce() -> Vec<ObjectReference>,
) -> Vec<ObjectReference> {
    let metadata = &kustomization.metadata;
    let is_self = |id: &ObjectId| {
        id.kind == "Kustomization" && id.name == metadata.name && id.namespace == metadata.namespace
    };
    let checks = &kustomization.spec.health_checks;
    let checked = if kustomization.spec.wait {
        applied()
    } else if checks.is_empty() {
        Vec::new()
    } else {
        let applied = applied();
        let expires =
            |id: &ObjectId| applied.iter().any(|reference| reference.id == *id && reference.expires);
        let named = checks.iter().map(named);
        named.map(|reference| ObjectReference { expires: expires(&reference.id), ..reference }).collect()
    };
    checked.into_iter().filter(|reference: &ObjectReference| !is_self(&reference.id)).collect()
}

fn named(check: &HealthCheck) -> ObjectReference {
    let api_version = check.api_version.as_deref().filter(|version| !version.is_empty()).unwrap_or("apps/v1");
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let id = ObjectId {
        namespace: check.namespace.clone().unwrap_or_default(),
        name: check.name.clone(),
        group: group.into(),
        kind: check.kind.clone(),
    };
    ObjectReference::new(id, version)
}

fn unhealthy(settled: Settled, done: Done, waited: Duration) -> Outcome<Applied> {
    let end = match settled {
        Settled::Healthy => return Applied::Ready(done).into(),
        Settled::Stalled(objects) => WaitEnd::Stalled(objects.into_iter().map(ill).collect()),
        Settled::TimedOut(objects) => WaitEnd::TimedOut(objects.into_iter().map(ill).collect()),
        Settled::Unknown(failure) if failure.is_unreachable() => {
            return Common::Unreachable { message: failure.to_string() }.into();
        }
        Settled::Unknown(failure) => WaitEnd::Unknown(failure.to_string()),
    };
    Applied::Unhealthy { done, end, waited }.into()
}
