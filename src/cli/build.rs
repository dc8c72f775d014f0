//! `lockgate build`.

mod chart;

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::input::{STDIN, input, relative, root, warn};
use super::output::{self, CommandError};
use super::releases::ReleaseFlags;
use super::served::KubeRelease;
use super::threads::{in_runtime, on_deep_stack};
use crate::preview::Fetchers;
use lockgate_base::model::Object;
use lockgate_base::model::yaml::{self, Layout};
use lockgate_base::tree::Tree;
use lockgate_core::api::{HelmRelease, KindInfo, Kustomization};
use lockgate_core::pipeline::offline::{
    self, BuiltOwner, BuiltSet, LocatedObject, Nowhere, OfflineError, ReleaseSetting, Start, SubstituteValues,
};
use lockgate_git::directory;
use lockgate_git::ignore;
use lockgate_render::kustomize::{self, Flavour};

/// Render a folder to YAML, without a cluster
///
/// Without flags it prints what `kustomize build` prints, in its order and with its strictness. With
/// --kustomization it prints what the agent would apply for a Kustomization object, with --recursive for
/// every one that follows from it or from the folder, each after those it depends on, HelmReleases included
/// whose charts are at hand. With --helmrelease it prints what the agent would install for a HelmRelease.
/// Comments name the Kustomization or HelmRelease and each object's file or template. With --chart it prints
/// what a Helm chart renders to.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// The folder to build, by default this one; with --kustomization or --helmrelease the folder to look for
    /// NAME in, by default the root
    #[arg(value_name = "PATH")]
    path: Option<PathBuf>,
    /// The only folder from which files are read; by default the repository that contains PATH or FILE
    #[arg(long, value_name = "FOLDER")]
    root: Option<PathBuf>,
    /// Build a Kustomization object, given by its file, by - for standard input, by NAME or by NAMESPACE/NAME
    #[arg(long, value_name = "FILE|NAME")]
    kustomization: Option<String>,
    /// Go on to the Kustomizations and HelmReleases in what was built, and so on
    #[arg(long)]
    recursive: bool,
    /// Print the builds that succeed, and name those that fail; by default a failure prints nothing
    #[arg(long, requires = "recursive")]
    keep_going: bool,
    /// Values to substitute, from a file of ConfigMaps and Secrets, a file of names and values as YAML or
    /// NAME=VALUE lines (.env), or - for standard input; may be given several times
    #[arg(long, value_name = "FILE")]
    substitute_from: Vec<PathBuf>,
    /// A value to substitute, which wins over all others; with --chart, a value for the chart in the syntax
    /// of helm's --set; may be given several times
    #[arg(long, value_name = "NAME=VALUE")]
    set: Vec<String>,
    #[command(flatten)]
    releases: ReleaseFlags,
    #[command(flatten)]
    chart: chart::TemplateFlags,
}

const EXAMPLES: &str = "\
Examples:
  lockgate build kubernetes/production/eu-west9/foobar
      what `kustomize build` prints
  lockgate build --kustomization foobar kubernetes/production/eu-west9
      what the agent would apply for the Kustomization 'foobar' of that region
  lockgate build --recursive kubernetes/production/eu-west9/flux-system
      the whole region, for example for a pull request
  kubectl get configmap cluster-variables -n flux-system -o yaml |
    lockgate build --kustomization foobar.yaml --substitute-from -
      with the values that a cluster has
  lockgate build --helmrelease foobar --chart-cache charts kubernetes/production/eu-west9
      what the agent would install for the HelmRelease 'foobar', its chart from a folder of archives
  lockgate build --chart charts/foobar -f values.yaml --helm-output foobar
      what `helm template foobar charts/foobar -f values.yaml` prints
  lockgate build --chart charts/foobar --helmrelease foobar.yaml --substitute-from values.yaml
      the chart as the HelmRelease in that file renders it

Exit codes: 0 done, 1 the build failed, 2 wrong usage.";

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, CommandError> {
    if let Some(folder) = &arguments.chart.chart {
        let is_alone = arguments.chart.helmrelease.is_none() && !arguments.substitute_from.is_empty();
        if arguments.kustomization.is_some() || arguments.recursive || is_alone {
            return Err(CommandError::usage(
                "--chart cannot be combined with these flags: a chart is built \
                alone, or for a HelmRelease",
            ));
        }
        let given = chart::ChartFlags {
            chart: folder,
            name: arguments.path.as_deref(),
            set: &arguments.set,
            sources: &arguments.substitute_from,
        };
        return chart::run(&arguments.chart, &given);
    }
    let from_stdin =
        arguments.substitute_from.iter().filter(|file| file.as_path() == Path::new(STDIN)).count();
    let wanted = Wanted::of(arguments)?;
    if from_stdin + usize::from(wanted.is_some_and(|wanted| wanted.name == STDIN)) > 1 {
        return Err(CommandError::usage("standard input can be read only once"));
    }
    // What a fetch needs is set up before there are threads.
    let fetchers = arguments.releases.fetchers()?;
    on_deep_stack(|| in_runtime(folder_or_object(arguments, wanted, fetchers.as_ref())))?
}

