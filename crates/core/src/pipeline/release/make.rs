//! Makes the version that is to be of a chart and its values.

use std::time::UNIX_EPOCH;

use super::super::ports::{ApiFailure, ReleaseStores};
use super::super::workers;
use super::ReleaseJob;
use super::prepare::PreparedRelease;
use super::render::{RenderEnd, RenderTerms, RenderedParts, rendered};
use super::stop::ReleaseStop;
use super::storage::timestamp;
use crate::release::{Record, RecordHead, ReleaseDeed, ReleaseInfo, ReleaseStatus, StoredRelease};
use crate::verdict::Common;
use lockgate_base::model::Object;
use lockgate_render::helm::context::Now;
use lockgate_render::helm::shelf::Shelf;

/// How often a chart is rendered anew that asks the cluster for more each time.
pub(super) const RENDERS: usize = 8;

/// The version that is to be, and the definitions that its chart brings.
pub(super) async fn made(
    cluster: &impl ReleaseStores,
    job: &ReleaseJob<'_>,
    prepared: &PreparedRelease,
    (deed, last): (ReleaseDeed, Option<&RecordHead>),
) -> Result<(Record, Vec<Object>), ReleaseStop> {
    let want = &prepared.want;
    let number = last.map_or(1, |last| last.version + 1);
    let parts = parts(cluster, job, prepared, (deed, number)).await?;
    let now = timestamp(job.clock).to_string();
    let first = last.filter(|_| deed == ReleaseDeed::Upgrade);
    let first = first.and_then(|last| last.info.first_deployed.clone());
    let (status, description) = match deed {
        ReleaseDeed::Install => (ReleaseStatus::PendingInstall, "Initial install underway"),
        _ => (ReleaseStatus::PendingUpgrade, "Preparing upgrade"),
    };
    for warning in &parts.warnings {
        tracing::warn!(release = %job.release.reference(), %warning, "the chart was rendered all the same");
    }
    let record = StoredRelease {
        name: want.name.clone(),
        info: ReleaseInfo {
            first_deployed: Some(first.unwrap_or_else(|| now.clone())),
            last_deployed: Some(now),
            deleted: None,
            description: description.into(),
            status,
            notes: parts.notes,
        },
        chart: parts.chart,
        config: prepared.values.clone(),
        manifest: parts.manifest,
        hooks: parts.hooks,
        version: number,
        namespace: want.namespace.clone(),
        apply_method: "ssa".into(),
    };
    Ok((record, parts.definitions.into_iter().map(|(_, definition)| definition).collect()))
}

/// Renders the chart, as often as it asks the cluster for more.
async fn parts(
    cluster: &impl ReleaseStores,
    job: &ReleaseJob<'_>,
    prepared: &PreparedRelease,
    (deed, version): (ReleaseDeed, i64),
) -> Result<RenderedParts, ReleaseStop> {
    let spec = &job.release.spec;
    let is_upgrade = deed == ReleaseDeed::Upgrade;
    let unchecked = if is_upgrade {
        spec.upgrade.disable_schema_validation
    } else {
        spec.install.disable_schema_validation
    };
    let now = job.clock.wall().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut terms = RenderTerms {
        name: prepared.want.name.clone(),
        namespace: prepared.want.namespace.clone(),
        version,
        is_upgrade,
        checks_schema: !unchecked,
        capabilities: cluster.capabilities().await?,
        now: Now { seconds: now.as_secs().cast_signed(), nanoseconds: now.subsec_nanos() },
        entropy: job.entropy,
        answers: Vec::new(),
        documents: Vec::new(),
    };
    let mut lookups = 0;
    while lookups < RENDERS {
        let (chart, task, asked) = (prepared.chart.clone(), prepared.task.clone(), terms.clone());
        let work = move |shelf: &mut Shelf| rendered(shelf, &chart, &task, &asked);
        let output = workers::output_beside_charts(job.workers, work).await;
        let output = output.map_err(|message| ReleaseStop::Common(Common::Panicked { message }))?;
        match output.map_err(ReleaseStop::Failed)? {
            RenderEnd::Done(parts) => return Ok(*parts),
            // The chart may refer to a limited number of documents, so this comes to an end.
            RenderEnd::Wants(urls) => terms.documents.extend(job.documents.fetch(urls).await),
            RenderEnd::Asks(queries) => {
                lookups += 1;
                for query in queries {
                    let answer = cluster.look(&query).await.map_err(|failure| match failure {
                        ApiFailure::UnknownKind { .. } => ReleaseStop::Failed(failure.to_string()),
                        failure => failure.into(),
                    })?;
                    terms.answers.push((query, answer));
                }
            }
        }
    }
    Err(ReleaseStop::Failed(restless()))
}

/// That a chart never has all the answers that it asks for.
pub(super) fn restless() -> String {
    format!("the chart looks something else up each time that it is rendered ({RENDERS} times)")
}
