//! The claims of other owners to objects that one of them is about to delete.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use super::shared::Shared;
use super::subject::Subject;
use super::world::{Ids, SeenObject};
use crate::clock::timestamp;
use lockgate_base::model::{ObjectId, Ref};
use lockgate_core::api::{HelmRelease, Kustomization};
use lockgate_core::pipeline::{self, Candidate, Hold, Holder, Holdings};
use lockgate_core::queue::Signal;
use lockgate_core::verdict::{self, Common, Schedule};

/// The objects of a Kustomization, as far as they are known.
enum Held {
    /// All of its objects.
    Objects(Ids),
    /// Unknown: its source has not been fetched since this process became leader.
    Unknown,
}

/// For each object, in order, the Kustomization other than `own` that manages it or will. One that manages it
/// already is queued, so that it sets its own labels.
pub(super) async fn holders(
    shared: &Shared,
    own: &Kustomization,
    candidates: &[Candidate],
) -> Vec<Option<Holder>> {
    let tenancy = &shared.tenancy;
    let mut others = Vec::new();
    let all = shared.world.all::<Kustomization>();
    for other in &all {
        let (mine, theirs) = ((own, tenancy.account_of(own)), tenancy.account_of(other));
        if !pipeline::may_hold(mine, (other, theirs), tenancy.lockdown) {
            continue;
        }
        let held = match held(shared, other).await {
            Held::Objects(held) => Some(held),
            Held::Unknown => None,
        };
        let (recorded, needs) = (pipeline::recorded(other), pipeline::needs(other));
        others.push(Holdings { key: other.reference(), recorded, held, needs });
    }
    for (key, held) in shared.world.malformed() {
        // The account of a malformed Kustomization is unknown, so its claims count only in its own namespace,
        // and wherever all Kustomizations use the agent's account.
        if key.namespace == own.metadata.namespace || is_common(shared, own) {
            let recorded = held.as_deref().cloned().unwrap_or_default();
            others.push(Holdings { key, recorded, held, needs: HashSet::new() });
        }
    }
    others.extend(releases(shared, (&own.reference(), tenancy.account_of(own))));
    let all: Vec<&Kustomization> = all.iter().map(AsRef::as_ref).collect();
    let holders = pipeline::holders(candidates, &others, &all);
    for (candidate, holder) in candidates.iter().zip(&holders) {
        match holder {
            Some(Holder { key, recorded: true, hold: Hold::Itself }) if key.kind == Kustomization::ID => {
                shared.tell(Signal::Drifted { owner: key.clone(), object: candidate.id().clone(), by: None });
            }
            Some(Holder { key, hold: hold @ (Hold::GoesAlong | Hold::Needed), .. }) => {
                tell_of_stay(shared, own, (candidate, *hold), key);
            }
            _ => {}
        }
    }
    holders
}

/// For each object, in order: which Kustomization or other HelmRelease beside `own` holds it by its status.
pub(super) fn holders_beside_release(
    shared: &Shared,
    own: &HelmRelease,
    candidates: &[Candidate],
) -> Vec<Option<Holder>> {
    let (key, account) = (own.reference(), shared.account_of_release(own));
    let mut others = releases(shared, (&key, account));
    let all = shared.world.all::<Kustomization>();
    for other in &all {
        let theirs = shared.tenancy.account_of(other);
        let may = pipeline::may_claim((&key, account), (&other.reference(), theirs), shared.tenancy.lockdown);
        if may && other.spec.kube_config.is_none() {
            others.push(Holdings::by_status(other.reference(), pipeline::recorded(other)));
        }
    }
    let all: Vec<&Kustomization> = all.iter().map(AsRef::as_ref).collect();
    pipeline::holders(candidates, &others, &all)
}

/// What HelmReleases hold by their statuses, of those that may claim what `own` would delete. One that is
/// being deleted keeps nothing.
fn releases(shared: &Shared, own: (&Ref, Option<&str>)) -> Vec<Holdings> {
    let lockdown = shared.tenancy.lockdown;
    let all = shared.world.all::<HelmRelease>();
    let others = all.iter().filter(|other| {
        let account = shared.account_of_release(other);
        other.spec.kube_config.is_none()
            && other.metadata.deletion_timestamp.is_none()
            && pipeline::may_claim(own, (&other.reference(), account), lockdown)
    });
    others.map(|other| Holdings::by_status(other.reference(), pipeline::released(other))).collect()
}

