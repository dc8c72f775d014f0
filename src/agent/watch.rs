//! Watches the agent's own kinds, and the ConfigMaps and Secrets that ask for it. Objects are read one by one, so that a
//! malformed one holds up no other.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt as _, pin_mut};
use kube::Resource;
use kube::api::{Api, ApiResource, DynamicObject, PartialObjectMeta};
use kube::core::{DynamicResourceScope, GroupVersionKind};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::utils::Backoff;
use kube::runtime::watcher::{self, DefaultBackoff, Event as Watched, watcher};
use tokio::sync::mpsc::UnboundedSender;

use super::Shared;
use super::report::resource;
use super::world::{Seen, World, facts, source_facts};
use crate::api::{GitRepository, Kustomization, keys};
use crate::model::{Key, Object};
use crate::queue::{Event, Input};

/// What a watch tells the main loop.
#[derive(Debug)]
pub(super) enum Notice {
    /// Something for the queue.
    Queue(Event),
    /// The first list of a kind is complete.
    Listed(&'static str),
    /// Whether the API server answers this watch.
    Reachable {
        kind: &'static str,
        /// What went wrong, where it does not.
        problem: Option<String>,
    },
}

/// The pauses between attempts to watch: growing, each of a random length, and short enough that an API server that is back
/// is noticed.
#[derive(Default)]
struct Pauses(DefaultBackoff);

/// The longest of them.
const PAUSE: Duration = Duration::from_secs(5);

impl Iterator for Pauses {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        self.0.next().map(|pause| pause.min(PAUSE))
    }
}

impl Backoff for Pauses {
    fn reset(&mut self) {
        self.0.reset();
    }
}

/// Follows one of our kinds for ever.
pub(super) async fn follow<K: Tracked>(shared: Arc<Shared>) {
    let api: Api<DynamicObject> = served(&shared, &resource::<K>());
    let stream = watcher(api, watcher::Config::default()).backoff(Pauses::default());
    pump(stream, K::KIND, &shared.notices, Known::<K>::new(Arc::clone(&shared.world))).await;
}

fn served<K>(shared: &Shared, resource: &ApiResource) -> Api<K>
where
    K: Resource<DynamicType = ApiResource, Scope = DynamicResourceScope>,
{
    match &shared.watch_namespace {
        Some(namespace) => Api::namespaced_with(shared.client.clone(), namespace, resource),
        None => Api::all_with(shared.client.clone(), resource),
    }
}

/// Follows the labelled ConfigMaps or Secrets: their names and versions, never their content.
pub(super) async fn follow_inputs(shared: Arc<Shared>, kind: &'static str) {
    let plural = if kind == "Secret" { "secrets" } else { "configmaps" };
    let resource = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk("", "v1", kind), plural);
    let api: Api<PartialObjectMeta<DynamicObject>> = served(&shared, &resource);
    let config = watcher::Config::default().labels(&format!("{}=Enabled", keys::WATCH));
    let stream = watcher(api, config).backoff(Pauses::default());
    pump(stream, kind, &shared.notices, Versions::new(kind)).await;
}

/// A kind that the agent serves.
pub(super) trait Tracked: super::world::Own + Send + Sync + 'static {
    fn take_in(world: &World, key: &Key, object: &Object, version: u64) -> Event;
    fn let_go(world: &World, key: Key) -> Event;
}

impl Tracked for Kustomization {
    fn take_in(world: &World, key: &Key, object: &Object, version: u64) -> Event {
        let seen = Seen::read(object);
        let event = Event::Seen(key.clone(), facts(&seen));
        world.see_kustomization(key, seen, version);
        event
    }

    fn let_go(world: &World, key: Key) -> Event {
        world.forget_kustomization(&key);
        Event::Gone(key)
    }
}

impl Tracked for GitRepository {
    fn take_in(world: &World, key: &Key, object: &Object, version: u64) -> Event {
        let seen = Seen::read(object);
        let event = Event::SourceSeen(key.clone(), source_facts(&seen));
        world.see_source(key, seen, version);
        event
    }

    fn let_go(world: &World, key: Key) -> Event {
        world.forget_source(&key);
        Event::SourceGone(key)
    }
}

/// Makes queue events of objects.
trait Sink<T> {
    fn there(&mut self, object: T) -> Option<Event>;
    fn gone(&mut self, object: T) -> Option<Event>;
    /// Ends a list: those that were known and are not in `listed` have gone.
    fn listed(&mut self, listed: &BTreeSet<Key>) -> Vec<Event>;
    fn key(&self, object: &T) -> Key;
}

struct Known<K> {
    world: Arc<World>,
    keys: BTreeSet<Key>,
    kind: std::marker::PhantomData<K>,
}

impl<K> Known<K> {
    fn new(world: Arc<World>) -> Self {
        Self { world, keys: BTreeSet::new(), kind: std::marker::PhantomData }
    }
}

impl<K: Tracked> Sink<DynamicObject> for Known<K> {
    fn there(&mut self, object: DynamicObject) -> Option<Event> {
        let key = self.key(&object);
        let version = version(object.metadata.resource_version.as_deref());
        let mut value = serde_json::to_value(object).ok()?;
        // Items of a list carry no type of their own.
        value["apiVersion"] = format!("{}/{}", K::GROUP, K::VERSIONS[0]).into();
        value["kind"] = K::KIND.into();
        let object = Object::parse(value).ok()?;
        self.keys.insert(key.clone());
        Some(K::take_in(&self.world, &key, &object, version))
    }

    fn gone(&mut self, object: DynamicObject) -> Option<Event> {
        let key = self.key(&object);
        self.keys.remove(&key);
        Some(K::let_go(&self.world, key))
    }

