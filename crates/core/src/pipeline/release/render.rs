//! From a chart and values to a version that can be stored. It is pure, and runs on the threads for builds.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::{Map, Value};

use crate::api::{HelmRelease, ValuesFrom};
use crate::release::{ChartHead, HookRun, StoredHook};
use lockgate_base::model::yaml::{Dialect, first_document};
use lockgate_base::model::{Object, Secret};
use lockgate_base::tree::{Snapshot, Tree};
use lockgate_render::helm::chart::archive::Bounds;
use lockgate_render::helm::chart::capabilities::Capabilities;
use lockgate_render::helm::chart::package::{Edits, PackageError, chart_folder, package};
use lockgate_render::helm::chart::references::Documents;
use lockgate_render::helm::chart::{Chart, files_of};
use lockgate_render::helm::context::{LookupQuery, Lookups, NoCluster, Now, RenderContext};
use lockgate_render::helm::error::Error;
use lockgate_render::helm::manifest::{print, split::documents};
use lockgate_render::helm::postrender::{self, PostRender};
use lockgate_render::helm::release::{Release, render};
use lockgate_render::helm::shelf::Shelf;
use lockgate_render::helm::stored;
use lockgate_render::helm::value::Value as HelmValue;
use lockgate_render::helm::values::GivenValues;
use lockgate_render::helm::values::references::ValuesReference;

/// How many hex digits of an artifact's digest its chart's version tells.
const DIGITS: usize = 12;

/// The data of the ConfigMaps and Secrets that values are taken from, by kind and name.
pub(super) type ValuesData = BTreeMap<(String, String), BTreeMap<String, Secret<Vec<u8>>>>;

/// A chart that is ready for a release.
#[derive(Debug, Clone)]
pub(super) struct ReadyChart {
    /// Its root.
    pub(super) tree: Tree,
    /// The digest of its files.
    pub(super) content: String,
    /// What is compared of it.
    pub(super) head: ChartHead,
    /// The digest of the artifact that it came in.
    pub(super) oci: Option<String>,
}

/// Reads the chart that a source holds. An artifact of a registry holds it in a folder, and its digest tells
/// one build of a version from another.
pub(super) fn chart_of(snapshot: &Snapshot, is_artifact: bool) -> Result<ReadyChart, String> {
    let text = |error: PackageError| match error {
        PackageError::Chart(error) | PackageError::Version(error) | PackageError::Values(error) => {
            error.text()
        }
    };
    let (tree, edits, oci) = if is_artifact {
        let digest = snapshot.revision.to_string().split_once('@').map(|(_, digest)| digest.to_owned());
        let digits = snapshot.revision.hex().chars().take(DIGITS).collect();
        (chart_folder(&snapshot.tree), Edits { metadata: digits, ..Edits::default() }, digest)
    } else {
        (snapshot.tree.clone(), Edits::default(), None)
    };
    let made = package(&tree, None, &edits).map_err(text)?;
    let metadata = serde_json::json!({"name": made.name, "version": made.version});
    let content = made.tree.folder_id("").map(|id| id.to_string()).unwrap_or_default();
    Ok(ReadyChart { tree: made.tree, content, head: ChartHead { metadata }, oci })
}

/// What of a HelmRelease its render needs.
#[derive(Debug, Clone)]
pub(super) struct RenderTask {
    namespace: String,
    inline: Value,
    references: Vec<ValuesReference>,
    data: ValuesData,
    post_render: PostRender,
}

impl RenderTask {
    pub(super) fn of(release: &HelmRelease, data: ValuesData) -> Self {
        let spec = &release.spec;
        let kustomize = spec.post_renderers.iter().filter_map(|renderer| renderer.kustomize.as_ref());
        let common = spec.common_metadata.clone().unwrap_or_default();
        let own = &release.metadata;
        Self {
            namespace: own.namespace.clone(),
            inline: spec.values.clone().map_or(Value::Null, Value::Object),
            references: spec.values_from.iter().map(reference).collect(),
            data,
            post_render: PostRender {
                kustomize: kustomize.filter_map(|kustomize| serde_json::to_value(kustomize).ok()).collect(),
                labels: common.labels,
                annotations: common.annotations,
                owner: Some((own.namespace.clone(), own.name.clone())),
            },
        }
    }

    fn given(&self) -> Result<GivenValues, Error> {
        let find = |kind: &str, name: &str| {
            let data = self.data.get(&(kind.to_owned(), name.to_owned()))?;
            Some(data.iter().map(|(key, value)| (key.clone(), value.expose().clone())).collect())
        };
        GivenValues::of_release(&self.inline, &self.references, &self.namespace, &find)
    }

    /// The values that the chart is given.
    pub(super) fn values(&self) -> Result<Map<String, Value>, String> {
        let mut context = RenderContext::new(Now::default(), [0; 32], &NoCluster);
        let given = self.given().map_err(|error| error.text())?;
        let values = HelmValue::Map(given.values().clone());
        stored::values(&values, &mut context).map_err(|error| error.text())
    }
}

fn reference(from: &ValuesFrom) -> ValuesReference {
    ValuesReference {
        kind: from.kind.clone(),
        name: from.name.clone(),
        key: from.values_key.clone(),
        target_path: from.target_path.clone().unwrap_or_default(),
        optional: from.optional,
        literal: from.literal,
    }
}

/// What a chart is rendered as, beside its values.
#[derive(Debug, Clone)]
pub(super) struct RenderTerms {
    pub(super) name: String,
    pub(super) namespace: String,
    pub(super) version: i64,
    pub(super) is_upgrade: bool,
    pub(super) checks_schema: bool,
    pub(super) capabilities: Capabilities,
    pub(super) now: Now,
    pub(super) entropy: [u8; 32],
    /// What the cluster has answered so far.
    pub(super) answers: Vec<(LookupQuery, Value)>,
    /// What the chart's schemas refer to, by its URL; an error says why it could not be had.
    pub(super) documents: Vec<(String, Result<Vec<u8>, String>)>,
}

