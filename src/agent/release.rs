//! One run of one HelmRelease, from what is known of it to what is reported.

mod journal;
mod chart;

use std::sync::Arc;
use std::time::{Duration, Instant};

use rand_core::RngCore as _;

use super::journal::{BuildInput, context, tell};
use super::log::log;
use super::shared::Shared;
use super::subject::Subject;
use super::task::Task;
use super::world::{SeenObject, chart_of};
use crate::cluster::Cluster;
use journal::{ReleaseLog, schedule};
use lockgate_base::keys;
use lockgate_base::model::Ref;
use lockgate_base::tree::Snapshot;
use lockgate_core::api::{HelmRelease, HelmReleaseSpec, HelmReleaseStatus, OciRepository};
use lockgate_core::pipeline::{self, ReleaseFinish, ReleaseJob, ReleaseRun};
use lockgate_core::quarantine::Marked;
use lockgate_core::queue::{Next, RunEnd, Signal};
use lockgate_core::verdict::{
    self, Common, Notice, Outcome, Redactor, ReleaseEnd, Released, Schedule, Verdict, VerdictContext,
};

/// The schedule of an object whose own cannot be read.
const UNKNOWN: Duration = Duration::from_mins(10);
/// After how long a wait says in the status what it is for.
const TOLD_AFTER: Duration = Duration::from_secs(5);

/// Works on a HelmRelease, reports, and says what the queue must know.
pub(super) async fn release(shared: Arc<Shared>, order: Task) -> Signal {
    let started = shared.clock.now();
    let finished = |end| Signal::Finished { key: order.key.clone(), run: order.run, end };
    let Some(seen) = shared.world.get::<HelmRelease>(&order.key) else {
        return finished(RunEnd::silent(Next::Changed));
    };
    // Boxed: it holds what all acts of an action need.
    let finish = guarded(Box::pin(attempt(&shared, &order, &seen, started))).await;
    let success = finish.outcome.is_success();
    let reported = report(&shared, &order, &seen, &finish, started).await;
    shared.world.remember_release(&order.key, finish.memo);
    shared.metrics.ended(&order.key, shared.clock.since(started), success);
    finished(reported)
}

/// A panic is an outcome of the one object that caused it.
async fn guarded(attempt: impl Future<Output = ReleaseFinish>) -> ReleaseFinish {
    use futures::FutureExt as _;
    match std::panic::AssertUnwindSafe(attempt).catch_unwind().await {
        Ok(finish) => finish,
        Err(_) => ended(Common::Panicked { message: super::fault::place() }),
    }
}

fn ended(outcome: impl Into<Outcome<Released>>) -> ReleaseFinish {
    ReleaseFinish { outcome: outcome.into(), memo: None, redactor: Redactor::default() }
}

async fn attempt(
    shared: &Arc<Shared>,
    order: &Task,
    seen: &SeenObject<HelmRelease>,
    started: Instant,
) -> ReleaseFinish {
    let release = match seen {
        SeenObject::Sound(release) => release,
        SeenObject::Malformed { metadata, message, .. } => {
            let is_leaving = metadata.deletion_timestamp.is_some();
            let note = Some("the object is malformed, so its release was left as it is".into());
            let removed = Common::Removed { deleted: 0, note };
            let malformed = Common::Malformed { message: message.clone() };
            return ended(if is_leaving { removed } else { malformed });
        }
    };
    let deleting = release.metadata.deletion_timestamp.is_some();
    if release.spec.suspend && !deleting {
        return ended(Common::Suspended);
    }
    if !shared.fence.is_open() {
        return ended(Common::Fenced);
    }
    let cluster = shared.cluster_of(order.key.clone(), shared.account_of_release(release));
    let log = ReleaseLog { shared, order, release, started };
    if deleting {
        return ended(removed(&log, cluster).await);
    }
    let cluster = match cluster {
        Ok(cluster) => cluster,
        Err(message) => return ended(Common::AccessDenied { message }),
    };
    let found = match ready(&log).await {
        Ok(found) => found,
        Err(outcome) => {
            let memo = shared.world.release_memo(&order.key).map(|memo| (*memo).clone());
            return ReleaseFinish { memo, ..ended(outcome) };
        }
    };
    let workers = match threads(shared, order, release, &found.snapshot).await {
        Ok(workers) => workers,
        Err(outcome) => return ended(outcome),
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
        thorough: false,
        entropy,
        told_after: TOLD_AFTER,
        clock: &*shared.clock,
        workers: &workers,
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
        Released { status, done: Vec::new(), end: ReleaseEnd::NoChart { message } }
    })?;
    shared.world.dependencies(&order.key, None, "")?;
    Ok(FoundChart { supported, chart, snapshot })
}

/// The threads for the render, once it may begin.
async fn threads(
    shared: &Arc<Shared>,
    order: &Task,
    release: &HelmRelease,
    snapshot: &Snapshot,
) -> Result<Marked, Common> {
    let metadata = &release.metadata;
    let requested_at = metadata.annotations.get(keys::REQUESTED_AT).map_or("", String::as_str);
    let state = format!("{}/{}/{requested_at}/{}", metadata.uid, metadata.generation, snapshot.revision);
    let pass = shared.quarantine.admit(&order.key, state).await?;
    Ok(Marked { workers: Arc::clone(&shared.workers), pass: Arc::new(pass) })
}

/// Judges and reports.
async fn report(
    shared: &Shared,
    order: &Task,
    seen: &SeenObject<HelmRelease>,
    finish: &ReleaseFinish,
    started: Instant,
) -> RunEnd {
    let metadata = seen.metadata();
    let now = shared.world.get::<HelmRelease>(&order.key);
    let (schedule, previous) = if let (SeenObject::Sound(seen), Some(SeenObject::Sound(now))) = (seen, now) {
        (schedule(&seen.spec), now.status.clone())
    } else {
        let unknown = Schedule { interval: UNKNOWN, retry: UNKNOWN, timeout: UNKNOWN };
        (unknown, HelmReleaseStatus::default())
    };
    let revision = match &finish.outcome {
        Outcome::Own(released) => released.status.last_attempted_revision.clone(),
        Outcome::Common(_) => previous.last_attempted_revision.clone(),
    };
    let built = BuildInput { revision, origin: None };
    let context = VerdictContext {
        redactor: &finish.redactor,
        ..context(shared, &order.key, metadata, schedule, &previous, &built, started)
    };
    let verdict = verdict::verdict(&finish.outcome, &context);
    let told = match &verdict {
        Verdict::Say(said) => &said.status,
        Verdict::Keep { .. } | Verdict::LetGo(_) => &previous,
    };
    log(order, built.revision.as_deref(), finish, told, verdict.notices(), shared.clock.since(started));
    let (ready, news, next) = (verdict.is_ready(), !verdict.notices().is_empty(), verdict.next());
    let subject = Subject::of(&order.key, metadata);
    match tell::<HelmReleaseSpec>(shared, &subject, metadata, &previous, verdict).await {
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
    finish: &ReleaseFinish,
    status: &HelmReleaseStatus,
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
