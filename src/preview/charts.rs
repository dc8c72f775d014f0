//! The charts of HelmReleases that are rendered without a cluster: of the tree that is built, of a folder of
//! archives, or fetched as the agent fetches them.

use std::path::Path;
use std::sync::Arc;

use super::archives::Archives;
use crate::source::{Ask, FetchAnswer, Held, SourceInputs, Sources, Upstream};
use lockgate_base::model::Revision;
use lockgate_base::tree::Snapshot;
use lockgate_core::api::{HelmChartSpec, Source};
use lockgate_core::pipeline::offline::{ChartWish, Charts, NoChart};
use lockgate_core::verdict;

/// The commit of a tree of which none is known. Charts whose version tells the commit tell this one.
const NO_COMMIT: &str = "0000000000000000000000000000000000000000";
/// What is said of a chart that nobody was told where to get.
const FLAGS: &str =
    "--chart-cache takes charts from a folder of archives, --fetch gets them from their sources";

/// Where charts are had from.
pub(crate) struct ChartSources {
    archives: Arc<Archives>,
    /// What fetches; `None` if nothing is fetched.
    fetched: Option<Sources>,
}

impl ChartSources {
    /// The charts of the tree, of the archives in a folder, and of where `fetched` gets them, in this order.
    /// Returns a line for each archive that holds none.
    pub(crate) fn new(
        folder: Option<&Path>,
        fetched: Option<Sources>,
    ) -> Result<(Self, Vec<String>), String> {
        let (archives, told) = Archives::read(folder)?;
        Ok((Self { archives: Arc::new(archives), fetched }, told))
    }
}

impl Charts for ChartSources {
    async fn chart(&self, wish: ChartWish<'_>) -> Result<Snapshot, NoChart> {
        let folder = self.archives.folder();
        if folder.is_none() && self.fetched.is_none() && wish.tree.is_none() {
            return Err(NoChart::NotAtHand(format!("{} is not at hand: {FLAGS}", subject(&wish))));
        }
        // Without a folder there are no archives, but a chart of the tree may need none.
        let has_archives = folder.is_some() || self.fetched.is_none();
        let archives = has_archives.then(|| Arc::clone(&self.archives).sources());
        let places = archives.into_iter().chain(self.fetched.clone());
        let mut problems = Vec::new();
        for place in places {
            match chart(&place, &wish).await {
                Ok(chart) => return Ok(chart),
                Err(problem) => problems.push(problem),
            }
        }
        let problem = problems.join("; ");
        Err(NoChart::Failed(match folder {
            _ if self.fetched.is_some() => problem,
            Some(folder) => {
                format!("{problem}; charts are had from {} alone, --fetch gets others", folder.display())
            }
            None => format!("{problem}; {FLAGS}"),
        }))
    }
}

/// `chart 'demo' 1.x of HelmRepository/flux-system/charts`, or the artifact.
fn subject(wish: &ChartWish<'_>) -> String {
    match (wish.source.spec::<HelmChartSpec>(), &wish.upstream) {
        (Some(spec), Some(upstream)) => {
            format!("chart '{}' {} of {}", spec.chart, spec.version, upstream.reference())
        }
        _ => format!("the chart of {} at {}", wish.source.reference(), wish.source.spec.url()),
    }
}

/// The chart from one place.
async fn chart(place: &Sources, wish: &ChartWish<'_>) -> Result<Snapshot, String> {
    let upstream = match &wish.upstream {
        None => None,
        Some(source) => {
            let held = match wish.tree {
                Some(tree) => {
                    let (revision, tree) = (Revision::git(None, NO_COMMIT), tree.clone());
                    Some(Held::Files(Snapshot { revision, tree, origin: None }))
                }
                None if source.spec.is_static() => None,
                None => Some(fetched(place, wish, source, None).await?),
            };
            Some(Upstream { key: source.reference(), source: Ok(Arc::new(source.clone())), held })
        }
    };
    let held = fetched(place, wish, &wish.source, upstream.as_ref()).await?;
    held.into_files().ok_or_else(|| format!("{} has no files", wish.source.reference()))
}

/// What the adapter of a source's kind fetches.
async fn fetched(
    place: &Sources,
    wish: &ChartWish<'_>,
    source: &Source,
    upstream: Option<&Upstream>,
) -> Result<Held, String> {
    let key = source.reference();
    let adapter = place.of(source.kind).ok_or_else(|| format!("{key} is fetched with --fetch alone"))?;
    let inputs = SourceInputs::at_hand(wish.objects.clone(), &source.metadata.namespace);
    let answer = adapter.fetch(&Ask { source, held: None, upstream, inputs: &inputs }).await;
    let redactor = inputs.into_redactor();
    match answer {
        Ok(FetchAnswer::Updated(news)) => Ok(news.held),
        // The request names no revision that is held, so no answer can be that it is unchanged.
        Ok(FetchAnswer::Unchanged { .. } | FetchAnswer::Static { .. }) => {
            Err(format!("{key} has no artifact of its own"))
        }
        Err(verdict::Fetched::Failed { message, .. }) => Err(redactor.redact(&message)),
        Err(_) => Err(format!("{key} cannot be fetched")),
    }
}
