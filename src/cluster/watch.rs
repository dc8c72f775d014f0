//! The watches: one for each kind of which we hold an object, over all namespaces, of the objects that carry the owner
//! label; type and metadata alone where health needs no more. They run as the agent itself.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::client::Client;
use super::discovery::Discovery;
use super::follow::{Query, Seen};
use super::index::{Change, GroupKind, Index, Watching, key};
use super::judge;
use super::path::{Resource, encode};
use lockgate_base::keys;
use lockgate_base::model::Object;
use lockgate_core::pipeline::ports::ApiFailure;

/// The pause after a refusal of the right to watch.
const DENIED: Duration = Duration::from_mins(1);

/// The watches of one cluster. Dropping it ends them.
#[derive(Debug)]
pub(super) struct Watches {
    client: Client,
    discovery: Arc<Discovery>,
    index: Arc<Mutex<Index>>,
    changes: mpsc::UnboundedSender<Change>,
    tasks: Mutex<JoinSet<()>>,
}

impl Watches {
    pub(super) fn new(
        client: Client,
        discovery: Arc<Discovery>,
        changes: mpsc::UnboundedSender<Change>,
    ) -> Self {
        Self { client, discovery, index: Arc::default(), changes, tasks: Mutex::new(JoinSet::new()) }
    }

    /// The index. Not to be held across an await.
    pub(super) fn index(&self) -> MutexGuard<'_, Index> {
        lock(&self.index)
    }

    /// Hands changes on to who listens.
    pub(super) fn report(&self, changes: impl IntoIterator<Item = Change>) {
        for change in changes {
            // No one listening is no error: a command line has no use for changes.
            let _ = self.changes.send(change);
        }
    }

    /// Holds an object, and sees to it that its kind is watched.
    pub(super) fn hold(&self, object: &Object, resource: &Resource, wrote: bool) {
        let kind = (object.group().to_owned(), object.kind().to_owned());
        let sighting = judge::sight(object);
        if sighting.owner.is_none() {
            return;
        }
        let (is_new, change) = {
            let mut index = self.index();
            (index.open(&kind), index.hold(&kind, sighting, wrote))
        };
        self.report(change);
        if is_new {
            self.start(kind, resource);
        }
    }

    fn start(&self, kind: GroupKind, resource: &Resource) {
        let task = Task {
            client: self.client.clone(),
            discovery: Arc::clone(&self.discovery),
            index: Arc::clone(&self.index),
            changes: self.changes.clone(),
            query: Query::new(resource, "", &format!("labelSelector={}", encode(keys::OWNER_NAME))),
            kind,
        };
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task.run());
    }
}

fn lock(index: &Mutex<Index>) -> MutexGuard<'_, Index> {
    index.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The watch of one kind.
struct Task {
    client: Client,
    discovery: Arc<Discovery>,
    index: Arc<Mutex<Index>>,
    changes: mpsc::UnboundedSender<Change>,
    query: Query,
    kind: GroupKind,
}

impl Task {
    async fn run(self) {
        loop {
            let mut there = HashSet::new();
            let failure = self
                .query
                .follow(
                    &self.client,
                    |seen| self.take(seen, &mut there),
                    |watching| {
                        lock(&self.index).set_watching(&self.kind, watching);
                    },
                )
                .await;
            if !matches!(failure, ApiFailure::Forbidden(_)) {
                tracing::info!(watch = %self.kind.1, group = %self.kind.0, %failure, "the kind is no longer watched");
                self.discovery.forget(&self.kind.0, &self.kind.1);
                let gone = lock(&self.index).close(&self.kind);
                self.report(gone);
                return;
            }
            // Asked each minute, and told when it becomes so.
            if lock(&self.index).set_watching(&self.kind, Watching::Broken(failure.clone())) {
                tracing::warn!(%failure, "drift is looked for at the interval only");
            }
            sleep(DENIED).await;
        }
    }

    fn take(&self, seen: Seen, there: &mut HashSet<(Box<str>, Box<str>)>) {
        match seen {
            Seen::Listing => there.clear(),
            Seen::There { object, listed } => {
                if listed {
                    there.insert(key(object.namespace().unwrap_or_default(), object.name()));
                }
                let sighting = judge::sight(&object);
                let change = lock(&self.index).seen(&self.kind, sighting);
                self.report(change);
            }
            Seen::Left { namespace, name, at } => {
                let change = lock(&self.index).left(&self.kind, &namespace, &name, at);
                self.report(change);
            }
            Seen::Listed(at) => {
                let changes = lock(&self.index).listed(&self.kind, &std::mem::take(there), at);
                self.report(changes);
            }
        }
    }

    fn report(&self, changes: impl IntoIterator<Item = Change>) {
        for change in changes {
            let _ = self.changes.send(change);
        }
    }
}
