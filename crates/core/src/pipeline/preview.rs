//! Shows the steps of a run without doing them. It has only a [`Reads`], so by its type it cannot write.

use super::apply::{ApplyProgress, note};
use super::build::Supported;
use super::claims::{self, Claims};
use super::decide::{Decided, Intent, decide, intend};
use super::ports::{ObjectReference, Reads};
use super::prune::{self, Fate};
use crate::api::Kustomization;
use crate::plan::{
    DriftPolicy, Entry, Foreseen, Ignored, Inventory, Observed, Pruner, Refusal, Step, after_take_over,
};
use crate::verdict::{Applied, ChangedObject, Common, Deed, Outcome};
use lockgate_base::model::{Digest, Object, ObjectId};
use lockgate_render::RenderedObject;

/// The changes that a run would make.
#[derive(Debug, Default)]
pub struct Preview {
    /// The step of each built object, in the order of applying.
    pub objects: Vec<Announced>,
    /// Refused objects. The stage of the first of them and all later stages are not applied, and nothing is
    /// deleted.
    pub refusals: Vec<Refusal>,
    /// The fate of each object that is no longer built, in the order of deletion; empty if any object is
    /// refused.
    pub dropped: Vec<Dropped>,
    /// The changes and deletions, in that order, as far as the refusals allow them.
    pub changes: Vec<ChangedObject>,
    /// The warnings, including those of the server.
    pub warnings: Vec<String>,
    /// A line for each object that has drifted and is left as it is.
    pub drifted: Vec<String>,
}

/// The input of a preview.
#[derive(Debug, Clone)]
pub struct PreviewInput {
    /// The built objects.
    pub resources: Vec<RenderedObject>,
    /// The digest of the build, if it is known: a difference from the same build, applied earlier, is drift.
    pub digest: Option<Digest>,
    /// The drift policy, unless the Kustomization sets another.
    pub drift: DriftPolicy,
}

/// The announced step of a built object.
#[derive(Debug)]
pub struct Announced {
    /// The object and its step.
    pub entry: Entry,
    /// The live object.
    pub live: Option<Object>,
    /// The object after the step, if the server could tell.
    pub wanted: Option<Object>,
    /// The path of its file in the tree; empty if it is unknown.
    pub origin: String,
    /// Whether its values must stay hidden: it is a Secret, or a Secret's value was substituted in it.
    pub is_sensitive: bool,
    /// Whether the run reaches it: no object of its stage or of an earlier one is refused.
    pub is_reached: bool,
}

/// An object that is managed and no longer built.
#[derive(Debug)]
pub struct Dropped {
    /// The object.
    pub id: ObjectId,
    /// Its fate; `None` if pruning is disabled, so that it is no longer managed; or why its fate is unknown.
    pub fate: Result<Option<Fate>, String>,
}

/// Decides about a build as a run does. An object whose kind or namespace comes from the build itself, or
/// from an earlier one in `foreseen`, counts as created, since the server cannot judge it yet. Returns an
/// outcome if the run would end before its first write.
pub async fn preview(
    cluster: &impl Reads,
    kustomization: Supported<'_>,
    input: PreviewInput,
    claims: &impl Claims,
    foreseen: &mut Foreseen,
) -> Result<Preview, Outcome<Applied>> {
    Ignored::read(&kustomization.spec.ignore).map_err(|message| Common::Malformed { message })?;
    let PreviewInput { resources, digest, drift } = input;
    let Intent { stages, mut terms, managed, origins, .. } =
        intend(cluster, &kustomization, resources, (digest, drift)).await?;
    terms.foreseen = std::mem::take(foreseen);
    let mut progress = ApplyProgress::default();
    let mut preview = Preview::default();
    for stage in stages {
        let Decided { stage, mut observed, refusals, .. } = decide(cluster, stage, &terms).await;
        terms.foreseen.learn(&stage);
        preview.refusals.extend(refusals);
        let is_reached = preview.refusals.is_empty();
        for entry in stage.entries {
            let reference = ObjectReference::to(&entry.object);
            let id = reference.id.clone();
            if is_reached {
                note(&entry, reference, &mut progress);
                if let Some(seen) = observed.get(&id).filter(|_| entry.step.writes()) {
                    progress.remark(&id, &seen.warnings);
                }
            }
            let is_sensitive = terms.options.is_sensitive(&id);
            let origin = origins.of(&id).to_owned();
            preview.objects.push(announced(entry, &mut observed, (is_sensitive, is_reached), origin));
        }
    }
    *foreseen = terms.foreseen;
    if preview.refusals.is_empty() {
        preview.dropped = dropped(cluster, &kustomization, claims, &progress, &managed).await?;
        let goes = |dropped: &&Dropped| matches!(dropped.fate, Ok(Some(Fate::Deleted)));
        let deleted = preview.dropped.iter().filter(goes).map(|dropped| dropped.id.clone());
        let deleted = deleted.map(|id| ChangedObject { id, deed: Deed::Deleted, fields: Vec::new() });
        progress.changes.extend(deleted);
    }
    let warnings = progress.told();
    Ok(Preview { changes: progress.changes, drifted: progress.drifted, warnings, ..preview })
}

/// The announcement of an object. The live object is kept only if it is compared.
fn announced(
    entry: Entry,
    observed: &mut Observed,
    (is_sensitive, is_reached): (bool, bool),
    origin: String,
) -> Announced {
    let seen = if entry.step.writes() { observed.take(&entry.object.id()) } else { None };
    let (live, mut wanted) = seen.map_or((None, None), |seen| (seen.live, seen.dry_run.ok()));
    if let (Step::Configure { take_over: Some(_), .. }, Some(live), Some(wanted)) =
        (&entry.step, &live, &mut wanted)
    {
        // The dry run was made before the fields of other managers were taken over.
        *wanted = after_take_over(wanted.clone(), live, &entry.object, Kustomization::OWNERSHIP);
    }
    Announced { entry, live, wanted, origin, is_sensitive, is_reached }
}

/// The fate of the objects that are no longer built.
async fn dropped(
    cluster: &impl Reads,
    kustomization: &Kustomization,
    claims: &impl Claims,
    progress: &ApplyProgress,
    managed: &Inventory,
) -> Result<Vec<Dropped>, Common> {
    let (left_alone, stale) = prune::stale(progress, managed);
    let let_go = |id: ObjectId| Dropped { id, fate: Ok(None) };
    let mut dropped: Vec<Dropped> = left_alone.into_iter().map(let_go).collect();
    if !kustomization.spec.prune {
        dropped.extend(stale.into_iter().map(let_go));
        return Ok(dropped);
    }
    let stale = prune::references(managed, stale);
    let (owner, needs) = (kustomization.reference(), claims::needs(kustomization));
    let pruner = Pruner { owner: &owner, ownership: Kustomization::OWNERSHIP, needs: &needs, release: None };
    for decided in prune::decide(cluster, claims, pruner, stale, &progress.inventory).await {
        let fate = match decided.found {
            Ok((fate, _)) => Ok(Some(fate)),
            Err(failure) if failure.is_unreachable() => {
                return Err(Common::Unreachable { message: failure.to_string() });
            }
            Err(failure) => Err(failure.to_string()),
        };
        dropped.push(Dropped { id: decided.reference.id, fate });
    }
    Ok(dropped)
}
