//! The main loop of the process that holds the lease: what happened goes into the queue, and what the queue says is done.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::reconcile::{Order, reconcile};
use super::report::Subject;
use super::watch::{Notice, follow, follow_inputs};
use super::world::{World, interval_of};
use super::{Shared, fetch};
use crate::cluster::Change;
use lockgate_base::model::{Key, ObjectId};
use lockgate_core::api::{GitRepository, Kind as _, Kustomization};
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
    watches.spawn(follow::<Kustomization>(Arc::clone(&shared)));
    watches.spawn(follow::<GitRepository>(Arc::clone(&shared)));
    for kind in ["ConfigMap", "Secret"] {
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
fn departed<'a>(event: &'a Event, world: &World) -> Option<(&'static str, &'a Key)> {
    match event {
        Event::Gone(key) => Some((Kustomization::KIND, key)),
        Event::SourceGone(key) => Some((GitRepository::KIND, key)),
        Event::Finished { key, .. } => {
            world.kustomization(key).is_none().then_some((Kustomization::KIND, key))
        }
        Event::Fetched { source, .. } => {
            world.source(source).is_none().then_some((GitRepository::KIND, source))
        }
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
                if let Some((kind, key)) = departed(&event, &self.shared.world) {
                    self.shared.metrics.forget(kind, key);
                }
                if let Event::Finished { run, .. } = &event {
                    self.cancels.remove(run);
                }
                Some(event)
            }
            Notice::Listed(kind) => {
                let ours = [Kustomization::KIND, GitRepository::KIND];
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
        let key = Key::new(owner.namespace, owner.name);
        let (kind, name, namespace) = (Kustomization::KIND, &key.name, &key.namespace);
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

    fn report_fight(&mut self, key: &Key, object: &ObjectId) {
        let Some(seen) = self.shared.world.kustomization(key) else { return };
        let rivalry = self.shared.world.rivalry(key, object);
        let interval = interval_of(&self.shared.world, key);
        let event = verdict::Event::fight(&object.subject(), &rivalry, interval);
        let subject = Subject::of::<Kustomization>(key, seen.metadata());
        self.shared.tell_of(&subject, &[event]);
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

    #[tokio::test]
    async fn a_run_that_panics_still_ends() {
        let end =
            |next| Event::Fetched { source: Key::new("n", "s"), run: 7, revision: None, news: false, next };
        assert_eq!(
            ended(async { panic!("where nothing tells it") }, end(Next::Backoff)).await,
            end(Next::Backoff)
        );
        assert_eq!(ended(async { end(Next::Changed) }, end(Next::Backoff)).await, end(Next::Changed));
    }

    #[test]
    fn the_metrics_of_both_kinds_go_with_the_object_or_with_its_last_run() {
        let world = World::default();
        let (here, gone) = (Key::new("n", "here"), Key::new("n", "gone"));
        let object = |kind: &str, group: &str| {
            let api_version = format!("{group}/v1");
            Object::parse(json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": "here"}}))
                .unwrap()
        };
        let kustomization = object(Kustomization::KIND, Kustomization::GROUP);
        world.see_kustomization(&here, Seen::read(&kustomization), 1);
        world.see_source(&here, Seen::read(&object(GitRepository::KIND, GitRepository::GROUP)), 1);
        let finished = |key: &Key| {
            let next = Next::Changed;
            Event::Finished { key: key.clone(), run: 1, ready: true, news: false, next }
        };
        let fetched = |key: &Key| {
            let (revision, news, next) = (None, false, Next::Changed);
            Event::Fetched { source: key.clone(), run: 1, revision, news, next }
        };
        for (event, kind) in [
            (Event::Gone(gone.clone()), Some("Kustomization")),
            (Event::SourceGone(gone.clone()), Some("GitRepository")),
            (finished(&gone), Some("Kustomization")),
            (fetched(&gone), Some("GitRepository")),
            (finished(&here), None),
            (fetched(&here), None),
            (Event::Tick, None),
        ] {
            assert_eq!(departed(&event, &world), kind.map(|kind| (kind, &gone)), "{event:?}");
        }
    }
}
