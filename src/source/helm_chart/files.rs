//! Charts in the files of a source, a Git repository or an artifact: as a folder, or as an archive.

use super::dependencies::{aside, whole};
use super::making::{Pulled, edits, held, made, not_of, told, unchanged, unusable};
use super::pull::ChartPuller;
use crate::source::adapter::{Ask, FetchAnswer, Upstream};
use crate::source::held::Held;
use lockgate_base::tree::{Resolved, Tree, within_root};
use lockgate_core::api::{HelmChartSpec, ReconcileStrategy};
use lockgate_core::verdict::{FetchCause, Fetched as Failed};
use lockgate_render::helm::chart::archive::{Bounds, files_in};
use lockgate_render::helm::chart::files_of;
use lockgate_render::helm::chart::package::{Edits, described};

/// Makes the artifact of a chart from a folder or an archive of a source.
pub(super) async fn from_files(
    puller: &ChartPuller,
    ask: &Ask<'_>,
    spec: &HelmChartSpec,
    upstream: &Upstream,
) -> Result<FetchAnswer, Failed> {
    let Some(Held::Files(repository)) = &upstream.held else {
        return Err(not_of(&upstream.key.to_string()));
    };
    let by_revision = spec.reconcile_strategy == ReconcileStrategy::Revision;
    let edits = edits(ask, spec, by_revision.then_some(&repository.revision));
    let (tree, path) = (repository.tree.clone(), within_root(&spec.chart));
    let (wanted, at) = (edits.clone(), path.clone());
    let ChartOfFiles { version, tree, is_packed } = aside(move || in_files(&tree, &at, &wanted)).await??;
    // As in Flux, a packed chart without changes is passed on as it is.
    let is_packaged = !is_packed || !edits.metadata.is_empty();
    if let Some(held) = held(ask, &version) {
        return Ok(unchanged(ask, spec, held, is_packaged));
    }
    let tree = if is_packed { tree } else { whole(puller, ask, tree, (&repository.tree, &path)).await? };
    let origin = Some(repository.revision.to_string());
    let pulled = Pulled { tree, origin, source: Some(repository.tree.clone()) };
    made(ask, pulled, &edits, is_packaged)
}

/// A chart in the files of a source.
struct ChartOfFiles {
    /// The version that the artifact gets.
    version: String,
    /// Its files.
    tree: Tree,
    /// Whether the source contains the chart as an archive, and not as a folder.
    is_packed: bool,
}

/// Reads the chart from a folder or an archive.
fn in_files(tree: &Tree, path: &str, edits: &Edits) -> Result<ChartOfFiles, Failed> {
    let reader = tree.reader();
    let reference =
        |problem: &str| told(FetchCause::Reference, format!("invalid chart reference: {problem}"), true);
    let node = reader.node(path).map_err(|error| reference(&error.to_string()))?;
    let bounds = &mut Bounds::default();
    let files = match node {
        Some(Resolved::Directory) => files_of(&reader, path, bounds),
        Some(Resolved::File) => {
            let archive = reader.bytes(path).map_err(|error| reference(&error.to_string()))?;
            files_in(&archive, bounds)
        }
        None => return Err(reference(&format!("stat {path}: no such file or directory"))),
    };
    let files = files.map_err(|error| reference(&error.text()))?;
    let tree = Tree::in_memory(files.into_iter().map(|file| (file.path, file.content.to_vec())));
    let (_, own) = described(&tree).map_err(|error| unusable(error, true))?;
    let version = edits.version(&own).map_err(|error| unusable(error, true))?;
    Ok(ChartOfFiles { version, tree, is_packed: node == Some(Resolved::File) })
}
