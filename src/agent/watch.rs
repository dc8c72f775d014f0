//! Watches the agent's own kinds, and labelled ConfigMaps and Secrets. Objects are decoded one by one, so
//! that a malformed one does not block the others.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinSet;

use super::notice::LoopMessage;
use super::shared::Shared;
use super::world::{SeenObject, Tracked, World};
use crate::cluster::{Query, QueryEvent as Shown, version_number};
use lockgate_base::keys;
use lockgate_base::model::{Gvk, KindId, Object, Ref};
use lockgate_core::api::{self, HelmRelease, KindInfo, Kustomization, Role, Source};
use lockgate_core::pipeline::ports::ApiFailure;
use lockgate_core::queue::Signal;

/// How long to wait after a watch was refused, or its kind was not served.
const AGAIN: Duration = Duration::from_secs(5);

/// Follows all kinds that the agent reconciles.
pub(super) fn follow_kinds(shared: &Arc<Shared>, watches: &mut JoinSet<()>) {
    for info in api::acted_on() {
        match info.role {
            Role::Source(_) => watches.spawn(follow::<Source>(Arc::clone(shared), info)),
            Role::Applier(_) if info.id == HelmRelease::ID => {
                watches.spawn(follow::<HelmRelease>(Arc::clone(shared), info))
            }
            Role::Applier(_) => watches.spawn(follow::<Kustomization>(Arc::clone(shared), info)),
            Role::Neither => continue,
        };
    }
}

/// Follows one of the agent's kinds for ever.
async fn follow<O: Tracked>(shared: Arc<Shared>, info: &'static KindInfo) {
    let query = Query::of(&info.gvk(), info.plural, shared.watch_namespace.as_deref(), None);
    let known = Known::<O>::new(Arc::clone(&shared.world));
    run(&shared, &query, Pump::new(info.id, true, shared.notices.clone(), known)).await;
}

/// Follows the labelled ConfigMaps or Secrets: their names and versions, never their content.
pub(super) async fn follow_inputs(shared: Arc<Shared>, kind: KindId) {
    let plural = if kind == KindId::SECRET { "secrets" } else { "configmaps" };
    let gvk = Gvk { group: String::new(), version: "v1".into(), kind: kind.kind.into() };
    let label = Some((keys::WATCH, "Enabled"));
    let query = Query::of(&gvk, plural, shared.watch_namespace.as_deref(), label);
    run(&shared, &query, Pump::new(kind, false, shared.notices.clone(), Versions::new())).await;
}

/// Passes the results of a query to a pump, for ever.
pub(super) async fn run(shared: &Shared, query: &Query, pump: Pump<impl Sink>) {
    let pump = Mutex::new(pump);
    let lock = || pump.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        let standing = |standing: Result<(), ApiFailure>| lock().stands(standing.err());
        let failure = shared.cluster.follow(query, |shown| lock().take(shown), standing).await;
        lock().stands(Some(failure));
        shared.clock.sleep(AGAIN).await;
    }
}

/// Turns objects into signals.
pub(super) trait Sink: Send {
    fn there(&mut self, key: Ref, object: &Object) -> Option<Signal>;
    fn gone(&mut self, key: Ref) -> Option<Signal>;
    /// Ends a list: known objects that are not in `listed` have been deleted.
    fn listed(&mut self, listed: &BTreeSet<Ref>) -> Vec<Signal>;
}

struct Known<O> {
    world: Arc<World>,
    keys: BTreeSet<Ref>,
    form: std::marker::PhantomData<O>,
}

impl<O> Known<O> {
    fn new(world: Arc<World>) -> Self {
        Self { world, keys: BTreeSet::new(), form: std::marker::PhantomData }
    }
}

impl<O: Tracked> Known<O> {
    fn forget(&self, key: Ref) -> Signal {
        self.world.forget::<O>(&key);
        Signal::Gone(key)
    }
}

