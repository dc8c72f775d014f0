//! Applying a build: stage by stage, each stage decided about before the first of its objects is written.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use futures::future::join_all;
use futures::{StreamExt as _, stream};

use super::decide::{Decided, Terms, blotted, decide, explained};
use super::hands::Hands;
use super::lag::{Fresh, brief_pauses, caught_up, judges_first};
use super::migrate::migrated;
use super::origins::ObjectOrigins;
use super::ports::{Accepted, Expect, ObjectReference, Settle, Settled, Writes};
use super::slot::{Slot, aside};
use crate::plan::{
    Cause, Drift, Entry, FieldDrift, Gate, Inventory, Observed, Refusal, Skip, Stage, Step, is_definition,
};
use crate::verdict::{Applied, ChangedObject, Common, Deed, Outcome, Refused, some_of};
use lockgate_base::model::{Object, ObjectId};

/// How long definitions may take to be established before what uses them is applied (Flux's limit).
const ESTABLISH: Duration = Duration::from_mins(1);
/// How long an object that is made anew may take to go.
const RECREATE: Duration = Duration::from_mins(1);
/// Objects of one kind that are written at a time.
const AT_ONCE: usize = 4;

/// What has been applied so far.
#[derive(Debug, Default)]
pub(super) struct ApplyProgress {
    /// All objects that are as Git wants them, or say themselves that they are to be left alone.
    pub(super) inventory: Inventory,
    /// The objects whose health counts.
    pub(super) references: Vec<ObjectReference>,
    /// The objects that were changed.
    pub(super) changes: Vec<ChangedObject>,
    /// What people should know.
    pub(super) warnings: Vec<String>,
    /// What the API server has warned of, each with the objects of which it did.
    pub(super) remarks: BTreeMap<String, Vec<String>>,
    /// A line for each that has drifted and is left as it is.
    pub(super) drifted: Vec<String>,
    /// A line for each that was deleted to be created anew, whether or not it could be.
    pub(super) forced: Vec<String>,
    /// The objects that are to be left alone: nothing of them is managed any more, and none of them is
    /// deleted.
    pub(super) left_alone: HashSet<ObjectId>,
}

impl ApplyProgress {
    /// What people should know, with what the API server has warned of, each warning once.
    pub(super) fn told(&mut self) -> Vec<String> {
        let remarks = std::mem::take(&mut self.remarks).into_iter();
        let told = remarks.map(|(text, subjects)| format!("{}: {text}", some_of(&subjects)));
        std::mem::take(&mut self.warnings).into_iter().chain(told).collect()
    }

    /// Takes note of what the API server warned of about an object.
    pub(super) fn remark(&mut self, id: &ObjectId, warnings: &[String]) {
        for text in warnings {
            self.remarks.entry(text.clone()).or_default().push(id.subject());
        }
    }

    /// Takes what an earlier pass over the same objects did.
    pub(super) fn follows(&mut self, before: Self) {
        let Self { changes, warnings, forced, remarks, .. } = before;
        for (text, subjects) in remarks {
            self.remarks.entry(text).or_default().splice(0..0, subjects);
        }
        self.changes.splice(0..0, changes);
        self.warnings.splice(0..0, warnings);
        self.forced.splice(0..0, forced);
    }
}

/// Why applying stopped.
#[derive(Debug)]
pub(super) enum Stop {
    /// Objects are refused.
    Refused {
        /// Why, for each.
        refusals: Vec<Refusal>,
        /// Whether the server can be asked: it answered for others of them.
        is_reached: bool,
    },
    /// What a gate waits for did not come about, so the stages behind it were not begun.
    Shut {
        /// What it was.
        gate: Gate,
        /// How the objects stand.
        settled: Settled,
        /// How long it was waited for them.
        waited: Duration,
    },
}

