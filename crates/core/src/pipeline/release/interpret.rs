//! Carries out the acts of an action, one after the other.

use super::super::News;
use super::super::apply::{self, Stop as ApplyStop};
use super::super::hands::Hands;
use super::super::ports::{Expect, ObjectReference, ReleaseStores, Settled};
use super::super::prune::{self, Pruned};
use super::super::slot::aside;
use super::super::wait::{Wait, ill, settled};
use super::hook::{self, HookTerms};
use super::play::Play;
use super::stop::ReleaseStop;
use super::storage::{self, StoredVersion, discard, timestamp, versions};
use super::{ReleaseJournal, ReleaseRun};
use crate::api::{CrdsPolicy, HelmRelease};
use crate::plan::{Gate, Inventory, Pruner, stages};
use crate::release::{HookPhase, ReleaseAct, ReleaseDeed, ReleaseStatus, is_kept};
use crate::verdict::{WaitEnd, some_of, waited_in_vain};
use lockgate_base::model::{Object, ObjectId};

/// Carries out what is left of an action. An error leaves the version as it is stored, so that it can be gone
/// on with.
pub(super) async fn interpret<C: ReleaseStores, J: ReleaseJournal>(
    cluster: &C,
    run: &ReleaseRun<'_>,
    journal: &J,
    play: &mut Play<'_>,
) -> Result<(), ReleaseStop> {
    let acts = play.terms.script(&play.record.hooks);
    while let Some(act) = acts.get(play.at) {
        let at = play.at;
        match act {
            ReleaseAct::Define => define(cluster, run, journal, play).await?,
            ReleaseAct::Store(status) => store(cluster, run, play, *status).await?,
            ReleaseAct::Hook(hook) => {
                let terms = HookTerms { clock: run.clock, limit: play.terms.limit };
                Box::pin(hook::run(cluster, journal, play, (*hook, at), terms)).await?;
            }
            ReleaseAct::Sweep(event) => hook::sweep(cluster, journal, play, event, run.clock).await?,
            ReleaseAct::Apply => {
                let objects = play.objects.clone();
                Box::pin(applied(cluster, run, journal, play, objects)).await?;
            }
            ReleaseAct::Prune => pruned(cluster, journal, play).await?,
            ReleaseAct::Await => Box::pin(awaited(cluster, run, journal, play)).await?,
            ReleaseAct::Delete => {
                let all = play.objects.iter().filter(|object| !is_kept(object)).collect();
                let deleted = deleted(cluster, journal, play, &all, &Inventory::default()).await?;
                play.deleted.extend(deleted);
            }
            ReleaseAct::Gone => gone(cluster, run, journal, play).await?,
            ReleaseAct::Supersede => superseded(cluster, run, play).await?,
            ReleaseAct::Trim => trimmed(cluster, run, play).await?,
            ReleaseAct::Purge => {
                let all = versions(cluster, play.shelf).await?;
                // The newest goes last: as long as it is there, the others are known to go.
                let oldest_first: Vec<StoredVersion> = all.into_iter().rev().collect();
                discard(cluster, play.shelf, &oldest_first).await?;
            }
        }
        play.at = at + 1;
    }
    Ok(())
}

/// Applies what the objects of the release need: its namespace and the definitions of the chart.
async fn define<C: ReleaseStores, J: ReleaseJournal>(
    cluster: &C,
    run: &ReleaseRun<'_>,
    journal: &J,
    play: &mut Play<'_>,
) -> Result<(), ReleaseStop> {
    let mut objects = Vec::new();
    if play.terms.creates_namespace {
        objects.extend(namespace(&play.record.namespace));
    }
    if play.terms.crds == CrdsPolicy::Skip {
        play.definitions.clear();
    }
    for definition in &mut play.definitions {
        HelmRelease::OWNERSHIP.label(definition, &play.owner.namespace, &play.owner.name);
        objects.push(definition.clone());
    }
    if objects.is_empty() {
        return Ok(());
    }
    applied(cluster, run, journal, play, objects).await?;
    // None of it is waited for with the release, nor goes with it.
    play.progress = apply::ApplyProgress::default();
    Ok(())
}

fn namespace(name: &str) -> Option<Object> {
    let value = serde_json::json!({"apiVersion": "v1", "kind": "Namespace",
                                   "metadata": {"name": name, "labels": {"name": name}}});
    Object::parse(value).ok()
}

