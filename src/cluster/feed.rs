//! The state of objects that the shared watches do not show: objects of others, objects that only an
//! impersonated account may see, and objects that are being deleted. All waits of one account for objects of
//! a kind in a namespace share a feed. This module does no I/O: [`super::feeder`] keeps a feed up to date.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::Notify;
use tokio::task::AbortHandle;

use super::path::ServedKind;
use lockgate_base::model::Object;
use lockgate_base::shares::Permits;
use lockgate_core::health::{Health, HealthRules, completion, health};
use lockgate_core::pipeline::ports::{ApiFailure, Expect, ObjectReference};

/// How many watches of feeds may be open at one time, shared among the namespaces. Each needs a connection,
/// since kube speaks HTTP/1.1, and some 40 KiB. Further feeds read their objects at intervals.
pub(super) const WATCHES: usize = 64;

/// The account and the objects of a feed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FeedKey {
    /// The impersonated account; `None` for the agent's own.
    pub(super) user: Option<String>,
    pub(super) resource: ServedKind,
    /// The namespace; empty for cluster-scoped objects.
    pub(super) namespace: String,
}

/// The feeds in use.
#[derive(Debug)]
pub(super) struct Feeds {
    feeds: Mutex<BTreeMap<FeedKey, Weak<Feed>>>,
    /// The permits for watches.
    pub(super) watches: Permits,
}

impl Default for Feeds {
    fn default() -> Self {
        Self { feeds: Mutex::default(), watches: Permits::fair(WATCHES) }
    }
}

impl Feeds {
    /// The feed with this key. If it is new, `start` begins to keep it up to date.
    pub(super) fn share(
        &self,
        key: &FeedKey,
        start: impl FnOnce(Arc<FeedState>) -> AbortHandle,
    ) -> Arc<Feed> {
        let mut feeds = self.feeds();
        if let Some(feed) = feeds.get(key).and_then(Weak::upgrade) {
            return feed;
        }
        feeds.retain(|_, feed| feed.strong_count() > 0);
        let state = Arc::new(FeedState::default());
        let task = start(Arc::clone(&state));
        let feed = Arc::new(Feed { state, task });
        feeds.insert(key.clone(), Arc::downgrade(&feed));
        feed
    }

    /// The number of an account's feeds in use.
    pub(super) fn of_account(&self, user: Option<&str>) -> usize {
        let is_used =
            |(key, feed): &(&FeedKey, &Weak<Feed>)| key.user.as_deref() == user && feed.strong_count() > 0;
        self.feeds().iter().filter(is_used).count()
    }

    fn feeds(&self) -> MutexGuard<'_, BTreeMap<FeedKey, Weak<Feed>>> {
        self.feeds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A feed. When the last wait for one of its objects ends, it is no longer kept up to date.
#[derive(Debug)]
pub(super) struct Feed {
    pub(super) state: Arc<FeedState>,
    task: AbortHandle,
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The state of a feed.
#[derive(Debug, Default)]
pub(super) struct FeedState {
    known: Mutex<Known>,
    /// Notified when a wait joins.
    joined: Notify,
}

#[derive(Debug, Default)]
struct Known {
    wanted: BTreeMap<String, Wanted>,
    /// The objects that exist, or may not be read.
    objects: BTreeMap<String, Seen>,
    /// The number of waits that have joined.
    joins: u64,
    /// The last wait that had joined before all awaited objects were read.
    covered: u64,
}

#[derive(Debug)]
struct Wanted {
    reference: ObjectReference,
    waiting: Vec<(u64, Arc<Notify>)>,
}

/// What is known of an object.
#[derive(Debug, Clone)]
enum Seen {
    There { health: Health, completion: Health },
    Refused(ApiFailure),
}

impl FeedState {
    /// Begins a wait for these objects, which is notified of each change. Returns its ticket. All objects are
    /// read again, since earlier states may be older than the subject of the wait.
    pub(super) fn join(&self, references: &[ObjectReference], notify: &Arc<Notify>) -> u64 {
        let mut known = self.known();
        known.joins += 1;
        let ticket = known.joins;
        for reference in references {
            let new = || Wanted { reference: reference.clone(), waiting: Vec::new() };
            let wanted = known.wanted.entry(reference.id.name.clone()).or_insert_with(new);
            wanted.waiting.push((ticket, Arc::clone(notify)));
        }
        drop(known);
        self.joined.notify_one();
        ticket
    }

