//! The run itself: the release is looked at and acted on until it is what is wanted, or nothing more is to be
//! done now.

use super::super::ports::{Lookup, ReleaseStores};
use super::actions::Actions;
use super::asked::Asked;
use super::drift;
use super::prepare::{PreparedRelease, prepared};
use super::stop::{EarlyEnd, ReleaseStop};
use super::storage::{ReleaseShelf, StoredVersion, versions};
use super::{ReleaseFinish, ReleaseJob, ReleaseJournal};
use crate::api::{DriftMode, HelmRelease};
use crate::release::{self, ReleaseAction, ReleaseLedger, ReleaseRequests};
use crate::verdict::{ActionEnd, DriftEnd, DriftFound, Outcome, Redactor, ReleaseEnd, Released};

/// How many actions one run may take.
const STEPS: usize = 6;

/// Brings a release to what its HelmRelease says.
///
/// `cluster` acts as the HelmRelease's ServiceAccount, `own` as the agent, which reads values as Flux does.
pub async fn reconcile_release<C: ReleaseStores, O: Lookup, J: ReleaseJournal>(
    cluster: &C,
    own: &O,
    job: &ReleaseJob<'_>,
    journal: &J,
) -> ReleaseFinish {
    let mut redactor = Redactor::default();
    let release: &HelmRelease = &job.release;
    let mut ledger = ReleaseLedger::new(release.status.clone());
    let asked = Asked::of(release);
    asked.note(release, &mut ledger);
    ledger.status_mut().helm_chart.clone_from(&job.made_chart);
    let (mut done, mut drift) = (Vec::new(), DriftEnd::default());
    if release.spec.drift_mode() == DriftMode::Disabled {
        drift = DriftEnd::NotAsked;
    }
    let ended = match prepared(own, job, &mut redactor).await {
        Ok(prepared) => {
            let actions = Actions { cluster, job, journal, prepared: &prepared, asked, redactor: &redactor };
            run(&actions, &mut ledger, &mut done, &mut drift).await
        }
        Err(end) => end,
    };
    let (end, memo) = match ended {
        EarlyEnd::Own(end, memo) => (end, memo),
        // What was done until then is told all the same.
        EarlyEnd::Common(common) if done.is_empty() => {
            return ReleaseFinish { outcome: common.into(), memo: None, redactor };
        }
        EarlyEnd::Common(common) => (ReleaseEnd::Broken(Box::new(common)), None),
    };
    let released = Released { status: ledger.status().clone(), done, drift, end };
    ReleaseFinish { outcome: Outcome::Own(released), memo, redactor }
}

async fn run<C: ReleaseStores, J: ReleaseJournal>(
    actions: &Actions<'_, C, J>,
    ledger: &mut ReleaseLedger,
    done: &mut Vec<ActionEnd>,
    drift: &mut DriftEnd,
) -> EarlyEnd {
    let Actions { cluster, job, prepared, .. } = *actions;
    let shelf = ReleaseShelf { storage: &prepared.want.storage, name: &prepared.want.name };
    match versions(cluster, shelf).await {
        Ok(versions) if is_unchanged(job, prepared, &versions) => {
            return EarlyEnd::Own(ReleaseEnd::Unchanged, job.memo.cloned());
        }
        Ok(_) => {}
        Err(failure) => return ReleaseStop::from(failure).into(),
    }
    actions.count_anew(ledger);
    if let Err(stop) = actions.moved(ledger, done).await {
        return stop.into();
    }
    let mut requests = ReleaseRequests { force: actions.asked.force, has_tried: false };
    for _ in 0..STEPS {
        let found = match actions.look(ledger).await {
            Ok(found) => found,
            Err(stop) => return stop.into(),
        };
        let next = release::next(&found.state, &job.release.spec, ledger, requests, found.sound);
        let is_remedy = matches!(next, ReleaseAction::Remedy(_));
        match next {
            ReleaseAction::Nothing => {
                match drift::checked(actions, &found).await {
                    Ok(found) => *drift = found,
                    Err(stop) => return stop.into(),
                }
                if let DriftEnd::Looked(DriftFound { corrected: Some(Err(cause)), release, .. }) = &*drift {
                    let message = format!("release {release} has drifted and is not put back: {cause}");
                    return EarlyEnd::Own(ReleaseEnd::Drifted { message }, None);
                }
                let memo = actions.memo(&found);
                ledger.reset();
                return EarlyEnd::Own(ReleaseEnd::Ready, memo);
            }
            ReleaseAction::Stall { deed, attempts } => {
                return EarlyEnd::Own(ReleaseEnd::Stalled { deed, attempts }, None);
            }
            ReleaseAction::After(pause) => return EarlyEnd::Own(ReleaseEnd::Retry(pause), None),
            ReleaseAction::Stuck(status) => {
                let message = format!("unable to determine state for release with status '{status}'");
                return EarlyEnd::Own(ReleaseEnd::State { message }, None);
            }
            _ if requests.has_tried && !is_remedy => return EarlyEnd::Own(ReleaseEnd::Again, None),
            action => {
                requests.has_tried |= matches!(action, ReleaseAction::Install | ReleaseAction::Upgrade);
                requests.force = false;
                if let Err(stop) = actions.take(&action, &found, ledger, done).await {
                    return stop.into();
                }
            }
        }
    }
    EarlyEnd::Own(ReleaseEnd::Again, None)
}

/// Whether the last success would be repeated.
fn is_unchanged(job: &ReleaseJob<'_>, prepared: &PreparedRelease, versions: &[StoredVersion]) -> bool {
    let Some(memo) = job.memo else { return false };
    !job.thorough
        && Asked::of(&job.release) == Asked { force: false, reset: false }
        && memo.generation == job.release.metadata.generation
        && memo.inputs == prepared.inputs
        && versions.first().map(StoredVersion::identity).as_ref() == Some(&memo.version)
}