/// The object that is to be built.
#[derive(Clone, Copy)]
struct Wanted<'a> {
    info: &'static KindInfo,
    /// Its name, or the file that holds it.
    name: &'a str,
}

impl<'a> Wanted<'a> {
    fn of(arguments: &'a Arguments) -> Result<Option<Self>, CommandError> {
        let renders = arguments.recursive || arguments.chart.helmrelease.is_some();
        if !renders && (arguments.releases.are_given() || !arguments.chart.api_versions.is_empty()) {
            let error = CommandError::usage("charts are rendered for HelmReleases only");
            return Err(error.hint("add --helmrelease or --recursive"));
        }
        match (&arguments.kustomization, &arguments.chart.helmrelease) {
            (Some(_), Some(_)) => {
                Err(CommandError::usage("build one object: a Kustomization or a HelmRelease"))
            }
            (Some(name), None) => Ok(Some(Self { info: Kustomization::INFO, name })),
            (None, Some(name)) => Ok(Some(Self { info: HelmRelease::INFO, name })),
            (None, None) => Ok(None),
        }
    }
}

async fn folder_or_object(
    arguments: &Arguments,
    wanted: Option<Wanted<'_>>,
    fetchers: Option<&Fetchers>,
) -> Result<ExitCode, CommandError> {
    let file = wanted.map(|wanted| Path::new(wanted.name)).filter(|file| file.is_file());
    let begin = arguments.path.as_deref().or(file).unwrap_or(Path::new("."));
    let root = root(arguments.root.as_deref(), begin)?;
    let tree = directory::snapshot(&root).map_err(|error| CommandError::failed(error.to_string()))?;
    let path = arguments.path.as_deref().map(|path| relative(&root, path)).transpose()?;
    let release = KubeRelease::named(arguments.chart.kube_version.as_deref())?;
    if wanted.is_none() && !arguments.recursive {
        if !arguments.substitute_from.is_empty() || !arguments.set.is_empty() {
            let error = CommandError::usage("values are substituted for Kustomization objects only");
            return Err(error.hint("add --kustomization or --recursive"));
        }
        // Only on a disk can a path climb out of the root and back in.
        let tree = root.to_str().map_or_else(|| tree.clone(), |root| tree.standing_at(root));
        return plain(&tree, here(path, &root)?, &release);
    }
    // The agent does not see files that a source excludes.
    let Ok(tree) = ignore::applied(&tree, None, || Ok::<(), Infallible>(()));
    let failed = |error: OfflineError| CommandError::failed(error.to_string());
    let mut values = values(arguments, &tree)?;
    let start = match wanted {
        None => Start::Folder(here(path, &root)?),
        Some(wanted) => {
            let (found, beside) = object(&tree, &root, &path.unwrap_or_default(), wanted)?;
            warn(&offline::oddities(&found));
            // What is given by a flag counts more.
            values.given.splice(0..0, beside);
            Start::Object(Box::new(found))
        }
    };
    let setting = ReleaseSetting {
        charts: &arguments.releases.charts(fetchers)?,
        capabilities: chart::capabilities(&arguments.chart)?,
        chance: Some(chart::chance()),
    };
    match start {
        Start::Object(found) if !arguments.recursive && HelmRelease::INFO.is_of(&found.object) => {
            let built = offline::helm_release(&tree, &found, &values, &Nowhere, &setting).await;
            print(&[built.map_err(failed)?], &release)
        }
        Start::Object(found) if !arguments.recursive => {
            // This also covers a Kustomization that cannot be built, since it may be the cause.
            warn(&offline::hints(&tree, &found, &values).await);
            let built = offline::kustomization(&tree, &found, &values, &Nowhere).await;
            print(&[built.map_err(failed)?], &release)
        }
        start => {
            let platform = offline::recursive(&tree, start, &values, &Nowhere, Some(&setting)).await;
            let told =
                |errors: &[OfflineError]| CommandError::all(errors.iter().map(ToString::to_string).collect());
            if !arguments.keep_going {
                return print(&platform.whole().map_err(|errors| told(&errors))?, &release);
            }
            let done = print(&platform.rendered, &release)?;
            if platform.errors.is_empty() { Ok(done) } else { Err(told(&platform.errors)) }
        }
    }
}

