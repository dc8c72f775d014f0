//! The only place that writes to the agent's own kinds: status, events and finalizers. Each write asks the
//! fence first.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::metrics::Metrics;
use super::subject::Subject;
use crate::clock::since_1970;
use crate::cluster::{Client, Direct, KnownKind, PatchedPart, WriteGuard, is_unserved_path, version_number};
use lockgate_base::keys;
use lockgate_base::model::Timestamp;
use lockgate_core::pipeline::clock::{Clock, within};
use lockgate_core::pipeline::ports::ApiFailure;
use lockgate_core::verdict::{Judged, Notice};

/// How long one write may take.
const LIMIT: Duration = Duration::from_secs(20);
/// How many writes may run at one time, in addition to the requests of running applies.
const IN_FLIGHT: usize = 8;
const EVENTS: KnownKind<'static> = KnownKind { group: "", version: "v1", plural: "events" };
/// The field of a status with the managed objects.
const INVENTORY: &str = "inventory";
/// The server's message if a test of a JSON patch fails (its api/errors/errors.go).
const UNFITTING: &str = "the server rejected our request due to an error in our request";
/// How often the agent tries to write a status with a new inventory while others write to the object.
const TRIES: usize = 4;
/// The annotation in which Flux's events carry the revision, below the group of the object's kind.
const REVISION: &str = "revision";
/// The annotation with the revision of the artifact's origin.
const ORIGIN: &str = "originRevision";

/// Why a report failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReportError {
    /// This process does not hold the lease.
    #[error("the lease is not held")]
    Fenced,
    /// The object was deleted.
    #[error("the object was deleted")]
    Gone,
    /// The object was recreated under the same name, or was written at the same moment.
    #[error("the object was deleted and recreated")]
    Conflict,
    /// The server's error, or that it did not answer.
    #[error("{0}")]
    Api(String),
}

impl ReportError {
    fn of(failure: ApiFailure) -> Self {
        match failure {
            ApiFailure::Fenced(_) => Self::Fenced,
            // The kind may be served again in a moment, with all its objects.
            ApiFailure::Answered { code: 404, message, .. } if !is_unserved_path(&message) => Self::Gone,
            ApiFailure::Answered { code: 409, .. } => Self::Conflict,
            // The answer to a JSON patch that does not fit the current object.
            ApiFailure::Answered { code: 422, message, .. } if message.starts_with(UNFITTING) => {
                Self::Conflict
            }
            failure => Self::Api(failure.to_string()),
        }
    }

    /// Logs that the status of an object could not be written, unless the watch reports the cause.
    pub(super) fn log(&self, subject: &Subject) {
        if !matches!(self, Self::Gone | Self::Conflict) {
            let (kind, name, namespace) = (subject.kind, &subject.key.name, &subject.key.namespace);
            tracing::warn!(kind, name, namespace, error = %self, "failed to write the status");
        }
    }
}

/// Writes statuses, finalizers and events of the agent's own kinds.
#[derive(Clone)]
pub(super) struct Reporter {
    server: Direct,
    metrics: Arc<Metrics>,
    clock: Arc<dyn Clock>,
    /// The common part of the statuses that were sent but not accepted, by the uid of their object: the
    /// server may have stored any of them, until it accepts a later one.
    unaccepted: Arc<Mutex<BTreeMap<String, Value>>>,
}

impl Reporter {
    /// Creates a reporter that asks `fence` before each write.
    pub(super) fn new(
        client: &Client,
        fence: WriteGuard,
        metrics: Arc<Metrics>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let server = Direct::new(client, IN_FLIGHT).fenced(fence);
        Self { server, metrics, clock, unaccepted: Arc::default() }
    }

