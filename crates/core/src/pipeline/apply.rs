//! Applying a build: stage by stage, each stage observed and planned before the first of its objects is written.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::{StreamExt as _, stream};
use serde_json::{Map, Value};

use super::clock::Clock;
use super::ports::{Applied, Reference, Settle, Settled, Writes};
use crate::plan::{
    Cause, Entry, Inventory, Observation, Observed, Options, Phase, Refusal, Skip, Step, plan_stage, prepare,
    stages,
};
use crate::verdict::{Change, Deed, Outcome, Redactor, Refused};
use lockgate_base::model::{Key, Object, ObjectId};

/// How long definitions may take to be established before what uses them is applied (Flux's limit).
const ESTABLISH: Duration = Duration::from_mins(1);
/// How long an object that is made anew may take to go.
const RECREATE: Duration = Duration::from_mins(1);
/// Objects of one kind that are written at a time.
const AT_ONCE: usize = 4;

/// What has been applied so far.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// All objects that are as Git wants them, or say themselves that they are to be left alone.
    pub(super) inventory: Inventory,
    /// Those of them whose health counts.
    pub(super) references: Vec<Reference>,
    /// Those that were changed.
    pub(super) changes: Vec<Change>,
    /// What people should know.
    pub(super) warnings: Vec<String>,
    /// Those that are to be left alone: nothing of them is managed any more, and none of them is deleted.
    pub(super) left_alone: HashSet<ObjectId>,
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
    /// Definitions were not established, so what comes after them was not begun.
    NotEstablished {
        /// How they stand.
        settled: Settled,
        /// How long it was waited for them.
        waited: Duration,
    },
}

/// Applies a build's objects. What was written before it stopped stands in `progress`.
pub(super) async fn apply<C: Writes + Settle>(
    cluster: &C,
    objects: Vec<Object>,
    managed: &Inventory,
    options: &Options,
    clock: &dyn Clock,
    progress: &mut Progress,
) -> Result<(), Stop> {
    let known: HashSet<ObjectId> = managed.iter().map(|(id, _)| id.clone()).collect();
    for stage in stages(objects) {
        let mut prepared = Vec::new();
        let mut refusals = Vec::new();
        for object in stage {
            match place_and_prepare(cluster, object).await {
                Ok(object) => prepared.push(object),
                Err(refusal) => refusals.push(refusal),
            }
        }
        let mut observed = observe(cluster, &prepared, &known).await;
        let lost = prepared.iter().filter(|object| observed.get(&object.id()).is_some_and(is_lost));
        let lost: Vec<Object> = lost.cloned().collect();
        let is_reached = lost.len() < prepared.len();
        if is_reached && !lost.is_empty() {
            // A connection may have been lost; what is wrong with one kind alone shows again.
            observed.extend(observe(cluster, &lost, &known).await);
        }
        let planned = plan_stage(prepared, &observed, options);
        refusals.extend(planned.entries.iter().filter_map(|entry| match &entry.step {
            Step::Refuse(refusal) => Some(blotted(refusal.clone(), &entry.object)),
            _ => None,
        }));
        if !refusals.is_empty() {
            return Err(Stop::Refused { refusals: explained(cluster, refusals).await, is_reached });
        }
        let mut entries = planned.entries;
        for entry in entries.iter_mut().filter(|entry| !known.contains(&entry.object.id())) {
            // What is new here may be on its way from there; what was here before has been taken.
            entry.also_owned_by = None;
        }
        match write(cluster, entries, &observed, progress).await {
            // Boxed: few builds hold definitions, and all hold this future.
            Ok(written) => Box::pin(establish(cluster, written, clock)).await?,
            Err(refusals) => {
                return Err(Stop::Refused {
                    refusals: explained(cluster, refusals).await,
                    is_reached: false,
                });
            }
        }
    }
    Ok(())
}

