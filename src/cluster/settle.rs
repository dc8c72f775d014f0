//! Waits until objects are healthy, or gone. The shared watches notify the waits; objects that they do not
//! show are in feeds.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::awaited::Awaited;
use super::cause;
use super::handle::Cluster;
use super::index::{Watching, group_kind};
use super::judge;
use super::watch::Watched;
use lockgate_base::model::ObjectId;
use lockgate_core::health::Health;
use lockgate_core::pipeline::ports::{ApiFailure, Expect, ObjectReference, Settled, Unhealthy};

/// For how many unhealthy objects a cause is searched.
const CAUSES: usize = 5;
/// How much longer than the wait's timeout the first read of all objects may take. Without it nothing is
/// known of them.
const FIRST_LOOK: Duration = Duration::from_secs(10);

impl Cluster {
    pub(super) async fn settle_all(&self, references: &[ObjectReference], limit: Duration) -> Settled {
        // A timer cannot represent the end of time, and a year suffices.
        let deadline = Instant::now() + limit.min(Duration::from_hours(365 * 24));
        loop {
            let (shared, private): (Vec<_>, Vec<_>) =
                references.iter().cloned().partition(|reference| self.is_shown(reference));
            let settled = match Awaited::new(self, &private).await {
                Ok(awaited) => self.settle_with(&awaited, &shared, &private, deadline).await,
                Err(failure) => Some(Settled::Unknown(failure)),
            };
            // Without a result, a shared watch was lost meanwhile, so feeds have to show its objects.
            if let Some(settled) = settled {
                return self.with_causes(references, settled).await;
            }
        }
    }

    async fn settle_with(
        &self,
        awaited: &Awaited,
        shared: &[ObjectReference],
        private: &[ObjectReference],
        deadline: Instant,
    ) -> Option<Settled> {
        let ids: Vec<ObjectId> = shared.iter().map(|reference| reference.id.clone()).collect();
        let ticket = Ticket::take(&self.watched, ids);
        let mut rules = self.shared.rules.subscribe();
        loop {
            if !shared.iter().all(|reference| self.is_shown_or_gone(&reference.id)) {
                return None;
            }
            if let Some(failure) = awaited.refusal() {
                return Some(Settled::Unknown(failure));
            }
            let complete = awaited.is_complete();
            let unhealthy = self.unhealthy(awaited, shared, private);
            if complete && unhealthy.is_empty() {
                return Some(Settled::Healthy);
            }
            if complete && unhealthy.iter().all(|one| judge::has_failed(&one.health)) {
                return Some(Settled::Stalled(unhealthy));
            }
            tokio::select! {
                biased;
                () = ticket.notify.notified() => {}
                () = awaited.changed.notified() => {}
                Ok(()) = rules.changed() => {}
                () = sleep_until(deadline), if complete => return Some(Settled::TimedOut(unhealthy)),
                () = sleep_until(deadline + FIRST_LOOK) => return Some(Settled::TimedOut(unhealthy)),
            }
        }
    }

    /// Waits until the objects are gone, and returns those that are not. An error if they cannot be read.
    pub(super) async fn until_gone(
        &self,
        references: &[ObjectReference],
        limit: Duration,
    ) -> Result<Vec<ObjectId>, ApiFailure> {
        let awaited = Awaited::new(self, references).await?;
        let deadline = Instant::now() + limit;
        loop {
            if let Some(failure) = awaited.refusal() {
                return Err(failure);
            }
            let is_complete = awaited.is_complete();
            let may_be_there =
                |reference: &&ObjectReference| !is_complete || awaited.health(reference).is_some();
            let there: Vec<ObjectId> =
                references.iter().filter(may_be_there).map(|reference| reference.id.clone()).collect();
            if there.is_empty() {
                return Ok(there);
            }
            tokio::select! {
                biased;
                () = awaited.changed.notified() => {}
                () = sleep_until(deadline) => return Ok(there),
            }
        }
    }

    /// Whether the shared watches show an object to the account of this copy: with lockgate's own account all
    /// objects, with another account only those of the owner. The watches show the health of an object, but
    /// not whether its work is done.
    fn is_shown(&self, reference: &ObjectReference) -> bool {
        let id = &reference.id;
        let index = self.watched.index();
        let watched = !matches!(
            index.watching(&group_kind(id)),
            None | Some(Watching::Broken(ApiFailure::Forbidden(_)))
        );
        watched
            && reference.expect == Expect::Healthy
            && index.health(id).is_some_and(|(_, owner)| {
                self.client.user().is_none() || (owner.is_some() && owner == self.owner.as_ref())
            })
    }

    /// Whether the shared watches show an object that they have shown before and that may have been deleted.
    fn is_shown_or_gone(&self, id: &ObjectId) -> bool {
        let index = self.watched.index();
        !matches!(index.watching(&group_kind(id)), None | Some(Watching::Broken(ApiFailure::Forbidden(_))))
    }

    fn unhealthy(
        &self,
        awaited: &Awaited,
        shared: &[ObjectReference],
        private: &[ObjectReference],
    ) -> Vec<Unhealthy> {
        let (index, rules) = (self.watched.index(), self.rules());
        let of_shared = |id: &ObjectId| index.health(id).map(|(health, _)| health.clone());
        let told = |reference: &ObjectReference, health: Option<Health>| {
            let gone = if reference.expires { Health::Current } else { Health::NotFound };
            let id = &reference.id;
            let health = rules.counted(&id.group, &id.kind, health.unwrap_or(gone));
            (health != Health::Current).then(|| Unhealthy { id: id.clone(), health, cause: None })
        };
        let shared = shared.iter().filter_map(|reference| told(reference, of_shared(&reference.id)));
        let private = private.iter().filter_map(|reference| told(reference, awaited.health(reference)));
        shared.chain(private).collect()
    }

    async fn with_causes(&self, references: &[ObjectReference], settled: Settled) -> Settled {
        let (Settled::Stalled(mut unhealthy) | Settled::TimedOut(mut unhealthy)) = settled.clone() else {
            return settled;
        };
        for one in unhealthy.iter_mut().filter(|one| cause::has_cause(one)).take(CAUSES) {
            if let Some(reference) = references.iter().find(|reference| reference.id == one.id) {
                self.explain(reference, one).await;
            }
        }
        match settled {
            Settled::Stalled(_) => Settled::Stalled(unhealthy),
            _ => Settled::TimedOut(unhealthy),
        }
    }
}

/// The registration of a wait for objects of the shared watches. Dropping it ends the wait.
struct Ticket<'a> {
    watched: &'a Watched,
    ids: Vec<ObjectId>,
    number: u64,
    notify: Arc<Notify>,
}

impl<'a> Ticket<'a> {
    fn take(watched: &'a Watched, ids: Vec<ObjectId>) -> Self {
        let notify = Arc::new(Notify::new());
        let number = watched.index().wait(&ids, &notify);
        Self { watched, ids, number, notify }
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        self.watched.index().leave(&self.ids, self.number);
    }
}
