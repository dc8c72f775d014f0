//! A cluster in memory that stores releases, and can be cut off after so many writes.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::health::Health;
use crate::pipeline::clock::{Clock as _, Watch};
use crate::pipeline::ports::{
    Accepted, ApiFailure, Data, DataKind, Deleted, Denied, DocumentHosts, FetchedDocuments, Lookup,
    ObjectReference, Reads, ReleaseStores, Scope, Settle, Settled, Unhealthy, Writes,
};
use crate::plan::{Cause, Observation, Phase, Refusal};
use crate::release::{self, Record};
use lockgate_base::model::{Gvk, Object, ObjectId, Ref, Secret, Timestamp};
use lockgate_render::helm::chart::capabilities::Capabilities;
use lockgate_render::helm::context::LookupQuery;

/// The cluster.
#[derive(Debug, Default)]
pub(super) struct Store {
    objects: Mutex<BTreeMap<String, Object>>,
    log: Mutex<Vec<String>>,
    writes: AtomicUsize,
    /// After how many writes no more is written.
    left: Mutex<Option<usize>>,
    asked: AtomicUsize,
    ill: BTreeSet<String>,
    /// ConfigMaps and Secrets with values.
    data: BTreeMap<String, Data>,
    /// Objects with this in them are refused.
    refused: Mutex<Option<String>>,
    /// The object that is refused, why, and whether its dry run passes.
    refused_by: Mutex<Option<(String, Cause, bool)>>,
    /// Why objects that are not healthy are not.
    cause: Option<String>,
    /// Objects that will never be healthy, which is known at once.
    stalled: BTreeSet<String>,
    /// Objects that stay though they are deleted.
    stuck: Mutex<BTreeSet<String>>,
    /// Whether nobody may look at releases.
    is_denied: AtomicBool,
}

impl Store {
    /// An object is never healthy.
    pub(super) fn ill(mut self, name: &str) -> Self {
        self.ill.insert(name.into());
        self
    }

    /// Objects that are not healthy are so for this cause.
    pub(super) fn because(mut self, cause: &str) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// An object fails as soon as it is waited for.
    pub(super) fn stalled(mut self, name: &str) -> Self {
        self.stalled.insert(name.into());
        self
    }

    /// Without a ConfigMap or Secret that it had.
    pub(super) fn without_data(mut self, subject: &str) -> Self {
        self.data.remove(subject);
        self
    }

    /// With a key of a ConfigMap or Secret.
    pub(super) fn with(mut self, subject: &str, key: &str, value: &str) -> Self {
        let entries = self.data.entry(subject.into()).or_default();
        entries.insert(key.into(), Secret::new(value.as_bytes().to_vec()));
        self
    }

    /// Nobody may look at releases any more.
    pub(super) fn deny(&self) {
        self.is_denied.store(true, Ordering::Relaxed);
    }

    /// Objects with a text in them are refused.
    pub(super) fn refuse(&self, text: &str) {
        *self.refused.lock().unwrap() = Some(text.into());
    }

    /// An object is refused for a cause, in its dry run or only when it is written.
    pub(super) fn refuse_by(&self, name: &str, cause: Cause, is_late: bool) {
        *self.refused_by.lock().unwrap() = Some((name.into(), cause, is_late));
    }

    /// An object stays though it is deleted.
    pub(super) fn stick(&self, name: &str) {
        self.stuck.lock().unwrap().insert(name.into());
    }

    /// Nothing is refused or held any more.
    pub(super) fn allow(&self) {
        *self.refused_by.lock().unwrap() = None;
        let stuck = std::mem::take(&mut *self.stuck.lock().unwrap());
        for name in &stuck {
            self.lose(name);
        }
    }

    /// Nothing is written after so many writes from now on; without a number all is.
    pub(super) fn cut(&self, left: Option<usize>) {
        *self.left.lock().unwrap() = left;
    }

    pub(super) fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    pub(super) fn object(&self, name: &str) -> Option<Object> {
        self.objects.lock().unwrap().get(name).cloned()
    }

    /// All objects without what tells one write from another.
    pub(super) fn state(&self) -> Vec<(String, Value)> {
        let objects = self.objects.lock().unwrap();
        let plain = |(name, object): (&String, &Object)| {
            let mut value = object.value().clone();
            value["metadata"]["resourceVersion"].take();
            value["metadata"]["uid"].take();
            if object.kind() == "Secret" {
                let record = release::read(object).unwrap();
                value["data"] = json!(record);
            }
            (name.clone(), value)
        };
        objects.iter().map(plain).collect()
    }

