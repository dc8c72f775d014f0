//! Drift of a release: objects that are not as its newest version has them are told, and put back where that
//! is wished.

use super::super::apply::{self, Stop};
use super::super::decide::{Terms, decide};
use super::super::hands::Hands;
use super::super::ports::ReleaseStores;
use super::ReleaseJournal;
use super::actions::{Actions, Found};
use super::play::Play;
use super::stop::ReleaseStop;
use super::storage::{Stored, whole};
use crate::api::DriftMode;
use crate::plan::{Drift, Entry, FieldDrift, Ignored, Step, stages};
use crate::release::ReleaseDeed;
use crate::verdict::{DriftEnd, DriftFound, waited_in_vain};
use lockgate_base::model::Object;

/// Looks for drift, and puts objects back where that is wished.
pub(super) async fn checked<C: ReleaseStores, J: ReleaseJournal>(
    actions: &Actions<'_, C, J>,
    found: &Found,
) -> Result<DriftEnd, ReleaseStop> {
    let Actions { cluster, job, journal, .. } = *actions;
    let spec = &job.release.spec;
    let (mode, rules) = match &spec.drift_detection {
        Some(detection) if spec.drift_mode() != DriftMode::Disabled => (spec.drift_mode(), &detection.ignore),
        _ => return Ok(DriftEnd::NotAsked),
    };
    let Some(newest) = found.versions.first() else { return Ok(DriftEnd::NotLooked) };
    let Some(Stored { release: record, secret }) = whole(cluster, actions.shelf(), newest.number).await?
    else {
        return Ok(DriftEnd::NotLooked);
    };
    let deed = ReleaseDeed::Upgrade;
    let mut play = Play::of(&job.release, deed, actions.shelf(), (record, Some(secret)), actions.redactor)
        .map_err(ReleaseStop::Storage)?;
    let mut objects = play.objects.clone();
    let mut terms = play.terms_of(cluster, &mut objects).await;
    terms.known = objects.iter().map(Object::id).collect();
    terms.options.force = false;
    terms.options.ignored = Ignored::read(rules)
        .map_err(|error| ReleaseStop::Storage(error.replacen("spec.", "spec.driftDetection.", 1)))?;
    let release = play.record.subject();
    let mut drift = DriftFound { release, ..DriftFound::default() };
    match looked(cluster, &objects, &terms, mode).await {
        Ok(lines) => drift.lines = lines,
        Err(ReleaseStop::Failed(cause)) => {
            drift.corrected = Some(Err(actions.redactor.redact(&cause)));
            return Ok(DriftEnd::Looked(drift));
        }
        Err(stop) => return Err(stop),
    }
    if mode == DriftMode::Enabled && !drift.lines.is_empty() {
        let hands = Hands { cluster, slot: journal, clock: job.clock, limit: play.terms.limit };
        let ended = apply::apply(&hands, stages(objects), &terms, &mut play.progress).await;
        drift.changes = std::mem::take(&mut play.progress.changes);
        drift.corrected = Some(match ended {
            Ok(()) => Ok(()),
            Err(Stop::Refused { refusals, .. }) => match ReleaseStop::refused(&refusals) {
                ReleaseStop::Failed(cause) => Err(actions.redactor.redact(&cause)),
                stop => return Err(stop),
            },
            Err(Stop::Shut { settled, .. }) => Err(waited_in_vain(&super::interpret::wait_end(settled)?)),
        });
    }
    Ok(DriftEnd::Looked(drift))
}

/// A line for each object that differs. Where drift stays, what is there now counts as known, so that only a
/// further change is looked at.
async fn looked<C: ReleaseStores>(
    cluster: &C,
    objects: &[Object],
    terms: &Terms,
    mode: DriftMode,
) -> Result<Vec<String>, ReleaseStop> {
    let mut lines = Vec::new();
    for stage in stages(objects.to_vec()) {
        let decided = decide(cluster, stage, terms).await;
        if !decided.refusals.is_empty() {
            return Err(ReleaseStop::refused(&decided.refusals));
        }
        for entry in &decided.stage.entries {
            let live = decided.observed.get(&entry.object.id()).and_then(|seen| seen.live.as_ref());
            if let Some(live) = live.filter(|_| !entry.step.writes() || mode == DriftMode::Warn) {
                cluster.hold(live);
            }
            lines.extend(line(entry));
        }
    }
    Ok(lines)
}

/// What of an object differs, in the words of Flux.
fn line(entry: &Entry) -> Option<String> {
    let subject = entry.object.id().subject();
    match &entry.step {
        Step::Create => Some(format!("{subject} removed")),
        Step::Configure { drift, .. } => {
            let count =
                |is: fn(&FieldDrift) -> bool| drift.iter().filter(|Drift { change, .. }| is(change)).count();
            let added = count(|change| matches!(change, FieldDrift::Surplus(_) | FieldDrift::SetBy(_)));
            let changed = count(|change| matches!(change, FieldDrift::Changed { .. }));
            let removed = count(|change| matches!(change, FieldDrift::Missing(_)));
            Some(format!("{subject} changed ({added} additions, {changed} changes, {removed} removals)"))
        }
        Step::Keep | Step::Recreate { .. } | Step::Skip(_) | Step::Refuse(_) => None,
    }
}
