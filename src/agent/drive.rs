//! The main loop of the process that holds the lease: what happened goes into the queue, and what the queue says is done.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::fetch;
use super::notice::Notice;
use super::reconcile::{Order, reconcile};
use super::shared::Shared;
use super::subject::Subject;
use super::watch::{follow, follow_inputs};
use super::world::{World, interval_of};
use crate::cluster::Change;
use lockgate_base::model::{KindId, ObjectId, Ref};
use lockgate_core::api::{GitRepository, GitRepositorySpec, Kustomization, KustomizationSpec};
use lockgate_core::pipeline::clock::{Clock, within};
use lockgate_core::queue::{Command, Event, Limits, Next, Queue, RunId};
use lockgate_core::verdict;

/// How long what is under way may take to end when the process is told to.
const GRACE: Duration = Duration::from_secs(15);

/// What is under way.
struct Drive {
    shared: Arc<Shared>,
    queue: Queue,
    started: Instant,
    runs: JoinSet<()>,
    cancels: HashMap<RunId, watch::Sender<bool>>,
    listed: Vec<&'static str>,
}

/// Works until `stop` becomes true. When the future is dropped, everything under way is dropped with it.
pub(super) async fn drive(
    shared: Arc<Shared>,
    mut notices: mpsc::UnboundedReceiver<Notice>,
    mut changes: mpsc::UnboundedReceiver<Change>,
    limits: Limits,
    mut stop: watch::Receiver<bool>,
) {
    let mut watches = JoinSet::new();
    watches.spawn(follow::<KustomizationSpec>(Arc::clone(&shared)));
    watches.spawn(follow::<GitRepositorySpec>(Arc::clone(&shared)));
    for kind in [KindId::CONFIG_MAP, KindId::SECRET] {
        watches.spawn(follow_inputs(Arc::clone(&shared), kind));
    }
    let mut drive = Drive {
        shared: Arc::clone(&shared),
        queue: Queue::new(limits),
        started: shared.clock.now(),
        runs: JoinSet::new(),
        cancels: HashMap::new(),
        listed: Vec::new(),
    };
    while !*stop.borrow() {
        let due = drive.queue.next_due().map(|due| drive.started + due);
        let event = tokio::select! {
            notice = notices.recv() => match notice {
                Some(notice) => drive.notice(notice),
                None => return,
            },
            Some(change) = changes.recv() => Some(drive.change(change)),
            () = sleep_until(&*shared.clock, due) => Some(Event::Tick),
            Some(_) = drive.runs.join_next() => None,
            _ = stop.changed() => None,
        };
        if let Some(event) = event {
            drive.handle(event);
        }
    }
    drive.end().await;
}

/// Whose metrics are to be forgotten: an object that has gone, also when a run ends that was under way when it went.
fn departed<'a>(event: &'a Event, world: &World) -> Option<&'a Ref> {
    match event {
        Event::Gone(key) | Event::SourceGone(key) => Some(key),
        Event::Finished { key, .. } => world.kustomization(key).is_none().then_some(key),
        Event::Fetched { source, .. } => world.source(source).is_none().then_some(source),
        _ => None,
    }
}