/// Applies objects stage by stage, and passes the gate behind each stage before the next one is looked at.
/// What was written before it stopped stands in `progress`.
pub(super) async fn apply<C: Writes + Settle, S: Slot>(
    hands: &Hands<'_, C, S>,
    stages: Vec<Stage<Object>>,
    terms: &Terms,
    progress: &mut ApplyProgress,
) -> Result<(), Stop> {
    let mut fresh = Fresh::default();
    for stage in stages {
        let mut decided = decide(hands.cluster, stage, terms).await;
        if !decided.refusals.is_empty() {
            // Boxed: few builds are refused, and all hold this future.
            decided = Box::pin(reconsidered(hands, decided, terms, &mut fresh, progress)).await?;
        }
        let Decided { stage, observed, refusals, is_reached } =
            Box::pin(migrated(hands.cluster, decided, terms)).await;
        if !refusals.is_empty() {
            return Err(Stop::Refused { refusals, is_reached });
        }
        fresh.learn(&stage);
        match write(hands, &stage, &observed, progress).await {
            // Boxed: few builds hold definitions, and all hold this future.
            Ok(awaited) => Box::pin(pass(hands, stage.gate, awaited)).await?,
            Err(refusals) => {
                let refusals = explained(hands.cluster, refusals).await;
                return Err(Stop::Refused { refusals, is_reached: false });
            }
        }
    }
    Ok(())
}

/// Decides again about a stage of which something is refused that may pass once the server has taken note of
/// what this run changes.
async fn reconsidered<C: Writes + Settle, S: Slot>(
    hands: &Hands<'_, C, S>,
    mut decided: Decided,
    terms: &Terms,
    fresh: &mut Fresh,
    progress: &mut ApplyProgress,
) -> Result<Decided, Stop> {
    if let Some(first) = judges_first(&mut decided) {
        fresh.learn(&first);
        let written = write(hands, &first, &decided.observed, progress).await;
        written.map_err(|refusals| Stop::Refused { refusals, is_reached: false })?;
    }
    Ok(caught_up(hands, decided, terms, fresh).await)
}

/// Waits for what is asked for before the next stage.
async fn pass<C: Settle, S: Slot>(
    hands: &Hands<'_, C, S>,
    gate: Gate,
    awaited: Vec<ObjectReference>,
) -> Result<(), Stop> {
    if awaited.is_empty() {
        return Ok(());
    }
    let limit = if gate == Gate::Served { ESTABLISH } else { hands.limit };
    let started = hands.clock.now();
    let wait = hands.cluster.settle(&awaited, limit);
    match aside(hands.slot, hands.clock, wait, |settled| *settled == Settled::Healthy).await {
        Settled::Healthy => Ok(()),
        settled => Err(Stop::Shut { gate, settled, waited: hands.clock.since(started) }),
    }
}

/// What the gate behind a stage waits for of one of its objects.
fn awaited(gate: Gate, entry: &Entry, reference: &ObjectReference) -> Option<ObjectReference> {
    let is_awaited = match gate {
        Gate::None => false,
        Gate::Served => entry.step.writes() && is_definition(&reference.id),
        Gate::Healthy | Gate::Completed => !matches!(entry.step, Step::Skip(_)),
    };
    let expect = if gate == Gate::Completed { Expect::Completed } else { Expect::Healthy };
    is_awaited.then(|| ObjectReference { expect, ..reference.clone() })
}

