//! Transfers fields of other field managers to ours before an object's step is decided, so that the dry run
//! shows the effect of an apply on them.

use std::collections::HashMap;

use super::decide::{Decided, Terms, blotted, decide, explained};
use super::ports::Writes;
use crate::plan::{Cause, Entry, Gate, Phase, Refusal, Stage, Step};
use lockgate_base::model::{Object, ObjectId};

/// How often an object is decided about again if others keep editing it.
const ROUNDS: usize = 3;

/// Transfers the fields of a stage without refusals to our field manager, and decides about the changed
/// objects again.
pub(super) async fn migrated(cluster: &impl Writes, mut decided: Decided, terms: &Terms) -> Decided {
    for round in 0..=ROUNDS {
        if !decided.refusals.is_empty() {
            break;
        }
        let mut handed = Vec::new();
        let mut refusals = Vec::new();
        for entry in &decided.stage.entries {
            let Step::Configure { take_over: Some(patch), .. } = &entry.step else { continue };
            if round == ROUNDS {
                let text = "others change it faster than it can be applied";
                refusals.push(Refusal::unavailable(entry.object.id(), Phase::Apply, text));
                continue;
            }
            match cluster.take_over(&entry.object, patch).await {
                Ok(()) => handed.push(entry.object.clone()),
                // The object has changed since it was observed, so it is observed again.
                Err(refusal) if refusal.cause == Cause::Conflict => handed.push(entry.object.clone()),
                Err(refusal) => refusals.push(blotted(refusal, &entry.object)),
            }
        }
        if !refusals.is_empty() {
            decided.refusals = explained(cluster, refusals).await;
            decided.is_reached = false;
        } else if handed.is_empty() {
            break;
        } else {
            renew(cluster, &mut decided, handed, terms).await;
        }
    }
    decided
}

/// Decides again about some objects of a stage.
pub(super) async fn renew(cluster: &impl Writes, decided: &mut Decided, objects: Vec<Object>, terms: &Terms) {
    let again = decide(cluster, Stage { entries: objects, gate: Gate::None }, terms).await;
    decided.refusals = again.refusals;
    decided.is_reached |= again.is_reached;
    decided.observed.extend(again.observed);
    let mut renewed: HashMap<ObjectId, Entry> =
        again.stage.entries.into_iter().map(|entry| (entry.object.id(), entry)).collect();
    for entry in &mut decided.stage.entries {
        let Some(new) = renewed.remove(&entry.object.id()) else { continue };
        let before = std::mem::replace(entry, new);
        let Step::Configure { drift: told, .. } = before.step else { continue };
        match &mut entry.step {
            // Our entry must hold the fields that Git sets, and no more.
            step @ Step::Keep => *step = Step::Configure { drift: told, take_over: None },
            Step::Configure { drift, .. } if drift.is_empty() => *drift = told,
            _ => {}
        }
    }
}
