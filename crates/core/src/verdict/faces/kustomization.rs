//! The fields that only a Kustomization's status has: inventory, revisions, history and the condition
//! Healthy.

use std::collections::BTreeMap;

use crate::api::{HistoryEntry, InventoryEntry, InventoryStatus, KustomizationStatus};
use crate::queue::Next;
use crate::verdict::conditions::begin;
use crate::verdict::context::VerdictContext;
use crate::verdict::face::{Base, Face};
use crate::verdict::judged::Judged;
use crate::verdict::judgement::{Judgement, Mark, RunStage, Told};
use crate::verdict::judges;
use crate::verdict::outcome::{Applied, Done, Outcome};
use crate::verdict::reason::Reason;
use crate::verdict::texts::rounded;
use crate::verdict::writer::READY;
use lockgate_base::model::{ConditionStatus, Digest, Duration};

const HEALTHY: &str = "Healthy";
const DRIFTED: &str = "Drifted";
/// How many results `status.history` holds.
const HISTORY_LIMIT: usize = 5;

impl Face for KustomizationStatus {
    type Ending = Applied;

    fn base(&mut self) -> Base<'_> {
        Base {
            conditions: &mut self.conditions,
            observed_generation: &mut self.observed_generation,
            handled: &mut self.last_handled_reconcile_at,
        }
    }

    fn is_at(&self, revision: &str) -> bool {
        self.last_applied_revision.as_deref() == Some(revision)
    }

    fn fault(context: &VerdictContext<'_, Self>) -> (Reason, Next) {
        (Reason::ReconciliationFailed, Next::After(context.schedule.retry))
    }

    fn stage(stage: RunStage, context: &VerdictContext<'_, Self>) -> String {
        let stage = match stage {
            RunStage::Fetching => "Fetching manifests",
            RunStage::Building => "Building manifests",
            RunStage::Applying => "Detecting drift",
            RunStage::Checking => "Running health checks",
        };
        let timeout = Duration::from(context.schedule.timeout);
        match context.revision {
            Some(revision) => format!("{stage} for revision {revision} with a timeout of {timeout}"),
            None => format!("{stage} with a timeout of {timeout}"),
        }
    }

    fn judge(ending: &Applied, context: &VerdictContext<'_, Self>) -> Judgement {
        judges::applied::judge(ending, context)
    }

    fn marks(outcome: &Outcome<Applied>, _: Told, context: &VerdictContext<'_, Self>) -> Vec<Mark> {
        let mut marks = match outcome {
            Outcome::Own(Applied::Unhealthy { .. }) => vec![Mark::AsReady(HEALTHY, ConditionStatus::False)],
            Outcome::Own(Applied::Ready(done)) => match done.health {
                None if done.digest.is_some() => vec![Mark::Gone(HEALTHY)],
                Some(took) if !context.is_ready() || context.previous.conditions.get(HEALTHY).is_none() => {
                    let message = format!("Health check passed in {}", Duration::from(rounded(took)));
                    vec![Mark::True(HEALTHY, Reason::Succeeded, message)]
                }
                _ => Vec::new(),
            },
            _ => Vec::new(),
        };
        marks.extend(outcome.done().filter(|done| done.digest.is_some()).map(drifted));
        marks
    }

    fn write(&mut self, outcome: &Outcome<Applied>, told: Told, context: &VerdictContext<'_, Self>) {
        if let Some(entries) = managed(outcome, context.previous) {
            self.inventory = Some(InventoryStatus { entries });
        }
        let revision = context.revision.map(ToOwned::to_owned);
        if told.success {
            self.last_applied_revision.clone_from(&revision);
            self.last_applied_origin_revision = context.origin.map(ToOwned::to_owned);
            self.last_attempted_revision = revision;
        } else if told.stage != Some(RunStage::Fetching) && revision.is_some() {
            self.last_attempted_revision = revision;
        }
        let digest = outcome.done().and_then(|done| done.digest);
        if let (Some(digest), false) = (digest, told.repeated) {
            remember(self, digest, told.reason, context);
        }
    }
}

/// The mark for drift that is not corrected.
fn drifted(done: &Done) -> Mark {
    if done.drifted.is_empty() {
        return Mark::Gone(DRIFTED);
    }
    let message = format!("has drifted, and is not corrected: {}", done.drifted.join("; "));
    Mark::True(DRIFTED, Reason::DriftReported, message)
}

/// The managed objects, if they may have changed.
fn managed(outcome: &Outcome<Applied>, previous: &KustomizationStatus) -> Option<Vec<InventoryEntry>> {
    match outcome {
        Outcome::Own(Applied::Unchanged) => Some(previous.inventory.clone().unwrap_or_default().entries),
        Outcome::Own(Applied::Refused { inventory, .. }) => Some(inventory.clone()),
        outcome => outcome.done().map(|done| done.inventory.clone()),
    }
}

/// The status when writing begins: the objects that will be managed and, for a new generation or revision,
/// that it is being applied. A re-check of an object that is already Ready leaves the conditions as they are.
pub fn applying(
    context: &VerdictContext<'_, KustomizationStatus>,
    inventory: Vec<InventoryEntry>,
) -> Judged<KustomizationStatus> {
    let mut status = context.previous.clone();
    status.inventory = Some(InventoryStatus { entries: inventory });
    if is_new(context) {
        status.conditions.remove(HEALTHY);
        let stage = KustomizationStatus::stage(RunStage::Applying, context);
        begin(&mut status, &stage, Some("Reconciliation in progress"), context);
        status.last_attempted_revision = context.revision.map(Into::into);
    }
    Judged::new(status)
}

/// Whether this is the first run for this generation and revision.
fn is_new(context: &VerdictContext<'_, KustomizationStatus>) -> bool {
    let ready = context.previous.conditions.get(READY);
    ready.is_none_or(|ready| ready.observed_generation != Some(context.generation))
        || context.previous.last_attempted_revision.as_deref() != context.revision
}

/// Adds a result to the history, or increases the count of the newest entry with its digest if the reason is
/// the same.
fn remember(
    status: &mut KustomizationStatus,
    digest: Digest,
    reason: Reason,
    context: &VerdictContext<'_, KustomizationStatus>,
) {
    let (digest, reason) = (digest.to_string(), reason.as_str());
    let took = Duration::from(rounded(context.took));
    let found = status
        .history
        .iter()
        .position(|entry| entry.digest == digest && entry.last_reconciled_status == reason)
        .map(|index| status.history.remove(index));
    let mut entry = found.unwrap_or_else(|| HistoryEntry {
        digest,
        first_reconciled: context.now,
        last_reconciled: context.now,
        last_reconciled_duration: took,
        last_reconciled_status: reason.into(),
        total_reconciliations: 0,
        metadata: BTreeMap::new(),
    });
    entry.last_reconciled = context.now;
    entry.last_reconciled_duration = took;
    entry.total_reconciliations += 1;
    if let Some(revision) = context.revision {
        entry.metadata.insert("revision".into(), revision.into());
    }
    if let Some(origin) = context.origin {
        entry.metadata.insert("originRevision".into(), origin.into());
    }
    status.history.insert(0, entry);
    status.history.truncate(HISTORY_LIMIT);
}