async fn store(
    cluster: &impl ReleaseStores,
    run: &ReleaseRun<'_>,
    play: &mut Play<'_>,
    status: ReleaseStatus,
) -> Result<(), ReleaseStop> {
    let info = &mut play.record.info;
    info.status = status;
    match status {
        ReleaseStatus::Deployed if play.terms.deed == ReleaseDeed::Install => {
            info.description = "Install complete".into();
        }
        ReleaseStatus::Deployed if play.terms.deed == ReleaseDeed::Upgrade => {
            info.description = "Upgrade complete".into();
        }
        ReleaseStatus::Uninstalling => {
            info.description = "Deletion in progress (or silently failed)".into();
            info.deleted = Some(timestamp(run.clock).to_string());
        }
        ReleaseStatus::Uninstalled => info.description = "Uninstallation complete".into(),
        _ => {}
    }
    let is_end = matches!(status, ReleaseStatus::Deployed | ReleaseStatus::Uninstalled);
    let acts = (!is_end).then_some(play.at + 1);
    play.store(cluster, run.clock, acts).await
}

async fn applied<C: ReleaseStores, J: ReleaseJournal>(
    cluster: &C,
    run: &ReleaseRun<'_>,
    journal: &J,
    play: &mut Play<'_>,
    mut objects: Vec<Object>,
) -> Result<(), ReleaseStop> {
    let terms = play.terms_of(cluster, &mut objects).await;
    let hands = Hands { cluster, slot: journal, clock: run.clock, limit: play.terms.limit };
    let ended = apply::apply(&hands, stages(objects), &terms, &mut play.progress).await;
    ended.map_err(|stop| match stop {
        ApplyStop::Refused { refusals, .. } => ReleaseStop::refused(&refusals),
        ApplyStop::Shut { gate, settled, .. } => match wait_end(settled) {
            Err(stop) => stop,
            Ok(end) => {
                let what = if gate == Gate::Served { "definitions: " } else { "" };
                ReleaseStop::Failed(format!("{what}{}", waited_in_vain(&end)))
            }
        },
    })
}

/// Why a wait ended without health; a stop where that could not be looked at.
pub(super) fn wait_end(settled: Settled) -> Result<WaitEnd, ReleaseStop> {
    let ills = |objects: Vec<_>| objects.into_iter().map(ill).collect();
    match settled {
        Settled::Healthy => Ok(WaitEnd::Stalled(Vec::new())),
        Settled::Stalled(objects) => Ok(WaitEnd::Stalled(ills(objects))),
        Settled::TimedOut(objects) => Ok(WaitEnd::TimedOut(ills(objects))),
        Settled::Unknown(failure) => Err(failure.into()),
    }
}

/// Deletes what versions before held and this one does not.
async fn pruned<C: ReleaseStores, J: ReleaseJournal>(
    cluster: &C,
    journal: &J,
    play: &mut Play<'_>,
) -> Result<(), ReleaseStop> {
    let built: Inventory = play.objects.iter().chain(&play.definitions).collect();
    let stale = play.before.difference(&built);
    let deleted = deleted(cluster, journal, play, &stale, &play.progress.inventory).await?;
    play.deleted.extend(deleted);
    Ok(())
}

/// Deletes objects of the release, each only where its marks say that it is, and no other owner holds it.
async fn deleted<C: ReleaseStores, J: ReleaseJournal>(
    cluster: &C,
    journal: &J,
    play: &Play<'_>,
    stale: &Inventory,
    built: &Inventory,
) -> Result<Vec<ObjectReference>, ReleaseStop> {
    let ids = crate::plan::prune(&[], stale);
    let needs = std::collections::HashSet::new();
    let release = Some((&*play.record.namespace, &*play.record.name));
    let pruner = Pruner { owner: &play.owner, ownership: HelmRelease::OWNERSHIP, needs: &needs, release };
    let references = prune::references(stale, ids);
    let Pruned { deleted, failed, kept, awaited, unreachable } =
        prune::delete(cluster, journal, pruner, references, built).await;
    if !kept.is_empty() {
        journal.tell(&News::Kept(kept));
    }
    let lines: Vec<String> = failed.into_iter().chain(awaited).map(|(_, line)| line).collect();
    if unreachable {
        let message = lines.into_iter().next().unwrap_or_default();
        return Err(ReleaseStop::Common(crate::verdict::Common::Unreachable { message }));
    }
    if lines.is_empty() { Ok(deleted) } else { Err(ReleaseStop::Failed(lines.join("\n"))) }
}

