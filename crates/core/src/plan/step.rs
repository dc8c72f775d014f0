//! The step for one object, which follows from the live object and the result of a dry run.

use std::collections::{HashMap, HashSet};
use std::fmt;

use serde_json::Value;

use super::cause::Cause;
use super::drift::{Drift, drift};
use super::flux;
use super::forced;
use super::ignore::{Ignored, left};
use super::managed_fields::{entries, foreign_fields, left_by_others, take_over};
use super::policy::{Apply, DriftPolicy, apply_policy, drift_policy, is_forced, is_reconcile_disabled};
use super::refusal::{Phase, Refusal, is_secret};
use super::reported;
use super::scale;
use super::versions;
use crate::api::{Kustomization, Ownership};
use lockgate_base::keys;
use lockgate_base::model::{Object, ObjectId, Ref};

/// The observation of one object of a build: the live object, and the result of a server-side apply.
#[derive(Debug, Clone)]
pub struct Observation {
    /// The live object.
    pub live: Option<Object>,
    /// The object after the apply, or why the apply would fail.
    pub dry_run: Result<Object, Refusal>,
    /// The server's warnings in its answer to the dry run.
    pub warnings: Vec<String>,
}

impl Observation {
    /// An observation of which the server warns of nothing.
    pub const fn new(live: Option<Object>, dry_run: Result<Object, Refusal>) -> Self {
        Self { live, dry_run, warnings: Vec::new() }
    }
}

/// The observations of the objects of a build.
#[derive(Debug, Clone, Default)]
pub struct Observed(HashMap<ObjectId, Observation>);

impl Observed {
    /// The observation of an object.
    pub fn get(&self, id: &ObjectId) -> Option<&Observation> {
        self.0.get(id)
    }

    /// Removes and returns the observation of an object.
    pub fn take(&mut self, id: &ObjectId) -> Option<Observation> {
        self.0.remove(id)
    }

    /// Replaces earlier observations by later ones.
    pub fn extend(&mut self, later: Self) {
        self.0.extend(later.0);
    }

    /// Adds the observation of an object.
    pub fn insert(&mut self, id: ObjectId, observation: Observation) {
        self.0.insert(id, observation);
    }
}

impl FromIterator<(ObjectId, Observation)> for Observed {
    fn from_iter<I: IntoIterator<Item = (ObjectId, Observation)>>(observations: I) -> Self {
        Self(observations.into_iter().collect())
    }
}

/// The terms of a decision besides the objects themselves.
#[derive(Debug, Clone)]
pub struct PlanOptions {
    /// `spec.force`: objects with a changed immutable field are deleted and recreated, unless more would be
    /// lost with them.
    pub force: bool,
    /// Objects with secret values besides Secrets: those into which a Secret's variable was substituted.
    /// Neither their values nor the server's quotes of them are shown.
    pub sensitive: HashSet<ObjectId>,
    /// The owner of the build; an object with another owner's labels is reported.
    pub owner: Option<Ref>,
    /// The ownership marks of applied objects.
    pub ownership: &'static Ownership,
    /// `spec.ignore`: fields that keep their values on the cluster.
    pub ignored: Ignored,
    /// The treatment of drift for objects that do not set it.
    pub drift: DriftPolicy,
    /// Whether this very build was applied before, so that every difference is drift.
    pub is_applied: bool,
}

impl PlanOptions {
    /// Whether an object contains values that must stay hidden.
    pub fn is_sensitive(&self, id: &ObjectId) -> bool {
        is_secret(id) || self.sensitive.contains(id)
    }
}

impl Default for PlanOptions {
    /// The options of a Kustomization without a name and with default fields.
    fn default() -> Self {
        Self {
            force: false,
            sensitive: HashSet::new(),
            owner: None,
            ownership: Kustomization::OWNERSHIP,
            ignored: Ignored::default(),
            drift: DriftPolicy::default(),
            is_applied: false,
        }
    }
}

/// The step for an object.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// It does not exist: apply it.
    Create,
    /// It differs: apply it.
    Configure {
        /// The differences.
        drift: Vec<Drift>,
        /// A JSON 6902 patch for the live object that moves fields of other managers to lockgate's entry. It
        /// must be sent first, and the step is decided again afterwards.
        take_over: Option<Value>,
    },
    /// It is as in Git, so nothing is written.
    Keep,
    /// An immutable field has changed, and force is allowed: delete it, wait, and apply it again.
    Recreate {
        /// The uid of the object to delete.
        uid: String,
        /// The server's message about the change.
        reason: String,
        /// The loss.
        with: Option<&'static str>,
    },
    /// It asks to be left alone.
    Skip(Skip),
    /// It cannot be applied.
    Refuse(Refusal),
}

