//! The forms of the objects that the agent reconciles.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use super::{Extra, Inner, Register, SeenObject, Tracked, World};
use crate::source::Held;
use lockgate_base::model::{ConditionStatus, Conditions, KindId, Object, Ref};
use lockgate_base::tree::Snapshot;
use lockgate_core::api::{
    DependsOn, HelmReleaseSpec, Kind, KustomizationSpec, Malformed, Metadata, Resource, Source, Status as _,
    decode, decode_source,
};
use lockgate_core::graph::DependencyView;
use lockgate_core::pipeline::ReleaseMemo;
use lockgate_core::queue::{Edge, Why};

fn ready_message(conditions: &Conditions) -> Option<&str> {
    conditions.get("Ready").map(|ready| ready.message.as_str())
}

/// A kind whose objects apply other objects.
pub(in crate::agent) trait Applier: Kind {
    /// Further state about an object.
    type Extra: Default + Debug + Send;

    /// The register of this kind.
    fn shelf(inner: &Inner) -> &Register<Resource<Self>>;
    /// The register of this kind, to be changed.
    fn shelf_mut(inner: &mut Inner) -> &mut Register<Resource<Self>>;
    /// The objects whose changes concern an object of this kind.
    fn edges(object: &Resource<Self>) -> Vec<Edge>;
    /// `spec.suspend`.
    fn suspended(&self) -> bool;
    /// `spec.interval`.
    fn interval(&self) -> Duration;
}

impl<K: Applier> Tracked for Resource<K> {
    type Extra = K::Extra;

    fn decode(object: &Object) -> Result<Self, Malformed> {
        decode(object)
    }

    fn shelf(inner: &Inner) -> &Register<Self> {
        K::shelf(inner)
    }

    fn shelf_mut(inner: &mut Inner) -> &mut Register<Self> {
        K::shelf_mut(inner)
    }

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    fn keep_status(&mut self, of: &Self) {
        self.status.clone_from(&of.status);
    }

    fn view(&self) -> DependencyView<'_> {
        DependencyView::of(&self.metadata, &self.status)
    }

    fn message(&self) -> Option<&str> {
        ready_message(self.status.conditions())
    }

    fn edges(&self) -> Vec<Edge> {
        K::edges(self)
    }

    fn suspended(&self) -> bool {
        self.spec.suspended()
    }

    fn interval(&self) -> Duration {
        self.spec.interval()
    }
}

impl Applier for KustomizationSpec {
    type Extra = Extra;

    fn shelf(inner: &Inner) -> &Register<Resource<Self>> {
        &inner.kustomizations
    }

    fn shelf_mut(inner: &mut Inner) -> &mut Register<Resource<Self>> {
        &mut inner.kustomizations
    }

    fn edges(kustomization: &Resource<Self>) -> Vec<Edge> {
        let (own, spec) = (kustomization.reference(), &kustomization.spec);
        let source = spec.source_ref.target(&own.namespace).map(|source| Edge::new(Why::Source, source));
        let substitutes = spec.post_build.iter().flat_map(|build| &build.substitute_from);
        let values = inputs(&own.namespace, substitutes.map(|from| (from.kind.as_str(), from.name.as_str())));
        source.into_iter().chain(dependencies(&own, &spec.depends_on)).chain(values).collect()
    }

    fn suspended(&self) -> bool {
        self.suspend
    }

    fn interval(&self) -> Duration {
        self.interval.std()
    }
}

impl Tracked for Source {
    type Extra = Option<Held>;

    fn decode(object: &Object) -> Result<Self, Malformed> {
        decode_source(object)
    }

    fn shelf(inner: &Inner) -> &Register<Self> {
        &inner.sources
    }

    fn shelf_mut(inner: &mut Inner) -> &mut Register<Self> {
        &mut inner.sources
    }

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    fn keep_status(&mut self, of: &Self) {
        self.status.clone_from(&of.status);
    }

