//! One run of one HelmRelease, from what is known of it to what is reported.

mod journal;
mod chart;

use std::sync::Arc;
use std::time::Instant;

use rand_core::RngCore as _;

use super::applier::{TOLD_AFTER, guarded, report, sound, threads};
use super::journal::BuildInput;
use super::reconcile::correction;
use super::shared::Shared;
use super::task::Task;
use super::world::{SeenObject, chart_of};
use crate::cluster::Cluster;
use crate::remote::documents::PublicHosts;
use journal::ReleaseLog;
use lockgate_base::model::Ref;
use lockgate_base::tree::Snapshot;
use lockgate_core::api::{DriftMode, HelmRelease, HelmReleaseSpec, HelmReleaseStatus, OciRepository};
use lockgate_core::pipeline::{self, Finish, ReleaseFinish, ReleaseJob, ReleaseRun};
use lockgate_core::queue::{Next, RunCause, RunEnd, Signal};
use lockgate_core::verdict::{Common, DriftEnd, Outcome, ReleaseEnd, Released};

/// What stays of a malformed HelmRelease that is being deleted.
const LEFT: &str = "its release was left as it is";

/// Works on a HelmRelease, reports, and says what the queue must know.
pub(super) async fn release(shared: Arc<Shared>, order: Task) -> Signal {
    let started = shared.clock.now();
    let finished = |end| Signal::Finished { key: order.key.clone(), run: order.run, end };
    if shared.leaves(HelmRelease::ID) {
        return finished(RunEnd::silent(Next::Backoff));
    }
    let Some(seen) = shared.world.get::<HelmRelease>(&order.key) else {
        return finished(RunEnd::silent(Next::Changed));
    };
    // Boxed: it holds what all acts of an action need.
    let finish = guarded(Box::pin(attempt(&shared, &order, &seen, started))).await;
    let success = finish.outcome.is_success();
    let reported =
        report(&shared, &order, &seen, &finish, |previous| built(&finish, previous), started).await;
    let corrected = match &finish.outcome {
        Outcome::Own(released) => released.drift.changes().iter().map(correction).collect(),
        Outcome::Common(_) => Vec::new(),
    };
    shared.world.remember_release(&order.key, finish.memo);
    shared.metrics.ended(&order.key, shared.clock.since(started), success);
    finished(RunEnd { corrected, ..reported })
}

async fn attempt(
    shared: &Arc<Shared>,
    order: &Task,
    seen: &SeenObject<HelmRelease>,
    started: Instant,
) -> ReleaseFinish {
    let release = match sound(seen, LEFT) {
        Ok(release) => release,
        Err(outcome) => return Finish::of(outcome),
    };
    let deleting = release.metadata.deletion_timestamp.is_some();
    if release.spec.suspend && !deleting {
        return Finish::of(Common::Suspended);
    }
    if !shared.fence.is_open() {
        return Finish::of(Common::Fenced);
    }
    let cluster = shared.cluster_of(order.key.clone(), shared.account_of_release(release));
    let log = ReleaseLog { shared, order, release, started };
    if deleting {
        return Finish::of(removed(&log, cluster).await);
    }
    let cluster = match cluster {
        Ok(cluster) => cluster,
        Err(message) => return Finish::of(Common::AccessDenied { message }),
    };
    let found = match ready(&log).await {
        Ok(found) => found,
        Err(outcome) => {
            let memo = shared.world.release_memo(&order.key).map(|memo| (*memo).clone());
            return ReleaseFinish { memo, ..Finish::of(outcome) };
        }
    };
    let workers =
        match threads(shared, (order, &log), &release.metadata, &found.snapshot.revision.to_string()).await {
            Ok(workers) => workers,
            Err(outcome) => return Finish::of(outcome),
        };
    let mut entropy = [0; 32];
    rand_core::OsRng.fill_bytes(&mut entropy);
    let memo = shared.world.release_memo(&order.key);
    let job = ReleaseJob {
        release: found.supported,
        snapshot: &found.snapshot,
        is_artifact: found.chart.kind == OciRepository::ID,
        made_chart: made_chart(release, &found.chart),
        memo: memo.as_deref(),
        // What others have changed is looked for only where that is wished.
        thorough: release.spec.drift_mode() != DriftMode::Disabled
            && order.causes.iter().any(|cause| matches!(cause, RunCause::Timer | RunCause::Drift(_))),
        entropy,
        told_after: TOLD_AFTER,
        clock: &*shared.clock,
        workers: &workers,
        documents: &PublicHosts,
        cancel: order.cancel.clone(),
    };
    pipeline::reconcile_release(&cluster, &shared.cluster, &job, &log).await
}

