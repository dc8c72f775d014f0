//! The main loop of the process that holds the lease: it passes signals to the queue, and carries out the
//! queue's orders.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;

use super::controllers::follow_controllers;
use super::fetch;
use super::notice::LoopMessage;
use super::outage::Outage;
use super::reconcile::reconcile;
use super::release::release;
use super::shared::Shared;
use super::subject::Subject;
use super::task::Task;
use super::watch::{follow_inputs, follow_kinds};
use super::world::{SeenObject, World};
use crate::cluster::HeldChange;
use lockgate_base::model::{KindId, ObjectId, Ref};
use lockgate_core::api::{self, DriftMode, HelmChart, HelmRelease, KindInfo, Kustomization, Role};
use lockgate_core::pipeline::clock::{Clock, within};
use lockgate_core::plan::DriftPolicy;
use lockgate_core::queue::{Limits, Next, Order, Queue, Rivalry, RunCause, RunEnd, RunId, Signal};
use lockgate_core::verdict;

/// How long running work may take to end after a request to shut down.
const GRACE: Duration = Duration::from_secs(15);

/// The running work.
struct Drive {
    shared: Arc<Shared>,
    queue: Queue,
    started: Instant,
    runs: JoinSet<()>,
    reins: BTreeMap<RunId, Reins>,
    listed: Vec<&'static str>,
    outage: Outage,
    /// The controllers of Flux because of which the agent must not write.
    rivals: Option<String>,
}

/// The channels from the queue to a run.
struct Reins {
    /// Becomes true when the run's wait or fetch has to end.
    cancel: watch::Sender<bool>,
    /// Notified when the run has a slot again.
    slot: Arc<Notify>,
}

/// Works until `stop` becomes true, or until controllers of Flux that do the same work are seen, which are
/// returned. Running work is dropped together with the future, and when it ends because of Flux.
pub(super) async fn drive(
    shared: Arc<Shared>,
    mut notices: mpsc::UnboundedReceiver<LoopMessage>,
    mut changes: mpsc::UnboundedReceiver<HeldChange>,
    limits: Limits,
    mut stop: watch::Receiver<bool>,
) -> Option<String> {
    let mut watches = JoinSet::new();
    follow_kinds(&shared, &mut watches);
    for kind in [KindId::CONFIG_MAP, KindId::SECRET] {
        watches.spawn(follow_inputs(Arc::clone(&shared), kind));
    }
    watches.spawn(follow_controllers(Arc::clone(&shared)));
    let mut drive = Drive {
        shared: Arc::clone(&shared),
        queue: Queue::new(limits),
        started: shared.clock.now(),
        runs: JoinSet::new(),
        reins: BTreeMap::new(),
        listed: Vec::new(),
        outage: Outage::default(),
        rivals: None,
    };
    while !*stop.borrow() && drive.rivals.is_none() {
        let due = drive.queue.next_due().map(|due| drive.started + due);
        let signal = tokio::select! {
            // The branches are tried in a fixed order. The queue checks at each event what is due, so no
            // branch starves.
            biased;
            _ = stop.changed() => None,
            Some(_) = drive.runs.join_next() => None,
            notice = notices.recv() => match notice {
                Some(notice) => drive.notice(notice),
                None => return None,
            },
            Some(change) = changes.recv() => drive.change(change),
            () = sleep_until(&*shared.clock, due) => Some(Signal::Tick),
        };
        if let Some(signal) = signal {
            drive.handle(signal);
        }
    }
    if drive.rivals.is_none() {
        drive.end().await;
        return None;
    }
    drive.rivals
}

/// The object whose metrics are forgotten: one that was deleted, including during its last run.
fn departed<'a>(signal: &'a Signal, world: &World) -> Option<&'a Ref> {
    match signal {
        Signal::Gone(key) => Some(key),
        Signal::Finished { key, .. } => (!world.contains(key)).then_some(key),
        _ => None,
    }
}

/// The signal at the end of a run. If the run panics outside of the code that reports panics, it is `lost`,
/// so that the run is repeated.
async fn ended(work: impl Future<Output = Signal>, lost: Signal) -> Signal {
    use futures::FutureExt as _;
    std::panic::AssertUnwindSafe(work).catch_unwind().await.unwrap_or(lost)
}

async fn sleep_until(clock: &dyn Clock, due: Option<Instant>) {
    match due {
        Some(due) => clock.sleep(due.saturating_duration_since(clock.now())).await,
        None => std::future::pending().await,
    }
}

impl Drive {
    fn notice(&mut self, notice: LoopMessage) -> Option<Signal> {
        match notice {
            LoopMessage::Queue(signal) => {
                if let Some(key) = departed(&signal, &self.shared.world) {
                    self.shared.metrics.forget(key);
                    self.shared.quarantine.forget(key);
                }
                if let Signal::Finished { run, .. } = &*signal {
                    self.reins.remove(run);
                }
                Some(*signal)
            }
            LoopMessage::Listed(kind) => {
                let is_ours = |info: &KindInfo| info.id.kind == kind;
                if api::acted_on().any(is_ours) && !self.listed.contains(&kind) {
                    self.listed.push(kind);
                    return (self.listed.len() == api::acted_on().count()).then_some(Signal::Synced);
                }
                None
            }
            LoopMessage::Flux(rivals) => {
                self.rivals = Some(rivals);
                None
            }
            LoopMessage::Reachable { kind, failure } => {
                self.outage.tell(kind, failure.as_ref());
                let is_up = failure.is_none();
                self.shared.state.reachable(kind, failure.map(|failure| failure.to_string()));
                is_up.then_some(Signal::Recovered)
            }
        }
    }

