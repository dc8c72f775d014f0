//! A chart: its templates, values and files, and the charts that it depends on.

mod file;
pub mod archive;
pub mod capabilities;
mod glob;
mod ignore;
pub mod files;
pub mod metadata;
pub(in crate::helm) mod coalesce;
pub mod references;
pub mod schema;
pub mod dependencies;
mod folder;
pub mod required;
pub mod package;

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

pub use file::File;
pub use folder::files_of;
pub(in crate::helm) use ignore::matches;

use super::error::Error;
use super::value::{Map, MapType};
use super::values::read::{load_values, merge_maps};
use archive::{Bounds, UnpackedChart};
use metadata::ChartMetadata;

/// How deep charts may be packed into each other.
const DEPTH: usize = 30;

/// A chart. Copies share the large parts.
#[derive(Debug, Clone)]
pub struct Chart {
    pub(in crate::helm) metadata: ChartMetadata,
    pub(in crate::helm) templates: Rc<Vec<File>>,
    pub(in crate::helm) files: Rc<Vec<File>>,
    pub(in crate::helm) values: Map,
    pub(in crate::helm) schema: Option<Arc<[u8]>>,
    pub(in crate::helm) dependencies: Vec<Chart>,
}

type Done<T> = Result<T, Error>;

impl Chart {
    /// Makes a chart of its files. Those below `charts/` are charts in it, as folders or as archives.
    pub fn load(files: Vec<File>, bounds: &mut Bounds) -> Done<Self> {
        load(files, bounds, 0)
    }

    /// Makes a chart of an archive.
    pub fn unpack(archive: &[u8], bounds: &mut Bounds) -> Done<Self> {
        let UnpackedChart(files) = archive::unpack(archive, bounds)?;
        Self::load(files, bounds)
    }

    /// This chart with the values of other files in it, later ones over earlier ones.
    pub(in crate::helm) fn with_values_files(mut self, paths: &[String], ignore_missing: bool) -> Done<Self> {
        let mut values = Map::new(MapType::Any);
        for path in paths {
            let path = path.trim_start_matches("./");
            let read = match self.files.iter().find(|file| file.path == path) {
                _ if path == "values.yaml" => self.values.clone(),
                Some(file) => load_values(&file.content)
                    .map_err(|error| error.within(format!("unable to read values from '{path}': ")))?,
                None if ignore_missing => continue,
                None => return Err(Error::new(format!("no values file found at path '{path}'"))),
            };
            values = merge_maps(&values, &read)?;
        }
        self.values = values;
        Ok(self)
    }

    /// This chart, with values that need not fit a schema.
    #[must_use]
    pub fn without_schemas(mut self) -> Self {
        self.schema = None;
        self.dependencies = self.dependencies.into_iter().map(Self::without_schemas).collect();
        self
    }

    /// Its name, which is its alias where it has one.
    pub fn name(&self) -> &str {
        &self.metadata.name
    }

    /// Its version.
    pub fn version(&self) -> &str {
        &self.metadata.version
    }

    /// The size of its files and of those of the charts in it, in bytes.
    pub fn size(&self) -> usize {
        let own = self.templates.iter().chain(self.files.iter()).map(|file| file.content.len());
        own.chain(self.dependencies.iter().map(Self::size)).sum()
    }

    /// Whether its author says that it is not to be used any more.
    pub fn is_deprecated(&self) -> bool {
        self.metadata.deprecated
    }

    /// The content of Chart.yaml.
    pub fn metadata(&self) -> &ChartMetadata {
        &self.metadata
    }

    /// The custom resource definitions of the folders `crds/`, its own first, each with the path that helm
    /// names.
    pub fn definitions(&self) -> Vec<(String, &File)> {
        let mut found = Vec::new();
        self.collect_definitions("", &mut found);
        found
    }

    fn collect_definitions<'c>(&'c self, parent: &str, found: &mut Vec<(String, &'c File)>) {
        let path = format!("{parent}{}", self.name());
        for file in self.files.iter() {
            let extension = file.path.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
            if file.path.starts_with("crds/") && matches!(extension.as_deref(), Some("yaml" | "yml" | "json"))
            {
                found.push((format!("{path}/{}", file.path), file));
            }
        }
        for dependency in &self.dependencies {
            dependency.collect_definitions(&format!("{path}/charts/"), found);
        }
    }