/// Whether the server was not reached about an object.
fn is_lost(observation: &Observation) -> bool {
    matches!(&observation.dry_run, Err(refusal) if refusal.cause == Cause::Unavailable)
}

async fn place_and_prepare(cluster: &impl Writes, object: Object) -> Result<Object, Refusal> {
    let id = object.id();
    let placed = super::dress::place(object, cluster).await;
    prepare(placed.map_err(|failure| Refusal::unavailable(id, Phase::DryRun, failure.to_string()))?)
}

async fn observe(cluster: &impl Writes, objects: &[Object], known: &HashSet<ObjectId>) -> Observed {
    let observations: Vec<Observation> = cluster.observe(objects, known).await;
    objects.iter().map(Object::id).zip(observations).collect()
}

/// A refusal of a Secret without the Secret's values. Those that the API server quotes have gone from its text already; a
/// webhook may quote them in words of its own.
fn blotted(refusal: Refusal, object: &Object) -> Refusal {
    if (object.group(), object.kind()) != ("", "Secret") {
        return refusal;
    }
    let mut redactor = Redactor::default();
    let values = ["/data", "/stringData"].into_iter().filter_map(|field| object.pointer(field)?.as_object());
    for text in values.flat_map(Map::values).filter_map(Value::as_str) {
        redactor.add(text.as_bytes());
        if let Ok(decoded) = STANDARD.decode(text) {
            redactor.add(&decoded);
        }
    }
    refusal.edited(|text| redactor.redact(text))
}

/// Adds what the server's answers leave out: since when a namespace is being deleted, and what holds it.
async fn explained(cluster: &impl Writes, refusals: Vec<Refusal>) -> Vec<Refusal> {
    let mut namespaces: BTreeMap<String, Option<Object>> = BTreeMap::new();
    let mut explained = Vec::with_capacity(refusals.len());
    for refusal in refusals {
        let Some(name) = refusal.terminating_namespace().map(ToOwned::to_owned) else {
            explained.push(refusal);
            continue;
        };
        if !namespaces.contains_key(&name) {
            let id = ObjectId {
                namespace: String::new(),
                name: name.clone(),
                group: String::new(),
                kind: "Namespace".into(),
            };
            // Without the right to see it, the answer alone must do.
            let found = cluster.get(&Reference::new(id, "v1")).await.unwrap_or_default();
            namespaces.insert(name.clone(), found);
        }
        explained.push(match namespaces.get(&name) {
            Some(Some(namespace)) => refusal.explained_by(namespace),
            _ => refusal,
        });
    }
    explained
}

/// Carries out a stage's steps, several objects of one kind at a time. Returns the definitions that were written.
async fn write(
    cluster: &impl Writes,
    entries: Vec<Entry>,
    observed: &Observed,
    progress: &mut Progress,
) -> Result<Vec<Reference>, Vec<Refusal>> {
    let mut definitions = Vec::new();
    for group in entries.chunk_by(|a, b| a.object.kind() == b.object.kind()) {
        let steps: Vec<_> = group.iter().map(|entry| take(cluster, entry, observed)).collect();
        let results: Vec<_> = stream::iter(steps).buffered(AT_ONCE).collect().await;
        let mut refusals = Vec::new();
        for (entry, result) in group.iter().zip(results) {
            match result {
                Ok(applied) => note(entry, applied, progress, &mut definitions),
                Err(refusal) => refusals.push(blotted(refusal, &entry.object)),
            }
        }
        if !refusals.is_empty() {
            return Err(refusals);
        }
    }
    Ok(definitions)
}

