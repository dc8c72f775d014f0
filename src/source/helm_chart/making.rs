//! Makes the artifact of a pulled chart, and the report about it.

use crate::source::adapter::{Ask, FetchAnswer, FetchedNews, failed};
use crate::source::held::Held;
use lockgate_base::model::Revision;
use lockgate_base::tree::{Snapshot, Tree};
use lockgate_core::api::HelmChartSpec;
use lockgate_core::verdict::{Content, FetchCause, Fetched as Failed, PackedChart};
use lockgate_git::SourceError;
use lockgate_render::helm::chart::package::{Edits, Package, PackageError, package};

/// The number of hex digits of a commit in a version.
const DIGITS: usize = 12;

/// A pulled chart, and its origin.
pub(super) struct Pulled {
    pub(super) tree: Tree,
    /// The revision of the source that contains the chart.
    pub(super) origin: Option<String>,
    /// The files that contain its values files; `None` if these are in the chart.
    pub(super) source: Option<Tree>,
}

/// The failure for a case that only a bug in lockgate can cause.
pub(super) fn not_of(what: &str) -> Failed {
    failed(&SourceError::Storage(format!("{what} is of another kind")))
}

/// A failure, and whether a retry is useless.
pub(super) const fn told(cause: FetchCause, message: String, terminal: bool) -> Failed {
    Failed::Failed { cause, message, terminal }
}

/// The changes to make to the chart. `revision` is that of the source, for a chart that is packaged again for
/// each.
pub(super) fn edits(ask: &Ask<'_>, spec: &HelmChartSpec, revision: Option<&Revision>) -> Edits {
    let mut edits = Edits {
        metadata: revision.map(|revision| revision.hex().chars().take(DIGITS).collect()).unwrap_or_default(),
        values_files: spec.values_files(),
        ignores_missing: spec.ignore_missing_values_files,
    }
    .without_its_own();
    if !edits.values_files.is_empty() {
        let generation = ask.source.metadata.generation.to_string();
        let point = if edits.metadata.is_empty() { "" } else { "." };
        edits.metadata = format!("{}{point}{generation}", edits.metadata);
    }
    edits
}

/// The existing artifact, if it is of this version of the chart and of this generation of the object.
pub(super) fn held<'a>(ask: &Ask<'a>, version: &str) -> Option<&'a Snapshot> {
    let is_current = ask.source.status.observed_generation == Some(ask.source.metadata.generation);
    let held = ask.held?.files()?;
    let known = ask.known().filter(|_| is_current)?;
    (known == held.revision && known == Revision::chart(version)).then_some(held)
}

/// The result for an artifact that is still the wanted one.
pub(super) fn unchanged(
    ask: &Ask<'_>,
    spec: &HelmChartSpec,
    held: &Snapshot,
    is_packaged: bool,
) -> FetchAnswer {
    let status = &ask.source.status;
    let values_files = if status.observed_values_files.is_empty() {
        edits(ask, spec, None).values_files
    } else {
        status.observed_values_files.clone()
    };
    let chart = PackedChart {
        name: status.observed_chart_name.clone().unwrap_or_else(|| spec.chart.clone()),
        is_packaged,
        values_files,
        ignores_missing: spec.ignore_missing_values_files,
        source_revision: source_revision(ask),
    };
    FetchAnswer::Unchanged { revision: held.revision.clone(), content: Content::Chart(chart) }
}

fn source_revision(ask: &Ask<'_>) -> Option<String> {
    Some(ask.upstream?.held.as_ref()?.revision().to_string())
}

/// The finished chart.
pub(super) fn made(
    ask: &Ask<'_>,
    pulled: Pulled,
    edits: &Edits,
    is_packaged: bool,
) -> Result<FetchAnswer, Failed> {
    let Pulled { tree, origin, source } = pulled;
    let Package { name, version, tree, values_files } =
        package(&tree, source.as_ref(), edits).map_err(|error| unusable(error, source.is_some()))?;
    let content = Content::Chart(PackedChart {
        name,
        is_packaged,
        values_files,
        ignores_missing: edits.ignores_missing,
        source_revision: source_revision(ask),
    });
    let held = Held::Files(Snapshot { revision: Revision::chart(&version), tree, origin });
    Ok(FetchAnswer::Updated(Box::new(FetchedNews::of(held, content))))
}

/// Why the wanted changes cannot be made to a chart.
pub(super) fn unusable(error: PackageError, is_in_git: bool) -> Failed {
    let (cause, first, error, terminal) = match error {
        PackageError::Chart(error) if is_in_git => {
            (FetchCause::Reference, "invalid chart reference", error, true)
        }
        PackageError::Chart(error) => {
            (FetchCause::Pull, "chart pull error: failed to load chart metadata", error, false)
        }
        PackageError::Version(error) => (FetchCause::Version, "chart metadata patch error", error, true),
        PackageError::Values(error) => {
            let first = if is_in_git {
                "values files merge error"
            } else {
                "values files merge error: failed to merge chart values"
            };
            (FetchCause::ValuesFiles, first, error, true)
        }
    };
    told(cause, format!("{first}: {}", error.text()), terminal)
}
