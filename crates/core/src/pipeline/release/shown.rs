//! A release as its chart makes it, with nothing stored and no cluster that could be asked.

use std::fmt;

use serde_json::{Value, json};

use super::super::dress::take_out;
use super::super::ports::Lookup;
use super::make::{RENDERS, restless};
use super::play::mark;
use super::render::{ReadyChart, RenderEnd, RenderTask, RenderTerms, RenderedParts, chart_of, rendered};
use super::stop::EarlyEnd;
use super::values;
use crate::api::{CrdsPolicy, HelmRelease};
use crate::plan::Foreseen;
use crate::release::{StoredHook, hook_object_in, objects_of};
use crate::verdict::{Common, Redactor, ReleaseEnd};
use lockgate_base::model::Object;
use lockgate_base::tree::Snapshot;
use lockgate_render::RenderedObject;
use lockgate_render::helm::chart::capabilities::Capabilities;
use lockgate_render::helm::context::{LookupQuery, Now};
use lockgate_render::helm::shelf::Shelf;
use lockgate_render::kustomize::is_cluster_scoped;

/// What chance and the clock give to a render.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chance {
    /// What random values are made of.
    pub entropy: [u8; 32],
    /// The time that templates are told.
    pub now: Now,
}

/// A hook of a rendered chart.
#[derive(Debug, Clone, PartialEq)]
pub struct RenderedHook {
    /// The object, and its template.
    pub built: RenderedObject,
    /// When it is run: `pre-install`, ...
    pub events: Vec<String>,
    /// Hooks of one event are run in the order of their weights.
    pub weight: i64,
}

/// `pre-install, pre-upgrade (weight 5)`.
impl fmt::Display for RenderedHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.events.join(", "))?;
        if self.weight == 0 { Ok(()) } else { write!(f, " (weight {})", self.weight) }
    }
}

/// What a release would be.
#[derive(Debug)]
pub(in crate::pipeline) struct ShownRelease {
    /// `name@version` of the chart.
    pub chart: String,
    /// The definitions in `crds/`, and the objects, in the order in which they are applied.
    pub resources: Vec<RenderedObject>,
    /// How many of them are definitions in `crds/`.
    pub definitions: usize,
    /// The hooks.
    pub hooks: Vec<RenderedHook>,
    pub warnings: Vec<String>,
}

/// The source of a release's chart as it was fetched, and whether that is an artifact of a registry, which
/// holds the chart in a folder.
#[derive(Debug, Clone, Copy)]
pub(in crate::pipeline) struct FoundChart<'a> {
    pub snapshot: &'a Snapshot,
    pub is_artifact: bool,
}

/// Renders the chart of a release as the agent would install it. What the chart looks up is not there. The
/// error is what people are told.
pub(in crate::pipeline) async fn shown(
    own: &impl Lookup,
    release: &HelmRelease,
    found: FoundChart<'_>,
    (capabilities, chance): (&Capabilities, Chance),
) -> Result<ShownRelease, String> {
    let mut redactor = Redactor::default();
    let data = values::data(own, release, &mut redactor).await.map_err(told)?;
    let task = RenderTask::of(release, data);
    let chart = chart_of(found.snapshot, found.is_artifact)?;
    let terms = RenderTerms {
        name: release.release_name(),
        namespace: release.target_namespace().to_owned(),
        version: 1,
        is_upgrade: false,
        checks_schema: !release.spec.install.disable_schema_validation,
        capabilities: capabilities.clone(),
        now: chance.now,
        entropy: chance.entropy,
        answers: Vec::new(),
        documents: Vec::new(),
    };
    let (parts, asked) = without_answers(&chart, &task, terms)?;
    let marks = Marks { release, redactor: &redactor, foreseen: foreseen(&parts) };
    let name = format!("{}@{}", chart.head.name(), chart.head.version());
    marks.shown(name, parts, &asked)
}

/// What people are told of values that cannot be had.
fn told(end: EarlyEnd) -> String {
    match end {
        EarlyEnd::Own(ReleaseEnd::Values { message }, _)
        | EarlyEnd::Common(Common::Unreachable { message }) => message,
        EarlyEnd::Own(..) | EarlyEnd::Common(_) => "its values cannot be put together".to_owned(),
    }
}

