//! What is made ready before anything is asked of the release: the chart, and the values that it is given.

use serde_json::{Map, Value};

use super::super::ports::Lookup;
use super::super::workers;
use super::ReleaseJob;
use super::render::{ReadyChart, RenderTask, chart_of};
use super::stop::EarlyEnd;
use super::values;
use crate::api::HelmRelease;
use crate::release::{self, WantedRelease};
use crate::verdict::{Common, Redactor, ReleaseEnd};
use lockgate_base::model::Digest;

/// What is known before anything is asked of the release.
#[derive(Debug)]
pub(super) struct PreparedRelease {
    pub(super) want: WantedRelease,
    pub(super) chart: ReadyChart,
    pub(super) task: RenderTask,
    pub(super) values: Map<String, Value>,
    pub(super) inputs: Digest,
}

pub(super) async fn prepared(
    own: &impl Lookup,
    job: &ReleaseJob<'_>,
    redactor: &mut Redactor,
) -> Result<PreparedRelease, EarlyEnd> {
    let release: &HelmRelease = &job.release;
    let broken = |place: String| EarlyEnd::Common(Common::Panicked { message: place });
    let data = values::data(own, release, redactor).await?;
    let task = RenderTask::of(release, data);
    let (snapshot, is_artifact) = (job.snapshot.clone(), job.is_artifact);
    let chart =
        workers::output(job.workers, move || chart_of(&snapshot, is_artifact)).await.map_err(broken)?;
    let chart = chart.map_err(|message| EarlyEnd::Own(ReleaseEnd::Chart { message }, None))?;
    let asked = task.clone();
    let values = workers::output(job.workers, move || asked.values()).await.map_err(broken)?;
    let values = values.map_err(|message| EarlyEnd::Own(ReleaseEnd::Values { message }, None))?;
    let spec = &release.spec;
    let want = WantedRelease {
        name: release.release_name(),
        namespace: release.target_namespace().to_owned(),
        storage: release.storage_namespace().to_owned(),
        config: release::config(&values),
        chart: chart.head.clone(),
        post_renderers: release::post_renderers(&spec.post_renderers),
        common_metadata: release::common_metadata(spec.common_metadata.as_ref()),
    };
    let inputs =
        Digest::of_parts([chart.content.clone(), want.config.to_string(), want.chart.version().to_owned()]);
    Ok(PreparedRelease { want, chart, task, values, inputs })
}
