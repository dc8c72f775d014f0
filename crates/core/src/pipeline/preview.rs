//! What a run would do, without doing it. It holds only a [`Reads`], so by its type it cannot write.

use super::apply::{Progress, note};
use super::build::{Build, Supported};
use super::decide::{Decided, Intent, decide, intend};
use super::ports::{Reads, Reference};
use super::prune;
use crate::api::Kustomization;
use crate::plan::{DriftPolicy, PruneDecision, Pruner, Refusal, Stage};
use crate::verdict::{Applied, Change, Common, Deed, Outcome};

/// What would change.
#[derive(Debug, Default)]
pub struct Preview {
    /// What would be done with each object, in the order in which the stages are applied.
    pub stages: Vec<Stage>,
    /// Objects that are refused. What is in the stage of the first of them is not applied, nor what comes after it, and
    /// nothing is deleted.
    pub refusals: Vec<Refusal>,
    /// What would be changed and deleted, in that order, as far as the refusals let it come.
    pub changes: Vec<Change>,
    /// What people should know.
    pub warnings: Vec<String>,
}

/// Decides about a build as a run does. What is in a kind or a namespace that the build itself brings counts as created,
/// since the server cannot be asked about it yet. An outcome where the run would end before it writes anything.
pub async fn preview(
    cluster: &impl Reads,
    kustomization: Supported<'_>,
    build: Build,
) -> Result<Preview, Outcome<Applied>> {
    let Build { objects, sensitive, warnings, digest, .. } = build;
    let Intent { stages, mut terms, managed, .. } =
        intend(cluster, &kustomization, objects, sensitive, (digest, DriftPolicy::default())).await?;
    let mut progress = Progress { warnings, ..Progress::default() };
    let mut preview = Preview::default();
    for stage in stages {
        let Decided { stage, refusals, .. } = decide(cluster, stage, &terms).await;
        terms.foreseen.learn(&stage);
        preview.refusals.extend(refusals);
        if preview.refusals.is_empty() {
            for entry in &stage.entries {
                note(entry, Reference::to(&entry.object), &mut progress);
            }
        }
        preview.stages.push(stage);
    }
    if preview.refusals.is_empty() && kustomization.spec.prune {
        let (_, stale) = prune::stale(&progress, &managed);
        let stale = prune::references(&managed, stale);
        let (owner, needs) = (kustomization.reference(), prune::needs(&kustomization));
        let pruner = Pruner { owner: &owner, ownership: Kustomization::OWNERSHIP, needs: &needs };
        let found = cluster.identify(&stale).await;
        for (reference, found) in stale.into_iter().zip(found) {
            let found = found.map_err(|failure| Common::Unreachable { message: failure.to_string() })?;
            let decision = prune::judge(found.as_ref(), pruner, &progress.inventory);
            if matches!(decision, Some(PruneDecision::Delete { .. })) {
                progress.changes.push(Change { id: reference.id, deed: Deed::Deleted, fields: Vec::new() });
            }
        }
    }
    Ok(Preview { changes: progress.changes, warnings: progress.warnings, ..preview })
}