    fn listed(&mut self, listed: &BTreeSet<Key>) -> Vec<Event> {
        let missed: Vec<Key> = self.keys.iter().filter(|key| !listed.contains(key)).cloned().collect();
        for key in &missed {
            self.keys.remove(key);
        }
        missed.into_iter().map(|key| K::let_go(&self.world, key)).collect()
    }

    fn key(&self, object: &DynamicObject) -> Key {
        let metadata = &object.metadata;
        Key::new(metadata.namespace.clone().unwrap_or_default(), metadata.name.clone().unwrap_or_default())
    }
}

struct Versions {
    kind: &'static str,
    known: HashMap<Key, String>,
    /// Whether a list was complete, so that what is not known was not there.
    synced: bool,
}

impl Sink<PartialObjectMeta<DynamicObject>> for Versions {
    fn there(&mut self, object: PartialObjectMeta<DynamicObject>) -> Option<Event> {
        let key = self.key(&object);
        let version = object.metadata.resource_version.unwrap_or_default();
        let is_change = match self.known.insert(key.clone(), version.clone()) {
            Some(old) => old != version,
            // What the first list shows is no change: whoever reads it has done so or is about to.
            None => self.synced,
        };
        is_change.then(|| self.changed(key))
    }

    fn gone(&mut self, object: PartialObjectMeta<DynamicObject>) -> Option<Event> {
        let key = self.key(&object);
        self.known.remove(&key).map(|_| self.changed(key))
    }

    fn listed(&mut self, listed: &BTreeSet<Key>) -> Vec<Event> {
        self.synced = true;
        let missed: Vec<Key> = self.known.keys().filter(|key| !listed.contains(key)).cloned().collect();
        missed
            .into_iter()
            .map(|key| {
                self.known.remove(&key);
                self.changed(key)
            })
            .collect()
    }

    fn key(&self, object: &PartialObjectMeta<DynamicObject>) -> Key {
        let metadata = &object.metadata;
        Key::new(metadata.namespace.clone().unwrap_or_default(), metadata.name.clone().unwrap_or_default())
    }
}

impl Versions {
    fn new(kind: &'static str) -> Self {
        Self { kind, known: HashMap::new(), synced: false }
    }

    fn changed(&self, key: Key) -> Event {
        Event::InputChanged(Input { kind: self.kind.into(), key })
    }
}

/// Hands what a watch shows to the sink, and what the sink makes of it to the main loop.
async fn pump<T>(
    stream: impl Stream<Item = Result<Watched<T>, watcher::Error>>,
    kind: &'static str,
    notices: &UnboundedSender<Notice>,
    mut sink: impl Sink<T>,
) {
    pin_mut!(stream);
    let mut listing = BTreeSet::new();
    let mut healthy = None;
    while let Some(item) = stream.next().await {
        let problem = item.as_ref().err().map(ToString::to_string);
        if healthy != Some(problem.is_none()) {
            healthy = Some(problem.is_none());
            // The loop ends with the process, and then nobody listens.
            let _ = notices.send(Notice::Reachable { kind, problem });
        }
        let Ok(event) = item else { continue };
        let is_list_end = matches!(event, Watched::InitDone);
        let events = match event {
            Watched::Init => {
                listing.clear();
                Vec::new()
            }
            Watched::InitApply(object) => {
                listing.insert(sink.key(&object));
                sink.there(object).into_iter().collect()
            }
            Watched::InitDone => sink.listed(&std::mem::take(&mut listing)),
            Watched::Apply(object) => sink.there(object).into_iter().collect(),
            Watched::Delete(object) => sink.gone(object).into_iter().collect(),
        };
        for event in events {
            let _ = notices.send(Notice::Queue(event));
        }
        if is_list_end {
            let _ = notices.send(Notice::Listed(kind));
        }
    }
}

/// A resourceVersion as a number; all API servers over etcd count.
pub(super) fn version(resource_version: Option<&str>) -> u64 {
    resource_version.and_then(|text| text.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_input_that_is_made_later_is_a_change_and_one_of_the_first_list_is_none() {
        let object = |name: &str, version: &str| {
            let metadata = serde_json::json!({"namespace": "n", "name": name, "resourceVersion": version});
            serde_json::from_value::<PartialObjectMeta<DynamicObject>>(
                serde_json::json!({"metadata": metadata}),
            )
            .unwrap()
        };
        let steps = [
            (Watched::Init, None),
            (Watched::InitApply(object("old", "1")), None),
            (Watched::InitDone, None),
            (Watched::Apply(object("old", "1")), None),
            (Watched::Apply(object("new", "2")), Some("new")),
            (Watched::Apply(object("new", "3")), Some("new")),
            (Watched::Delete(object("new", "4")), Some("new")),
            (Watched::Apply(object("new", "5")), Some("new")),
            // The watch has lost its place and lists anew.
            (Watched::Init, None),
            (Watched::InitApply(object("old", "1")), None),
            (Watched::InitApply(object("between", "6")), Some("between")),
            (Watched::InitDone, Some("new")),
        ];
        let expected: Vec<&str> = steps.iter().filter_map(|(_, name)| *name).collect();
        let (notices, mut told) = tokio::sync::mpsc::unbounded_channel();
        let stream = futures::stream::iter(steps.into_iter().map(|(event, _)| Ok(event)));
        pump(stream, "Secret", &notices, Versions::new("Secret")).await;
        drop(notices);
        let mut names = Vec::new();
        while let Some(notice) = told.recv().await {
            if let Notice::Queue(Event::InputChanged(input)) = notice {
                assert_eq!((input.kind.as_str(), input.key.namespace.as_str()), ("Secret", "n"));
                names.push(input.key.name);
            }
        }
        assert_eq!(names, expected);
    }
}
