//! Following objects that the shared watches do not show: those of others, those that only an impersonated
//! account may see, and those that are on their way out. The watches end with the feed.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use tokio::sync::Notify;
use tokio::time::sleep;

use super::client::JSON;
use super::failure::RequestFailure;
use super::follow::{Query, QueryEvent};
use super::handle::Cluster;
use super::path::{ServedKind, encode};
use lockgate_base::model::{Object, ObjectId};
use lockgate_core::health::{Health, HealthRules, completion, health};
use lockgate_core::pipeline::ports::{ApiFailure, Expect, ObjectReference};

/// The pause between looks at objects that the account may read but not watch.
const LOOK: Duration = Duration::from_secs(5);

/// What is known of a set of objects, kept up to date while [`Feed::run`] runs.
#[derive(Debug, Default)]
pub(super) struct Feed {
    groups: Vec<Group>,
    seen: Mutex<Known>,
    /// Told at each change.
    pub(super) changed: Notify,
}

/// Objects of one kind in one namespace: one watch.
#[derive(Debug)]
struct Group {
    resource: ServedKind,
    namespace: String,
    wanted: BTreeMap<String, ObjectReference>,
}

#[derive(Debug, Default)]
struct Known {
    health: HashMap<ObjectId, Health>,
    /// How many groups have been listed once.
    listed: usize,
}

impl Feed {
    /// A feed of these objects. Those of kinds that the cluster does not have are not there, and stay so.
    pub(super) async fn new(cluster: &Cluster, references: &[ObjectReference]) -> Result<Self, ApiFailure> {
        let mut groups: BTreeMap<(ServedKind, String), BTreeMap<String, ObjectReference>> = BTreeMap::new();
        for reference in references {
            let resource = match cluster.shared.discovery.any(&cluster.shared.client, reference).await {
                Ok(resource) => resource,
                Err(RequestFailure::UnknownKind { unreachable: false, .. }) => continue,
                Err(failure) => return Err(failure.into()),
            };
            let namespace = if resource.namespaced { reference.id.namespace.clone() } else { String::new() };
            groups
                .entry((resource, namespace))
                .or_default()
                .insert(reference.id.name.clone(), reference.clone());
        }
        let groups = groups
            .into_iter()
            .map(|((resource, namespace), wanted)| Group { resource, namespace, wanted })
            .collect();
        Ok(Self { groups, ..Self::default() })
    }

    /// Whether all objects have been looked at once.
    pub(super) fn is_complete(&self) -> bool {
        self.known().listed >= self.groups.len()
    }

    /// The health of an object; `None` when it is not there.
    pub(super) fn health(&self, id: &ObjectId) -> Option<Health> {
        self.known().health.get(id).cloned()
    }

    /// Follows the objects. Returns when they can neither be watched nor read; without objects, never.
    pub(super) async fn run(&self, cluster: &Cluster) -> ApiFailure {
        let mut groups: FuturesUnordered<_> =
            self.groups.iter().map(|group| self.follow(cluster, group)).collect();
        match groups.next().await {
            Some(failure) => failure,
            None => std::future::pending().await,
        }
    }

    async fn follow(&self, cluster: &Cluster, group: &Group) -> ApiFailure {
        let selector = match group.wanted.keys().next() {
            Some(name) if group.wanted.len() == 1 => {
                format!("fieldSelector={}", encode(&format!("metadata.name={name}")))
            }
            _ => String::new(),
        };
        let query = Query::new(&group.resource, &group.namespace, &selector);
        let mut there = HashSet::new();
        let mut first = true;
        let failure = query
            .follow(
                &cluster.client,
                |seen| match seen {
                    QueryEvent::Listing => there.clear(),
                    QueryEvent::There { object, .. } => {
                        there.insert(object.name().to_owned());
                        self.there(group, &object);
                    }
                    QueryEvent::Left { name, .. } => self.left(group, &name),
                    QueryEvent::Listed(_) => {
                        for name in group.wanted.keys().filter(|name| !there.contains(*name)) {
                            self.left(group, name);
                        }
                        self.listed(&mut first);
                    }
                },
                |_| {},
            )
            .await;
        if matches!(failure, ApiFailure::Forbidden(_)) {
            return self.look(cluster, group, first).await;
        }
        // The kind has gone, and its objects with it.
        for name in group.wanted.keys() {
            self.left(group, name);
        }
        self.listed(&mut first);
        std::future::pending().await
    }

    /// Reads the objects again and again, for an account that may not watch them.
    async fn look(&self, cluster: &Cluster, group: &Group, mut first: bool) -> ApiFailure {
        loop {
            for (name, reference) in &group.wanted {
                match cluster.live(&group.resource, reference, JSON).await {
                    Ok(Some(object)) => self.there(group, &object),
                    Ok(None) => self.left(group, name),
                    Err(failure) => match ApiFailure::from(failure) {
                        failure @ ApiFailure::Forbidden(_) => return failure,
                        failure => tracing::debug!(%failure, "failed to read an object"),
                    },
                }
            }
            self.listed(&mut first);
            sleep(LOOK).await;
        }
    }

    fn there(&self, group: &Group, object: &Object) {
        if let Some(reference) = group.wanted.get(object.name()) {
            let health = match reference.expect {
                Expect::Healthy => health(object, &HealthRules::BUILT_IN),
                Expect::Completed => completion(object, &HealthRules::BUILT_IN),
            };
            self.known().health.insert(reference.id.clone(), health);
            self.changed.notify_one();
        }
    }

    fn left(&self, group: &Group, name: &str) {
        if let Some(reference) = group.wanted.get(name) {
            self.known().health.remove(&reference.id);
            self.changed.notify_one();
        }
    }

    fn listed(&self, first: &mut bool) {
        if std::mem::take(first) {
            self.known().listed += 1;
            self.changed.notify_one();
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