    /// Writes the difference between a status and the one that the verdict made of it, in one request, or in
    /// none if they are equal. If earlier statuses were not accepted, the differences from any of them are
    /// written as well. Returns the object's new resourceVersion, 0 without a request. `version` is the known
    /// resourceVersion, 0 for none: a status is written only on top of the known one, so that neither a
    /// holder of the lease that was suspended nor a delayed request restores an older one.
    pub(super) async fn status<S: Serialize + PartialEq>(
        &self,
        subject: &Subject,
        version: u64,
        old: &S,
        new: &Judged<S>,
    ) -> Result<u64, ReportError> {
        let unaccepted = self.unaccepted().get(&subject.uid).cloned();
        if *old == **new && unaccepted.is_none() {
            return Ok(0);
        }
        let (old, new) = (to_value(old)?, to_value(&**new)?);
        let managed = old[INVENTORY].clone();
        let old = unaccepted.into_iter().fold(old, |old, sent| common(old, &sent));
        let operations = operations(&old, &new);
        if operations.is_empty() {
            return Ok(0);
        }
        let written = self.change(subject, version, &managed, operations).await;
        let mut all = self.unaccepted();
        let before = all.remove(&subject.uid);
        // The conflict may be with this very status, stored by an attempt whose answer was lost.
        if !matches!(written, Ok(_) | Err(ReportError::Gone)) {
            let sent = before.map_or_else(|| new.clone(), |before| common(before, &new));
            all.insert(subject.uid.clone(), sent);
        }
        written
    }

    fn unaccepted(&self) -> MutexGuard<'_, BTreeMap<String, Value>> {
        self.unaccepted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes a status whose inventory was `managed`.
    async fn change(
        &self,
        subject: &Subject,
        version: u64,
        managed: &Value,
        mut operations: Vec<Value>,
    ) -> Result<u64, ReportError> {
        if version == 0 {
            return self.edit(subject, PatchedPart::Status, &operations).await;
        }
        let mut version = version.to_string();
        for _ in 0..TRIES {
            let path = "/metadata/resourceVersion";
            operations.push(json!({"op": "replace", "path": path, "value": version}));
            match self.edit(subject, PatchedPart::Status, &operations).await {
                Err(ReportError::Conflict) => {}
                written => return written,
            }
            operations.pop();
            version = self.version_over(subject, managed).await?;
        }
        Err(ReportError::Conflict)
    }

    /// The object's current resourceVersion, if it is still the same object with this inventory.
    async fn version_over(&self, subject: &Subject, inventory: &Value) -> Result<String, ReportError> {
        let (kind, namespace, name) = (known(subject), &subject.key.namespace, &subject.key.name);
        let live = self.bounded(self.server.find(kind, namespace, name)).await?;
        let live = live.ok_or(ReportError::Gone)?;
        let is_same = live["metadata"]["uid"] == subject.uid.as_str();
        let version = live.pointer("/metadata/resourceVersion").and_then(Value::as_str);
        match version {
            Some(version) if is_same && live["status"][INVENTORY] == *inventory => Ok(version.to_owned()),
            _ => Err(ReportError::Conflict),
        }
    }

    /// Adds a finalizer, unless the object has it. Returns the object's new resourceVersion if it was added.
    pub(super) async fn add_finalizer(
        &self,
        subject: &Subject,
        finalizers: &[String],
        finalizer: &str,
    ) -> Result<Option<u64>, ReportError> {
        if finalizers.iter().any(|known| known == finalizer) {
            return Ok(None);
        }
        let path = "/metadata/finalizers";
        if !finalizers.is_empty() {
            let add = json!({"op": "add", "path": format!("{path}/-"), "value": finalizer});
            return self.edit(subject, PatchedPart::Object, &[add]).await.map(Some);
        }
        // Otherwise a finalizer that somebody has added meanwhile would be lost. An absent list is null to
        // the API server.
        let none = json!({"op": "test", "path": path, "value": null});
        let add = json!({"op": "add", "path": path, "value": [finalizer]});
        self.edit(subject, PatchedPart::Object, &[none, add]).await.map(Some)
    }

