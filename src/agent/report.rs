//! The only place that writes to the agent's own kinds: status, events and finalizers. Each write asks the fence first.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::clock::since_1970;
use super::metrics::Metrics;
use super::subject::Subject;
use crate::cluster::{Client, Direct, Edit, Fence, KnownKind, Part, is_unserved_path, version_number};
use lockgate_base::keys;
use lockgate_base::model::Timestamp;
use lockgate_core::pipeline::clock::{Clock, within};
use lockgate_core::pipeline::ports::ApiFailure;
use lockgate_core::verdict::{Judged, Notice};

/// How long one write may take.
const LIMIT: Duration = Duration::from_secs(20);
/// Writes in flight, beside the requests of those who apply.
const IN_FLIGHT: usize = 8;
const EVENTS: KnownKind<'static> = KnownKind { group: "", version: "v1", plural: "events" };
/// The field of a status that names what is managed.
const INVENTORY: &str = "inventory";
/// How often a status with another inventory is tried to be written, where others write to the object at the same moment.
const TRIES: usize = 4;
/// The annotation in which Flux's events carry the revision, below the group of the object's kind.
const REVISION: &str = "revision";
/// And the revision of what that was made from.
const ORIGIN: &str = "originRevision";

/// Why something could not be reported.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReportError {
    /// The lease is not held.
    #[error("the lease is not held")]
    Fenced,
    /// The object has gone.
    #[error("the object has gone")]
    Gone,
    /// The object is another of the same name, or was written at the same moment.
    #[error("the object is another now")]
    Conflict,
    /// The server's answer, or that there was none.
    #[error("{0}")]
    Api(String),
}

impl ReportError {
    fn of(failure: ApiFailure) -> Self {
        match failure {
            ApiFailure::Fenced(_) => Self::Fenced,
            // The kind may be served again in a moment, with all its objects.
            ApiFailure::Answered { code: 404, message, .. } if !is_unserved_path(&message) => Self::Gone,
            // What a merge patch with another uid is answered.
            ApiFailure::Answered { code: 409, .. } => Self::Conflict,
            failure => Self::Api(failure.to_string()),
        }
    }

    /// Logs that the status of an object could not be written, unless the watch has told or will tell why.
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
    /// What is common to the statuses that were sent and not answered, by the uid of their object: the server may have any of
    /// them, until a later one is answered.
    unanswered: Arc<Mutex<BTreeMap<String, Value>>>,
}

impl Reporter {
    /// Asks `fence` before each write.
    pub(super) fn new(client: &Client, fence: Fence, metrics: Arc<Metrics>, clock: Arc<dyn Clock>) -> Self {
        let server = Direct::new(client, IN_FLIGHT).fenced(fence);
        Self { server, metrics, clock, unanswered: Arc::default() }
    }

    /// Writes what differs between a status and the one that the verdict made of it, in one request; none where nothing does. Where
    /// earlier ones were not answered, what differs from any of them is written as well. Returns the object's resourceVersion
    /// afterwards, 0 without a request. `version` is the one that is known, 0 for none: another inventory is written only on top
    /// of the one that is known, so that a holder of the lease that has been asleep brings back none.
    pub(super) async fn status<S: Serialize + PartialEq>(
        &self,
        subject: &Subject,
        version: u64,
        old: &S,
        new: &Judged<S>,
    ) -> Result<u64, ReportError> {
        let unanswered = self.unanswered().get(&subject.uid).cloned();
        if *old == **new && unanswered.is_none() {
            return Ok(0);
        }
        let (old, new) = (to_value(old), to_value(&**new));
        let managed = old[INVENTORY].clone();
        let old = unanswered.into_iter().fold(old, |old, sent| common(old, &sent));
        let Some(difference) = merge_patch(&old, &new) else { return Ok(0) };
        match self.change(subject, version, &managed, difference).await {
            Ok(version) => {
                self.unanswered().remove(&subject.uid);
                Ok(version)
            }
            Err(error @ ReportError::Api(_)) => {
                let mut all = self.unanswered();
                let sent = all.remove(&subject.uid).map_or_else(|| new.clone(), |sent| common(sent, &new));
                all.insert(subject.uid.clone(), sent);
                Err(error)
            }
            Err(error) => {
                self.unanswered().remove(&subject.uid);
                Err(error)
            }
        }
    }