/// Why an object is left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Skip {
    /// `kustomize.toolkit.fluxcd.io/reconcile: disabled`.
    ReconcileDisabled,
    /// `kustomize.toolkit.fluxcd.io/ssa: Ignore`.
    Ignored,
    /// `kustomize.toolkit.fluxcd.io/ssa: IfNotPresent`, and it is present.
    Present,
    /// It is a part of Flux that lockgate replaces.
    Replaced,
    /// Somebody else has deleted it, and drift is only reported.
    Deleted,
}

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ReconcileDisabled => write!(f, "{}: disabled", keys::RECONCILE),
            Self::Ignored => write!(f, "{}: Ignore", keys::SSA),
            Self::Present => write!(f, "{}: IfNotPresent, and it exists", keys::SSA),
            Self::Replaced => f.write_str("it is a part of Flux that lockgate replaces"),
            Self::Deleted => write!(f, "{}: report, and somebody else has deleted it", keys::DRIFT),
        }
    }
}

impl Step {
    /// Whether the step writes to the cluster.
    pub const fn writes(&self) -> bool {
        match self {
            Self::Create | Self::Configure { .. } | Self::Recreate { .. } => true,
            Self::Keep | Self::Skip(_) | Self::Refuse(_) => false,
        }
    }

    /// Flux's word for it, as in `Service/default/podinfo configured`.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Create | Self::Recreate { .. } => "created",
            Self::Configure { .. } => "configured",
            Self::Keep => "unchanged",
            Self::Skip(_) => "skipped",
            Self::Refuse(_) => "refused",
        }
    }
}

/// An object of a build and its step.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The object in Git.
    pub object: Object,
    /// The step.
    pub step: Step,
    /// The drift that is reported and not corrected.
    pub drifted: Vec<Drift>,
    /// The fields that another tool has left on it, if lockgate has not applied it before. They stay.
    pub left: Vec<Drift>,
    /// Another owner of the same kind in the object's labels. Two builds with the same object overwrite each
    /// other.
    pub also_owned_by: Option<Ref>,
}

/// Decides the step for an object of a build.
pub(super) fn entry(object: Object, observed: &Observed, options: &PlanOptions) -> Entry {
    let (object, changed) = ignoring(object, observed, options);
    let observation = changed.as_ref().or_else(|| observed.get(&object.id()));
    let (object, drifted, step) =
        if let Some((sent, drifted, step)) = reporting(&object, observation, options) {
            (sent, drifted, step)
        } else {
            let step = step(&object, observation, options);
            (object, Vec::new(), step)
        };
    let live = observation.and_then(|observation| observation.live.as_ref());
    let also_owned_by = live
        .and_then(|live| options.ownership.owner_of(live))
        .filter(|owner| options.owner.as_ref().is_some_and(|own| own != owner));
    let left = live.filter(|_| step.writes()).map(|live| left_by_others(live, &object, options.ownership));
    Entry { object, step, drifted, left: left.unwrap_or_default(), also_owned_by }
}

/// The object to apply, and its observation if fields keep their values on the cluster.
fn ignoring(object: Object, observed: &Observed, options: &PlanOptions) -> (Object, Option<Observation>) {
    let Some(Observation { live: Some(live), dry_run: Ok(wanted), .. }) = observed.get(&object.id()) else {
        return (object, None);
    };
    let paths: Vec<&str> = options.ignored.paths(&object).collect();
    if paths.is_empty() {
        return (object, None);
    }
    let (sent, result) = left((&object, wanted), live, &paths, options.ownership);
    (sent, Some(Observation::new(Some(live.clone()), Ok(result))))
}

/// The step for an object whose drift is only reported; `None` if there is no drift, or if it is corrected.
fn reporting(
    object: &Object,
    observation: Option<&Observation>,
    options: &PlanOptions,
) -> Option<(Object, Vec<Drift>, Step)> {
    let Some(Observation { live, dry_run: Ok(wanted), .. }) = observation else { return None };
    let of_object = drift_policy(object).or_else(|| live.as_ref().and_then(drift_policy));
    if of_object.unwrap_or(options.drift) != DriftPolicy::Report || skip(object, live.as_ref()).is_some() {
        return None;
    }
    let Some(live) = live else {
        let told = || (object.clone(), vec![reported::deleted()], Step::Skip(Skip::Deleted));
        return options.is_applied.then(told);
    };
    let id = object.id();
    let sensitive = is_secret(&id) || options.sensitive.contains(&id);
    let ownership = options.ownership;
    let found = reported::found(live, (object, wanted), options.is_applied, sensitive, ownership);
    if found.drift.is_empty() {
        return None;
    }
    if found.is_all {
        return Some((object.clone(), found.drift, Step::Keep));
    }
    let paths: Vec<&str> = found.paths.iter().map(String::as_str).collect();
    let (sent, result) = left((object, wanted), live, &paths, ownership);
    let rest = drift(live, &result, sensitive);
    Some((sent, found.drift, Step::Configure { drift: rest, take_over: None }))
}

