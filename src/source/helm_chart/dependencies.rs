//! The dependencies of a chart in a source of files that the chart does not contain: they come from the same
//! source, or from the repositories that its lock or its ranges name.

use super::making::{not_of, told};
use super::pull::ChartPuller;
use crate::source::adapter::Ask;
use lockgate_base::tree::{Resolved, Tree, join, within_root};
use lockgate_core::api::{self, HelmRepository, HelmRepositorySpec};
use lockgate_core::verdict::{FetchCause, Fetched as Failed, unsupported};
use lockgate_render::helm::chart::archive::Bounds;
use lockgate_render::helm::chart::files_of;
use lockgate_render::helm::chart::package::{PackageError, described};
use lockgate_render::helm::chart::required::{RequiredChart, required};

/// The prefix of the path of a chart in the same repository.
const FILE: &str = "file://";

/// Runs slow work, such as reading an object store, outside of the runtime's threads.
pub(super) async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Failed> {
    tokio::task::spawn_blocking(work).await.map_err(|_| not_of("what was read of a chart"))
}

/// A chart with all its dependencies. `chart` has its files, which are in `folder` of the source.
pub(super) async fn whole(
    puller: &ChartPuller,
    ask: &Ask<'_>,
    chart: Tree,
    (source, folder): (&Tree, &str),
) -> Result<Tree, Failed> {
    let own = chart.clone();
    let missing = aside(move || required(&own).map_err(|error| error.text())).await?;
    let missing = missing.map_err(|problem| failed(&problem, true))?;
    let mut parts = Vec::new();
    for requirement in missing {
        let is_local = requirement.repository.is_empty() || requirement.repository.starts_with(FILE);
        let found = if is_local {
            let (source, folder, requirement) = (source.clone(), folder.to_owned(), requirement.clone());
            let found = aside(move || local(&source, &folder, &requirement)).await?;
            found.map_err(|problem| failed(&problem, true))
        } else {
            remote(puller, ask, &requirement).await
        };
        let RequiredChart { name, .. } = requirement;
        let kind = if is_local { "local" } else { "remote" };
        let first = format!("failed to add {kind} dependency '{name}'");
        parts.push((name, found.map_err(|error| within(error, &first))?));
    }
    if parts.is_empty() { Ok(chart) } else { aside(move || with_parts(&chart, parts)).await? }
}

/// A chart with other charts in it, within the limits of one chart.
fn with_parts(chart: &Tree, parts: Vec<(String, Tree)>) -> Result<Tree, Failed> {
    let mut bounds = Bounds::default();
    let mut files = Vec::new();
    for (name, tree) in parts {
        let read = files_of(&tree.reader(), "", &mut bounds);
        let problem = |text: String| failed(&format!("failed to add dependency '{name}': {text}"), false);
        let read = read.map_err(|error| problem(error.text()))?;
        let at = |path: &str| format!("charts/{name}/{path}");
        files.extend(read.into_iter().map(|file| (at(&file.path), file.content.to_vec())));
    }
    Ok(chart.with_files(files))
}

fn failed(problem: &str, terminal: bool) -> Failed {
    told(FetchCause::Dependencies, format!("dependency build error: {problem}"), terminal)
}

/// A failure of one dependency.
fn within(error: Failed, first: &str) -> Failed {
    match error {
        Failed::Failed { message, terminal, .. } => {
            let message = message.strip_prefix("dependency build error: ").unwrap_or(&message);
            failed(&format!("{first}: {message}"), terminal)
        }
        other => other,
    }
}

/// A chart from the same source.
fn local(source: &Tree, folder: &str, requirement: &RequiredChart) -> Result<Tree, String> {
    let RequiredChart { name, version, repository: place } = requirement;
    let path = match place.strip_prefix(FILE) {
        Some(path) if path.starts_with('/') => within_root(path),
        Some(path) => within_root(&join(folder, path)),
        None => join(folder, &format!("charts/{name}")),
    };
    if source.reader().node(&path) != Ok(Some(Resolved::Directory)) {
        return Err(format!("no chart found at '/{path}' (reference '{place}')"));
    }
    let tree = source.folder(&path);
    let described = described(&tree).map_err(|error| match error {
        PackageError::Chart(error) | PackageError::Version(error) | PackageError::Values(error) => {
            error.text()
        }
    })?;
    if !requirement.fits(&described.1) {
        return Err(format!(
            "can't get a valid version for constraint '{version}': the chart at '/{path}' is {}",
            described.1
        ));
    }
    Ok(tree)
}

/// A chart from another address: through the HelmRepository of that address in the namespace, or else without
/// credentials.
async fn remote(puller: &ChartPuller, ask: &Ask<'_>, requirement: &RequiredChart) -> Result<Tree, Failed> {
    let RequiredChart { name, version, repository: place } = requirement;
    if place.starts_with('@') || place.starts_with("alias:") {
        let problem = format!("aliased repository dependency is not supported: '{place}'; write its address");
        return Err(failed(&problem, true));
    }
    let repository = repository_at(ask, place).await?;
    puller.chart(ask, &repository, (name, version)).await
}

async fn repository_at(ask: &Ask<'_>, place: &str) -> Result<HelmRepositorySpec, Failed> {
    let address = place.trim_end_matches('/');
    let listed = ask.inputs.near(HelmRepository::INFO).await;
    let listed = listed.map_err(|failure| failed(&failure.to_string(), false))?;
    // An object that cannot be read has no known address.
    let mut known = listed.iter().filter_map(|object| api::decode::<HelmRepositorySpec>(object).ok());
    if let Some(found) = known.find(|known| known.spec.url.trim_end_matches('/') == address) {
        let problem = unsupported(&api::Kind::unserved(&found.spec));
        let told = |problem: String| failed(&format!("{}: {problem}", found.reference()), true);
        return problem.map_or(Ok(found.spec.clone()), |problem| Err(told(problem)));
    }
    let form = if address.starts_with("oci://") { "oci" } else { "default" };
    let spec = serde_json::json!({"url": address, "type": form});
    serde_json::from_value(spec).map_err(|error| failed(&error.to_string(), true))
}