/// What `kustomize build` prints.
fn plain(tree: &Tree, path: String, release: &KubeRelease) -> Result<ExitCode, CommandError> {
    let recipe = kustomize::KustomizeRecipe { path, flavour: Flavour::Cli };
    let built = kustomize::build(tree, &recipe).map_err(|error| CommandError::failed(error.to_string()))?;
    warn(&built.warnings);
    release.warn(built.objects.iter().map(|built| &built.value));
    output::write_documents(built.objects.iter().map(|built| yaml::print(&built.value, Layout::V2)))?;
    // The process ends now and returns all memory at once. To free thousands of objects one by one would take
    // a tenth of the time.
    std::mem::forget(built);
    Ok(ExitCode::SUCCESS)
}

fn print(rendered: &[BuiltSet], release: &KubeRelease) -> Result<ExitCode, CommandError> {
    for built in rendered {
        warn(&built.warnings);
        let hooks = built.hooks().iter().map(|hook| &hook.built);
        release.warn(built.resources.iter().chain(hooks).map(|resource| resource.object.value()));
    }
    output::write_documents(rendered.iter().flat_map(|built| {
        let objects = built.resources.iter().map(|resource| (resource, String::new()));
        let hooks = built.hooks().iter().map(|hook| (&hook.built, format!("# Hook: {hook}\n")));
        objects.chain(hooks).enumerate().map(|(index, (resource, hook))| {
            let heading = if index == 0 { heading(built) } else { String::new() };
            let yaml = yaml::print(resource.object.value(), Layout::V2);
            format!("{heading}{hook}# Source: {}\n{yaml}", resource.origin)
        })
    }))?;
    Ok(ExitCode::SUCCESS)
}

/// The comment before the first object of a build.
fn heading(built: &BuiltSet) -> String {
    match &built.owner {
        BuiltOwner::Release(release) => format!("# {}, chart {}\n", built.subject, release.chart),
        _ => format!("# {}\n", built.subject),
    }
}

/// The given folder, or the current one.
fn here(path: Option<String>, root: &Path) -> Result<String, CommandError> {
    path.map_or_else(|| relative(root, Path::new(".")), Ok)
}

/// The object that is to be built, and where it stands as seen from the root; beside a HelmRelease what else
/// its file holds.
fn object(
    tree: &Tree,
    root: &Path,
    folder: &str,
    Wanted { info, name }: Wanted<'_>,
) -> Result<(LocatedObject, Vec<Object>), CommandError> {
    let file = Path::new(name);
    if name != STDIN && !file.is_file() {
        if [".yaml", ".yml", ".json"].iter().any(|ending| name.ends_with(ending)) {
            return Err(CommandError::usage(format!("{name}: there is no such file")));
        }
        let found = offline::find(tree, folder, info, name);
        return Ok((found.map_err(|error| CommandError::failed(error.to_string()))?, Vec::new()));
    }
    let (mut objects, mut beside): (Vec<_>, Vec<_>) =
        input(file)?.0.into_iter().partition(|object| info.is_of(object));
    if objects.len() == 1 {
        if !HelmRelease::INFO.is_of(&objects[0]) {
            beside.clear();
        }
        // A file outside of the tree has no neighbours in it.
        let file = relative(root, file).unwrap_or_default();
        return Ok((LocatedObject { file, object: objects.swap_remove(0) }, beside));
    }
    let (names, kind): (Vec<&str>, _) = (objects.iter().map(Object::name).collect(), info.id.kind);
    let error = CommandError::usage(format!("{name} contains {} {kind} objects, not one", names.len()));
    Err(if names.is_empty() { error } else { error.hint(format!("name one instead: {}", names.join(", "))) })
}

/// The values for substitution.
fn values(arguments: &Arguments, tree: &Tree) -> Result<SubstituteValues, CommandError> {
    let failed = |error: OfflineError| CommandError::failed(error.to_string());
    let tree = offline::values_in(tree).map_err(failed)?;
    let mut values = SubstituteValues { tree, ..SubstituteValues::default() };
    for file in &arguments.substitute_from {
        let (objects, plain) = input(file)?;
        values.given.extend(objects);
        values.by_hand.instead.extend(plain);
    }
    for pair in &arguments.set {
        let (name, value) = pair
            .split_once('=')
            .ok_or_else(|| CommandError::usage(format!("--set {pair}: write NAME=VALUE")))?;
        values.by_hand.over.insert(name.into(), value.into());
    }
    Ok(values)
}
