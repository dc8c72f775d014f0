//! Keeps a feed up to date by a watch, or by reads if the account may not watch or too many watches are open.
//! Each wait that joins causes a new list, so that no wait ends by an earlier state.

use std::collections::HashSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use super::client::{JSON, METADATA};
use super::feed::{Feed, FeedKey, FeedState};
use super::follow::{Query, QueryEvent};
use super::handle::Cluster;
use super::judge;
use super::path::{ServedKind, encode};
use lockgate_core::pipeline::ports::{ApiFailure, ObjectReference};

/// The pause between two reads of objects without a watch.
const LOOK: Duration = Duration::from_secs(5);
/// What each object adds to the pause: all feeds of an account together read twenty objects a second.
const EACH: Duration = Duration::from_millis(50);
/// The shortest time between two lists for new waits; the waits that join meanwhile share one.
const APART: Duration = Duration::from_millis(200);

impl Cluster {
    /// The feed for the objects of a kind in a namespace, as far as this copy of the cluster may see them.
    pub(super) fn feed(&self, resource: &ServedKind, namespace: &str) -> Arc<Feed> {
        let user = self.client.user().map(ToOwned::to_owned);
        let key = FeedKey { user, resource: resource.clone(), namespace: namespace.to_owned() };
        self.shared.feeds.share(&key, |feed| {
            let tenant = self.owner.as_ref().map_or("", |owner| owner.namespace.as_str()).into();
            let feeder = Feeder { cluster: self.clone(), feed, key: key.clone(), tenant };
            tokio::spawn(feeder.run()).abort_handle()
        })
    }
}

/// Keeps a feed up to date. It ends together with the feed.
struct Feeder {
    cluster: Cluster,
    feed: Arc<FeedState>,
    key: FeedKey,
    /// The namespace whose share the watch counts against.
    tenant: Arc<str>,
}

impl Feeder {
    async fn run(self) -> Infallible {
        loop {
            let watch = self.cluster.shared.feeds.watches.take(&self.tenant);
            let place = tokio::select! {
                biased;
                place = watch => place,
                never = self.look() => match never {},
            };
            let failure = self.watch().await;
            drop(place);
            if matches!(failure, ApiFailure::Forbidden(_)) {
                match self.look().await {}
            }
            // The kind is gone, and so are its objects.
            let (last, _) = self.feed.begin();
            self.feed.listed(last, &HashSet::new());
            tokio::select! {
                biased;
                () = self.feed.joined_after(last) => sleep(APART).await,
                () = sleep(LOOK) => {}
            }
        }
    }

    /// Watches until the right is missing, or the kind is gone.
    async fn watch(&self) -> ApiFailure {
        loop {
            let (last, wanted) = self.feed.begin();
            let next = Instant::now() + APART;
            let others = async {
                self.feed.joined_after(last).await;
                sleep_until(next).await;
            };
            if wanted.is_empty() {
                self.feed.joined_after(last).await;
                continue;
            }
            tokio::select! {
                biased;
                failure = self.follow(last, &wanted) => return failure,
                () = others => {}
            }
        }
    }

    async fn follow(&self, last: u64, wanted: &[ObjectReference]) -> ApiFailure {
        let selector = match wanted {
            [one] => format!("fieldSelector={}", encode(&format!("metadata.name={}", one.id.name))),
            _ => String::new(),
        };
        let query = Query::new(&self.key.resource, &self.key.namespace, &selector);
        let mut there = HashSet::new();
        let sink = |seen| match seen {
            QueryEvent::Listing => there.clear(),
            QueryEvent::There { object, listed } => {
                if listed {
                    there.insert(object.name().to_owned());
                }
                self.feed.there(&object);
            }
            QueryEvent::Left { name, .. } => self.feed.left(&name),
            QueryEvent::Listed(_) => self.feed.listed(last, &std::mem::take(&mut there)),
        };
        query.follow(&self.cluster.client, sink, |_| {}).await
    }

    /// Reads the objects at intervals.
    async fn look(&self) -> Infallible {
        loop {
            let (last, wanted) = self.feed.begin();
            let next = Instant::now() + APART;
            let mut is_complete = true;
            for reference in &wanted {
                is_complete &= self.look_at(reference).await;
            }
            if is_complete {
                self.feed.looked(last);
            }
            let feeds = self.cluster.shared.feeds.of_account(self.key.user.as_deref());
            let all = u32::try_from(wanted.len() * feeds).unwrap_or(u32::MAX);
            tokio::select! {
                biased;
                () = self.feed.joined_after(last) => sleep_until(next).await,
                () = sleep(LOOK.max(EACH.saturating_mul(all))) => {}
            }
        }
    }

    /// Reads one object. Returns whether the server has answered.
    async fn look_at(&self, reference: &ObjectReference) -> bool {
        let resource = &self.key.resource;
        let accept = if judge::is_stateless(&resource.group, &resource.kind) { METADATA } else { JSON };
        match self.cluster.live(resource, reference, accept).await {
            Ok(Some(object)) => self.feed.there(&object),
            Ok(None) => self.feed.left(&reference.id.name),
            Err(failure) => match ApiFailure::from(failure) {
                failure @ ApiFailure::Forbidden(_) => self.feed.refused(&reference.id.name, failure),
                failure => {
                    tracing::debug!(%failure, "failed to read an object");
                    return false;
                }
            },
        }
        true
    }
}

#[cfg(test)]
mod tests;