/// Carries out a stage's steps, several objects of one kind at a time. Returns what its gate waits for.
async fn write<C: Writes + Settle, S: Slot>(
    hands: &Hands<'_, C, S>,
    stage: &Stage,
    observed: &Observed,
    progress: &mut ApplyProgress,
) -> Result<Vec<ObjectReference>, Vec<Refusal>> {
    let cluster = hands.cluster;
    let mut references = Vec::new();
    for group in stage.entries.chunk_by(|a, b| a.object.kind() == b.object.kind()) {
        let steps: Vec<_> = group.iter().map(|entry| take(cluster, entry, observed)).collect();
        let mut results: Vec<_> = stream::iter(steps).buffered(AT_ONCE).collect().await;
        Box::pin(take_again(hands, group, observed, &mut results)).await;
        let is_cleared = |result: &Result<Taken, Refusal>| matches!(result, Ok(Taken::Cleared));
        let cleared = group.iter().zip(&results).filter(|(_, result)| is_cleared(result));
        // Told once, however long finalizers hold it.
        let cleared = cleared.filter(|(entry, _)| !is_leaving(observed, entry));
        progress.forced.extend(cleared.filter_map(|(entry, _)| forced(entry)));
        if results.iter().any(is_cleared) {
            // Boxed: few steps make an object anew.
            Box::pin(renew(hands, group, &mut results)).await;
        }
        let mut refusals = Vec::new();
        for (entry, result) in group.iter().zip(results) {
            match result {
                Ok(taken) => {
                    if let Taken::Accepted(accepted) = &taken {
                        progress.remark(&accepted.reference.id, &accepted.warnings);
                    }
                    let reference = taken.reference(entry);
                    references.extend(awaited(stage.gate, entry, &reference));
                    note(entry, reference, progress);
                }
                Err(refusal) => refusals.push(blotted(refusal, &entry.object)),
            }
        }
        if !refusals.is_empty() {
            return Err(refusals);
        }
    }
    Ok(references)
}

/// Takes steps again, for a moment, that the server refuses by the schema of their kind: its dry run did not,
/// so it still goes by the earlier one in part.
async fn take_again<C: Writes + Settle, S: Slot>(
    hands: &Hands<'_, C, S>,
    group: &[Entry],
    observed: &Observed,
    results: &mut [Result<Taken, Refusal>],
) {
    for pause in brief_pauses() {
        let is_refused = |at: &usize| matches!(&results[*at], Err(refusal) if refusal.is_of_schema());
        let refused: Vec<usize> = (0..results.len()).filter(is_refused).collect();
        if refused.is_empty() {
            return;
        }
        aside(hands.slot, hands.clock, hands.clock.sleep(pause), |()| true).await;
        for at in refused {
            results[at] = take(hands.cluster, &group[at], observed).await;
        }
    }
}

/// A step that was taken.
enum Taken {
    /// Nothing was written.
    Nothing,
    /// The server has accepted this.
    Accepted(Box<Accepted>),
    /// The object was deleted, and is to be applied anew when it is gone.
    Cleared,
}

impl Taken {
    fn accepted(accepted: Accepted) -> Self {
        Self::Accepted(Box::new(accepted))
    }

    /// What there is after the step.
    fn reference(self, entry: &Entry) -> ObjectReference {
        match self {
            Self::Accepted(applied) => applied.reference,
            Self::Nothing | Self::Cleared => ObjectReference::to(&entry.object),
        }
    }
}

/// Takes one step.
async fn take(cluster: &impl Writes, entry: &Entry, observed: &Observed) -> Result<Taken, Refusal> {
    let object = &entry.object;
    match &entry.step {
        Step::Create | Step::Configure { .. } => cluster.apply(object).await.map(Taken::accepted),
        Step::Recreate { uid, .. } => cluster.clear(object, uid).await.map(|()| Taken::Cleared),
        Step::Keep => {
            if let Some(live) = observed.get(&object.id()).and_then(|observation| observation.live.as_ref()) {
                cluster.hold(live);
            }
            Ok(Taken::Nothing)
        }
        Step::Skip(_) => Ok(Taken::Nothing),
        Step::Refuse(refusal) => Err(refusal.clone()),
    }
}

/// Waits until the objects are gone that were cleared, and applies them anew. Finalizers may hold them for
/// long.
async fn renew<C: Writes, S: Slot>(
    hands: &Hands<'_, C, S>,
    group: &[Entry],
    results: &mut [Result<Taken, Refusal>],
) {
    let cleared: Vec<usize> =
        (0..group.len()).filter(|at| matches!(results[*at], Ok(Taken::Cleared))).collect();
    let waits = cleared.iter().map(|at| hands.cluster.cleared(&group[*at].object, RECREATE));
    let any_gone = |ends: &Vec<Result<(), Refusal>>| ends.iter().any(Result::is_ok);
    let ends = aside(hands.slot, hands.clock, join_all(waits), any_gone).await;
    let applies: Vec<_> = cleared
        .iter()
        .zip(ends)
        .map(async |(at, end)| {
            end?;
            hands.cluster.apply(&group[*at].object).await.map(Taken::accepted)
        })
        .collect();
    let renewed: Vec<_> = stream::iter(applies).buffered(AT_ONCE).collect().await;
    for (at, result) in cleared.into_iter().zip(renewed) {
        results[at] = result;
    }
}