    /// The signal for a change of a managed object; `None` if the drift waits for the interval. The policy of
    /// the object wins over that of its owner.
    fn change(&mut self, change: HeldChange) -> Option<Signal> {
        let (object, owner, by, policy) = match change {
            HeldChange::Gone { id, owner, policy } => (id, owner, None, policy),
            HeldChange::Drifted { id, owner, by, policy } => (id, owner, by, policy),
        };
        // The objects of a release may change unless it says otherwise; the chart made for it may not.
        if owner.kind == HelmRelease::ID && object.kind != HelmChart::ID.kind && !self.looks_for_drift(&owner)
        {
            return None;
        }
        let (kind, name, namespace) = (owner.kind.kind, &owner.name, &owner.namespace);
        tracing::info!(kind, name, namespace, object = %object.subject(), by = by.as_deref(), "drift detected");
        self.shared.metrics.drifted();
        let of_owner = || match self.shared.world.get::<Kustomization>(&owner)? {
            SeenObject::Sound(owner) => Some(self.shared.drift_of(&owner)),
            SeenObject::Malformed { .. } => None,
        };
        let is_put_off = policy.or_else(of_owner) == Some(DriftPolicy::Interval);
        (!is_put_off).then_some(Signal::Drifted { owner, object, by })
    }

    /// Whether a HelmRelease wants to know of drift.
    fn looks_for_drift(&self, release: &Ref) -> bool {
        match self.shared.world.get::<HelmRelease>(release) {
            Some(SeenObject::Sound(release)) => release.spec.drift_mode() != DriftMode::Disabled,
            Some(SeenObject::Malformed { .. }) | None => false,
        }
    }

    fn handle(&mut self, signal: Signal) {
        let now = self.shared.clock.since(self.started);
        for order in self.queue.handle(signal, now) {
            match order {
                Order::Start { key, run, causes } => self.begin(key, run, causes),
                Order::Resume(run) => {
                    if let Some(reins) = self.reins.get(&run) {
                        reins.slot.notify_one();
                    }
                }
                Order::Cancel(run) => {
                    if let Some(reins) = self.reins.get(&run) {
                        reins.cancel.send_replace(true);
                    }
                }
                Order::ReportFight { owner, object, rivalry } => self.report_fight(&owner, &object, &rivalry),
            }
        }
        self.shared.metrics.waits(self.queue.waiting());
    }

    fn begin(&mut self, key: Ref, run: RunId, causes: BTreeSet<RunCause>) {
        let lost = Signal::Finished { key: key.clone(), run, end: RunEnd::silent(Next::Backoff) };
        let shared = Arc::clone(&self.shared);
        let (sender, cancel) = watch::channel(false);
        let slot = Arc::new(Notify::new());
        self.reins.insert(run, Reins { cancel: sender, slot: Arc::clone(&slot) });
        if api::info(key.kind).is_some_and(|info| matches!(info.role, Role::Source(_))) {
            return self.spawn(fetch::fetch(shared, key, run, cancel), lost);
        }
        let task = Task { key, run, causes, cancel, slot };
        if task.key.kind == HelmRelease::ID {
            return self.spawn(release(shared, task), lost);
        }
        self.spawn(reconcile(shared, task), lost);
    }

    fn spawn(&mut self, work: impl Future<Output = Signal> + Send + 'static, lost: Signal) {
        let shared = Arc::clone(&self.shared);
        self.runs.spawn(async move { shared.tell(ended(work, lost).await) });
    }

    fn report_fight(&self, owner: &Ref, object: &ObjectId, rivalry: &Rivalry) {
        let Some((metadata, interval)) = self.shared.world.outline(owner) else { return };
        let notice = verdict::Notice::fight(&object.subject(), rivalry, interval);
        self.shared.tell_of(&Subject::of(owner, &metadata), &[notice]);
    }

    /// Ends all waits, lets running writes finish, reports this, and starts nothing new.
    async fn end(mut self) {
        self.shared.quarantine.close();
        for reins in self.reins.values() {
            reins.cancel.send_replace(true);
            // No slots are granted any more.
            reins.slot.notify_one();
        }
        let clock = Arc::clone(&self.shared.clock);
        let all = async {
            while self.runs.join_next().await.is_some() {}
            self.shared.events.flush().await;
        };
        if within(&*clock, GRACE, all).await.is_none() {
            tracing::warn!(
                "stopping with reconciles still running after {GRACE:?}; the next start resumes them"
            );
        }
    }
}

#[cfg(test)]
mod tests;