/// How a run ends: with `lost` where it panics outside of what tells a panic on its object, so that it is begun again.
async fn ended(work: impl Future<Output = Event>, lost: Event) -> Event {
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
    fn notice(&mut self, notice: Notice) -> Option<Event> {
        match notice {
            Notice::Queue(event) => {
                let event = *event;
                if let Some(key) = departed(&event, &self.shared.world) {
                    self.shared.metrics.forget(key);
                }
                if let Event::Finished { run, .. } = &event {
                    self.cancels.remove(run);
                }
                Some(event)
            }
            Notice::Listed(kind) => {
                let ours = [Kustomization::ID.kind, GitRepository::ID.kind];
                if ours.contains(&kind) && !self.listed.contains(&kind) {
                    self.listed.push(kind);
                    return (self.listed.len() == ours.len()).then_some(Event::Synced);
                }
                None
            }
            Notice::Reachable { kind, problem } => {
                let is_up = problem.is_none();
                if let Some(problem) = &problem {
                    tracing::warn!(watch = kind, %problem, "the watch is interrupted");
                } else {
                    tracing::debug!(watch = kind, "the watch is up");
                }
                self.shared.state.reachable(kind, problem);
                is_up.then_some(Event::Recovered)
            }
        }
    }

    fn change(&mut self, change: Change) -> Event {
        let (id, owner, by) = match change {
            Change::Gone { id, owner } => (id, owner, None),
            Change::Drifted { id, owner, by } => (id, owner, by),
        };
        let key = owner;
        let (kind, name, namespace) = (key.kind.kind, &key.name, &key.namespace);
        tracing::info!(kind, name, namespace, object = %id.subject(), by = by.as_deref(), "drifted");
        self.shared.metrics.drifted();
        self.shared.world.drifted(&key, &id, by, self.shared.clock.now());
        Event::Drifted(key, id)
    }

    fn handle(&mut self, event: Event) {
        let now = self.shared.clock.since(self.started);
        for command in self.queue.handle(event, now) {
            match command {
                Command::Reconcile { key, run, causes } => {
                    let (sender, cancel) = watch::channel(false);
                    self.cancels.insert(run, sender);
                    let (ready, news, next) = (false, false, Next::Backoff);
                    let lost = Event::Finished { key: key.clone(), run, ready, news, next };
                    let order = Order { key, run, causes, cancel };
                    self.spawn(reconcile(Arc::clone(&self.shared), order), lost);
                }
                Command::Cancel(run) => {
                    if let Some(cancel) = self.cancels.get(&run) {
                        cancel.send_replace(true);
                    }
                }
                Command::Fetch { source, run } => {
                    let (revision, news, next) = (None, false, Next::Backoff);
                    let lost = Event::Fetched { source: source.clone(), run, revision, news, next };
                    self.spawn(fetch::fetch(Arc::clone(&self.shared), source, run), lost);
                }
                Command::ReportFight(key, object) => self.report_fight(&key, &object),
            }
        }
        self.shared.metrics.waits(self.queue.waiting());
    }

    fn spawn(&mut self, work: impl Future<Output = Event> + Send + 'static, lost: Event) {
        let shared = Arc::clone(&self.shared);
        self.runs.spawn(async move { shared.tell(ended(work, lost).await) });
    }

    fn report_fight(&mut self, key: &Ref, object: &ObjectId) {
        let Some(seen) = self.shared.world.kustomization(key) else { return };
        let rivalry = self.shared.world.rivalry(key, object);
        let interval = interval_of(&self.shared.world, key);
        let notice = verdict::Notice::fight(&object.subject(), &rivalry, interval);
        let subject = Subject::of(key, seen.metadata());
        self.shared.tell_of(&subject, &[notice]);
    }

    /// Ends waits, lets what writes finish what it is at, tells of it, and starts nothing new.
    async fn end(mut self) {
        for cancel in self.cancels.values() {
            cancel.send_replace(true);
        }
        let clock = Arc::clone(&self.shared.clock);
        let all = async {
            while self.runs.join_next().await.is_some() {}
            self.shared.events.flush().await;
        };
        if within(&*clock, GRACE, all).await.is_none() {
            tracing::warn!(
                "work is still under way after {GRACE:?} and is left; it is taken up again at the next start"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::agent::world::Seen;
    use lockgate_base::model::Object;
    use lockgate_core::api::KindInfo;

    #[tokio::test]
    async fn a_run_that_panics_still_ends() {
        let end = |next| Event::Fetched {
            source: GitRepository::named("n", "s"),
            run: 7,
            revision: None,
            news: false,
            next,
        };
        assert_eq!(
            ended(async { panic!("where nothing tells it") }, end(Next::Backoff)).await,
            end(Next::Backoff)
        );
        assert_eq!(ended(async { end(Next::Changed) }, end(Next::Backoff)).await, end(Next::Changed));
    }

    #[test]
    fn the_metrics_of_both_kinds_go_with_the_object_or_with_its_last_run() {
        let world = World::default();
        let both = |name| (Kustomization::named("n", name), GitRepository::named("n", name));
        let ((here, source_here), (gone, source_gone)) = (both("here"), both("gone"));
        let object = |info: &KindInfo| {
            let (api_version, kind) = (info.api_version(), info.id.kind);
            Object::parse(json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": "here"}}))
                .unwrap()
        };
        world.see_kustomization(&here, Seen::read(&object(Kustomization::INFO)), 1);
        world.see_source(&source_here, Seen::read(&object(GitRepository::INFO)), 1);
        let finished = |key: &Ref| {
            let next = Next::Changed;
            Event::Finished { key: key.clone(), run: 1, ready: true, news: false, next }
        };
        let fetched = |key: &Ref| {
            let (revision, news, next) = (None, false, Next::Changed);
            Event::Fetched { source: key.clone(), run: 1, revision, news, next }
        };
        for (event, expected) in [
            (Event::Gone(gone.clone()), Some(&gone)),
            (Event::SourceGone(source_gone.clone()), Some(&source_gone)),
            (finished(&gone), Some(&gone)),
            (fetched(&source_gone), Some(&source_gone)),
            (finished(&here), None),
            (fetched(&source_here), None),
            (Event::Tick, None),
        ] {
            assert_eq!(departed(&event, &world), expected, "{event:?}");
        }
    }
}
