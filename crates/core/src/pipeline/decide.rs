//! Decides the steps of a stage before anything is written. It only reads, and all decisions are made here,
//! so a preview shows the same steps as a run.

use std::collections::{BTreeMap, HashSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::dress::{dress, place, take_out};
use super::origins::ObjectOrigins;
use super::ports::{ApiFailure, ObjectReference, Reads};
use crate::api::Kustomization;
use crate::plan::{
    Cause, DriftPolicy, Foreseen, Ignored, Inventory, Observation, Observed, Phase, PlanOptions, Refusal,
    Stage, Step, check_prune, plan_stage, prepare, stages,
};
use crate::verdict::{Applied, Redactor};
use lockgate_base::keys;
use lockgate_base::model::{Digest, Object, ObjectId};
use lockgate_render::RenderedObject;

/// The intended changes, before the cluster is read.
#[derive(Debug)]
pub(super) struct Intent {
    /// The objects to apply, stage by stage.
    pub(super) stages: Vec<Stage<Object>>,
    /// The terms of the decisions about all stages.
    pub(super) terms: Terms,
    /// The inventory so far.
    pub(super) managed: Inventory,
    /// The inventory afterwards.
    pub(super) wanted: Inventory,
    /// The files that the objects come from.
    pub(super) origins: ObjectOrigins,
}

/// The terms of the decisions about all stages of a run.
#[derive(Debug, Default)]
pub(super) struct Terms {
    /// The terms besides the objects.
    pub(super) options: PlanOptions,
    /// The objects that were managed before, and so probably exist.
    pub(super) known: HashSet<ObjectId>,
    /// The objects whose scope is not known yet: the cluster does not have their kind, or could not be
    /// reached.
    pub(super) unplaced: HashSet<ObjectId>,
    /// The objects of earlier stages, if these are not applied.
    pub(super) foreseen: Foreseen,
}

/// The decisions about a stage.
#[derive(Debug)]
pub(super) struct Decided {
    /// The step of each object, without the objects that must not be sent at all.
    pub(super) stage: Stage,
    /// The observations of the objects.
    pub(super) observed: Observed,
    /// All refusals. With any refusal, nothing of the stage is written.
    pub(super) refusals: Vec<Refusal>,
    /// Whether the server can be reached: it answered for some of the objects.
    pub(super) is_reached: bool,
}

/// Prepares a build for the decisions: sets the labels and, for known kinds, the namespaces, since the
/// inventory must name the objects as they will be. A build that became empty may not delete everything.
pub(super) async fn intend(
    cluster: &impl Reads,
    kustomization: &Kustomization,
    resources: Vec<RenderedObject>,
    (digest, drift): (Option<Digest>, DriftPolicy),
) -> Result<Intent, Applied> {
    let managed = managed(kustomization);
    let (owner, ownership) = (kustomization.reference(), Kustomization::OWNERSHIP);
    let common = kustomization.spec.common_metadata.as_ref();
    let said = kustomization.metadata.annotations.get(keys::DRIFT);
    let drift = said.and_then(|said| DriftPolicy::read(said)).unwrap_or(drift);
    let last = kustomization.status.history.first();
    let is_applied = last.zip(digest).is_some_and(|(last, digest)| last.digest == digest.to_string());
    // The mistakes in it were reported before the build.
    let ignored = Ignored::read(&kustomization.spec.ignore).unwrap_or_default();
    let options = PlanOptions {
        force: kustomization.spec.force,
        sensitive: HashSet::new(),
        owner: Some(owner.clone()),
        ownership,
        ignored,
        drift,
        is_applied,
    };
    let known = managed.iter().map(|(id, _)| id.clone()).collect();
    let mut terms = Terms { options, known, ..Terms::default() };
    let mut dressed = Vec::with_capacity(resources.len());
    let mut origins = ObjectOrigins::default();
    for RenderedObject { mut object, holds_secret, origin } in resources {
        origins.insert(object.id(), origin);
        dress(&mut object, ownership, &owner, common);
        // A failure occurs again, and is reported, when the object's stage comes.
        if !matches!(place(&mut object, cluster).await, Ok(true)) {
            terms.unplaced.insert(object.id());
        }
        if holds_secret {
            // Its kind may turn out to be cluster-scoped.
            let id = object.id();
            terms.options.sensitive.extend([ObjectId { namespace: String::new(), ..id.clone() }, id]);
        }
        dressed.push(object);
    }
    let ids: Vec<ObjectId> = dressed.iter().map(Object::id).collect();
    if kustomization.spec.prune
        && let Err(refused) = check_prune(&ids, &managed, &kustomization.metadata.annotations)
    {
        return Err(Applied::PruneRefused { count: refused.count });
    }
    Ok(Intent { wanted: dressed.iter().collect(), stages: stages(dressed), terms, managed, origins })
}

/// Decides the steps of a stage.
pub(super) async fn decide(cluster: &impl Reads, stage: Stage<Object>, terms: &Terms) -> Decided {
    let mut prepared = Vec::with_capacity(stage.entries.len());
    let mut refusals = Vec::new();
    for object in stage.entries {
        match placed_and_prepared(cluster, object, terms).await {
            Ok(object) => prepared.push(object),
            Err(refusal) => refusals.push(refusal),
        }
    }
    let mut observed = observe(cluster, &prepared, &terms.known).await;
    let lost = prepared.iter().filter(|object| observed.get(&object.id()).is_some_and(is_lost));
    let lost: Vec<Object> = lost.cloned().collect();
    let is_reached = lost.len() < prepared.len();
    if is_reached && !lost.is_empty() {
        // A connection may have been lost; a problem of one kind alone occurs again.
        observed.extend(observe(cluster, &lost, &terms.known).await);
    }
    let mut stage = plan_stage(Stage { entries: prepared, gate: stage.gate }, &observed, &terms.options);
    terms.foreseen.admit(&mut stage);
    for entry in &mut stage.entries {
        if let Step::Refuse(refusal) = &entry.step {
            refusals.push(blotted(refusal.clone(), &entry.object));
        }
        if !terms.known.contains(&entry.object.id()) {
            // A new object may be moving here from that owner; an object that was here before has been taken
            // away.
            entry.also_owned_by = None;
        }
    }
    Decided { stage, observed, refusals: explained(cluster, refusals).await, is_reached }
}

/// Whether the server could not be reached about an object.
fn is_lost(observation: &Observation) -> bool {
    matches!(&observation.dry_run, Err(refusal) if refusal.cause == Cause::Unavailable)
}

async fn placed_and_prepared(
    cluster: &impl Reads,
    mut object: Object,
    terms: &Terms,
) -> Result<Object, Refusal> {
    let id = object.id();
    if terms.unplaced.contains(&id) {
        let placed = place(&mut object, cluster).await;
        let unavailable = |failure: ApiFailure| Refusal::unavailable(id, Phase::DryRun, failure.to_string());
        if !placed.map_err(unavailable)? && terms.foreseen.is_cluster_wide(object.group(), object.kind()) {
            take_out(&mut object);
        }
    }
    prepare(object)
}

async fn observe(cluster: &impl Reads, objects: &[Object], known: &HashSet<ObjectId>) -> Observed {
    let observations: Vec<Observation> = cluster.observe(objects, known).await;
    objects.iter().map(Object::id).zip(observations).collect()
}

/// A refusal of a Secret without the Secret's values. The values that the API server quotes are already cut
/// out of its text; a webhook may quote them in its own words.
pub(super) fn blotted(refusal: Refusal, object: &Object) -> Refusal {
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

/// Adds facts that the server's answers lack: since when a namespace is terminating, and what blocks its
/// deletion.
pub(super) async fn explained(cluster: &impl Reads, refusals: Vec<Refusal>) -> Vec<Refusal> {
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
            // Without the right to read it, the answer alone must do.
            let found = cluster.get(&ObjectReference::new(id, "v1")).await.unwrap_or_default();
            namespaces.insert(name.clone(), found);
        }
        explained.push(match namespaces.get(&name) {
            Some(Some(namespace)) => refusal.explained_by(namespace),
            _ => refusal,
        });
    }
    explained
}

/// The inventory in the status.
pub(super) fn managed(kustomization: &Kustomization) -> Inventory {
    let entries = kustomization.status.inventory.as_ref().map(|inventory| inventory.entries.as_slice());
    Inventory::read(entries.unwrap_or_default())
}