/// Tells the owner that keeps an object that another Kustomization no longer contains it.
fn tell_of_stay(shared: &Shared, own: &Kustomization, (candidate, hold): (&Candidate, Hold), holder: &Ref) {
    let Some(SeenObject::Sound(holder)) = shared.world.get::<Kustomization>(holder) else { return };
    let line = format!(
        "{} is not deleted although {} no longer contains it: {}",
        candidate.id().subject(),
        if holder.metadata.namespace == own.metadata.namespace {
            own.reference().to_string()
        } else {
            "an owner in another namespace".into()
        },
        candidate.kept_for(hold)
    );
    let revision = holder.status.last_applied_revision.clone().unwrap_or_default();
    let subject = Subject::of(&holder.reference(), &holder.metadata);
    shared.tell_of(&subject, &[verdict::Notice::kept(&line, &revision)]);
}

/// The Kustomizations that depend on the given one.
pub(super) fn dependents(shared: &Shared, id: &ObjectId) -> Vec<ObjectId> {
    if (id.group.as_str(), id.kind.as_str()) != (Kustomization::ID.group, Kustomization::ID.kind) {
        return Vec::new();
    }
    let key = Kustomization::named(&id.namespace, &id.name);
    let all = shared.world.all::<Kustomization>();
    let of = |other: &Arc<Kustomization>| ObjectId {
        namespace: other.metadata.namespace.clone(),
        name: other.metadata.name.clone(),
        ..id.clone()
    };
    all.iter().filter(|other| depends(other, &key)).map(of).collect()
}

fn depends(kustomization: &Kustomization, on: &Ref) -> bool {
    let own = kustomization.reference();
    kustomization.spec.depends_on.iter().any(|named| named.target(&own).is_ok_and(|target| target == *on))
}

/// The end of a removal that waits for dependents which are being deleted too, since they may need its
/// objects for their own cleanup. Each dependent gets its own timeout.
pub(super) fn dependents_leaving(shared: &Shared, kustomization: &Kustomization) -> Option<Common> {
    let key = kustomization.reference();
    let now = timestamp(shared.clock.wall());
    let mut dependents = Vec::new();
    let mut limit = Duration::ZERO;
    for other in shared.world.all::<Kustomization>() {
        let Some(since) = other.metadata.deletion_timestamp.filter(|_| depends(&other, &key)) else {
            continue;
        };
        let left = Schedule::from(&other.spec).timeout.saturating_sub(now.since(since));
        if !left.is_zero() {
            dependents.push(other.reference());
            limit = limit.max(left);
        }
    }
    (!dependents.is_empty()).then_some(Common::RemovalWaits { dependents, limit })
}

/// Whether all Kustomizations use the agent's account unless they name another.
fn is_common(shared: &Shared, own: &Kustomization) -> bool {
    !shared.tenancy.lockdown && shared.tenancy.account_of(own).is_none()
}

/// The objects that a Kustomization will manage after its next reconcile.
async fn held(shared: &Shared, kustomization: &Kustomization) -> Held {
    let key = kustomization.reference();
    let source = kustomization.spec.source_ref.target(&kustomization.metadata.namespace);
    let source = source.filter(|_| !shared.tenancy.forbids_source_of(kustomization));
    let snapshot = source.and_then(|source| shared.world.snapshot(&source));
    let Some(snapshot) = snapshot else {
        let (generation, observed) =
            (kustomization.metadata.generation, kustomization.status.observed_generation);
        if observed != Some(generation) && !kustomization.spec.suspend {
            return Held::Unknown;
        }
        return Held::Objects(Arc::new(pipeline::recorded(kustomization)));
    };
    let of = (kustomization.metadata.generation, snapshot.revision.to_string());
    let now = shared.clock.now();
    if let Some(foreseen) = shared.world.foreseen(&key, &of, now) {
        return Held::Objects(foreseen);
    }
    // An object that may have ended the agent is not built here.
    if shared.quarantine.is_suspect(&key) {
        return Held::Objects(Arc::new(pipeline::recorded(kustomization)));
    }
    let memo = shared.world.memo(&key);
    let held =
        pipeline::held(&shared.cluster, kustomization, &snapshot, memo.as_deref(), &*shared.workers).await;
    let held = Arc::new(held);
    shared.world.foresee(&key, of, now, Arc::clone(&held));
    Held::Objects(held)
}
