//! The charts of HelmReleases that are rendered without a cluster: which one is meant, and the port to where
//! it is.

use serde_json::json;

use super::error::LocatedObject;
use super::sources::KnownSources;
use super::values::{Nowhere, SubstituteValues};
use crate::api::{self, GitRepository, HelmRelease, KindInfo, OciRepository, Source};
use crate::pipeline::Chance;
use crate::verdict::unsupported;
use lockgate_base::model::{Object, Ref};
use lockgate_base::tree::{Snapshot, Tree, within_root};
use lockgate_render::helm::chart::capabilities::Capabilities;

/// A chart that a HelmRelease asks for.
#[derive(Debug)]
pub struct ChartWish<'a> {
    /// The HelmChart that the agent would make, or that the release refers to, or its OCIRepository.
    pub source: Source,
    /// The source that the HelmChart is of.
    pub upstream: Option<Source>,
    /// The files of that, where they are the tree that is built.
    pub tree: Option<&'a Tree>,
    /// The objects that are known; those that count more come later.
    pub objects: Vec<&'a Object>,
}

/// Why a chart is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoChart {
    /// Nobody was told where to get it.
    NotAtHand(String),
    /// It cannot be had from there.
    Failed(String),
}

/// The port to where charts are.
pub trait Charts: Sync {
    /// The chart as the agent would hold it.
    fn chart(&self, wish: ChartWish<'_>) -> impl Future<Output = Result<Snapshot, NoChart>> + Send;
}

impl Charts for Nowhere {
    async fn chart(&self, wish: ChartWish<'_>) -> Result<Snapshot, NoChart> {
        Err(NoChart::NotAtHand(format!("{} is not fetched here", wish.source.reference())))
    }
}

/// How HelmReleases are rendered.
#[derive(Debug)]
pub struct ReleaseSetting<'c, C> {
    /// Where their charts are.
    pub charts: &'c C,
    /// What templates are told of the cluster.
    pub capabilities: Capabilities,
    /// What chance and the clock give. Without it each chart is rendered twice by different ones, and what
    /// comes out otherwise is marked.
    pub chance: Option<Chance>,
}

impl<C: Charts> ReleaseSetting<'_, C> {
    /// The chart of a release, and whether it is in a folder of an artifact.
    pub(super) async fn chart(
        &self,
        tree: &Tree,
        (found, release): (&LocatedObject, &HelmRelease),
        (values, sources): (&SubstituteValues, &KnownSources),
    ) -> Result<(Snapshot, bool), NoChart> {
        let known = WishMaker { tree, sources, near: &found.file };
        let mut wish = known.wish(release)?;
        let given = values.built.iter().chain(&values.given);
        wish.objects = values.tree.iter().map(|found| &found.object).chain(given).collect();
        wish.objects.extend(sources.objects());
        let is_artifact = wish.source.kind == OciRepository::ID;
        Ok((self.charts.chart(wish).await?, is_artifact))
    }
}

/// What a chart is looked up in.
struct WishMaker<'a> {
    tree: &'a Tree,
    sources: &'a KnownSources,
    /// The file of the release.
    near: &'a str,
}

impl<'a> WishMaker<'a> {
    fn wish(&self, release: &HelmRelease) -> Result<ChartWish<'a>, NoChart> {
        let key = release.chart().map_err(NoChart::Failed)?;
        let source = match release.chart_object() {
            Some(object) => decoded(&object)?,
            None => self.source(&key)?,
        };
        let mut wish = ChartWish { source, upstream: None, tree: None, objects: Vec::new() };
        let Some(upstream) = wish.source.upstream() else { return Ok(wish) };
        let upstream: Ref = upstream.map_err(NoChart::Failed)?;
        let path = within_root(wish.source.spec.url());
        let is_there = || !path.is_empty() && matches!(self.tree.reader().node(&path), Ok(Some(_)));
        let has_files = [GitRepository::ID, OciRepository::ID].contains(&upstream.kind);
        if has_files && self.sources.elsewhere(&upstream, is_there).is_none() {
            wish.tree = Some(self.tree);
            // Of the source that the tree is itself, nothing need be known but that it is one.
            wish.upstream = Some(self.source(&upstream).or_else(|_| stand_in(&upstream))?);
        } else {
            wish.upstream = Some(self.source(&upstream)?);
        }
        Ok(wish)
    }

    fn source(&self, key: &Ref) -> Result<Source, NoChart> {
        let found = self.sources.nearest(key, self.tree, self.near);
        let missing = || NoChart::NotAtHand(format!("{key} is nowhere here"));
        decoded(found.ok_or_else(missing)?)
    }
}

/// An object of a source that nothing is to be fetched from.
fn stand_in(key: &Ref) -> Result<Source, NoChart> {
    let scheme = if key.kind == OciRepository::ID { "oci" } else { "https" };
    let version = api::info(key.kind).map(KindInfo::api_version).unwrap_or_default();
    let object = json!({
        "apiVersion": version, "kind": key.kind.kind,
        "metadata": {"name": key.name, "namespace": key.namespace},
        "spec": {"interval": "1m", "url": format!("{scheme}://localhost/tree")},
    });
    let object = Object::parse(object).map_err(|error| NoChart::Failed(error.to_string()))?;
    decoded(&object)
}

fn decoded(object: &Object) -> Result<Source, NoChart> {
    let source = api::decode_source(object).map_err(|error| NoChart::Failed(error.to_string()))?;
    match unsupported(&source.unserved) {
        Some(message) => Err(NoChart::Failed(format!("{}: {message}", source.reference()))),
        None => Ok(source),
    }
}
