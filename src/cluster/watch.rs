//! The watches: one for each owner label in use and each kind of our objects with that label, over all
//! namespaces. They request type and metadata alone if health needs no more. They run with the agent's own
//! identity.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::client::Client;
use super::discovery::Discovery;
use super::follow::{Query, QueryEvent};
use super::index::{GroupKind, HeldChange, Index, Watching, key};
use super::judge;
use super::path::{ServedKind, encode};
use lockgate_base::model::{KindId, Object, Ref};
use lockgate_core::api::Ownership;
use lockgate_core::pipeline::ports::ApiFailure;

/// The pause after a refusal of the right to watch.
const DENIED: Duration = Duration::from_mins(1);

/// The watches of one cluster. Dropping it ends them.
#[derive(Debug)]
pub(super) struct Watches {
    client: Client,
    discovery: Arc<Discovery>,
    changes: mpsc::UnboundedSender<HeldChange>,
    watched: Mutex<BTreeMap<KindId, Arc<Watched>>>,
    tasks: Mutex<JoinSet<()>>,
}

/// The objects that owners of one kind manage, as the watches of their owner label show them.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) ownership: &'static Ownership,
    index: Mutex<Index>,
}

impl Watched {
    /// The index. The guard must not be held across an await.
    pub(super) fn index(&self) -> MutexGuard<'_, Index> {
        lock(&self.index)
    }
}

impl Watches {
    pub(super) fn new(
        client: Client,
        discovery: Arc<Discovery>,
        changes: mpsc::UnboundedSender<HeldChange>,
    ) -> Self {
        Self { client, discovery, changes, watched: Mutex::default(), tasks: Mutex::new(JoinSet::new()) }
    }

    /// The managed objects of the owners of one kind.
    pub(super) fn watched(&self, ownership: &'static Ownership) -> Arc<Watched> {
        let new = || Arc::new(Watched { ownership, index: Mutex::default() });
        Arc::clone(lock(&self.watched).entry(ownership.kind).or_insert_with(new))
    }

    /// The managed objects of all kinds of owners.
    pub(super) fn all(&self) -> Vec<Arc<Watched>> {
        lock(&self.watched).values().cloned().collect()
    }

    /// Sends changes to the receiver.
    pub(super) fn report(&self, changes: impl IntoIterator<Item = HeldChange>) {
        for change in changes {
            // A missing receiver is no error: a command does not need changes.
            let _ = self.changes.send(change);
        }
    }

    /// Registers an object as managed, and starts the watch of its kind. Without a holder the owner in its
    /// labels counts.
    pub(super) fn hold(
        &self,
        watched: &Arc<Watched>,
        object: &Object,
        resource: &ServedKind,
        holder: Option<&Ref>,
        wrote: bool,
    ) {
        let kind = (object.group().to_owned(), object.kind().to_owned());
        let sighting = judge::sight(object, watched.ownership);
        if sighting.owner.is_none() {
            return;
        }
        let (is_new, change) = {
            let mut index = watched.index();
            (index.open(&kind), index.hold(&kind, sighting, holder, wrote))
        };
        self.report(change);
        if is_new {
            self.start(watched, kind, resource);
        }
    }

    fn start(&self, watched: &Arc<Watched>, kind: GroupKind, resource: &ServedKind) {
        let task = Task {
            client: self.client.clone(),
            discovery: Arc::clone(&self.discovery),
            watched: Arc::clone(watched),
            changes: self.changes.clone(),
            query: query(resource, watched.ownership),
            kind,
        };
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task.run());
    }
}

