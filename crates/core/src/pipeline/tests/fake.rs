//! A cluster in memory that has ConfigMaps only.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use crate::health::Health;
use crate::pipeline::clock::{Clock as _, Watch};
use crate::pipeline::ports::{
    Accepted, ApiFailure, Data, DataKind, Deleted, Lookup, ObjectReference, Reads, Scope, Settle, Settled,
    Unhealthy, Writes,
};
use crate::plan::{Answer, Cause, Observation, Phase, Refusal};
use lockgate_base::keys;
use lockgate_base::model::{Gvk, Object, ObjectId, Ref};

/// The cluster.
#[derive(Debug, Default)]
pub(super) struct Fake {
    objects: Mutex<BTreeMap<String, Object>>,
    log: Arc<Mutex<Vec<String>>>,
    asked: AtomicUsize,
    refused: BTreeSet<String>,
    undeletable: BTreeSet<String>,
    /// Objects about which the server is not reached, and how often.
    lost: Mutex<BTreeMap<String, usize>>,
    unhealthy: AtomicBool,
    failing: bool,
    unwatched: AtomicBool,
    awaited: Mutex<Vec<ObjectReference>>,
    untaken: Option<Answer>,
    /// Objects with a field that cannot change, and has changed.
    frozen: BTreeSet<String>,
    /// The server's warnings for each applied object.
    warnings: Vec<String>,
    /// An object whose dry run is refused, how, and how often still.
    answers: Mutex<Option<(String, Answer, usize)>>,
    /// An object of which a dry run is accepted and the apply refused, how, and how often still.
    unapplied: Mutex<Option<(String, Answer, usize)>>,
    /// Kinds and namespaces that are not there until they are applied.
    absent: Mutex<BTreeSet<String>>,
    /// How long waits take.
    slow: Duration,
    /// The change that others make to an object each time before it is deleted, and how often.
    meddling: Mutex<Option<(Value, usize)>>,
}

fn stored(name: &str, owner: &str) -> Object {
    let labels = json!({keys::OWNER_NAME: owner, keys::OWNER_NAMESPACE: "flux-system"});
    let metadata = json!({"name": name, "namespace": "n", "uid": format!("uid-{name}"), "labels": labels,
                          "resourceVersion": "1"});
    Object::parse(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})).unwrap()
}

/// The answer by which an object is refused this time.
fn answered(answers: &Mutex<Option<(String, Answer, usize)>>, name: &str) -> Option<Answer> {
    let mut answers = answers.lock().unwrap();
    let (of, answer, times) = answers.as_mut()?;
    *times = times.checked_sub(usize::from(of == name)).unwrap_or_default();
    (of == name && *times > 0).then(|| answer.clone())
}

impl Fake {
    /// With objects of the Kustomization `apps`.
    pub(super) fn with(names: &[&str]) -> Self {
        let fake = Self::default();
        for name in names {
            fake.objects.lock().unwrap().insert((*name).into(), stored(name, "apps"));
        }
        fake
    }

    /// With an object of another Kustomization.
    pub(super) fn foreign(self, name: &str) -> Self {
        self.objects.lock().unwrap().insert(name.into(), stored(name, "another"));
        self
    }

    pub(super) fn refusing(mut self, name: &str) -> Self {
        self.refused.insert(name.into());
        self
    }

    pub(super) fn undeletable(mut self, name: &str) -> Self {
        self.undeletable.insert(name.into());
        self
    }

    pub(super) fn freezing(mut self, name: &str) -> Self {
        self.frozen.insert(name.into());
        self
    }

    pub(super) fn warning(mut self, text: &str) -> Self {
        self.warnings.push(text.into());
        self
    }

    /// With an object that is nobody's.
    pub(super) fn beside(self, object: Object) -> Self {
        self.objects.lock().unwrap().insert(object.name().into(), object);
        self
    }

