//! The changes of a run that take a moment to have an effect, because the API server judges other objects by
//! them from a cache.
//!
//! It caches definitions, rights, quotas and policies, and each of several servers has caches of its own.

use std::collections::HashSet;
use std::time::Duration;

use super::decide::{Decided, Terms};
use super::hands::Hands;
use super::migrate::renew;
use super::ports::{Settle, Writes};
use super::slot::{Slot, aside};
use crate::plan::{Cause, Entry, Refusal, Stage, Step, is_definition};
use lockgate_base::model::Object;

/// The pauses between the tries of a refused object, ten seconds in all.
pub(super) const PAUSES: [Duration; 8] = [
    Duration::from_millis(100),
    Duration::from_millis(200),
    Duration::from_millis(400),
    Duration::from_millis(800),
    Duration::from_millis(1500),
    Duration::from_secs(2),
    Duration::from_secs(2),
    Duration::from_secs(3),
];
/// How many of these pauses are made if another run may have changed the definition.
const BRIEFLY: usize = 3;

/// The kinds whose objects decide about other objects, as soon as the server has seen them.
const JUDGES: [(&str, &str); 10] = [
    ("", "LimitRange"),
    ("", "ResourceQuota"),
    ("admissionregistration.k8s.io", "MutatingAdmissionPolicy"),
    ("admissionregistration.k8s.io", "MutatingAdmissionPolicyBinding"),
    ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy"),
    ("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding"),
    ("rbac.authorization.k8s.io", "ClusterRole"),
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"),
    ("rbac.authorization.k8s.io", "Role"),
    ("rbac.authorization.k8s.io", "RoleBinding"),
];

/// The changes of a run so far.
#[derive(Debug, Default)]
pub(super) struct Fresh {
    /// The group and the kind of changed definitions.
    defined: HashSet<(String, String)>,
    /// Whether rights, quotas or policies were changed as well.
    judges: bool,
}

impl Fresh {
    /// Records the changes of a written stage.
    pub(super) fn learn(&mut self, stage: &Stage) {
        for object in stage.entries.iter().filter(|entry| entry.step.writes()).map(|entry| &entry.object) {
            if is_definition(&object.id()) {
                let text = |pointer| object.text(pointer).unwrap_or_default().to_owned();
                self.defined.insert((text("/spec/group"), text("/spec/names/kind")));
            }
            self.judges |= is_judge(object);
        }
    }

    /// Whether the recorded changes may explain a refusal.
    fn explains(&self, refusal: &Refusal) -> bool {
        if refusal.is_of_schema() {
            let kind = (refusal.id.group.clone(), refusal.id.kind.clone());
            return self.defined.contains(&kind);
        }
        self.judges && refusal.may_pass_soon()
    }

    /// Whether a refused object is worth another try after so many pauses.
    pub(super) fn is_worth_a_try(&self, refusal: &Refusal, pauses: usize) -> bool {
        self.explains(refusal) || (pauses < BRIEFLY && refusal.is_of_schema())
    }
}

fn is_judge(object: &Object) -> bool {
    JUDGES.contains(&(object.group(), object.kind()))
}

/// Removes from a stage the changed objects that decide about others, and returns them as a stage of their
/// own. This is done only if all refusals of the stage are denials: the server would repeat these until the
/// deciding objects are written.
pub(super) fn judges_first(decided: &mut Decided) -> Option<Stage> {
    let is_judged = |refusal: &Refusal| matches!(refusal.cause, Cause::Denied | Cause::Forbidden(_));
    if decided.refusals.is_empty() || !decided.refusals.iter().all(is_judged) {
        return None;
    }
    let is_first = |entry: &Entry| entry.step.writes() && is_judge(&entry.object);
    let (first, rest) = std::mem::take(&mut decided.stage.entries).into_iter().partition(is_first);
    decided.stage.entries = rest;
    let first: Vec<Entry> = first;
    (!first.is_empty()).then_some(Stage { entries: first, gate: decided.stage.gate })
}

/// Decides again, for a while, about objects whose refusal may come from changes that the server has not seen
/// yet.
pub(super) async fn caught_up<C: Writes + Settle, S: Slot>(
    hands: &Hands<'_, C, S>,
    mut decided: Decided,
    terms: &Terms,
    fresh: &Fresh,
) -> Decided {
    for (made, pause) in PAUSES.into_iter().enumerate() {
        let refusals = &decided.refusals;
        let is_worth_it = refusals.iter().all(|refusal| fresh.is_worth_a_try(refusal, made));
        if refusals.is_empty() || !is_worth_it {
            break;
        }
        aside(hands.slot, hands.clock, hands.clock.sleep(pause), |()| true).await;
        let refused = decided.stage.entries.iter().filter(|entry| matches!(entry.step, Step::Refuse(_)));
        let refused: Vec<Object> = refused.map(|entry| entry.object.clone()).collect();
        renew(hands.cluster, &mut decided, refused, terms).await;
    }
    decided
}