    fn unanswered(&self) -> MutexGuard<'_, BTreeMap<String, Value>> {
        self.unanswered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes a status whose inventory was `managed`.
    async fn change(
        &self,
        subject: &Subject,
        version: u64,
        managed: &Value,
        difference: Value,
    ) -> Result<u64, ReportError> {
        // The uid makes the write fail rather than land on another object of the same name.
        let mut patch = json!({"metadata": {"uid": subject.uid}, "status": difference});
        if version == 0 || patch["status"].get(INVENTORY).is_none() {
            return self.patch(subject, Part::Status, Edit::Merge(&patch)).await;
        }
        let mut version = version.to_string();
        for _ in 0..TRIES {
            patch["metadata"]["resourceVersion"] = version.into();
            match self.patch(subject, Part::Status, Edit::Merge(&patch)).await {
                Err(ReportError::Conflict) => {}
                written => return written,
            }
            version = self.version_over(subject, managed).await?;
        }
        Err(ReportError::Conflict)
    }

    /// The object's resourceVersion now, if it is the same object still and has this inventory.
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

    /// Adds a finalizer, unless it is there. Returns the object's resourceVersion afterwards where it was added.
    pub(super) async fn hold(
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
            return self.edit(subject, &[add]).await.map(Some);
        }
        // Whoever has added one meanwhile would lose it. That there is none is null to the API server.
        let none = json!({"op": "test", "path": path, "value": null});
        let add = json!({"op": "add", "path": path, "value": [finalizer]});
        self.edit(subject, &[none, add]).await.map(Some)
    }

    /// Takes a finalizer off, so that the object may go.
    pub(super) async fn let_go(
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
        match self.edit(subject, &[test, json!({"op": "remove", "path": path})]).await {
            Err(ReportError::Gone) => Ok(()),
            other => other.map(drop),
        }
    }

    /// Writes an event about the object. It happened at the moment `at`, which may be some time ago.
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

    async fn edit(&self, subject: &Subject, operations: &[Value]) -> Result<u64, ReportError> {
        let mut all = vec![json!({"op": "test", "path": "/metadata/uid", "value": subject.uid})];
        all.extend_from_slice(operations);
        self.patch(subject, Part::Object, Edit::Json(&Value::Array(all))).await
    }

    /// Returns the object's resourceVersion afterwards.
    async fn patch(&self, subject: &Subject, part: Part, edit: Edit<'_>) -> Result<u64, ReportError> {
        let place = (subject.key.namespace.as_str(), subject.key.name.as_str());
        let patched = self.server.patch(known(subject), place, part, keys::STATUS_MANAGER, edit);
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

fn to_value(status: &impl Serialize) -> Value {
    // The statuses are our own types, which all have a JSON form.
    serde_json::to_value(status).unwrap_or_default()
}

/// The merge patch (RFC 7396) that makes `new` of `old`; `None` when they are equal.
fn merge_patch(old: &Value, new: &Value) -> Option<Value> {
    let (Value::Object(old_map), Value::Object(new_map)) = (old, new) else {
        return (old != new).then(|| new.clone());
    };
    let mut patch = Map::new();
    for (key, value) in new_map {
        match old_map.get(key) {
            None => {
                patch.insert(key.clone(), value.clone());
            }
            Some(old) => {
                if let Some(difference) = merge_patch(old, value) {
                    patch.insert(key.clone(), difference);
                }
            }
        }
    }
    for key in old_map.keys().filter(|key| !new_map.contains_key(*key)) {
        patch.insert(key.clone(), Value::Null);
    }
    (!patch.is_empty()).then_some(Value::Object(patch))
}

/// What two statuses have in common, with null for each field in which they differ: what is not so in one of them differs from it.
fn common(one: Value, other: &Value) -> Value {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            let missing = other.iter().filter(|(key, _)| !one.contains_key(*key));
            let missing: Vec<_> = missing.map(|(key, value)| (key.clone(), unknown(value))).collect();
            let shared = one.into_iter().map(|(key, value)| match other.get(&key) {
                Some(other) => (key, common(value, other)),
                None => (key, unknown(&value)),
            });
            Value::Object(shared.chain(missing).collect())
        }
        (one, other) if one == *other => one,
        (one @ Value::Object(_), _) => unknown(&one),
        (_, other) => unknown(other),
    }
}

