//! Hooks: each is deleted where one of its name is left, applied, and waited for to its end; how it stands is
//! stored before and after.

use std::time::Duration;

use super::super::clock::Clock;
use super::super::ports::{Deleted, Expect, ObjectReference, ReleaseStores, Settled};
use super::super::slot::aside;
use super::super::wait::ill;
use super::ReleaseJournal;
use super::play::Play;
use super::stop::ReleaseStop;
use super::storage::timestamp;
use crate::api::HelmRelease;
use crate::release::{self, HookPhase, HookRun, StoredHook};
use crate::verdict::{WaitEnd, waited_in_vain};
use lockgate_base::model::Object;

/// The annotation of a hook that says which run of which version it is. One that is found when a run is gone
/// on with is not run again.
const RUN: &str = "lockgate.dev/hook-run";
/// How long a hook that is left from before may take to go.
const GONE: Duration = Duration::from_mins(1);

/// How a hook is waited for.
pub(super) struct HookTerms<'a> {
    pub(super) clock: &'a dyn Clock,
    pub(super) limit: Duration,
}

/// Runs the hook at a place among those of the version. `act` is its place among the acts.
pub(super) async fn run<C: ReleaseStores, J: ReleaseJournal>(
    cluster: &C,
    journal: &J,
    play: &mut Play<'_>,
    (at, act): (usize, usize),
    terms: HookTerms<'_>,
) -> Result<(), ReleaseStop> {
    let Some(hook) = play.record.hooks.get(at).cloned() else { return Ok(()) };
    let object = object_of(play, &hook, act).map_err(ReleaseStop::Failed)?;
    let reference = ObjectReference { expect: Expect::Completed, ..ObjectReference::to(&object) };
    let moment = || Some(timestamp(terms.clock).to_string());
    let is_begun =
        hook.last_run.phase == HookPhase::Running && is_this_run(cluster, &reference, &object).await?;
    if !is_begun {
        play.record.hooks[at].last_run =
            HookRun { started_at: moment(), completed_at: None, phase: HookPhase::Running };
        play.store(cluster, terms.clock, Some(act)).await?;
        if hook.is_deleted("before-hook-creation") {
            delete(cluster, journal, &reference, &hook, terms.clock).await?;
        }
        cluster.apply(&object).await.map_err(|refusal| ReleaseStop::refused(&[refusal]))?;
        // Its end is meant, so it is no drift.
        cluster.release(&play.owner, std::slice::from_ref(&reference.id));
    }
    let ended = ended(cluster, journal, &reference, &terms).await;
    let phase = if ended.is_ok() { HookPhase::Succeeded } else { HookPhase::Failed };
    if matches!(ended, Ok(()) | Err(ReleaseStop::Failed(_))) {
        let run = &mut play.record.hooks[at].last_run;
        (run.completed_at, run.phase) = (moment(), phase);
    }
    match ended {
        Ok(()) => play.store(cluster, terms.clock, Some(act + 1)).await,
        Err(ReleaseStop::Failed(cause)) => {
            if hook.is_deleted("hook-failed") {
                delete(cluster, journal, &reference, &hook, terms.clock).await?;
            }
            Err(ReleaseStop::Failed(cause))
        }
        Err(other) => Err(other),
    }
}

/// Deletes the hooks of an event that have done their work, the last one first, where they are to be.
pub(super) async fn sweep<C: ReleaseStores, J: ReleaseJournal>(
    cluster: &C,
    journal: &J,
    play: &Play<'_>,
    event: &str,
    clock: &dyn Clock,
) -> Result<(), ReleaseStop> {
    let is_due = |hook: &&StoredHook| {
        hook.is_for(event) && hook.last_run.phase == HookPhase::Succeeded && hook.is_deleted("hook-succeeded")
    };
    for hook in play.record.hooks.iter().rev().filter(is_due) {
        let object = release::hook_object(&play.record, hook).map_err(ReleaseStop::Failed)?;
        delete(cluster, journal, &ObjectReference::to(&object), hook, clock).await?;
    }
    Ok(())
}

fn object_of(play: &Play<'_>, hook: &StoredHook, act: usize) -> Result<Object, String> {
    let mut object = release::hook_object(&play.record, hook)?;
    HelmRelease::OWNERSHIP.label(&mut object, &play.owner.namespace, &play.owner.name);
    object.set_annotation(RUN, &format!("{}/{act}", play.record.subject()));
    Ok(object)
}

/// Whether what is there is this very run of the hook.
async fn is_this_run(
    cluster: &impl ReleaseStores,
    reference: &ObjectReference,
    object: &Object,
) -> Result<bool, ReleaseStop> {
    let live = cluster.get(reference).await?;
    Ok(live.is_some_and(|live| {
        live.annotation(RUN) == object.annotation(RUN)
            && live.pointer("/metadata/deletionTimestamp").is_none()
    }))
}

/// Waits for the end of a hook. What has none is done once it is applied.
async fn ended<C: ReleaseStores, J: ReleaseJournal>(
    cluster: &C,
    journal: &J,
    reference: &ObjectReference,
    terms: &HookTerms<'_>,
) -> Result<(), ReleaseStop> {
    if !matches!((reference.id.group.as_str(), reference.id.kind.as_str()), ("batch", "Job") | ("", "Pod")) {
        return Ok(());
    }
    let wait = cluster.settle(std::slice::from_ref(reference), terms.limit);
    let ills = |objects: Vec<_>| objects.into_iter().map(ill).collect();
    let end = match aside(journal, terms.clock, wait, |_| true).await {
        Settled::Healthy => return Ok(()),
        Settled::Stalled(objects) => WaitEnd::Stalled(ills(objects)),
        Settled::TimedOut(objects) => WaitEnd::TimedOut(ills(objects)),
        Settled::Unknown(failure) => return Err(failure.into()),
    };
    Err(ReleaseStop::Failed(waited_in_vain(&end)))
}

/// Deletes a hook, and waits until it is gone. Definitions stay, whatever they say.
async fn delete<C: ReleaseStores, J: ReleaseJournal>(
    cluster: &C,
    journal: &J,
    reference: &ObjectReference,
    hook: &StoredHook,
    clock: &dyn Clock,
) -> Result<(), ReleaseStop> {
    if hook.kind == "CustomResourceDefinition" {
        return Ok(());
    }
    let Some(live) = cluster.get(reference).await? else { return Ok(()) };
    let uid = live.text("/metadata/uid").unwrap_or_default();
    match cluster.delete(reference, uid, None).await? {
        Deleted::Accepted | Deleted::Gone => {}
        // Another has its name by now.
        Deleted::Changed => return Ok(()),
    }
    let gone = cluster.gone(std::slice::from_ref(reference), GONE);
    let left = aside(journal, clock, gone, |_| true).await;
    if left.is_empty() {
        return Ok(());
    }
    let seconds = GONE.as_secs();
    Err(ReleaseStop::Failed(format!(
        "hook {} is still being deleted after {seconds}s",
        reference.id.subject()
    )))
}