impl<O: Tracked> Sink for Known<O> {
    fn there(&mut self, key: Ref, object: &Object) -> Option<Signal> {
        let version = version_number(object.text("/metadata/resourceVersion").unwrap_or_default());
        self.keys.insert(key.clone());
        let facts = self.world.see::<O>(&key, SeenObject::read(object), version);
        Some(Signal::Seen(key, facts))
    }

    fn gone(&mut self, key: Ref) -> Option<Signal> {
        self.keys.remove(&key);
        Some(self.forget(key))
    }

    fn listed(&mut self, listed: &BTreeSet<Ref>) -> Vec<Signal> {
        let missed: Vec<Ref> = self.keys.iter().filter(|key| !listed.contains(key)).cloned().collect();
        for key in &missed {
            self.keys.remove(key);
        }
        missed.into_iter().map(|key| self.forget(key)).collect()
    }
}

struct Versions {
    known: BTreeMap<Ref, u64>,
    /// Whether a list was complete, so that an unknown object did not exist.
    synced: bool,
}

impl Sink for Versions {
    fn there(&mut self, key: Ref, object: &Object) -> Option<Signal> {
        let version = version_number(object.text("/metadata/resourceVersion").unwrap_or_default());
        let is_change = match self.known.insert(key.clone(), version) {
            Some(old) => old != version,
            // The objects of the first list have not changed: their readers have read them already, or are
            // about to.
            None => self.synced,
        };
        is_change.then_some(Signal::InputChanged(key))
    }

    fn gone(&mut self, key: Ref) -> Option<Signal> {
        self.known.remove(&key).map(|_| Signal::InputChanged(key))
    }

    fn listed(&mut self, listed: &BTreeSet<Ref>) -> Vec<Signal> {
        self.synced = true;
        let missed: Vec<Ref> = self.known.keys().filter(|key| !listed.contains(key)).cloned().collect();
        missed
            .into_iter()
            .map(|key| {
                self.known.remove(&key);
                Signal::InputChanged(key)
            })
            .collect()
    }
}

impl Versions {
    fn new() -> Self {
        Self { known: BTreeMap::new(), synced: false }
    }
}

/// Passes the events of a watch to the sink, and the sink's signals to the main loop.
pub(super) struct Pump<S> {
    kind: KindId,
    /// Whether the agent cannot work without this watch.
    is_needed: bool,
    notices: UnboundedSender<LoopMessage>,
    sink: S,
    listing: BTreeSet<Ref>,
    /// The state of the watch that was reported last; `None` before the first report.
    is_up: Option<bool>,
    /// Whether the agent does without this watch, because it lacks the right.
    is_spared: bool,
}

impl<S: Sink> Pump<S> {
    pub(super) fn new(kind: KindId, is_needed: bool, notices: UnboundedSender<LoopMessage>, sink: S) -> Self {
        Self { kind, is_needed, notices, sink, listing: BTreeSet::new(), is_up: None, is_spared: false }
    }

    fn take(&mut self, shown: Shown) {
        let mut is_list_end = false;
        let events = match shown {
            Shown::Listing => {
                self.listing.clear();
                Vec::new()
            }
            Shown::There { object, listed } => {
                let key = Ref::new(self.kind, object.namespace().unwrap_or_default(), object.name());
                if listed {
                    self.listing.insert(key.clone());
                }
                self.sink.there(key, &object).into_iter().collect()
            }
            Shown::Left { namespace, name, .. } => {
                self.sink.gone(Ref::new(self.kind, namespace, name)).into_iter().collect()
            }
            Shown::Listed(_) => {
                is_list_end = true;
                self.sink.listed(&std::mem::take(&mut self.listing))
            }
        };
        // The loop ends with the process, and then nobody listens.
        for event in events {
            let _ = self.notices.send(LoopMessage::Queue(Box::new(event)));
        }
        if is_list_end {
            let _ = self.notices.send(LoopMessage::Listed(self.kind.kind));
        }
    }

