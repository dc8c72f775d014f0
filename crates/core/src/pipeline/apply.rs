//! Applies a build stage by stage. All steps of a stage are decided before the first of its objects is
//! written.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use futures::future::join_all;
use futures::{StreamExt as _, stream};

use super::decide::{Decided, Terms, blotted, decide, explained};
use super::hands::Hands;
use super::lag::{Fresh, PAUSES, caught_up, judges_first};
use super::migrate::migrated;
use super::origins::ObjectOrigins;
use super::ports::{Accepted, Expect, ObjectReference, Settle, Settled, Writes};
use super::slot::{Slot, aside};
use crate::plan::{
    Cause, Drift, Entry, FieldDrift, Gate, Inventory, Observed, Refusal, Skip, Stage, Step, is_definition,
};
use crate::verdict::{Applied, ChangedObject, Common, Deed, Outcome, Refused, some_of};
use lockgate_base::model::{Object, ObjectId};

/// The time limit for definitions to be established before objects that need them are applied (Flux's limit).
const ESTABLISH: Duration = Duration::from_mins(1);
/// The time limit for a recreated object's deletion.
const RECREATE: Duration = Duration::from_mins(1);
/// How many objects of one kind are written at a time.
const AT_ONCE: usize = 4;

/// The results of applying so far.
#[derive(Debug, Default)]
pub(super) struct ApplyProgress {
    /// All objects that are as in Git, or that ask to be left alone.
    pub(super) inventory: Inventory,
    /// The objects whose health counts.
    pub(super) references: Vec<ObjectReference>,
    /// The objects that were changed.
    pub(super) changes: Vec<ChangedObject>,
    /// Warnings.
    pub(super) warnings: Vec<String>,
    /// The API server's warnings, each with its objects.
    pub(super) remarks: BTreeMap<String, Vec<String>>,
    /// A line for each object whose drift is not corrected.
    pub(super) drifted: Vec<String>,
    /// A line for each object that was deleted to be recreated, successful or not.
    pub(super) forced: Vec<String>,
    /// The objects to leave alone: they are no longer managed, and not deleted.
    pub(super) left_alone: HashSet<ObjectId>,
}

impl ApplyProgress {
    /// The warnings, with those of the API server, each once.
    pub(super) fn told(&mut self) -> Vec<String> {
        let remarks = std::mem::take(&mut self.remarks).into_iter();
        let told = remarks.map(|(text, subjects)| format!("{}: {text}", some_of(&subjects)));
        std::mem::take(&mut self.warnings).into_iter().chain(told).collect()
    }

    /// Records the API server's warnings about an object.
    pub(super) fn remark(&mut self, id: &ObjectId, warnings: &[String]) {
        for text in warnings {
            self.remarks.entry(text.clone()).or_default().push(id.subject());
        }
    }

    /// Adds the results of an earlier pass over the same objects.
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
        /// The refusals.
        refusals: Vec<Refusal>,
        /// Whether the server can be reached: it answered for other objects.
        is_reached: bool,
    },
    /// The condition of a gate was not met, so the stages behind it were not begun.
    Shut {
        /// The gate.
        gate: Gate,
        /// The state of its objects.
        settled: Settled,
        /// How long the wait took.
        waited: Duration,
    },
}

/// Applies objects stage by stage, and passes the gate behind each stage before the next one. If it stops
/// early, `progress` contains the written objects.
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
            // Few builds are refused, and all hold this future, so it is boxed.
            decided = Box::pin(reconsidered(hands, decided, terms, &mut fresh, progress)).await?;
        }
        let Decided { stage, observed, refusals, is_reached } =
            Box::pin(migrated(hands.cluster, decided, terms)).await;
        if !refusals.is_empty() {
            return Err(Stop::Refused { refusals, is_reached });
        }
        fresh.learn(&stage);
        match write(hands, &stage, &observed, &fresh, progress).await {
            // Few builds have definitions, and all hold this future, so it is boxed.
            Ok(awaited) => Box::pin(pass(hands, stage.gate, awaited)).await?,
            Err(refusals) => {
                let refusals = explained(hands.cluster, refusals).await;
                return Err(Stop::Refused { refusals, is_reached: false });
            }
        }
    }
    Ok(())
}

