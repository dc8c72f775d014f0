//! The HelmChart of a HelmRelease's `spec.chart`: made, kept as it is asked for, and deleted when it is asked
//! for no more.

use std::sync::Arc;

use super::journal::ReleaseLog;
use crate::agent::report::ReportError;
use crate::agent::shared::Shared;
use crate::agent::world::SeenObject;
use lockgate_base::model::{ObjectId, Ref};
use lockgate_core::api::{HelmChart, HelmRelease, is_as_wanted};
use lockgate_core::pipeline::ports::{ApiFailure, ObjectReference, Reads as _, Writes as _};
use lockgate_core::verdict::Common;

/// Makes the HelmChart as it is asked for, and deletes one that was made before and is asked for no more.
/// Returns whether it was made or changed, so that it is still to be fetched.
pub(super) async fn made(log: &ReleaseLog<'_>) -> Result<bool, Common> {
    let (shared, release) = (log.shared, log.release);
    let wanted = release.chart_object();
    let reference = wanted
        .as_ref()
        .map(|object| Ref::new(HelmChart::ID, object.namespace().unwrap_or_default(), object.name()));
    let before = before(release);
    if let Some(before) = before.filter(|before| Some(before) != reference.as_ref()) {
        deleted(shared, release, &before).await?;
    }
    let (Some(object), Some(reference)) = (wanted, reference) else { return Ok(false) };
    if let Some((SeenObject::Sound(live), _)) = shared.world.source(&reference)
        && is_as_wanted(&live, &object)
        && live.metadata.deletion_timestamp.is_none()
    {
        return Ok(false);
    }
    log.add_finalizer().await.map_err(|error| match error {
        ReportError::Fenced | ReportError::Gone | ReportError::Conflict => Common::Fenced,
        ReportError::Api(message) => Common::Unreachable { message },
    })?;
    let own = shared.cluster_as_itself(release.reference());
    match own.apply(&object).await {
        Ok(_) => Ok(true),
        Err(refusal) if refusal.is_forbidden() => Err(Common::AccessDenied { message: refusal.to_string() }),
        Err(refusal) => Err(Common::Unreachable { message: refusal.to_string() }),
    }
}

/// The HelmChart that was made before.
fn before(release: &HelmRelease) -> Option<Ref> {
    let (namespace, name) = release.status.helm_chart.as_deref()?.split_once('/')?;
    Some(Ref::new(HelmChart::ID, namespace, name))
}

/// Deletes the HelmChart of a HelmRelease that goes. Returns what keeps that from being done.
pub(super) async fn removed(shared: &Arc<Shared>, release: &HelmRelease) -> Option<Common> {
    deleted(shared, release, &before(release)?).await.err()
}

/// Deletes a HelmChart, where its labels say that it was made for this HelmRelease.
async fn deleted(shared: &Arc<Shared>, release: &HelmRelease, chart: &Ref) -> Result<(), Common> {
    let own = shared.cluster_as_itself(release.reference());
    let id = ObjectId {
        namespace: chart.namespace.clone(),
        name: chart.name.clone(),
        group: chart.kind.group.into(),
        kind: chart.kind.kind.into(),
    };
    let version = HelmChart::INFO.versions[0];
    let reference = ObjectReference::new(id, version);
    let failed = |failure: ApiFailure| {
        let message = failure.to_string();
        match failure {
            ApiFailure::Forbidden(_) => Common::AccessDenied { message },
            _ => Common::Unreachable { message },
        }
    };
    let Some(live) = own.get(&reference).await.map_err(failed)? else { return Ok(()) };
    if HelmRelease::OWNERSHIP.owner_of(&live) != Some(release.reference()) {
        return Ok(());
    }
    let uid = live.text("/metadata/uid").unwrap_or_default();
    own.delete(&reference, uid, None).await.map_err(failed).map(drop)
}