/// Renders a chart until it asks for nothing more. Each lookup finds nothing, and a document on another host
/// that a schema refers to allows every value.
fn without_answers(
    chart: &ReadyChart,
    task: &RenderTask,
    mut terms: RenderTerms,
) -> Result<(RenderedParts, Vec<LookupQuery>), String> {
    let mut shelf = Shelf::default();
    let mut lookups = 0;
    while lookups < RENDERS {
        match rendered(&mut shelf, chart, task, &terms)? {
            RenderEnd::Done(parts) => {
                return Ok((*parts, terms.answers.into_iter().map(|(query, _)| query).collect()));
            }
            RenderEnd::Wants(urls) => {
                terms.documents.extend(urls.into_iter().map(|url| (url, Ok(b"true".to_vec()))));
            }
            RenderEnd::Asks(queries) => {
                lookups += 1;
                terms.answers.extend(queries.into_iter().map(|query| (query, json!({}))));
            }
        }
    }
    Err(restless())
}

/// The kinds that the chart itself brings.
fn foreseen(parts: &RenderedParts) -> Foreseen {
    let mut foreseen = Foreseen::default();
    parts.definitions.iter().for_each(|(_, definition)| foreseen.learn_kind(definition));
    foreseen
}

/// What the objects of a release are marked by.
struct Marks<'a> {
    release: &'a HelmRelease,
    redactor: &'a Redactor,
    foreseen: Foreseen,
}

impl Marks<'_> {
    fn shown(
        &self,
        chart: String,
        parts: RenderedParts,
        asked: &[LookupQuery],
    ) -> Result<ShownRelease, String> {
        let namespace = self.release.target_namespace();
        let has_definitions = self.release.spec.crds_of_install() != CrdsPolicy::Skip;
        let definitions = parts.definitions.into_iter().filter(|_| has_definitions);
        let mut resources: Vec<_> =
            definitions.map(|(origin, object)| self.rendered(origin, object)).collect();
        let definitions = resources.len();
        for (origin, object) in objects_of(&parts.manifest, namespace)? {
            resources.push(self.marked(origin, object));
        }
        let hook = |hook: StoredHook| {
            let object = hook_object_in(namespace, &hook)?;
            let built = self.rendered(hook.path, self.placed(object));
            Ok::<_, String>(RenderedHook { built, events: hook.events, weight: hook.weight })
        };
        let hooks = parts.hooks.into_iter().map(hook).collect::<Result<_, _>>()?;
        let mut warnings = parts.warnings;
        if !asked.is_empty() {
            let asked: Vec<String> = asked.iter().map(subject).collect();
            let asked = asked.join(", ");
            warnings.push(format!("the chart looks up {asked}, which is not there without a cluster"));
        }
        Ok(ShownRelease { chart, resources, definitions, hooks, warnings })
    }

    fn marked(&self, origin: String, mut object: Object) -> RenderedObject {
        let release = (&*self.release.release_name(), self.release.target_namespace());
        mark(&mut object, release, &self.release.reference());
        self.rendered(origin, self.placed(object))
    }

    fn rendered(&self, origin: String, object: Object) -> RenderedObject {
        let holds_secret = holds(object.value(), self.redactor);
        RenderedObject { object, origin, holds_secret }
    }

    /// An object without the namespace that its kind does not have, as far as that is known without a
    /// cluster.
    fn placed(&self, mut object: Object) -> Object {
        let (group, kind) = (object.group(), object.kind());
        if is_cluster_scoped(object.api_version(), kind) || self.foreseen.is_cluster_wide(group, kind) {
            take_out(&mut object);
        }
        object
    }
}

/// `Secret n/x` for what a chart looks up.
fn subject(query: &LookupQuery) -> String {
    let LookupQuery { kind, namespace, name, .. } = query;
    match (namespace.is_empty(), name.is_empty()) {
        (false, false) => format!("{kind} {namespace}/{name}"),
        (true, false) => format!("{kind} {name}"),
        (false, true) => format!("each {kind} in {namespace}"),
        (true, true) => format!("each {kind}"),
    }
}

/// Whether a text in a value holds a value of a Secret.
fn holds(value: &Value, redactor: &Redactor) -> bool {
    match value {
        Value::String(text) => redactor.redact(text) != *text,
        Value::Array(items) => items.iter().any(|item| holds(item, redactor)),
        Value::Object(fields) => fields.values().any(|field| holds(field, redactor)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}
