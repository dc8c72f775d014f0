//! `lockgate build --chart`: a chart as `helm template` renders it.

use std::collections::BTreeMap;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::rc::Rc;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use rand_core::RngCore as _;

use super::super::input::{STDIN, input, relative, warn};
use super::super::output::{self, CommandError};
use super::super::served::kube_version;
use super::super::threads::on_deep_stack;
use crate::clock::since_1970;
use crate::remote::documents;
use lockgate_base::model::{Object, yaml};
use lockgate_core::pipeline::Chance;
use lockgate_git::directory;
use lockgate_render::helm::chart::archive::Bounds;
use lockgate_render::helm::chart::capabilities::Capabilities;
use lockgate_render::helm::chart::{Chart, files_of};
use lockgate_render::helm::context::{NoCluster, Now, RenderContext};
use lockgate_render::helm::error::Error as HelmError;
use lockgate_render::helm::flux::HelmRelease;
use lockgate_render::helm::manifest::print;
use lockgate_render::helm::postrender;
use lockgate_render::helm::release::{Release, RenderedChart, render};
use lockgate_render::helm::shelf::Prepared;
use lockgate_render::helm::values::GivenValues as Values;

/// The largest archive that is read, in bytes.
const ARCHIVE_LIMIT: u64 = 20 * 1024 * 1024;

/// The flags of `helm template`.
#[derive(Args)]
#[command(next_help_heading = "Charts")]
pub(in crate::cli) struct TemplateFlags {
    /// Render a Helm chart from a folder or an archive, as the release PATH, or `release-name`
    #[arg(long, value_name = "FOLDER|TGZ")]
    pub(super) chart: Option<PathBuf>,
    /// Render a HelmRelease: a file that holds it, and the ConfigMaps and Secrets that it takes values from
    /// where --substitute-from names no file of them, or its name, or NAMESPACE/NAME. With --chart the file's
    /// release of that chart
    #[arg(long, value_name = "FILE|NAME")]
    pub(super) helmrelease: Option<String>,
    /// The release's name, instead of PATH
    #[arg(long, value_name = "NAME", requires = "chart")]
    release: Option<String>,
    /// The release's namespace; `default` by default
    #[arg(short, long, value_name = "NAMESPACE", requires = "chart")]
    namespace: Option<String>,
    /// Values for the chart: a YAML file, or - for standard input; may be given several times, later files
    /// win
    #[arg(short = 'f', long, value_name = "FILE", requires = "chart")]
    values: Vec<PathBuf>,
    /// A text value for the chart, in the syntax of --set; may be given several times
    #[arg(long, value_name = "NAME=VALUE", requires = "chart")]
    set_string: Vec<String>,
    /// A value for the chart as JSON, as NAME=JSON or as an object; may be given several times
    #[arg(long, value_name = "JSON", requires = "chart")]
    set_json: Vec<String>,
    /// A value for the chart, read from a file; may be given several times
    #[arg(long, value_name = "NAME=FILE", requires = "chart")]
    set_file: Vec<String>,
    /// The version of Kubernetes that the chart sees; without --chart, warn of objects in versions that this
    /// release no longer serves
    #[arg(long, value_name = "VERSION")]
    pub(super) kube_version: Option<String>,
    /// API versions that the chart sees in addition to those of Kubernetes
    #[arg(short, long, value_name = "VERSION", value_delimiter = ',')]
    pub(super) api_versions: Vec<String>,
    /// Also print the definitions in the chart's `crds/`
    #[arg(long, requires = "chart")]
    include_crds: bool,
    /// Render as for an upgrade, and not as for an install
    #[arg(long, requires = "chart")]
    is_upgrade: bool,
    /// Print only the output of these templates, such as templates/service.yaml
    #[arg(short, long, value_name = "TEMPLATE", requires = "chart")]
    show_only: Vec<String>,
    /// Do not print tests
    #[arg(long, requires = "chart")]
    skip_tests: bool,
    /// Print the text of `helm template`, byte for byte
    #[arg(long, requires = "chart")]
    helm_output: bool,
}

/// The values of the command's other flags for a chart.
pub(super) struct ChartFlags<'a> {
    /// The chart's folder or archive.
    pub(super) chart: &'a Path,
    /// The release's name.
    pub(super) name: Option<&'a Path>,
    /// Values in the syntax of --set.
    pub(super) set: &'a [String],
    /// Files with the ConfigMaps and Secrets that a HelmRelease takes values from.
    pub(super) sources: &'a [PathBuf],
}