    /// Ends a wait.
    pub(super) fn leave(&self, references: &[ObjectReference], ticket: u64) {
        let mut known = self.known();
        for reference in references {
            let name = &reference.id.name;
            let Some(wanted) = known.wanted.get_mut(name) else { continue };
            wanted.waiting.retain(|(held, _)| *held != ticket);
            if wanted.waiting.is_empty() {
                known.wanted.remove(name);
                known.objects.remove(name);
            }
        }
    }

    /// Whether all objects of a wait have been read since it began.
    pub(super) fn covers(&self, ticket: u64) -> bool {
        self.known().covered >= ticket
    }

    /// The health of an object; `None` if it does not exist.
    pub(super) fn health(&self, reference: &ObjectReference) -> Option<Health> {
        match self.known().objects.get(&reference.id.name)? {
            Seen::There { health, completion } => Some(match reference.expect {
                Expect::Healthy => health.clone(),
                Expect::Completed => completion.clone(),
            }),
            Seen::Refused(_) => None,
        }
    }

    /// Why an object may not be read.
    pub(super) fn refusal(&self, reference: &ObjectReference) -> Option<ApiFailure> {
        match self.known().objects.get(&reference.id.name)? {
            Seen::Refused(failure) => Some(failure.clone()),
            Seen::There { .. } => None,
        }
    }

    /// The awaited objects, and the last wait that has joined.
    pub(super) fn begin(&self) -> (u64, Vec<ObjectReference>) {
        let known = self.known();
        (known.joins, known.wanted.values().map(|wanted| wanted.reference.clone()).collect())
    }

    /// Waits until a wait after `last` joins.
    pub(super) async fn joined_after(&self, last: u64) {
        while self.known().joins == last {
            self.joined.notified().await;
        }
    }

    /// Records an object that exists.
    pub(super) fn there(&self, object: &Object) {
        let rules = &HealthRules::BUILT_IN;
        let seen = Seen::There { health: health(object, rules), completion: completion(object, rules) };
        self.known().see(object.name(), Some(seen));
    }

    /// Records that an object does not exist.
    pub(super) fn left(&self, name: &str) {
        self.known().see(name, None);
    }

    /// Records that an object may not be read.
    pub(super) fn refused(&self, name: &str, failure: ApiFailure) {
        self.known().see(name, Some(Seen::Refused(failure)));
    }

    /// Records that all objects were read that were awaited when the wait `last` had joined, and that only
    /// these exist.
    pub(super) fn listed(&self, last: u64, there: &HashSet<String>) {
        let mut known = self.known();
        known.objects.retain(|name, _| there.contains(name));
        known.cover(last);
    }

    /// Records that all objects were read that were awaited when the wait `last` had joined.
    pub(super) fn looked(&self, last: u64) {
        self.known().cover(last);
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn see(&mut self, name: &str, seen: Option<Seen>) {
        let Some(wanted) = self.wanted.get(name) else { return };
        match seen {
            Some(seen) => self.objects.insert(name.to_owned(), seen),
            None => self.objects.remove(name),
        };
        wanted.wake();
    }

    fn cover(&mut self, last: u64) {
        self.covered = self.covered.max(last);
        self.wanted.values().for_each(Wanted::wake);
    }
}

impl Wanted {
    fn wake(&self) {
        for (_, notify) in &self.waiting {
            notify.notify_one();
        }
    }
}