    /// An existing object is terminating.
    pub(super) fn leaving(self, name: &str) -> Self {
        let leave =
            |value: &mut Value| value["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
        let object = self.object(name).unwrap().edit(leave).unwrap();
        self.beside(object)
    }

    /// An object is refused with an answer, so many times.
    pub(super) fn refusing_for(self, times: usize, name: &str, answer: Answer) -> Self {
        *self.answers.lock().unwrap() = Some((name.into(), answer, times));
        self
    }

    /// An object is refused with an answer once its dry run was accepted, so many times.
    pub(super) fn refusing_applies(self, times: usize, name: &str, answer: Answer) -> Self {
        *self.unapplied.lock().unwrap() = Some((name.into(), answer, times + 1));
        self
    }

    /// Without a kind or a namespace until it is applied.
    pub(super) fn without(self, name: &str) -> Self {
        self.absent.lock().unwrap().insert(name.into());
        self
    }

    /// A wait takes this long.
    pub(super) fn slow(mut self, duration: Duration) -> Self {
        self.slow = duration;
        self
    }

    /// Somebody has written to an existing object.
    pub(super) fn edited(self, name: &str) -> Self {
        let object = self.object(name).unwrap().edit(|value| value["data"] = json!({"k": "v"})).unwrap();
        self.objects.lock().unwrap().insert(name.into(), object);
        self
    }

    /// The server is not reached about an object, so many times.
    pub(super) fn losing(self, name: &str, times: usize) -> Self {
        self.lost.lock().unwrap().insert(name.into(), times);
        self
    }

    /// Whether the server is not reached about an object this time.
    fn loses(&self, name: &str) -> bool {
        let mut lost = self.lost.lock().unwrap();
        let Some(times @ 1..) = lost.get_mut(name) else { return false };
        *times -= 1;
        true
    }

    pub(super) fn never_healthy(self) -> Self {
        self.fall_ill();
        self
    }

    /// A wait fails at the first read.
    pub(super) fn failing(mut self) -> Self {
        self.failing = true;
        self
    }

    pub(super) fn fall_ill(&self) {
        self.unhealthy.store(true, Ordering::Relaxed);
    }

    pub(super) fn break_watch(&self) {
        self.unwatched.store(true, Ordering::Relaxed);
    }

    /// All writes, in order.
    pub(super) fn lines(&self) -> Arc<Mutex<Vec<String>>> {
        Arc::clone(&self.log)
    }

    /// All writes, in order.
    pub(super) fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    /// An object that kubectl has applied before, of which nothing can be taken over.
    pub(super) fn untaken(mut self, name: &str, answer: Answer) -> Self {
        let by_kubectl = json!({"kubectl.kubernetes.io/last-applied-configuration": "{}"});
        let annotate = |value: &mut Value| value["metadata"]["annotations"] = by_kubectl;
        let object = stored(name, "apps").edit(annotate).unwrap();
        self.objects.lock().unwrap().insert(name.into(), object);
        self.untaken = Some(answer);
        self
    }

    /// Others write this to each object that is about to be deleted, so many times.
    pub(super) fn meddling(self, metadata: Value, times: usize) -> Self {
        *self.meddling.lock().unwrap() = Some((metadata, times));
        self
    }

    /// Whether others were quicker than a deletion.
    fn meddle(&self, name: &str) {
        let mut meddling = self.meddling.lock().unwrap();
        let Some((metadata, times @ 1..)) = meddling.as_mut() else { return };
        *times -= 1;
        let version = times.to_string();
        let mut objects = self.objects.lock().unwrap();
        let edited = objects.remove(name).unwrap().edit(|value| {
            json_patch::merge(&mut value["metadata"], metadata);
            value["metadata"]["resourceVersion"] = format!("changed-{version}").into();
        });
        objects.insert(name.into(), edited.unwrap());
    }

    /// The objects of the last wait.
    pub(super) fn awaited(&self) -> Vec<ObjectReference> {
        self.awaited.lock().unwrap().clone()
    }

    /// How many questions were asked.
    pub(super) fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    pub(super) fn object(&self, name: &str) -> Option<Object> {
        self.objects.lock().unwrap().get(name).cloned()
    }

    fn ask(&self) {
        self.asked.fetch_add(1, Ordering::Relaxed);
    }

    fn wrote(&self, what: &str, name: &str) {
        self.log.lock().unwrap().push(format!("{what} {name}"));
    }
}

impl Reads for Fake {
    async fn scope(&self, gvk: &Gvk) -> Result<Scope, ApiFailure> {
        let is_there = !self.absent.lock().unwrap().contains(&gvk.kind);
        let scope = if gvk.kind == "Global" { Scope::Cluster } else { Scope::Namespaced };
        is_there.then_some(scope).ok_or(ApiFailure::UnknownKind { gvk: gvk.clone(), unreachable: false })
    }

    async fn get(&self, reference: &ObjectReference) -> Result<Option<Object>, ApiFailure> {
        self.ask();
        Ok(self.object(&reference.id.name))
    }

    async fn identify(&self, references: &[ObjectReference]) -> Vec<Result<Option<Object>, ApiFailure>> {
        self.ask();
        references.iter().map(|reference| Ok(self.object(&reference.id.name))).collect()
    }

    async fn observe(&self, objects: &[Object], _known: &HashSet<ObjectId>) -> Vec<Observation> {
        self.ask();
        let observe = |object: &Object| {
            let refusal = |cause| Refusal::new(object.id(), Phase::DryRun, cause, "refused");
            let is_absent = |name: &str| self.absent.lock().unwrap().contains(name);
            let dry_run = if self.loses(object.name()) {
                Err(Refusal::unavailable(object.id(), Phase::DryRun, "reset"))
            } else if let Some(answer) = answered(&self.answers, object.name()) {
                Err(Refusal::of_answer(object.id(), Phase::DryRun, answer))
            } else if self.refused.contains(object.name()) {
                Err(refusal(Cause::Invalid))
            } else if self.frozen.contains(object.name()) {
                Err(refusal(Cause::Immutable { loss: None }))
            } else if is_absent(object.kind()) {
                Err(refusal(Cause::UnknownKind(object.gvk())))
            } else if let Some(namespace) = object.namespace().filter(|namespace| is_absent(namespace)) {
                Err(refusal(Cause::NamespaceMissing(namespace.into())))
            } else {
                Ok(object.clone())
            };
            let warnings = if dry_run.is_ok() { self.warnings.clone() } else { Vec::new() };
            Observation { live: self.object(object.name()), dry_run, warnings }
        };
        objects.iter().map(observe).collect()
    }