/// Uninstalls a release whose object is being deleted, and deletes the HelmChart that was made for it.
async fn removed(log: &ReleaseLog<'_>, cluster: Result<Cluster, String>) -> Common {
    let ReleaseLog { shared, order, release, .. } = *log;
    let (clock, cancel) = (&*shared.clock, order.cancel.clone());
    let run = ReleaseRun { release, told_after: TOLD_AFTER, clock, cancel };
    let (cluster, account) = (cluster.as_ref().map_err(Clone::clone), shared.account_of_release(release));
    let removed = pipeline::uninstall_release(cluster, &shared.cluster, account, &run, log).await;
    match removed {
        Common::Removed { .. } | Common::Abandoned { .. } => {
            chart::removed(shared, release).await.unwrap_or(removed)
        }
        other => other,
    }
}

/// What is there for a run.
struct FoundChart<'a> {
    supported: pipeline::Supported<'a, HelmReleaseSpec>,
    chart: Ref,
    snapshot: Snapshot,
}

/// The HelmChart that is made for a HelmRelease, as its status names it.
fn made_chart(release: &HelmRelease, chart: &Ref) -> Option<String> {
    release.spec.chart.as_ref().map(|_| chart.path())
}

/// Looks whether all is there that a run needs, and makes the HelmChart that is asked for.
async fn ready<'a>(log: &ReleaseLog<'a>) -> Result<FoundChart<'a>, Outcome<Released>> {
    let ReleaseLog { shared, order, release, .. } = *log;
    let supported = pipeline::supported(release)?;
    shared.tenancy.check_named(&order.key, &release.spec.depends_on)?;
    let chart = release.chart().map_err(|message| Common::Malformed { message })?;
    if shared.tenancy.lockdown && chart.namespace != order.key.namespace {
        let message = format!(
            "can't access '{chart}', cross-namespace references have been blocked: move the source to namespace {}",
            order.key.namespace
        );
        return Err(Common::SourceForbidden { message }.into());
    }
    let is_made_anew = chart::made(log).await?;
    let snapshot = if is_made_anew {
        Err("it has not been fetched yet".into())
    } else {
        chart_of(&shared.world, &chart)
    };
    let snapshot = snapshot.map_err(|why| {
        // What a source of another namespace says may quote anything that its own people may see.
        let is_near = chart.namespace == order.key.namespace || release.spec.chart.is_some();
        let why = if is_near { why } else { "see its status".into() };
        let message = format!("{} '{}' is not ready: {why}", chart.kind.kind, chart.path());
        let status = HelmReleaseStatus { helm_chart: made_chart(release, &chart), ..release.status.clone() };
        Released {
            status,
            done: Vec::new(),
            drift: DriftEnd::default(),
            end: ReleaseEnd::NoChart { message },
        }
    })?;
    shared.world.dependencies(&order.key, None, "")?;
    Ok(FoundChart { supported, chart, snapshot })
}

/// The version of the chart that a run was about: of its own attempt, or of the one before.
fn built(finish: &ReleaseFinish, previous: &HelmReleaseStatus) -> BuildInput {
    let status = match &finish.outcome {
        Outcome::Own(released) => &released.status,
        Outcome::Common(_) => previous,
    };
    BuildInput { revision: status.last_attempted_revision.clone(), origin: None }
}