/// The query of a kind: the objects with an owner label.
fn query(resource: &ServedKind, ownership: &Ownership) -> Query {
    Query::new(resource, "", &format!("labelSelector={}", encode(ownership.name_label)))
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The watch of one kind.
struct Task {
    client: Client,
    discovery: Arc<Discovery>,
    watched: Arc<Watched>,
    changes: mpsc::UnboundedSender<HeldChange>,
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
                        self.watched.index().set_watching(&self.kind, watching);
                    },
                )
                .await;
            if !matches!(failure, ApiFailure::Forbidden(_)) {
                tracing::info!(watch = %self.kind.1, group = %self.kind.0, %failure, "stopped watching the kind");
                self.discovery.forget(&self.kind.0, &self.kind.1);
                let gone = self.watched.index().close(&self.kind);
                self.report(gone);
                return;
            }
            // Retried each minute, and reported when it becomes true.
            if self.watched.index().set_watching(&self.kind, Watching::Broken(failure.clone())) {
                tracing::warn!(%failure, "drift is detected at the interval only");
            }
            sleep(DENIED).await;
        }
    }

    fn take(&self, seen: QueryEvent, there: &mut HashSet<(Box<str>, Box<str>)>) {
        match seen {
            QueryEvent::Listing => there.clear(),
            QueryEvent::There { object, listed } => {
                if listed {
                    there.insert(key(object.namespace().unwrap_or_default(), object.name()));
                }
                let sighting = judge::sight(&object, self.watched.ownership);
                let change = self.watched.index().seen(&self.kind, sighting);
                self.report(change);
            }
            QueryEvent::Left { namespace, name, at } => {
                let change = self.watched.index().left(&self.kind, &namespace, &name, at);
                self.report(change);
            }
            QueryEvent::Listed(at) => {
                let changes = self.watched.index().listed(&self.kind, &std::mem::take(there), at);
                self.report(changes);
            }
        }
    }

    fn report(&self, changes: impl IntoIterator<Item = HeldChange>) {
        for change in changes {
            let _ = self.changes.send(change);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use lockgate_core::api::{self, Kustomization};

    const HELM_RELEASE: KindId = KindId { group: "helm.toolkit.fluxcd.io", kind: "HelmRelease" };

    fn config_map(labels: &Value, entries: &Value) -> Object {
        let metadata = json!({"name": "a", "namespace": "n", "uid": "u", "resourceVersion": "1", "labels": labels,
                              "managedFields": entries});
        Object::parse(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})).unwrap()
    }

    /// The owners of each kind have watches for their own label, and are notified of drift of their own
    /// objects only.
    #[tokio::test]
    async fn what_one_kind_of_appliers_holds_is_no_concern_of_another() {
        let config = kube::Config::new("http://127.0.0.1:9".parse().unwrap());
        let (changes, mut heard) = mpsc::unbounded_channel();
        let watches = Watches::new(Client::from_config(config).unwrap(), Arc::default(), changes);
        let (helm, kustomize) =
            (api::info(HELM_RELEASE).unwrap().ownership().unwrap(), Kustomization::OWNERSHIP);
        let resource = ServedKind {
            group: String::new(),
            version: "v1".into(),
            kind: "ConfigMap".into(),
            plural: "configmaps".into(),
            namespaced: true,
        };
        for (ownership, label) in
            [(helm, "helm.toolkit.fluxcd.io"), (kustomize, "kustomize.toolkit.fluxcd.io")]
        {
            let query = format!("{:?}", query(&resource, ownership));
            assert!(
                query.contains(&format!("labelSelector={}", encode(&format!("{label}/name")))),
                "{query}"
            );
        }

        let labels = json!({"helm.toolkit.fluxcd.io/name": "app", "helm.toolkit.fluxcd.io/namespace": "n"});
        let entry = |manager: &str, fields: Value| json!({"manager": manager, "operation": "Apply", "fieldsV1": fields});
        let applied = config_map(&labels, &json!([entry("helm-controller", json!({"f:data": {}}))]));
        watches.hold(&watches.watched(kustomize), &applied, &resource, None, false);
        watches.hold(&watches.watched(helm), &applied, &resource, None, false);
        assert_eq!(watches.all().len(), 2);
        let id = applied.id();
        let knows = |ownership| watches.watched(ownership).index().health(&id).is_some();
        assert_eq!((knows(kustomize), knows(helm)), (false, true), "it has the labels of Helm alone");

        let kind = (String::new(), "ConfigMap".to_owned());
        let taken = json!([entry("helm-controller", json!({})), entry("someone", json!({"f:data": {}}))]);
        let seen = judge::sight(&config_map(&labels, &taken), helm);
        watches.report(watches.watched(helm).index().seen(&kind, seen));
        let owner = Ref::new(HELM_RELEASE, "n", "app");
        let by = Some("someone".to_owned());
        assert_eq!(heard.try_recv().unwrap(), HeldChange::Drifted { id, owner, by, policy: None });
    }
}
