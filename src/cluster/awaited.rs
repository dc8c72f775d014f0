//! The objects of one wait that the shared watches do not show, each in the feed of its kind and namespace.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use tokio::sync::Notify;

use super::failure::RequestFailure;
use super::feed::Feed;
use super::handle::Cluster;
use super::path::ServedKind;
use lockgate_core::health::Health;
use lockgate_core::pipeline::ports::{ApiFailure, ObjectReference};

/// The objects of a wait. A feed ends with the last wait for one of its objects.
pub(super) struct Awaited {
    groups: Vec<Group>,
    /// The group of each object. Objects of kinds that the cluster does not have are in none.
    places: HashMap<ObjectReference, usize>,
    /// Notified of each change.
    pub(super) changed: Arc<Notify>,
}

/// The objects of one feed.
struct Group {
    feed: Arc<Feed>,
    references: Vec<ObjectReference>,
    ticket: u64,
}

impl Drop for Group {
    fn drop(&mut self) {
        self.feed.state.leave(&self.references, self.ticket);
    }
}

impl Awaited {
    /// Begins a wait for objects. Those of kinds that the cluster does not have count as missing.
    pub(super) async fn new(cluster: &Cluster, references: &[ObjectReference]) -> Result<Self, ApiFailure> {
        let mut kinds: BTreeMap<(ServedKind, String), Vec<ObjectReference>> = BTreeMap::new();
        for reference in references {
            let resource = match cluster.shared.discovery.any(&cluster.shared.client, reference).await {
                Ok(resource) => resource,
                Err(RequestFailure::UnknownKind { unreachable: false, .. }) => continue,
                Err(failure) => return Err(failure.into()),
            };
            let namespace = if resource.namespaced { reference.id.namespace.clone() } else { String::new() };
            kinds.entry((resource, namespace)).or_default().push(reference.clone());
        }
        let changed = Arc::new(Notify::new());
        let (mut groups, mut places) = (Vec::with_capacity(kinds.len()), HashMap::new());
        for (at, ((resource, namespace), references)) in kinds.into_iter().enumerate() {
            let feed = cluster.feed(&resource, &namespace);
            let ticket = feed.state.join(&references, &changed);
            places.extend(references.iter().map(|reference| (reference.clone(), at)));
            groups.push(Group { feed, references, ticket });
        }
        Ok(Self { groups, places, changed })
    }

    /// Whether all objects have been read since the wait began.
    pub(super) fn is_complete(&self) -> bool {
        self.groups.iter().all(|group| group.feed.state.covers(group.ticket))
    }

    /// The health of an object; `None` if it does not exist.
    pub(super) fn health(&self, reference: &ObjectReference) -> Option<Health> {
        let group = self.groups.get(*self.places.get(reference)?)?;
        group.feed.state.health(reference)
    }

    /// Why one of the objects can be neither watched nor read.
    pub(super) fn refusal(&self) -> Option<ApiFailure> {
        let refused = |group: &Group| group.references.iter().find_map(|one| group.feed.state.refusal(one));
        self.groups.iter().find_map(refused)
    }
}