/// Whether an object was being deleted already.
fn is_leaving(observed: &Observed, entry: &Entry) -> bool {
    let live = observed.get(&entry.object.id()).and_then(|observation| observation.live.as_ref());
    live.is_some_and(|live| live.pointer("/metadata/deletionTimestamp").is_some())
}

/// That an object is deleted to be created anew, and what goes with it.
fn forced(entry: &Entry) -> Option<String> {
    let Step::Recreate { reason, with, .. } = &entry.step else { return None };
    let with = with.map(|with| format!(", and {with} with it")).unwrap_or_default();
    Some(format!("{} is deleted{with}, and created anew: {reason}", entry.object.id().subject()))
}

/// Takes note of a step that was taken, or would be. `reference` is what there is after it.
pub(super) fn note(entry: &Entry, reference: ObjectReference, progress: &mut ApplyProgress) {
    if matches!(entry.step, Step::Skip(Skip::Ignored | Skip::ReconcileDisabled)) {
        progress.left_alone.insert(reference.id);
        return;
    }
    let subject = reference.id.subject();
    progress.inventory.insert(reference.id.clone(), reference.version.clone());
    if let Some(owner) = &entry.also_owned_by {
        progress.warnings.push(format!(
            "{subject} is also owned by {}: the two overwrite each other; remove it from one of them",
            owner.path()
        ));
    }
    if let Some(Drift { change: FieldDrift::SetBy(manager), .. }) = entry.left.first() {
        let fields: Vec<String> = entry.left.iter().map(|left| left.path.clone()).collect();
        progress.warnings.push(format!(
            "{subject}: {manager} has set what Git does not, and it stays until somebody removes it: {}",
            some_of(&fields)
        ));
    }
    progress.changes.extend(change(entry));
    if !entry.drifted.is_empty() {
        let fields: Vec<String> = entry.drifted.iter().map(|drift| drift.path.clone()).collect();
        progress.drifted.push(format!("{subject} ({})", some_of(&fields)));
    }
    if !matches!(entry.step, Step::Skip(_)) {
        progress.references.push(reference);
    }
}

/// What a step changes, where it writes.
fn change(entry: &Entry) -> Option<ChangedObject> {
    let (deed, drift) = match &entry.step {
        Step::Create => (Deed::Created, &[][..]),
        Step::Recreate { .. } => (Deed::Recreated, &[][..]),
        Step::Configure { drift, .. } => (Deed::Configured, drift.as_slice()),
        Step::Keep | Step::Skip(_) | Step::Refuse(_) => return None,
    };
    let mut fields: Vec<String> = drift.iter().map(|drift| drift.path.clone()).collect();
    fields.dedup();
    Some(ChangedObject { id: entry.object.id(), deed, fields })
}

/// What it means that objects are refused. `managed` is what there is to manage now, and `origins` has the
/// files of what is built.
pub(super) fn refused(
    refusals: &[Refusal],
    is_reached: bool,
    managed: &Inventory,
    origins: &ObjectOrigins,
) -> Outcome<Applied> {
    if !is_reached && refusals.iter().all(|refusal| refusal.cause == Cause::Unavailable) {
        let message = refusals.first().map(ToString::to_string).unwrap_or_default();
        return Common::Unreachable { message }.into();
    }
    let located = |refusal: &Refusal| match origins.of(&refusal.id) {
        "" => refusal.to_string(),
        file => format!("{refusal} (in {file})"),
    };
    let refusals = refusals.iter().map(|refusal| Refused {
        message: located(refusal),
        transient: refusal.is_transient(),
        soon: refusal.may_pass_soon(),
        forbidden: refusal.is_forbidden(),
    });
    Applied::Refused { refusals: refusals.collect(), inventory: managed.entries() }.into()
}