    /// Fails where Chart.yaml names a chart that is not in `charts/`, with helm's words.
    pub fn check_dependencies(&self) -> Done<()> {
        let is_missing = |name: &str| !self.dependencies.iter().any(|part| part.name() == name);
        let names = self.metadata.dependencies.iter().flatten().map(|dependency| &*dependency.name);
        let missing: Vec<&str> = names.filter(|name| is_missing(name)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let missing = missing.join(", ");
        Err(Error::new(format!(
            "an error occurred while checking for chart dependencies. You may need to run 'helm dependency build' to \
             fetch missing dependencies: found in Chart.yaml, but missing in charts/ directory: {missing}"
        )))
    }
}

fn load(files: Vec<File>, bounds: &mut Bounds, depth: usize) -> Done<Chart> {
    if depth > DEPTH {
        return Err(Error::bound(format!("charts are packed into each other more than {DEPTH} deep")));
    }
    // Helm looks at the outermost Chart.yaml before it knows what kind of chart it is.
    let go_type = if depth == 0 { "loader.chartBase" } else { "v2.Metadata" };
    let mut metadata = read_chart_yaml(&files, go_type)?;
    let mut values = Map::new(MapType::Any);
    let (mut schema, mut templates, mut others) = (None, Vec::new(), Vec::new());
    let mut parts: BTreeMap<String, Vec<File>> = BTreeMap::new();
    for file in files {
        match &*file.path {
            "Chart.yaml" => {}
            "Chart.lock" => check_lock(&file)?,
            "values.yaml" => {
                let read = load_values(&file.content);
                values = read.map_err(|error| error.within("cannot load values.yaml: "))?;
            }
            "values.schema.json" => schema = Some(Arc::clone(&file.content)),
            "requirements.yaml" => {
                let metadata = metadata.get_or_insert_default();
                let read = metadata.read(&file.content, "v2.Metadata");
                read.map_err(|error| error.within("cannot load requirements.yaml: "))?;
                if metadata.api_version == "v1" {
                    others.push(file);
                }
            }
            "requirements.lock" => {
                check_lock(&file)?;
                if metadata.get_or_insert_default().api_version == "v1" {
                    others.push(file);
                }
            }
            path if path.starts_with("templates/") => templates.push(file),
            path => match path.strip_prefix("charts/") {
                Some(rest) if extension(path) != Some("prov") => {
                    let name = rest.split('/').next().unwrap_or_default().to_owned();
                    let path = rest.to_owned();
                    parts.entry(name).or_default().push(File { path, content: file.content });
                }
                _ => others.push(file),
            },
        }
    }
    let Some(mut metadata) = metadata else { return Err(Error::new("Chart.yaml file is missing")) };
    metadata.validate()?;
    let dependencies = load_parts(parts, &metadata.name, bounds, depth)?;
    Ok(Chart {
        metadata,
        templates: Rc::new(templates),
        files: Rc::new(others),
        values,
        schema,
        dependencies,
    })
}

/// Reads Chart.yaml, wherever it is among the files. The last of duplicate fields counts.
fn read_chart_yaml(files: &[File], go_type: &str) -> Done<Option<ChartMetadata>> {
    let mut metadata: Option<ChartMetadata> = None;
    for file in files.iter().filter(|file| file.path == "Chart.yaml") {
        let metadata = metadata.get_or_insert_default();
        metadata.read(&file.content, go_type).map_err(|error| error.within("cannot load Chart.yaml: "))?;
        if metadata.api_version.is_empty() {
            metadata.api_version = "v1".into();
        }
    }
    match metadata.as_ref().map(|metadata| &*metadata.api_version) {
        None | Some("v1" | "v2") => Ok(metadata),
        Some(_) => Err(Error::new("unsupported chart version")),
    }
}

/// The text after the last dot of a path.
fn extension(path: &str) -> Option<&str> {
    path.rsplit_once('.').map(|(_, extension)| extension)
}

/// A lock must be YAML; what it says does not matter to a render.
fn check_lock(file: &File) -> Done<()> {
    load_values(&file.content)
        .map(|_| ())
        .map_err(|error| error.within(format!("cannot load {}: ", file.path)))
}

fn load_parts(
    parts: BTreeMap<String, Vec<File>>,
    name: &str,
    bounds: &mut Bounds,
    depth: usize,
) -> Done<Vec<Chart>> {
    let mut charts = Vec::new();
    for (part, files) in parts {
        if part.starts_with(['_', '.']) {
            continue;
        }
        let loaded = if extension(&part) == Some("tgz") {
            let Some(file) = files.first().filter(|file| file.path == part) else {
                let got = files.first().map(|file| &*file.path).unwrap_or_default();
                return Err(Error::new(format!(
                    "error unpacking subchart tar in {name}: expected {part}, got {got}"
                )));
            };
            archive::unpack(&file.content, bounds)
                .and_then(|UnpackedChart(files)| load(files, bounds, depth + 1))
        } else {
            let inner = files.into_iter().filter_map(|file| {
                let (_, path) = file.path.split_once('/')?;
                Some(File { path: path.to_owned(), content: file.content })
            });
            load(inner.collect(), bounds, depth + 1)
        };
        let within = format!("error unpacking subchart {part} in {name}: ");
        charts.push(loaded.map_err(|error| error.within(within))?);
    }
    Ok(charts)
}
