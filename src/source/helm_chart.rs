//! HelmCharts: finds the chart in its source, and makes the artifact of it.

mod making;
mod pull;
mod dependencies;
mod files;

use std::sync::Arc;

use super::adapter::{Adapter, Ask, NoUpstream, Upstream, VerdictFuture};
use lockgate_base::model::KindId;
use lockgate_core::api::{
    GitRepository, HelmChart, HelmChartSpec, HelmRepositorySpec, OciRepository, Source,
};
use lockgate_core::verdict::{FetchCause, Fetched as Failed};
use lockgate_git::Fetcher;
use lockgate_git::helm::HelmHost;
use lockgate_git::oci::OciRequest;
use making::{not_of, told};
use pull::ChartPuller;

/// The adapter of HelmCharts.
pub(super) struct HelmCharts(ChartPuller);

impl HelmCharts {
    pub(super) fn new(helm: Arc<dyn HelmHost>, oci: Arc<dyn Fetcher<OciRequest>>) -> Self {
        Self(ChartPuller { helm, oci })
    }
}

impl Adapter for HelmCharts {
    fn kind(&self) -> KindId {
        HelmChart::ID
    }

    fn fetch<'f>(&'f self, ask: &'f Ask<'f>) -> VerdictFuture<'f> {
        Box::pin(async {
            let spec: &HelmChartSpec = ask.spec()?;
            let (upstream, source) = there(ask)?;
            if spec.verify.is_some() && !source.spec.is_static() {
                let message = format!(
                    "spec.verify is for charts of a registry, and {} is none: remove it",
                    upstream.key.path()
                );
                return Err(told(FetchCause::Signature, message, true));
            }
            if [GitRepository::ID, OciRepository::ID].contains(&upstream.key.kind) {
                return files::from_files(&self.0, ask, spec, upstream).await;
            }
            let foreign = || not_of(&upstream.key.to_string());
            let repository: &HelmRepositorySpec = source.spec().ok_or_else(foreign)?;
            if source.spec.is_static() {
                self.0.by_registry(ask, spec, repository).await
            } else {
                self.0.by_index(ask, spec, upstream, repository).await
            }
        })
    }
}

/// The source that a chart is made from, if it exists.
fn there<'a>(ask: &Ask<'a>) -> Result<(&'a Upstream, &'a Arc<Source>), Failed> {
    let upstream = ask.upstream.ok_or_else(|| not_of("a chart without a source"))?;
    let source = upstream.source.as_ref().map_err(|why| {
        let Upstream { key, .. } = upstream;
        let named = format!("{}.{} \"{}\"", key.kind.kind, key.kind.group, key.name);
        let problem = match why {
            NoUpstream::Missing => format!(
                "{named} not found: create it, or correct spec.sourceRef; it is used as soon as it exists"
            ),
            NoUpstream::Malformed(problem) => format!("{named} cannot be read: {problem}"),
        };
        told(FetchCause::NoSource, format!("failed to get source: {problem}"), false)
    })?;
    if source.spec.is_static() || upstream.held.is_some() {
        return Ok((upstream, source));
    }
    let ready = source.status.conditions.get("Ready").map(|ready| format!(": {}", ready.message));
    let message = format!(
        "no artifact available for {} source '{}'{}",
        upstream.key.kind.kind,
        upstream.key.name,
        ready.unwrap_or_default()
    );
    Err(told(FetchCause::NoArtifact, message, false))
}