fn step(object: &Object, observation: Option<&Observation>, options: &PlanOptions) -> Step {
    let id = object.id();
    let sensitive = options.is_sensitive(&id);
    let Some(Observation { live, dry_run, .. }) = observation else {
        return match skip(object, None) {
            Some(skip) => Step::Skip(skip),
            None => Step::Refuse(Refusal::unavailable(id, Phase::DryRun, "it was not read from the cluster")),
        };
    };
    if let Some(skip) = skip(object, live.as_ref()) {
        return Step::Skip(skip);
    }
    let wanted = match dry_run {
        Ok(wanted) => wanted,
        Err(refusal) => {
            let step = live.as_ref().and_then(|live| mended(object, live, refusal, options));
            return step.unwrap_or_else(|| refused(object, live.as_ref(), refusal, sensitive, options.force));
        }
    };
    let Some(live) = live else { return Step::Create };
    let take_over = take_over(live, object, Some(wanted), options.ownership);
    let mut kept = None;
    if scale::lets_go(live, object, entries(live), options.ownership) {
        kept = scale::keeping_count(wanted, live);
    }
    let mut drift = drift(live, kept.as_ref().unwrap_or(wanted), sensitive);
    if take_over.is_some() {
        drift.extend(foreign_fields(live, object, options.ownership));
    }
    if drift.is_empty() && take_over.is_none() { Step::Keep } else { Step::Configure { drift, take_over } }
}

/// The step for a refusal that may come from fields of other managers beside Git's, or from the versions of
/// their entries. The server is asked again once these fields are ours.
fn mended(object: &Object, live: &Object, refusal: &Refusal, options: &PlanOptions) -> Option<Step> {
    let taken = || take_over(live, object, None, options.ownership);
    let patch = match &refusal.cause {
        Cause::UnknownField(_) => versions::raise(live).or_else(taken),
        // The API server reports some violations as failures of its own, such as a node port that is already
        // in use.
        Cause::Invalid | Cause::Denied | Cause::WebhookDenied(_) | Cause::Other { .. } => taken(),
        _ => None,
    };
    let drift = foreign_fields(live, object, options.ownership);
    patch.map(|patch| Step::Configure { drift, take_over: Some(patch) })
}

fn skip(object: &Object, live: Option<&Object>) -> Option<Skip> {
    if flux::is_replaced(object) {
        return Some(Skip::Replaced);
    }
    let either = |has: fn(&Object) -> bool| has(object) || live.is_some_and(has);
    if either(is_reconcile_disabled) {
        return Some(Skip::ReconcileDisabled);
    }
    if either(|object| apply_policy(object) == Apply::Ignore) {
        return Some(Skip::Ignored);
    }
    (live.is_some() && apply_policy(object) == Apply::IfNotPresent).then_some(Skip::Present)
}

/// The step for a refusal: an immutable field needs the deletion and recreation of the object, if that is
/// allowed and the object exists. Otherwise nothing would be left if the second apply failed as well.
fn refused(object: &Object, live: Option<&Object>, refusal: &Refusal, sensitive: bool, force: bool) -> Step {
    let refusal = refusal.clone().seen_beside(object);
    let refusal = if sensitive { refusal.redacted() } else { refusal };
    let is_asked = is_forced(object) || live.is_some_and(is_forced);
    let is_immutable = match &refusal.cause {
        Cause::Immutable { .. } => true,
        // The text of a webhook only deletes an object that asks for it itself.
        Cause::WebhookDenied(_) => is_asked && refusal.says_immutable(),
        _ => false,
    };
    let Some(live) = live.filter(|_| is_immutable) else { return Step::Refuse(refusal) };
    // The live object is the one that would be lost.
    let loss = forced::loss(live);
    let is_forced = is_asked || (force && loss.is_none());
    match live.text("/metadata/uid") {
        Some(uid) if is_forced => Step::Recreate {
            uid: uid.to_owned(),
            reason: refusal.text().to_owned(),
            with: loss.or_else(|| forced::interruption(live)),
        },
        _ => Step::Refuse(loss.map_or(refusal.clone(), |loss| refusal.costing(loss))),
    }
}