    /// Removes a finalizer, so that the object can be deleted.
    pub(super) async fn remove_finalizer(
        &self,
        subject: &Subject,
        finalizers: &[String],
        finalizer: &str,
    ) -> Result<(), ReportError> {
        let Some(index) = finalizers.iter().position(|known| known == finalizer) else {
            return Ok(());
        };
        let path = format!("/metadata/finalizers/{index}");
        let test = json!({"op": "test", "path": path, "value": finalizer});
        match self.edit(subject, PatchedPart::Object, &[test, json!({"op": "remove", "path": path})]).await {
            Err(ReportError::Gone) => Ok(()),
            other => other.map(drop),
        }
    }

    /// Writes an event about the object. `at` is when it happened, which may be some time ago.
    pub(super) async fn event(
        &self,
        subject: &Subject,
        notice: &Notice,
        at: Timestamp,
    ) -> Result<(), ReportError> {
        let unique = since_1970(self.clock.wall()).as_nanos();
        let kind = if notice.warning { "Warning" } else { "Normal" };
        let mut annotations: Map<String, Value> =
            subject.notes.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
        if let Some(revision) = &notice.revision {
            annotations.insert(format!("{}/{REVISION}", subject.group), revision.as_str().into());
        }
        if let Some(origin) = &notice.origin {
            annotations.insert(format!("{}/{ORIGIN}", subject.group), origin.as_str().into());
        }
        let body = json!({
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {
                "name": format!("{}.{unique:x}", subject.key.name),
                "namespace": subject.key.namespace,
                "annotations": annotations,
            },
            "involvedObject": {
                "apiVersion": format!("{}/{}", subject.group, subject.version),
                "kind": subject.kind,
                "namespace": subject.key.namespace,
                "name": subject.key.name,
                "uid": subject.uid,
            },
            "type": kind,
            "reason": notice.reason(),
            "message": notice.message,
            "source": {"component": "lockgate"},
            "reportingComponent": "lockgate",
            "firstTimestamp": at,
            "lastTimestamp": at,
            "count": 1,
        });
        self.bounded(self.server.create(EVENTS, &subject.key.namespace, &body)).await?;
        self.metrics.event();
        Ok(())
    }

    /// Patches the object, and never another one of the same name: the API server checks a uid only if the
    /// patch tests it. Returns the object's new resourceVersion.
    async fn edit(
        &self,
        subject: &Subject,
        part: PatchedPart,
        operations: &[Value],
    ) -> Result<u64, ReportError> {
        let mut all = vec![json!({"op": "test", "path": "/metadata/uid", "value": subject.uid})];
        all.extend_from_slice(operations);
        let place = (subject.key.namespace.as_str(), subject.key.name.as_str());
        let all = Value::Array(all);
        let patched = self.server.patch(known(subject), place, part, keys::STATUS_MANAGER, &all);
        Ok(version_number(&self.bounded(patched).await?))
    }

    async fn bounded<T>(
        &self,
        request: impl Future<Output = Result<T, ApiFailure>>,
    ) -> Result<T, ReportError> {
        match within(&*self.clock, LIMIT, request).await {
            Some(answer) => answer.map_err(ReportError::of),
            None => Err(ReportError::Api("no answer in time".into())),
        }
    }
}

fn known(subject: &Subject) -> KnownKind<'_> {
    KnownKind { group: subject.group, version: subject.version, plural: subject.plural }
}

fn to_value(status: &impl Serialize) -> Result<Value, ReportError> {
    let unwritable = |error| ReportError::Api(format!("the status has no JSON form: {error}"));
    serde_json::to_value(status).map_err(unwritable)
}

/// The operations of a JSON patch (RFC 6902) that replace each field in which the statuses differ. The CRDs
/// give each object a status.
fn operations(old: &Value, new: &Value) -> Vec<Value> {
    let none = Map::new();
    let (old, new) = (old.as_object().unwrap_or(&none), new.as_object().unwrap_or(&none));
    let mut operations = Vec::new();
    for (field, value) in new.iter().filter(|(field, value)| old.get(*field) != Some(value)) {
        operations.push(json!({"op": "add", "path": path_of(field), "value": value}));
    }
    for field in old.keys().filter(|field| !new.contains_key(*field)) {
        // Only an existing field can be removed, and whether this one exists is unknown.
        operations.push(json!({"op": "add", "path": path_of(field), "value": null}));
        operations.push(json!({"op": "remove", "path": path_of(field)}));
    }
    operations
}