    async fn runners(&self, _: &str) -> Result<Vec<Object>, ApiFailure> {
        self.ask();
        Ok(self.objects.lock().unwrap().values().filter(|object| object.kind() == "Pod").cloned().collect())
    }
}

impl Lookup for Fake {
    async fn data(&self, _: DataKind, _: &str, _: &str) -> Result<Option<Data>, ApiFailure> {
        self.ask();
        Ok(None)
    }
}

impl Writes for Fake {
    async fn apply(&self, object: &Object) -> Result<Accepted, Refusal> {
        self.wrote("apply", object.name());
        if let Some(answer) = answered(&self.unapplied, object.name()) {
            return Err(Refusal::of_answer(object.id(), Phase::Apply, answer));
        }
        for brought in [object.name(), object.text("/spec/names/kind").unwrap_or_default()] {
            self.absent.lock().unwrap().remove(brought);
        }
        let uid = |value: &mut Value| value["metadata"]["uid"] = format!("uid-{}", object.name()).into();
        let stored = object.clone().edit(uid).unwrap();
        self.objects.lock().unwrap().insert(object.name().into(), stored);
        Ok(Accepted {
            reference: ObjectReference::to(object),
            uid: "uid".into(),
            resource_version: "1".into(),
            generation: None,
            warnings: self.warnings.clone(),
        })
    }

    async fn take_over(&self, object: &Object, patch: &Value) -> Result<(), Refusal> {
        self.wrote("take over", object.name());
        if let Some(answer) = &self.untaken {
            return Err(Refusal::of_answer(object.id(), Phase::Apply, answer.clone()));
        }
        let patch: json_patch::Patch = serde_json::from_value(patch.clone()).unwrap();
        let live = self.object(object.name()).unwrap();
        let patched = live.edit(|value| json_patch::patch(value, &patch).unwrap()).unwrap();
        self.objects.lock().unwrap().insert(object.name().into(), patched);
        Ok(())
    }

    async fn clear(&self, object: &Object, _uid: &str) -> Result<(), Refusal> {
        self.wrote("clear", object.name());
        Ok(())
    }

    async fn cleared(&self, object: &Object, _timeout: Duration) -> Result<(), Refusal> {
        Watch.sleep(self.slow).await;
        self.objects.lock().unwrap().remove(object.name());
        Ok(())
    }

    async fn delete(
        &self,
        reference: &ObjectReference,
        uid: &str,
        resource_version: Option<&str>,
    ) -> Result<Deleted, ApiFailure> {
        let name = &reference.id.name;
        self.meddle(name);
        let live = self.object(name).unwrap();
        let is_other = |version: &str| live.text("/metadata/resourceVersion") != Some(version);
        if live.text("/metadata/uid") != Some(uid) || resource_version.is_some_and(is_other) {
            return Ok(Deleted::Changed);
        }
        if self.loses(name) {
            return Err(ApiFailure::Unavailable { message: "reset".into(), retry_after: None });
        }
        if self.undeletable.contains(name) {
            return Err(ApiFailure::Answered { code: 403, reason: "Forbidden".into(), message: "no".into() });
        }
        self.wrote("delete", name);
        self.objects.lock().unwrap().remove(name);
        Ok(Deleted::Accepted)
    }

    fn hold(&self, _live: &Object) {}

    fn release(&self, _owner: &Ref, _ids: &[ObjectId]) {}
}

impl Settle for Fake {
    async fn settle(&self, references: &[ObjectReference], timeout: Duration) -> Settled {
        self.ask();
        *self.awaited.lock().unwrap() = references.to_vec();
        let ill = |health: Health| {
            let one = |reference: &ObjectReference| Unhealthy {
                id: reference.id.clone(),
                health: health.clone(),
                cause: None,
            };
            references.iter().map(one).collect()
        };
        if self.failing {
            return Settled::Stalled(ill(Health::Failed("names conflict".into())));
        }
        if !self.unhealthy.load(Ordering::Relaxed) {
            Watch.sleep(self.slow).await;
            return Settled::Healthy;
        }
        Watch.sleep(timeout).await;
        Settled::TimedOut(ill(Health::InProgress("not yet".into())))
    }

    async fn gone(&self, _references: &[ObjectReference], _timeout: Duration) -> Vec<ObjectId> {
        Vec::new()
    }

    fn intact(&self, _ids: &[ObjectId]) -> bool {
        !self.unwatched.load(Ordering::Relaxed)
    }
}