/// Decides again about a stage with a refusal that may pass once the server has seen the changes of this run.
async fn reconsidered<C: Writes + Settle, S: Slot>(
    hands: &Hands<'_, C, S>,
    mut decided: Decided,
    terms: &Terms,
    fresh: &mut Fresh,
    progress: &mut ApplyProgress,
) -> Result<Decided, Stop> {
    if let Some(first) = judges_first(&mut decided) {
        fresh.learn(&first);
        let written = write(hands, &first, &decided.observed, fresh, progress).await;
        written.map_err(|refusals| Stop::Refused { refusals, is_reached: false })?;
    }
    Ok(caught_up(hands, decided, terms, fresh).await)
}

/// Waits for the gate before the next stage.
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

/// The condition of the gate for one object of the stage.
fn awaited(gate: Gate, entry: &Entry, reference: &ObjectReference) -> Option<ObjectReference> {
    let is_awaited = match gate {
        Gate::None => false,
        Gate::Served => entry.step.writes() && is_definition(&reference.id),
        Gate::Healthy | Gate::Completed => !matches!(entry.step, Step::Skip(_)),
    };
    let expect = if gate == Gate::Completed { Expect::Completed } else { Expect::Healthy };
    is_awaited.then(|| ObjectReference { expect, ..reference.clone() })
}

/// Carries out a stage's steps, several objects of one kind at a time. Returns the objects that the gate
/// waits for.
async fn write<C: Writes + Settle, S: Slot>(
    hands: &Hands<'_, C, S>,
    stage: &Stage,
    observed: &Observed,
    fresh: &Fresh,
    progress: &mut ApplyProgress,
) -> Result<Vec<ObjectReference>, Vec<Refusal>> {
    let cluster = hands.cluster;
    let mut references = Vec::new();
    for group in stage.entries.chunk_by(|a, b| a.object.kind() == b.object.kind()) {
        let steps: Vec<_> = group.iter().map(|entry| take(cluster, entry, observed)).collect();
        let mut results: Vec<_> = stream::iter(steps).buffered(AT_ONCE).collect().await;
        Box::pin(take_again(hands, group, observed, fresh, &mut results)).await;
        let is_cleared = |result: &Result<Taken, Refusal>| matches!(result, Ok(Taken::Cleared));
        let cleared = group.iter().zip(&results).filter(|(_, result)| is_cleared(result));
        // The event is reported once, however long finalizers hold the object.
        let cleared = cleared.filter(|(entry, _)| !is_leaving(observed, entry));
        progress.forced.extend(cleared.filter_map(|(entry, _)| forced(entry)));
        if results.iter().any(is_cleared) {
            // Few steps recreate an object, so this is boxed.
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

/// Repeats, for a while, steps that the server refuses although it accepted their dry run, as part of the
/// server has not seen yet what this run or another one has changed.
async fn take_again<C: Writes + Settle, S: Slot>(
    hands: &Hands<'_, C, S>,
    group: &[Entry],
    observed: &Observed,
    fresh: &Fresh,
    results: &mut [Result<Taken, Refusal>],
) {
    for (made, pause) in PAUSES.into_iter().enumerate() {
        let is_refused =
            |at: &usize| matches!(&results[*at], Err(refusal) if fresh.is_worth_a_try(refusal, made));
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

/// The result of a step.
enum Taken {
    /// Nothing was written.
    Nothing,
    /// The server has accepted this.
    Accepted(Box<Accepted>),
    /// The object was deleted, and must be applied again when it is gone.
    Cleared,
}

impl Taken {
    fn accepted(accepted: Accepted) -> Self {
        Self::Accepted(Box::new(accepted))
    }

    /// The object after the step.
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

/// Waits until the cleared objects are gone, and applies them again. Finalizers may hold them for long.
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

/// The line about an object that is deleted to be recreated, and the loss.
fn forced(entry: &Entry) -> Option<String> {
    let Step::Recreate { reason, with, .. } = &entry.step else { return None };
    let with = with.map(|with| format!(", and loses {with}")).unwrap_or_default();
    Some(format!("{} is deleted and recreated{with}: {reason}", entry.object.id().subject()))
}

/// Records a step that was taken, or would be. `reference` is the object after it.
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

/// The change of a step, if it writes.
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

/// The outcome of refused objects. `managed` are the objects that are managed now, and `origins` has the
/// files of the built ones.
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