async fn awaited<C: ReleaseStores, J: ReleaseJournal>(
    cluster: &C,
    run: &ReleaseRun<'_>,
    journal: &J,
    play: &Play<'_>,
) -> Result<(), ReleaseStop> {
    let expect = |reference: ObjectReference| {
        let is_job = (reference.id.group.as_str(), reference.id.kind.as_str()) == ("batch", "Job");
        let expect = if is_job && play.terms.waits_for_jobs { Expect::Completed } else { Expect::Healthy };
        ObjectReference { expect, ..reference }
    };
    let references: Vec<_> = play.progress.references.iter().cloned().map(expect).collect();
    if references.is_empty() {
        return Ok(());
    }
    let wait = Wait {
        limit: play.terms.limit,
        told_after: run.told_after,
        clock: run.clock,
        cancel: run.cancel.clone(),
        redactor: play.redactor,
    };
    let wait = settled(cluster, &references, wait, journal);
    let settled = aside(journal, run.clock, wait, Option::is_some).await;
    match settled {
        None => Err(ReleaseStop::Cancelled),
        Some(Settled::Healthy) => Ok(()),
        Some(other) => {
            let end = wait_end(other)?;
            Err(ReleaseStop::Failed(waited_in_vain(&end)))
        }
    }
}

async fn gone<C: ReleaseStores, J: ReleaseJournal>(
    cluster: &C,
    run: &ReleaseRun<'_>,
    journal: &J,
    play: &Play<'_>,
) -> Result<(), ReleaseStop> {
    let wait = cluster.gone(&play.deleted, play.terms.limit);
    let left = aside(journal, run.clock, wait, |_| true).await;
    if left.is_empty() {
        return Ok(());
    }
    let subjects: Vec<String> = left.iter().map(ObjectId::subject).collect();
    Err(ReleaseStop::Failed(format!("still being deleted after the timeout: {}", some_of(&subjects))))
}

/// Marks the versions before as superseded that are deployed.
async fn superseded(
    cluster: &impl ReleaseStores,
    run: &ReleaseRun<'_>,
    play: &mut Play<'_>,
) -> Result<(), ReleaseStop> {
    let all = versions(cluster, play.shelf).await?;
    let replaces = play.terms.deed == ReleaseDeed::Install;
    let is_due = |version: &&StoredVersion| {
        let is_before = version.number < play.record.version;
        let status = version.status.as_str();
        is_before && (status == "deployed" || (replaces && matches!(status, "uninstalled" | "failed")))
    };
    for version in all.iter().filter(is_due) {
        let status = ReleaseStatus::Superseded;
        let head = storage::mark(cluster, run.clock, play.shelf, version.number, status, None).await?;
        play.superseded.extend(head);
    }
    if play.is_resumed && play.superseded.is_empty() {
        // It may have been marked before the action was cut off, and was not taken note of then.
        let is_marked =
            |version: &&StoredVersion| version.number < play.record.version && version.status == "superseded";
        if let Some(marked) = all.iter().find(is_marked) {
            let head = storage::head(cluster, play.shelf, marked.number).await?;
            play.superseded.extend(head.map(|head| head.release));
        }
    }
    Ok(())
}

/// Deletes the oldest versions, where there are more than are kept.
async fn trimmed(
    cluster: &impl ReleaseStores,
    run: &ReleaseRun<'_>,
    play: &Play<'_>,
) -> Result<(), ReleaseStop> {
    let Some(kept) = run.release.spec.versions_kept() else { return Ok(()) };
    let all = versions(cluster, play.shelf).await?;
    let many: Vec<StoredVersion> =
        all.into_iter().skip(kept).filter(|old| old.status != "deployed").collect();
    Ok(discard(cluster, play.shelf, &many).await?)
}

/// What is left to do where an action failed: hooks go that are to, and so does what it has made, where that
/// is wished. That it fails, too, is no news.
pub(super) async fn cleaned_up<C: ReleaseStores, J: ReleaseJournal>(
    cluster: &C,
    run: &ReleaseRun<'_>,
    journal: &J,
    play: &Play<'_>,
) {
    let failed = play.record.hooks.iter().find(|hook| hook.last_run.phase == HookPhase::Failed);
    for event in failed.into_iter().flat_map(|hook| &hook.events) {
        let _ = hook::sweep(cluster, journal, play, event, run.clock).await;
    }
    if play.terms.cleans_up {
        let made = play.progress.inventory.difference(&play.before);
        let _ = deleted(cluster, journal, play, &made, &Inventory::default()).await;
    }
}