/// Renders a chart, and prints it.
pub(super) fn run(arguments: &TemplateFlags, given: &ChartFlags<'_>) -> Result<ExitCode, CommandError> {
    let text = on_deep_stack(|| rendered(arguments, given))??;
    output::write(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn rendered(arguments: &TemplateFlags, given: &ChartFlags<'_>) -> Result<String, CommandError> {
    let helm_release = arguments
        .helmrelease
        .as_deref()
        .map(|file| HelmReleaseFile::read(Path::new(file), given))
        .transpose()?;
    let mut release = release(arguments, given.name)?;
    let mut chart = load(given.chart)?;
    let values = match &helm_release {
        None => values(arguments, given.set)?,
        Some(file) => {
            let object = &file.release;
            release.name.clone_from(&object.release_name);
            release.namespace.clone_from(&object.target_namespace);
            chart = object.with_values_files(chart).map_err(|error| failed(&error))?;
            let find = |kind: &str, name: &str| file.find(kind, name);
            Values::of_release(&object.values, &object.references, &object.namespace, &find)
                .map_err(|error| failed(&error))?
        }
    };
    if chart.is_deprecated() {
        warn(&["this chart is deprecated".to_owned()]);
    }
    release.documents = Rc::new(documents::fetch(&chart));
    let Chance { entropy, now } = chance();
    let mut context = RenderContext::new(now, entropy, &NoCluster);
    let mut rendered =
        render(Prepared::new(chart), &release, &values, &mut context).map_err(|error| failed(&error))?;
    warn(&rendered.warnings);
    if let Some(file) = &helm_release {
        rendered.manifests =
            postrender::apply(&rendered.manifests, &file.release.post_render, context.budget())
                .map_err(|error| failed(&error))?;
    }
    printed(arguments, &rendered)
}

/// A HelmRelease, and the objects that it takes values from.
struct HelmReleaseFile {
    release: HelmRelease,
    sources: Vec<Object>,
}

impl HelmReleaseFile {
    fn read(file: &Path, given: &ChartFlags<'_>) -> Result<Self, CommandError> {
        if given.name.is_some() || !given.set.is_empty() {
            let error = CommandError::usage("a HelmRelease has its own name and values");
            return Err(error.hint("leave PATH and --set out"));
        }
        let (mut releases, mut sources): (Vec<Object>, Vec<Object>) =
            input(file)?.0.into_iter().partition(|object| object.kind() == "HelmRelease");
        if releases.len() != 1 {
            let count = releases.len();
            return Err(CommandError::usage(format!(
                "{} holds {count} HelmReleases, not one",
                file.display()
            )));
        }
        for file in given.sources {
            sources.extend(input(file)?.0);
        }
        let release = HelmRelease::read(releases.swap_remove(0).value())
            .map_err(|error| CommandError::failed(format!("{}: {error}", file.display())))?;
        Ok(Self { release, sources })
    }

    /// The data of a ConfigMap or Secret.
    fn find(&self, kind: &str, name: &str) -> Option<BTreeMap<String, Vec<u8>>> {
        let namespace = &*self.release.namespace;
        let object = self.sources.iter().find(|object| {
            let at = object.namespace();
            object.kind() == kind && object.name() == name && at.is_none_or(|at| at == namespace)
        })?;
        let entries = |field: &str| {
            let fields = object.value()[field].as_object().cloned().unwrap_or_default();
            fields.into_iter().filter_map(|(key, value)| Some((key, value.as_str()?.to_owned())))
        };
        let decoded = |(key, text): (String, String)| Some((key, STANDARD.decode(text.trim()).ok()?));
        let plain = |(key, text): (String, String)| (key, text.into_bytes());
        Some(match kind {
            "Secret" => entries("data").filter_map(decoded).chain(entries("stringData").map(plain)).collect(),
            _ => entries("binaryData").filter_map(decoded).chain(entries("data").map(plain)).collect(),
        })
    }
}

fn printed(arguments: &TemplateFlags, rendered: &RenderedChart) -> Result<String, CommandError> {
    let definitions = if arguments.include_crds { rendered.chart.definitions() } else { Vec::new() };
    let text = print::template(&rendered.manifests, &definitions, arguments.skip_tests);
    let text = if arguments.show_only.is_empty() {
        text
    } else {
        print::only(&text, &arguments.show_only)
            .map_err(|missing| CommandError::failed(format!("could not find template {missing} in chart")))?
    };
    if arguments.helm_output { Ok(text) } else { in_our_form(&text) }
}

/// Documents in the form of all other builds: only comments with the source stay, and keys keep their order.
fn in_our_form(text: &str) -> Result<String, CommandError> {
    let mut out = String::new();
    for (_, document) in lockgate_render::helm::manifest::split::documents(text) {
        let source = document.lines().next().filter(|line| line.starts_with("# Source: "));
        let read = yaml::first_document(document, yaml::Dialect::V2);
        let read = read.map_err(|error| {
            CommandError::failed(format!(
                "{}: {error}",
                source.unwrap_or("# Source: ?").trim_start_matches("# Source: ")
            ))
        })?;
        if read.value.is_null() {
            continue;
        }
        if !out.is_empty() {
            out.push_str("---\n");
        }
        if let Some(source) = source {
            out.push_str(source);
            out.push('\n');
        }
        out.push_str(&yaml::to_string(&read.value));
    }
    Ok(out)
}

fn failed(error: &HelmError) -> CommandError {
    CommandError::failed(error.text())
}

/// The time that a chart's functions return.
fn told_time() -> Now {
    let since = since_1970(SystemTime::now());
    Now { seconds: since.as_secs().cast_signed(), nanoseconds: since.subsec_nanos() }
}

fn release(arguments: &TemplateFlags, name: Option<&Path>) -> Result<Release, CommandError> {
    let name = match (&arguments.release, name) {
        (Some(_), Some(_)) => {
            return Err(CommandError::usage("the release has two names: PATH and --release"));
        }
        (Some(name), None) => name.clone(),
        (None, Some(name)) => name.to_string_lossy().into_owned(),
        (None, None) => "release-name".to_owned(),
    };
    let capabilities = capabilities(arguments)?;
    Ok(Release {
        name,
        namespace: arguments.namespace.clone().unwrap_or_else(|| "default".into()),
        revision: 1,
        is_upgrade: arguments.is_upgrade,
        capabilities,
        documents: Rc::default(),
    })
}

/// What charts are told of the cluster.
pub(super) fn capabilities(arguments: &TemplateFlags) -> Result<Capabilities, CommandError> {
    let mut capabilities = Capabilities::default();
    if let Some(version) = &arguments.kube_version {
        capabilities.kube = kube_version(version)?;
    }
    capabilities.api_versions.extend(arguments.api_versions.iter().cloned());
    Ok(capabilities)
}

/// What chance and the clock of this machine give.
pub(super) fn chance() -> Chance {
    let mut entropy = [0; 32];
    rand_core::OsRng.fill_bytes(&mut entropy);
    Chance { entropy, now: told_time() }
}

/// The values of all flags, in helm's order.
fn values(arguments: &TemplateFlags, set: &[String]) -> Result<Values, CommandError> {
    let mut given = Values::default();
    for file in &arguments.values {
        let name = file.display().to_string();
        given =
            given.file(&name, &read(file).map_err(CommandError::failed)?).map_err(|error| failed(&error))?;
    }
    for line in &arguments.set_json {
        given = given.json(line).map_err(|error| failed(&error))?;
    }
    for line in set {
        given = given.set(line).map_err(|error| failed(&error))?;
    }
    for line in &arguments.set_string {
        given = given.text(line).map_err(|error| failed(&error))?;
    }
    for line in &arguments.set_file {
        given = given.content(line, &mut |path| read(Path::new(path))).map_err(|error| failed(&error))?;
    }
    Ok(given)
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let told = |error: io::Error| format!("{}: {error}", path.display());
    if path == Path::new(STDIN) {
        let mut text = Vec::new();
        io::stdin().lock().read_to_end(&mut text).map_err(told)?;
        return Ok(text);
    }
    std::fs::read(path).map_err(told)
}

/// The chart in a folder or an archive.
fn load(path: &Path) -> Result<Chart, CommandError> {
    let told = |error: io::Error| CommandError::failed(format!("{}: {error}", path.display()));
    let metadata = std::fs::metadata(path).map_err(told)?;
    let mut bounds = Bounds::default();
    if !metadata.is_dir() {
        if metadata.len() > ARCHIVE_LIMIT {
            let limit = ARCHIVE_LIMIT >> 20;
            return Err(CommandError::failed(format!("{}: is larger than {limit} MiB", path.display())));
        }
        let archive = std::fs::read(path).map_err(told)?;
        let chart = Chart::unpack(&archive, &mut bounds);
        return chart.map_err(|error| CommandError::failed(format!("{}: {error}", path.display())));
    }
    // A link in a chart may point to a neighbour in the repository.
    let folder = path.canonicalize().map_err(told)?;
    let root = directory::enclosing_repository(&folder).unwrap_or_else(|| folder.clone());
    let root = root.canonicalize().map_err(told)?;
    let tree = directory::snapshot(&root).map_err(|error| CommandError::failed(error.to_string()))?;
    let inside = relative(&root, &folder)?;
    let files = files_of(&tree.reader(), &inside, &mut bounds).map_err(|error| failed(&error))?;
    Chart::load(files, &mut bounds).map_err(|error| failed(&error))
}
