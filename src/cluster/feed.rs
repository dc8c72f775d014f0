//! What is known of objects that the shared watches do not show: those of others, those that only an
//! impersonated account may see, and those that are on their way out. All waits of one account for objects of
//! a kind in a namespace share a feed. It is without I/O: [`super::feeder`] keeps it up to date.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::Notify;
use tokio::task::AbortHandle;

use super::path::ServedKind;
use lockgate_base::model::Object;
use lockgate_base::shares::Permits;
use lockgate_core::health::{Health, HealthRules, completion, health};
use lockgate_core::pipeline::ports::{ApiFailure, Expect, ObjectReference};

/// Watches of feeds that are open at a time, shared among the namespaces for which they are: each holds a
/// connection, as kube speaks HTTP/1.1, and some 40 KiB. What is beyond is looked at again and again.
pub(super) const WATCHES: usize = 64;

/// Whose feed it is, and of what.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FeedKey {
    /// Whom it is asked as, where that is not ourselves.
    pub(super) user: Option<String>,
    pub(super) resource: ServedKind,
    /// Empty for objects of the cluster.
    pub(super) namespace: String,
}

/// The feeds that are in use.
#[derive(Debug)]
pub(super) struct Feeds {
    feeds: Mutex<BTreeMap<FeedKey, Weak<Feed>>>,
    /// The watches that may be open.
    pub(super) watches: Permits,
}

impl Default for Feeds {
    fn default() -> Self {
        Self { feeds: Mutex::default(), watches: Permits::fair(WATCHES) }
    }
}

impl Feeds {
    /// The feed of this key, which `start` has kept up to date where it is new.
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

    /// How many feeds of an account are in use.
    pub(super) fn of_account(&self, user: Option<&str>) -> usize {
        let is_used =
            |(key, feed): &(&FeedKey, &Weak<Feed>)| key.user.as_deref() == user && feed.strong_count() > 0;
        self.feeds().iter().filter(is_used).count()
    }

    fn feeds(&self) -> MutexGuard<'_, BTreeMap<FeedKey, Weak<Feed>>> {
        self.feeds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A feed for as long as somebody waits for one of its objects: then what keeps it up to date is ended.
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

/// What a feed knows.
#[derive(Debug, Default)]
pub(super) struct FeedState {
    known: Mutex<Known>,
    /// Told when a wait joins.
    joined: Notify,
}

#[derive(Debug, Default)]
struct Known {
    wanted: BTreeMap<String, Wanted>,
    /// What is there of it, or may not be looked at.
    objects: BTreeMap<String, Seen>,
    /// The waits that have joined.
    joins: u64,
    /// The last of them that had joined before all that was wanted was looked at.
    covered: u64,
}

#[derive(Debug)]
struct Wanted {
    reference: ObjectReference,
    waiting: Vec<(u64, Arc<Notify>)>,
}

/// What was seen of an object.
#[derive(Debug, Clone)]
enum Seen {
    There { health: Health, completion: Health },
    Refused(ApiFailure),
}

impl FeedState {
    /// A wait begins for these objects, and is to be woken at each change. Returns its ticket. All are looked
    /// at from now on: what is known from before may be older than what the wait is about.
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

    /// Whether all objects of a wait were looked at since it began.
    pub(super) fn covers(&self, ticket: u64) -> bool {
        self.known().covered >= ticket
    }

    /// The health of an object; `None` when it is not there.
    pub(super) fn health(&self, reference: &ObjectReference) -> Option<Health> {
        match self.known().objects.get(&reference.id.name)? {
            Seen::There { health, completion } => Some(match reference.expect {
                Expect::Healthy => health.clone(),
                Expect::Completed => completion.clone(),
            }),
            Seen::Refused(_) => None,
        }
    }

    /// Why an object may not be looked at.
    pub(super) fn refusal(&self, reference: &ObjectReference) -> Option<ApiFailure> {
        match self.known().objects.get(&reference.id.name)? {
            Seen::Refused(failure) => Some(failure.clone()),
            Seen::There { .. } => None,
        }
    }

    /// What is wanted now, and the last wait that wants any of it.
    pub(super) fn begin(&self) -> (u64, Vec<ObjectReference>) {
        let known = self.known();
        (known.joins, known.wanted.values().map(|wanted| wanted.reference.clone()).collect())
    }

    /// Waits until another wait joins than those up to `last`.
    pub(super) async fn joined_after(&self, last: u64) {
        while self.known().joins == last {
            self.joined.notified().await;
        }
    }

    /// An object was seen.
    pub(super) fn there(&self, object: &Object) {
        let rules = &HealthRules::BUILT_IN;
        let seen = Seen::There { health: health(object, rules), completion: completion(object, rules) };
        self.known().see(object.name(), Some(seen));
    }

    /// An object is not there.
    pub(super) fn left(&self, name: &str) {
        self.known().see(name, None);
    }

    /// An object may not be looked at.
    pub(super) fn refused(&self, name: &str, failure: ApiFailure) {
        self.known().see(name, Some(Seen::Refused(failure)));
    }

    /// All was looked at that was wanted when the wait `last` had joined, and of that only these are there.
    pub(super) fn listed(&self, last: u64, there: &HashSet<String>) {
        let mut known = self.known();
        known.objects.retain(|name, _| there.contains(name));
        known.cover(last);
    }

    /// All was looked at that was wanted when the wait `last` had joined.
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