/// Takes one step. Returns what the server accepted, where the step writes.
async fn take(cluster: &impl Writes, entry: &Entry, observed: &Observed) -> Result<Option<Applied>, Refusal> {
    let object = &entry.object;
    match &entry.step {
        Step::Create | Step::Configure { take_over: None, .. } => cluster.apply(object).await.map(Some),
        Step::Configure { take_over: Some(patch), .. } => {
            // What is there has changed since it was looked at, and is looked at again soon.
            let outrun = |refusal: Refusal| match refusal.cause {
                Cause::Conflict => Refusal::unavailable(object.id(), Phase::Apply, refusal.text()),
                _ => refusal,
            };
            cluster.take_over(object, patch).await.map_err(outrun)?;
            cluster.apply(object).await.map(Some)
        }
        Step::Recreate { uid, .. } => cluster.recreate(object, uid, RECREATE).await.map(Some),
        Step::Keep => {
            if let Some(live) = observed.get(&object.id()).and_then(|observation| observation.live.as_ref()) {
                cluster.hold(live);
            }
            Ok(None)
        }
        Step::Skip(_) => Ok(None),
        Step::Refuse(refusal) => Err(refusal.clone()),
    }
}

/// Takes note of a step that was taken.
fn note(entry: &Entry, applied: Option<Applied>, progress: &mut Progress, definitions: &mut Vec<Reference>) {
    let reference = applied.map_or_else(|| Reference::to(&entry.object), |applied| applied.reference);
    if matches!(entry.step, Step::Skip(Skip::Ignored | Skip::ReconcileDisabled)) {
        progress.left_alone.insert(reference.id);
        return;
    }
    let subject = reference.id.subject();
    progress.inventory.insert(reference.id.clone(), reference.version.clone());
    if let Some(owner) = &entry.also_owned_by {
        progress.warnings.push(format!(
            "{subject} is also owned by {owner}: the two overwrite each other; remove it from one of them"
        ));
    }
    if let Some(change) = change(entry) {
        progress.changes.push(change);
        if reference.id.kind == "CustomResourceDefinition" {
            definitions.push(reference.clone());
        }
    }
    if !matches!(entry.step, Step::Skip(_)) {
        progress.references.push(reference);
    }
}

/// What a step changes, where it writes.
fn change(entry: &Entry) -> Option<Change> {
    let (deed, drift) = match &entry.step {
        Step::Create => (Deed::Created, &[][..]),
        Step::Recreate { .. } => (Deed::Recreated, &[][..]),
        Step::Configure { drift, .. } => (Deed::Configured, drift.as_slice()),
        Step::Keep | Step::Skip(_) | Step::Refuse(_) => return None,
    };
    let mut fields: Vec<String> = drift.iter().map(|drift| drift.path.clone()).collect();
    fields.dedup();
    Some(Change { id: entry.object.id(), deed, fields })
}

/// Waits until new definitions are served, since what comes next may be of their kinds.
async fn establish(
    cluster: &impl Settle,
    definitions: Vec<Reference>,
    clock: &dyn Clock,
) -> Result<(), Stop> {
    if definitions.is_empty() {
        return Ok(());
    }
    let started = clock.now();
    match cluster.settle(&definitions, ESTABLISH).await {
        Settled::Healthy => Ok(()),
        settled => Err(Stop::NotEstablished { settled, waited: clock.since(started) }),
    }
}

/// What it means that objects are refused. `managed` is what there is to manage now.
pub(super) fn refused(refusals: &[Refusal], is_reached: bool, managed: &Inventory) -> Outcome {
    if !is_reached && refusals.iter().all(|refusal| refusal.cause == Cause::Unavailable) {
        let message = refusals.first().map(ToString::to_string).unwrap_or_default();
        return Outcome::Unreachable { message };
    }
    let refusals = refusals.iter().map(|refusal| Refused {
        message: refusal.to_string(),
        transient: refusal.is_transient(),
        forbidden: refusal.is_forbidden(),
    });
    Outcome::Refused { refusals: refusals.collect(), inventory: managed.entries() }
}

/// The key of a Kustomization as `plan` knows owners.
pub(super) fn owner(kustomization: &crate::api::Kustomization) -> Key {
    Key::new(&kustomization.metadata.namespace, &kustomization.metadata.name)
}