    fn view(&self) -> DependencyView<'_> {
        let view = DependencyView::of(&self.metadata, &self.status);
        if !self.spec.is_static() {
            return view;
        }
        // It has no status, and nothing waits for it.
        let generation = Some(self.metadata.generation);
        DependencyView { observed_generation: generation, ready: Some(ConditionStatus::True), ..view }
    }

    fn message(&self) -> Option<&str> {
        ready_message(self.status.conditions())
    }

    fn edges(&self) -> Vec<Edge> {
        let inputs = self.spec.inputs().into_iter();
        let inputs =
            inputs.map(|(kind, name)| Edge::new(Why::Input, Ref::new(kind, &self.metadata.namespace, name)));
        let upstream = self.upstream().and_then(Result::ok);
        upstream.map(|upstream| Edge::new(Why::Source, upstream)).into_iter().chain(inputs).collect()
    }

    fn suspended(&self) -> bool {
        self.spec.suspended()
    }

    fn interval(&self) -> Duration {
        self.spec.interval().std()
    }
}

/// The edges to the ConfigMaps and Secrets with its values, by kind and name.
fn inputs<'a>(
    namespace: &'a str,
    named: impl Iterator<Item = (&'a str, &'a str)> + 'a,
) -> impl Iterator<Item = Edge> + 'a {
    named.filter_map(move |(kind, name)| {
        let kind = [KindId::CONFIG_MAP, KindId::SECRET].into_iter().find(|id| id.kind == kind)?;
        Some(Edge::new(Why::Input, Ref::new(kind, namespace, name)))
    })
}

/// The edges to an object's dependencies. One that can never be ready is refused by the reconcile.
fn dependencies<'a>(own: &'a Ref, named: &'a [DependsOn]) -> impl Iterator<Item = Edge> + 'a {
    named.iter().filter_map(|named| named.target(own).ok()).map(|to| Edge::new(Why::Dependency, to))
}

/// Further state about a HelmRelease.
#[derive(Debug, Default)]
pub(in crate::agent) struct ReleaseExtra {
    memo: Option<Arc<ReleaseMemo>>,
}

impl Applier for HelmReleaseSpec {
    type Extra = ReleaseExtra;

    fn shelf(inner: &Inner) -> &Register<Resource<Self>> {
        &inner.releases
    }

    fn shelf_mut(inner: &mut Inner) -> &mut Register<Resource<Self>> {
        &mut inner.releases
    }

    fn edges(release: &Resource<Self>) -> Vec<Edge> {
        let (own, spec) = (release.reference(), &release.spec);
        let values = spec.values_from.iter().map(|from| (from.kind.as_str(), from.name.as_str()));
        // The chart is its first dependency, and is waited for like one.
        let chart = release
            .chart()
            .into_iter()
            .flat_map(|chart| [Edge::new(Why::Source, chart.clone()), Edge::new(Why::Dependency, chart)]);
        let values = inputs(&own.namespace, values);
        chart.chain(dependencies(&own, &spec.depends_on)).chain(values).collect()
    }

    fn suspended(&self) -> bool {
        self.suspend
    }

    fn interval(&self) -> Duration {
        self.interval.std()
    }
}

impl World {
    /// The result of a HelmRelease's last success.
    pub(in crate::agent) fn release_memo(&self, key: &Ref) -> Option<Arc<ReleaseMemo>> {
        self.inner().releases.get(key).and_then(|entry| entry.extra.memo.clone())
    }

    pub(in crate::agent) fn remember_release(&self, key: &Ref, memo: Option<ReleaseMemo>) {
        if let Some(entry) = self.inner().releases.get_mut(key) {
            entry.extra.memo = memo.map(Arc::new);
        }
    }
}

/// The files of a source that is Ready now, or why there are none.
pub(in crate::agent) fn chart_of(world: &World, key: &Ref) -> Result<Snapshot, String> {
    let Some((seen, held)) = world.source(key) else { return Err("it does not exist".into()) };
    let source = match seen {
        SeenObject::Sound(source) => source,
        SeenObject::Malformed { message, .. } => return Err(message),
    };
    let ready = source.status.conditions.get("Ready");
    let is_current = source.status.observed_generation == Some(source.metadata.generation);
    match (ready, held.and_then(Held::into_files)) {
        (Some(ready), Some(snapshot)) if is_current && ready.status == ConditionStatus::True => Ok(snapshot),
        (Some(ready), _) if ready.status == ConditionStatus::False => Err(ready.message.clone()),
        _ => Err("it has not been fetched yet".into()),
    }
}