    pub(super) fn capabilities_asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    fn secrets(&self) -> Vec<Object> {
        let objects = self.objects.lock().unwrap();
        objects.values().filter(|object| object.kind() == "Secret").cloned().collect()
    }

    /// The versions that are stored, the oldest first.
    pub(super) fn versions_kept(&self) -> Vec<String> {
        let records = self.secrets().into_iter().map(|secret| release::read(&secret).unwrap());
        let mut found: Vec<Record> = records.collect();
        found.sort_by_key(|record| record.version);
        found.iter().map(|record| format!("v{} {}", record.version, record.info.status)).collect()
    }

    pub(super) fn record(&self, version: i64) -> Record {
        let name = release::reference("n", "web", version).name;
        release::read(&self.object(&name).unwrap()).unwrap()
    }

    /// Somebody else writes to a version.
    pub(super) fn edit(&self, version: i64, change: impl FnOnce(&mut Record)) {
        let name = release::reference("n", "web", version).name;
        let secret = self.object(&name).unwrap();
        let mut record = release::read(&secret).unwrap();
        change(&mut record);
        let edited = release::secret(&record, "n", Some(&secret), None, Timestamp::from_unix(0)).unwrap();
        self.put(&edited);
    }

    /// Somebody else deletes an object.
    pub(super) fn lose(&self, name: &str) {
        self.objects.lock().unwrap().remove(name);
    }

    /// Somebody else writes an object.
    pub(super) fn replace(&self, name: &str, change: impl FnOnce(&mut Value)) {
        let edited = self.object(name).unwrap().edit(change).unwrap();
        self.put(&edited);
    }

    /// Whether a write may be made.
    fn writes(&self, what: String) -> Result<(), ApiFailure> {
        let mut left = self.left.lock().unwrap();
        if *left == Some(0) {
            return Err(ApiFailure::Unavailable { message: "killed".into(), retry_after: None });
        }
        *left = left.map(|left| left - 1);
        self.log.lock().unwrap().push(what);
        Ok(())
    }

    fn put(&self, object: &Object) -> Object {
        let version = self.writes.fetch_add(1, Ordering::Relaxed) + 1;
        let stored = object.clone().edit(|value| {
            value["metadata"]["uid"] = format!("uid-{}", object.name()).into();
            value["metadata"]["resourceVersion"] = version.to_string().into();
        });
        let stored = stored.unwrap();
        self.objects.lock().unwrap().insert(object.name().into(), stored.clone());
        stored
    }

    fn refusal(&self, object: &Object, phase: Phase) -> Option<Refusal> {
        if let Some((name, cause, is_late)) = &*self.refused_by.lock().unwrap()
            && object.name() == name
            && *is_late == (phase == Phase::Apply)
        {
            return Some(Refusal::new(object.id(), phase, cause.clone(), "no"));
        }
        let refused = self.refused.lock().unwrap();
        let text = refused.as_ref().filter(|_| phase == Phase::DryRun)?;
        let is_refused = object.value().to_string().contains(text);
        is_refused.then(|| Refusal::new(object.id(), phase, Cause::Invalid, "refused"))
    }
}

impl DocumentHosts for Store {
    fn fetch(&self, urls: Vec<String>) -> FetchedDocuments<'_> {
        let document = |url: &String| {
            let found = self.data.get("Document")?.get(url)?;
            Some(found.expose().clone())
        };
        let answer = |url: String| {
            let found = document(&url).ok_or_else(|| "not found".to_owned());
            (url, found)
        };
        Box::pin(std::future::ready(urls.into_iter().map(answer).collect()))
    }
}

impl Lookup for Store {
    async fn data(&self, kind: DataKind, _: &str, name: &str) -> Result<Option<Data>, ApiFailure> {
        Ok(self.data.get(&format!("{kind}/{name}")).cloned())
    }
}

impl Reads for Store {
    async fn scope(&self, _: &Gvk) -> Result<Scope, ApiFailure> {
        Ok(Scope::Namespaced)
    }

    async fn get(&self, reference: &ObjectReference) -> Result<Option<Object>, ApiFailure> {
        Ok(self.object(&reference.id.name))
    }

    async fn identify(&self, references: &[ObjectReference]) -> Vec<Result<Option<Object>, ApiFailure>> {
        references.iter().map(|reference| Ok(self.object(&reference.id.name))).collect()
    }

    async fn observe(&self, objects: &[Object], _: &HashSet<ObjectId>) -> Vec<Observation> {
        let observe = |object: &Object| {
            let dry_run = self.refusal(object, Phase::DryRun).map_or_else(|| Ok(object.clone()), Err);
            Observation::new(self.object(object.name()), dry_run)
        };
        objects.iter().map(observe).collect()
    }