fn path_of(field: &str) -> String {
    format!("/status/{field}")
}

/// The common part of two statuses, with null for each field in which they differ.
fn common(one: Value, other: &Value) -> Value {
    let (Value::Object(mut one), Value::Object(other)) = (one, other) else { return Value::Null };
    for (field, value) in other {
        let known = one.entry(field.as_str()).or_insert(Value::Null);
        if known != value {
            *known = Value::Null;
        }
    }
    for (_, value) in one.iter_mut().filter(|(field, _)| !other.contains_key(*field)) {
        *value = Value::Null;
    }
    one.into()
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use kube::client::Body;

    use super::*;
    use crate::agent::clock::SystemClock;
    use lockgate_core::api::{Kustomization, Metadata};

    fn patched(status: &Value, operations: &[Value]) -> Value {
        let patch: json_patch::Patch = serde_json::from_value(operations.to_vec().into()).unwrap();
        let mut object = json!({"status": status});
        json_patch::patch(&mut object, &patch).unwrap();
        object["status"].take()
    }

    #[test]
    fn a_patch_writes_what_differs_and_no_more() {
        let cases = [
            (json!({"a": 1}), json!({"a": 1}), 0),
            (json!({"a": 1, "b": {"c": 1, "d": 2}}), json!({"a": 1, "b": {"c": 1, "d": 3}}), 1),
            (json!({"a": 1, "b": 2}), json!({"a": 1}), 2),
            (json!({"a": [1, 2]}), json!({"a": [1]}), 1),
            (json!({}), json!({"a": {"b": 1}}), 1),
        ];
        for (old, new, count) in cases {
            let operations = operations(&old, &new);
            assert_eq!(operations.len(), count, "{old} -> {new}");
            assert_eq!(patched(&old, &operations), new);
            // Unknown fields are left alone.
            let mut more = old.clone();
            more["x"] = json!(1);
            assert_eq!(patched(&more, &operations)["x"], 1);
        }
    }

    /// A server with one Kustomization, and its last state. Like a real one, it checks the tests of a JSON
    /// patch, and the resourceVersion.
    fn server(live: Value) -> (Reporter, Arc<Mutex<Value>>) {
        let stored = Arc::new(Mutex::new(live));
        let of_server = Arc::clone(&stored);
        let service = tower::service_fn(move |request: http::Request<Body>| {
            let stored = Arc::clone(&of_server);
            async move {
                let is_read = request.method() == http::Method::GET;
                let body = request.into_body().collect_bytes().await.unwrap();
                let refused = |code, message: &str| {
                    (code, json!({"code": code, "reason": "Refused", "message": message}))
                };
                let mut live = stored.lock().unwrap();
                let (code, answer) = if is_read {
                    (200, json!({"items": [*live]}))
                } else {
                    let patch: json_patch::Patch = serde_json::from_slice(&body).unwrap();
                    let mut patched = live.clone();
                    let fits = json_patch::patch(&mut patched, &patch).is_ok();
                    let is_latest =
                        patched["metadata"]["resourceVersion"] == live["metadata"]["resourceVersion"];
                    match (fits, is_latest) {
                        (false, _) => refused(422, UNFITTING),
                        (true, false) => refused(409, "the object has been modified"),
                        (true, true) => {
                            patched["metadata"]["resourceVersion"] = "8".into();
                            live.clone_from(&patched);
                            (200, patched)
                        }
                    }
                };
                let response = http::Response::builder().status(code);
                let answer = response.body(Body::from(answer.to_string().into_bytes())).unwrap();
                Ok::<_, std::convert::Infallible>(answer)
            }
        });
        let (client, metrics) = (Client::of_service(service, "http://test"), Arc::new(Metrics::new()));
        (Reporter::new(&client, Arc::new(|| Ok(())), metrics, Arc::new(SystemClock)), stored)
    }

    #[tokio::test]
    async fn a_status_is_written_only_on_top_of_what_is_known() {
        let entries = |ids: &[&str]| json!({"entries": ids.iter().map(|id| json!({"id": id, "v": "v1"})).collect::<Vec<_>>()});
        let status = |ids: &[&str]| json!({"lastAppliedRevision": "r", "inventory": entries(ids)});
        let live = |uid: &str, ids: &[&str]| json!({"metadata": {"name": "apps", "uid": uid, "resourceVersion": "7"}, "status": status(ids)});
        let metadata = Metadata { uid: "u".into(), ..Metadata::default() };
        let subject = Subject::of(&Kustomization::named("n", "apps"), &metadata);
        let managed = entries(&["a"]);
        let more = || operations(&json!({}), &json!({"inventory": entries(&["a", "b"])}));
        let told = || operations(&json!({}), &json!({"lastAppliedRevision": "s"}));
        let cases = [
            (7, more(), live("u", &["a"]), true, "nobody else wrote"),
            (5, more(), live("u", &["a"]), true, "somebody wrote something else"),
            (5, more(), live("u", &["a", "c"]), false, "another holder of the lease has built more"),
            (5, more(), live("v", &["a"]), false, "it is another object"),
            (0, more(), live("v", &["a"]), false, "it is another object, and no version is known"),
            (5, told(), live("u", &["a"]), true, "somebody wrote something else, and this is no inventory"),
            (5, told(), live("u", &["c"]), false, "another holder of the lease says what it does"),
            (5, told(), live("v", &["c"]), false, "it is another object"),
        ];
        for (version, operations, before, is_written, why) in cases {
            let (reporter, stored) = server(before.clone());
            let written = reporter.change(&subject, version, &managed, operations).await;
            let has_changed = *stored.lock().unwrap() != before;
            assert_eq!((written.is_ok(), has_changed), (is_written, is_written), "{why}: {written:?}");
            assert!(is_written || matches!(written, Err(ReportError::Conflict)), "{why}: {written:?}");
        }
    }

    #[test]
    fn a_patch_of_what_is_common_holds_for_each() {
        let new = json!({"a": 1, "b": {"c": 1, "d": [1]}, "e": {"f": {"g": 1}}});
        let olds = [
            json!({"a": 1, "b": {"c": 1, "d": [2]}, "e": {"f": {"g": 1}}}),
            json!({"a": 1, "b": {"x": 1}}),
            json!({"b": 3, "e": {"f": {"h": 1}}, "y": 1}),
            new.clone(),
        ];
        let base = olds.iter().cloned().reduce(|one, other| common(one, &other)).unwrap_or_default();
        let operations = operations(&base, &new);
        for old in olds {
            assert_eq!(patched(&old, &operations), new, "{operations:?}");
        }
        assert_eq!(common(new.clone(), &new), new);
    }

    #[test]
    fn an_object_has_gone_only_if_its_kind_is_served() {
        let of = |code: u16, message: &str| {
            let (reason, message) = (String::new(), message.to_owned());
            format!("{:?}", ReportError::of(ApiFailure::Answered { code, reason, message }))
        };
        assert_eq!(of(404, r#"gitrepositories.source.toolkit.fluxcd.io "r" not found"#), "Gone");
        for message in ["404 page not found\n", "the server could not find the requested resource"] {
            assert!(of(404, message).starts_with("Api("), "{message}");
        }
        assert_eq!(of(409, "the object has been modified"), "Conflict");
        assert_eq!(of(422, UNFITTING), "Conflict");
        assert!(of(422, "status.conditions: Required value").starts_with("Api("));
        assert!(of(500, "etcd is away").starts_with("Api("));
    }
}
