//! Renders a chart as a release: turns the chart and the given values into sorted documents, as `helm
//! template` does.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use super::chart::Chart;
use super::chart::capabilities::Capabilities;
use super::chart::coalesce::{Nulls, coalesce};
use super::chart::dependencies::{self, is_compatible};
use super::chart::references::Documents;
use super::chart::schema;
use super::context::RenderContext;
use super::engine::{self, Renderable};
use super::error::Error;
use super::go::quote::quote;
use super::manifest::{self, Manifests};
use super::shelf::Prepared;
use super::value::{Map, MapType, Str, Value};
use super::values::GivenValues;
use super::values::methods::table;

/// How long a release's name may be.
const NAME_LIMIT: usize = 53;

/// The release that a chart is rendered for.
#[derive(Debug, Clone)]
pub struct Release {
    /// The release's name.
    pub name: String,
    /// The namespace that charts see.
    pub namespace: String,
    /// Its revision, from 1.
    pub revision: i64,
    /// Whether the release exists already.
    pub is_upgrade: bool,
    /// The capabilities of the cluster.
    pub capabilities: Capabilities,
    /// The documents that the charts' schemas refer to.
    pub documents: Rc<Documents>,
}

/// A rendered chart.
#[derive(Debug)]
pub struct RenderedChart {
    /// The chart, without the charts in it that are switched off.
    pub chart: Chart,
    /// Its documents.
    pub manifests: Manifests,
    /// The notes of the chart, without those of charts in it.
    pub notes: String,
    /// The warnings.
    pub warnings: Vec<String>,
}

type Done<T> = Result<T, Error>;

/// Renders a chart with the values that it is given. The values are not changed.
pub fn render(
    prepared: Prepared,
    release: &Release,
    given: &GivenValues,
    context: &mut RenderContext<'_>,
) -> Done<RenderedChart> {
    let Prepared { mut chart, parsed } = prepared;
    if !matches!(&*chart.metadata.kind, "" | "application") {
        return Err(Error::new(format!("{} charts are not installable", chart.metadata.kind)));
    }
    chart.check_dependencies()?;
    check_name(&release.name)?;
    dependencies::process(&mut chart, given.values(), context)
        .map_err(|error| error.within("chart dependencies processing failed: "))?;
    let values = coalesce(&chart, given.values(), Nulls::Remove, context)?;
    let missing = schema::validate(&chart, &values, given.origins(), &release.documents, context)?;
    check_kube_version(&chart, &release.capabilities)?;
    let files = templates(&chart, release, &values)?;
    let printed = engine::render(files, &parsed, context)?;
    let (texts, notes) = texts(printed, &format!("{}/templates/NOTES.txt", chart.name()))?;
    let manifests = manifest::sort(texts)?;
    let warning =
        |url| format!("a schema refers to {url}, which could not be fetched, so it allows everything");
    Ok(RenderedChart { chart, manifests, notes, warnings: missing.into_iter().map(warning).collect() })
}

fn check_name(name: &str) -> Done<()> {
    let is_part = |part: &str| {
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        !part.is_empty() && part.bytes().all(fits) && !part.starts_with('-') && !part.ends_with('-')
    };
    if name.is_empty() {
        return Err(Error::new("release name check failed: release name \"\": no name provided"));
    }
    if name.len() <= NAME_LIMIT && name.split('.').all(is_part) {
        return Ok(());
    }
    let shown = quote(name.as_bytes(), false);
    let shown = String::from_utf8_lossy(&shown);
    Err(Error::new(format!(
        "release name check failed: release name {shown}: invalid release name, must match regex \
         ^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$ and the length must not be longer than 53"
    )))
}

fn check_kube_version(chart: &Chart, capabilities: &Capabilities) -> Done<()> {
    let wanted = &chart.metadata.kube_version;
    let has = &capabilities.kube;
    if wanted.is_empty() || is_compatible(wanted, &has.normalized) {
        return Ok(());
    }
    let has = &has.version;
    Err(Error::new(format!(
        "chart requires kubeVersion: {wanted} which is incompatible with Kubernetes {has}"
    )))
}

/// The templates of a chart and of those in it, each with what it sees.
fn templates(chart: &Chart, release: &Release, values: &Map) -> Done<Vec<Renderable>> {
    let about = Value::map([
        ("Name", Value::from(&*release.name)),
        ("Namespace", (&*release.namespace).into()),
        ("IsUpgrade", release.is_upgrade.into()),
        ("IsInstall", (!release.is_upgrade).into()),
        ("Revision", Value::Int(release.revision)),
        ("Service", "Helm".into()),
    ]);
    let seen = Seen { release: about, capabilities: Value::object(release.capabilities.clone()) };
    let mut files = Vec::new();
    collect(chart, "", values.clone(), &seen, &mut files)?;
    // Of two templates with one path, the last one counts.
    let by_path: BTreeMap<Str, Renderable> =
        files.into_iter().map(|file| (file.path.clone(), file)).collect();
    Ok(by_path.into_values().collect())
}

/// The data that all templates of a render share.
struct Seen {
    release: Value,
    capabilities: Value,
}

fn collect(chart: &Chart, parent: &str, values: Map, seen: &Seen, files: &mut Vec<Renderable>) -> Done<Map> {
    let is_root = parent.is_empty();
    let path = format!("{parent}{}", chart.name());
    let others = chart.files.iter().map(|file| {
        let path = Str::from(&*file.path);
        (path, Value::Bytes(Arc::clone(&file.content)))
    });
    let parts = Map::new(MapType::Any);
    let top = Map::new(MapType::Any);
    for (key, value) in [
        ("Chart", chart.metadata.as_map(is_root)),
        ("Files", Value::Map(Map::from_entries(MapType::Files, others.collect()))),
        ("Release", seen.release.clone()),
        ("Capabilities", seen.capabilities.clone()),
        ("Values", Value::Map(values)),
        ("Subcharts", Value::Map(parts.clone())),
    ] {
        top.insert(Str::from(key), value)?;
    }
    for part in &chart.dependencies {
        let way = format!("Values.{}", part.name());
        let values = table(&top, way.as_bytes()).unwrap_or_else(|_| Map::new(MapType::Values));
        let inner = collect(part, &format!("{path}/charts/"), values, seen, files)?;
        parts.insert(Str::from(part.name()), Value::Map(inner))?;
    }
    for file in chart.templates.iter() {
        let name = file.path.rsplit('/').next().unwrap_or(&file.path);
        if chart.metadata.is_library() && !name.starts_with('_') {
            continue;
        }
        files.push(Renderable {
            path: format!("{path}/{}", file.path).into(),
            text: Arc::clone(&file.content),
            top: top.seen_as(MapType::Values),
            base_path: format!("{path}/templates").into(),
        });
    }
    Ok(top)
}

/// The output of the templates as text, and separately the notes of the chart itself, whose path is `own`.
fn texts(printed: BTreeMap<Str, Vec<u8>>, own: &str) -> Done<(BTreeMap<String, String>, String)> {
    let (mut texts, mut notes) = (BTreeMap::new(), String::new());
    for (path, text) in printed {
        let path = path.lossy().into_owned();
        if path.ends_with("NOTES.txt") {
            if path == own {
                notes = String::from_utf8_lossy(&text).into_owned();
            }
            continue;
        }
        let text = String::from_utf8(text).map_err(|_| {
            Error::new(format!(
                "YAML parse error on {path}: error converting YAML to JSON: yaml: invalid leading UTF-8 octet"
            ))
        })?;
        texts.insert(path, text);
    }
    Ok((texts, notes))
}