/// A rendered chart, in the parts of a stored release.
#[derive(Debug)]
pub(super) struct RenderedParts {
    pub(super) chart: Value,
    pub(super) manifest: String,
    pub(super) hooks: Vec<StoredHook>,
    pub(super) notes: String,
    /// The definitions in `crds/`, each with its file.
    pub(super) definitions: Vec<(String, Object)>,
    pub(super) warnings: Vec<String>,
}

/// How a render ended.
#[derive(Debug)]
pub(super) enum RenderEnd {
    Done(Box<RenderedParts>),
    /// The chart asks the cluster for this, and is to be rendered again with the answers.
    Asks(Vec<LookupQuery>),
    /// The chart's schemas refer to the documents at these URLs, and it is to be rendered again with them.
    Wants(Vec<String>),
}

/// The answers of the cluster, and what else was asked.
struct Answers<'a> {
    known: &'a [(LookupQuery, Value)],
    asked: RefCell<Vec<LookupQuery>>,
}

impl Lookups for Answers<'_> {
    fn look(&self, query: &LookupQuery) -> Result<HelmValue, Error> {
        let known = self.known.iter().find(|(known, _)| known == query);
        let Some((_, answer)) = known else {
            self.asked.borrow_mut().push(query.clone());
            return Ok(HelmValue::map::<&str>([]));
        };
        Ok(live(answer))
    }
}

/// A live object as helm hands it to templates: whole numbers are `int64`.
fn live(value: &Value) -> HelmValue {
    match value {
        Value::Null => HelmValue::Nil,
        Value::Bool(flag) => (*flag).into(),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => HelmValue::Int64(whole),
            (None, float) => HelmValue::Float(float.unwrap_or_default()),
        },
        Value::String(text) => text.as_str().into(),
        Value::Array(items) => HelmValue::list(items.iter().map(live).collect()),
        Value::Object(fields) => {
            HelmValue::map(fields.iter().map(|(key, value)| (key.as_str(), live(value))))
        }
    }
}

/// Renders a chart. The error is what people are told of it.
pub(super) fn rendered(
    shelf: &mut Shelf,
    chart: &ReadyChart,
    task: &RenderTask,
    terms: &RenderTerms,
) -> Result<RenderEnd, String> {
    render_parts(shelf, chart, task, terms).map_err(|error| error.text())
}

fn render_parts(
    shelf: &mut Shelf,
    chart: &ReadyChart,
    task: &RenderTask,
    terms: &RenderTerms,
) -> Result<RenderEnd, Error> {
    let mut prepared = shelf.chart(&chart.content, || {
        let mut bounds = Bounds::default();
        Chart::load(files_of(&chart.tree.reader(), "", &mut bounds)?, &mut bounds)
    })?;
    let mut documents = Documents::default();
    if terms.checks_schema {
        for (url, answer) in &terms.documents {
            documents.add(url.clone(), answer.clone());
        }
        let wanted = documents.wanted(&prepared.chart);
        if !wanted.is_empty() {
            return Ok(RenderEnd::Wants(wanted));
        }
    } else {
        prepared.chart = prepared.chart.without_schemas();
    }
    let answers = Answers { known: &terms.answers, asked: RefCell::default() };
    let mut context = RenderContext::new(terms.now, terms.entropy, &answers);
    let release = Release {
        name: terms.name.clone(),
        namespace: terms.namespace.clone(),
        revision: terms.version,
        is_upgrade: terms.is_upgrade,
        capabilities: terms.capabilities.clone(),
        documents: Rc::new(documents),
    };
    let rendered = render(prepared, &release, &task.given()?, &mut context);
    let asked = answers.asked.take();
    if !asked.is_empty() {
        return Ok(RenderEnd::Asks(asked));
    }
    let rendered = rendered?;
    let manifests = postrender::apply(&rendered.manifests, &task.post_render, context.budget())?;
    let hooks = manifests.hooks.iter().map(|hook| StoredHook {
        name: hook.name.clone(),
        kind: hook.kind.clone(),
        path: hook.path.clone(),
        manifest: hook.text.clone(),
        events: hook.events.iter().map(|event| event.as_str().to_owned()).collect(),
        last_run: HookRun::default(),
        weight: hook.weight,
        delete_policies: hook.deletes.clone(),
        output_log_policies: hook.logs.clone(),
    });
    let mut definitions = Vec::new();
    for (path, file) in rendered.chart.definitions() {
        definitions_in(&path, &file.content, &mut definitions)?;
    }
    Ok(RenderEnd::Done(Box::new(RenderedParts {
        chart: stored::chart(&rendered.chart, &mut context)?,
        manifest: print::stored(&manifests),
        hooks: hooks.collect(),
        notes: rendered.notes,
        definitions,
        warnings: rendered.warnings,
    })))
}

/// The definitions of a file in `crds/`. What else is in it is passed over, as in Flux.
fn definitions_in(path: &str, content: &[u8], found: &mut Vec<(String, Object)>) -> Result<(), Error> {
    let text = String::from_utf8_lossy(content);
    for (_, document) in documents(&text) {
        let read = first_document(document, Dialect::V2)
            .map_err(|error| Error::new(format!("YAML parse error on {path}: {error}")))?;
        let Ok(object) = Object::parse(read.value) else { continue };
        if object.kind() == "CustomResourceDefinition" {
            found.push((path.to_owned(), object));
        }
    }
    Ok(())
}