    async fn runners(&self, _: &str) -> Result<Vec<Object>, ApiFailure> {
        Ok(Vec::new())
    }
}

impl Writes for Store {
    async fn apply(&self, object: &Object) -> Result<Accepted, Refusal> {
        let lost = |failure: ApiFailure| Refusal::unavailable(object.id(), Phase::Apply, failure.to_string());
        if let Some(refusal) = self.refusal(object, Phase::Apply) {
            return Err(refusal);
        }
        self.writes(format!("apply {}", object.name())).map_err(lost)?;
        self.put(object);
        Ok(Accepted {
            reference: ObjectReference::to(object),
            uid: String::new(),
            resource_version: String::new(),
            generation: None,
            warnings: Vec::new(),
        })
    }

    async fn take_over(&self, _: &Object, _: &Value) -> Result<(), Refusal> {
        Ok(())
    }

    async fn clear(&self, _: &Object, _: &str) -> Result<(), Refusal> {
        Ok(())
    }

    async fn cleared(&self, _: &Object, _: Duration) -> Result<(), Refusal> {
        Ok(())
    }

    async fn delete(
        &self,
        reference: &ObjectReference,
        _: &str,
        _: Option<&str>,
    ) -> Result<Deleted, ApiFailure> {
        self.writes(format!("delete {}", reference.id.name))?;
        if self.stuck.lock().unwrap().contains(&reference.id.name) {
            return Ok(Deleted::Accepted);
        }
        self.objects.lock().unwrap().remove(&reference.id.name);
        Ok(Deleted::Accepted)
    }

    fn hold(&self, _: &Object) {}

    fn release(&self, _: &Ref, _: &[ObjectId]) {}
}

impl Settle for Store {
    async fn settle(&self, references: &[ObjectReference], timeout: Duration) -> Settled {
        let ill = references.iter().filter(|reference| self.ill.contains(&reference.id.name));
        let ill: Vec<Unhealthy> = ill
            .map(|reference| Unhealthy {
                id: reference.id.clone(),
                health: Health::InProgress("not yet".into()),
                cause: self.cause.clone(),
            })
            .collect();
        let stalled = references.iter().filter(|reference| self.stalled.contains(&reference.id.name));
        let failed = |reference: &ObjectReference| Unhealthy {
            id: reference.id.clone(),
            health: Health::Failed("no more".into()),
            cause: None,
        };
        let stalled: Vec<Unhealthy> = stalled.map(failed).collect();
        if !stalled.is_empty() {
            return Settled::Stalled(stalled);
        }
        if ill.is_empty() {
            return Settled::Healthy;
        }
        Watch.sleep(timeout).await;
        Settled::TimedOut(ill)
    }

    async fn gone(&self, references: &[ObjectReference], _: Duration) -> Vec<ObjectId> {
        let stuck = self.stuck.lock().unwrap();
        let held = references.iter().filter(|reference| stuck.contains(&reference.id.name));
        held.map(|reference| reference.id.clone()).collect()
    }

    fn intact(&self, _: &[ObjectId]) -> bool {
        true
    }
}

impl ReleaseStores for Store {
    async fn versions(&self, namespace: &str, name: &str) -> Result<Vec<Object>, ApiFailure> {
        if self.is_denied.load(Ordering::Relaxed) {
            return Err(ApiFailure::Forbidden(Denied {
                account: "gone".into(),
                verb: "list".into(),
                resource: "secrets".into(),
                namespace: namespace.into(),
            }));
        }
        let is_of = |secret: &Object| {
            secret.namespace() == Some(namespace) && release::version_of(secret, name).is_some()
        };
        Ok(self.secrets().into_iter().filter(is_of).collect())
    }

    async fn store(&self, secret: &Object) -> Result<Object, ApiFailure> {
        let live = self.object(secret.name());
        let version = |object: &Object| object.text("/metadata/resourceVersion").map(ToOwned::to_owned);
        if live.as_ref().and_then(version) != version(secret) {
            let message = "it has changed".to_owned();
            return Err(ApiFailure::Answered { code: 409, reason: "Conflict".into(), message });
        }
        let (number, status) = (secret.label("version").unwrap(), secret.label("status").unwrap());
        self.writes(format!("store v{number} {status}"))?;
        Ok(self.put(secret))
    }

    async fn capabilities(&self) -> Result<Capabilities, ApiFailure> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        Ok(Capabilities::default())
    }

    async fn look(&self, query: &LookupQuery) -> Result<Value, ApiFailure> {
        Ok(self.object(&query.name).map_or_else(|| json!({}), |object| object.value().clone()))
    }
}
