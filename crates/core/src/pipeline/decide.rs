//! What is decided before anything is written. It reads only, and it is the one way to a decision, so that a
//! preview shows what a run does.

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

/// What is to be done, before the cluster is asked about it.
#[derive(Debug)]
pub(super) struct Intent {
    /// The objects as they are to be applied, stage by stage.
    pub(super) stages: Vec<Stage<Object>>,
    /// What the objects of all stages are decided by.
    pub(super) terms: Terms,
    /// What was managed before.
    pub(super) managed: Inventory,
    /// What will be.
    pub(super) wanted: Inventory,
    /// Where the objects come from.
    pub(super) origins: ObjectOrigins,
}

/// What the objects of all stages of a run are decided by.
#[derive(Debug, Default)]
pub(super) struct Terms {
    /// What decides beside the objects.
    pub(super) options: PlanOptions,
    /// The objects that were managed before, and so are likely there.
    pub(super) known: HashSet<ObjectId>,
    /// The objects of which it is not known yet whether they live in a namespace: the cluster does not have
    /// their kind, or it could not be asked.
    pub(super) unplaced: HashSet<ObjectId>,
    /// What the stages before would have brought, where they are not applied.
    pub(super) foreseen: Foreseen,
}

/// What is decided about a stage.
#[derive(Debug)]
pub(super) struct Decided {
    /// What to do with each object, less those that must not be sent at all.
    pub(super) stage: Stage,
    /// What was seen of them.
    pub(super) observed: Observed,
    /// All that is refused. Where there is any, nothing of the stage is written.
    pub(super) refusals: Vec<Refusal>,
    /// Whether the server can be asked: it answered for some of the objects.
    pub(super) is_reached: bool,
}

/// Makes a build ready to be decided about: the objects with their labels, and with the namespaces of those
/// kinds that are known already, since the inventory must name them as they will be. A build that became
/// empty may not delete everything.
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
    // What is wrong with it was told before anything was built.
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
        // A failure is met again, and told, when the object's stage comes.
        if !matches!(place(&mut object, cluster).await, Ok(true)) {
            terms.unplaced.insert(object.id());
        }
        if holds_secret {
            // Its kind may turn out to have no namespace.
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

/// Decides what to do with the objects of a stage.
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
        // A connection may have been lost; what is wrong with one kind alone shows again.
        observed.extend(observe(cluster, &lost, &terms.known).await);
    }
    let mut stage = plan_stage(Stage { entries: prepared, gate: stage.gate }, &observed, &terms.options);
    terms.foreseen.admit(&mut stage);
    for entry in &mut stage.entries {
        if let Step::Refuse(refusal) = &entry.step {
            refusals.push(blotted(refusal.clone(), &entry.object));
        }
        if !terms.known.contains(&entry.object.id()) {
            // What is new here may be on its way from there; what was here before has been taken.
            entry.also_owned_by = None;
        }
    }
    Decided { stage, observed, refusals: explained(cluster, refusals).await, is_reached }
}

/// Whether the server was not reached about an object.
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

/// A refusal of a Secret without the Secret's values. Those that the API server quotes have gone from its
/// text already; a webhook may quote them in words of its own.
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

/// Adds what the server's answers leave out: since when a namespace is being deleted, and what holds it.
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
            // Without the right to see it, the answer alone must do.
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

/// What the status says is managed.
pub(super) fn managed(kustomization: &Kustomization) -> Inventory {
    let entries = kustomization.status.inventory.as_ref().map(|inventory| inventory.entries.as_slice());
    Inventory::read(entries.unwrap_or_default())
}