/// The fields of a value, and nothing of what they hold.
fn unknown(value: &Value) -> Value {
    match value {
        Value::Object(map) => map.iter().map(|(key, value)| (key.clone(), unknown(value))).collect(),
        _ => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use kube::client::Body;

    use super::*;
    use crate::agent::clock::SystemClock;
    use lockgate_core::api::{Kustomization, Metadata};

    #[test]
    fn a_merge_patch_holds_what_differs_and_no_more() {
        let cases = [
            (json!({"a": 1}), json!({"a": 1}), None),
            (
                json!({"a": 1, "b": {"c": 1, "d": 2}}),
                json!({"a": 1, "b": {"c": 1, "d": 3}}),
                Some(json!({"b": {"d": 3}})),
            ),
            (json!({"a": 1, "b": 2}), json!({"a": 1}), Some(json!({"b": null}))),
            (json!({"a": [1, 2]}), json!({"a": [1]}), Some(json!({"a": [1]}))),
            (json!({}), json!({"a": {"b": 1}}), Some(json!({"a": {"b": 1}}))),
        ];
        for (old, new, expected) in cases {
            let patch = merge_patch(&old, &new);
            assert_eq!(patch, expected, "{old} -> {new}");
            let mut result = old.clone();
            json_patch::merge(&mut result, &patch.unwrap_or_else(|| json!({})));
            assert_eq!(result, new);
        }
    }

    /// A server that has one Kustomization; what was sent to it is kept.
    fn server(live: Value) -> (Reporter, Arc<Mutex<Vec<Value>>>) {
        let sent = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&sent);
        let service = tower::service_fn(move |request: http::Request<Body>| {
            let (live, kept) = (live.clone(), Arc::clone(&kept));
            async move {
                let is_read = request.method() == http::Method::GET;
                let patch: Value =
                    serde_json::from_slice(&request.into_body().collect_bytes().await.unwrap())
                        .unwrap_or_default();
                let version = &patch["metadata"]["resourceVersion"];
                let (code, answer) = if is_read {
                    (200, json!({"items": [live]}))
                } else if version.is_null() || *version == live["metadata"]["resourceVersion"] {
                    kept.lock().unwrap().push(patch);
                    (200, json!({"metadata": {"resourceVersion": "8"}}))
                } else {
                    (
                        409,
                        json!({"code": 409, "reason": "Conflict", "message": "the object has been modified"}),
                    )
                };
                let response = http::Response::builder().status(code);
                let answer = response.body(Body::from(answer.to_string().into_bytes())).unwrap();
                Ok::<_, std::convert::Infallible>(answer)
            }
        });
        let (client, metrics) = (Client::of_service(service, "http://test"), Arc::new(Metrics::new()));
        (Reporter::new(&client, Arc::new(|| Ok(())), metrics, Arc::new(SystemClock)), sent)
    }

    #[tokio::test]
    async fn an_inventory_is_written_only_on_top_of_the_one_that_is_known() {
        let entries = |ids: &[&str]| json!({"entries": ids.iter().map(|id| json!({"id": id, "v": "v1"})).collect::<Vec<_>>()});
        let status = |ids: &[&str]| json!({"lastAppliedRevision": "r", "inventory": entries(ids)});
        let live = |uid: &str, ids: &[&str]| json!({"metadata": {"name": "apps", "uid": uid, "resourceVersion": "7"}, "status": status(ids)});
        let metadata = Metadata { uid: "u".into(), ..Metadata::default() };
        let subject = Subject::of(&Kustomization::named("n", "apps"), &metadata);
        let managed = entries(&["a"]);
        let more = json!({"inventory": entries(&["a", "b"])});
        let cases = [
            (7, live("u", &["a"]), true, "nobody else wrote"),
            (5, live("u", &["a"]), true, "somebody wrote something else"),
            (5, live("u", &["a", "c"]), false, "another holder of the lease has built more"),
            (5, live("v", &["a"]), false, "it is another object"),
        ];
        for (version, live, is_written, why) in cases {
            let (reporter, sent) = server(live);
            let written = reporter.change(&subject, version, &managed, more.clone()).await;
            let sent = sent.lock().unwrap();
            assert_eq!(
                (written.is_ok(), sent.len()),
                (is_written, usize::from(is_written)),
                "{why}: {written:?}"
            );
            assert!(sent.iter().all(|patch| patch["metadata"]["resourceVersion"] == "7"), "{why}: {sent:?}");
        }
        // Anything else is for one writer to say, whatever others change.
        let (reporter, sent) = server(live("u", &["c"]));
        let told = json!({"lastAppliedRevision": "s"});
        reporter.change(&subject, 5, &managed, told.clone()).await.unwrap();
        let expected = json!({"metadata": {"uid": "u"}, "status": told});
        assert_eq!(*sent.lock().unwrap(), [expected]);
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
        let patch = merge_patch(&base, &new).unwrap_or_default();
        for mut old in olds {
            json_patch::merge(&mut old, &patch);
            assert_eq!(old, new, "{patch}");
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
        assert_eq!(of(409, "the UID in the precondition does not match"), "Conflict");
        assert!(of(500, "etcd is away").starts_with("Api("));
    }
}