    /// Reports the state of the watch if it has changed. If the right to an optional watch is missing, the
    /// agent works without it.
    fn stands(&mut self, failure: Option<ApiFailure>) {
        let kind = self.kind.kind;
        let is_spared = !self.is_needed && matches!(failure, Some(ApiFailure::Forbidden(_)));
        if is_spared && !self.is_spared {
            let problem = failure.as_ref().map(ToString::to_string).unwrap_or_default();
            tracing::warn!(watch = kind, %problem, "cannot watch labelled objects; their changes are seen \
                late or not at all");
        }
        self.is_spared = is_spared;
        let failure = failure.filter(|_| !is_spared);
        if self.is_up != Some(failure.is_none()) {
            self.is_up = Some(failure.is_none());
            let _ = self.notices.send(LoopMessage::Reachable { kind, failure });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockgate_core::pipeline::ports::Denied;

    fn shown(name: &str, version: &str, listed: bool) -> Shown {
        let metadata = serde_json::json!({"namespace": "n", "name": name, "resourceVersion": version});
        let value = serde_json::json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata});
        Shown::There { object: Object::parse(value).unwrap(), listed }
    }

    #[test]
    fn an_input_that_is_made_later_is_a_change_and_one_of_the_first_list_is_none() {
        let left = |name: &str| Shown::Left { namespace: "n".into(), name: name.into(), at: 4 };
        let steps = [
            (Shown::Listing, None),
            (shown("old", "1", true), None),
            (Shown::Listed(1), None),
            (shown("old", "1", false), None),
            (shown("new", "2", false), Some("new")),
            (shown("new", "3", false), Some("new")),
            (left("new"), Some("new")),
            (shown("new", "5", false), Some("new")),
            // The watch has lost its place, and lists again.
            (Shown::Listing, None),
            (shown("old", "1", true), None),
            (shown("between", "6", true), Some("between")),
            (Shown::Listed(6), Some("new")),
        ];
        let (notices, mut told) = tokio::sync::mpsc::unbounded_channel();
        let mut pump = Pump::new(KindId::SECRET, false, notices, Versions::new());
        for (step, expected) in steps {
            let what = format!("{step:?}");
            pump.take(step);
            let mut names = Vec::new();
            while let Ok(notice) = told.try_recv() {
                if let LoopMessage::Queue(event) = notice
                    && let Signal::InputChanged(input) = *event
                {
                    assert_eq!((input.kind.kind, input.namespace.as_str()), ("Secret", "n"));
                    names.push(input.name);
                }
            }
            assert_eq!(names.first().map(String::as_str), expected, "{what}");
            assert!(names.len() < 2, "{what}: {names:?}");
        }
    }

    #[test]
    fn how_a_watch_stands_is_told_where_it_changes() {
        let away = || Some(ApiFailure::Unavailable { message: "away".into(), retry_after: None });
        let denied = Denied {
            account: String::new(),
            verb: "watch".into(),
            resource: "secrets".into(),
            namespace: String::new(),
        };
        let refused = || Some(ApiFailure::Forbidden(denied.clone()));
        let (up, down) = (Some(true), Some(false));
        for (is_needed, steps) in [
            (true, [(None, up), (away(), down), (away(), None), (None, up), (refused(), down), (None, up)]),
            (
                false,
                [(None, up), (None, None), (away(), down), (refused(), up), (refused(), None), (None, None)],
            ),
        ] {
            let (notices, mut told) = tokio::sync::mpsc::unbounded_channel();
            let mut pump = Pump::new(KindId::SECRET, is_needed, notices, Versions::new());
            for (failure, expected) in steps {
                let what = format!("{is_needed} {failure:?}");
                pump.stands(failure);
                let is_up = told
                    .try_recv()
                    .ok()
                    .map(|notice| matches!(notice, LoopMessage::Reachable { failure: None, .. }));
                assert_eq!(is_up, expected, "{what}");
            }
        }
    }
}
