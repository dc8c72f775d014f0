//! The work of kube-controller-manager: definitions become served, Deployments and Jobs become ready or fail,
//! namespaces are emptied, and objects without an owner are deleted. The caller decides when each happens.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};

use super::kinds::Kinds;
use super::store::{Change, Key};
use super::{Answer, Request, Server};

/// A delayed action of a controller on an object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Task {
    /// The kind of a definition becomes served.
    Serve(Key),
    /// The objects of a definition that is being deleted are deleted, and then the definition; its kind is no
    /// longer served.
    Unserve(Key),
    /// A Deployment or Job gets the status of a healthy one, or of a failed one.
    Run(Key),
    /// A namespace loses its content, and then is deleted.
    Empty(String),
    /// Objects without any of their owners are deleted.
    Collect,
}

/// How long a task waits; the caller decides the exact time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waiting {
    /// A moment.
    Short,
    /// As long as containers take to start.
    Long,
}

/// The finalizer that keeps a definition until its objects are gone.
const CLEANUP: &str = "customresourcecleanup.apiextensions.k8s.io";

/// The annotation of a workload that never becomes ready.
pub const BROKEN: &str = "simulation.dev/broken";

impl Task {
    /// The tasks of controllers after a change.
    pub fn of(change: &Change) -> Vec<(Self, Waiting)> {
        let key = &change.key;
        let mut tasks = Vec::new();
        match (key.plural.as_str(), change.before.as_deref(), change.after.as_deref()) {
            ("customresourcedefinitions", _, Some(after))
                if after["metadata"].get("deletionTimestamp").is_some() =>
            {
                tasks.push((Self::Unserve(key.clone()), Waiting::Short));
            }
            ("customresourcedefinitions", before, Some(after))
                if before.as_ref().is_none_or(|old| old["spec"] != after["spec"]) =>
            {
                tasks.push((Self::Serve(key.clone()), Waiting::Short));
            }
            ("deployments" | "jobs", before, Some(after))
                if before
                    .as_ref()
                    .is_none_or(|old| old["metadata"]["generation"] != after["metadata"]["generation"]) =>
            {
                tasks.push((Self::Run(key.clone()), Waiting::Long));
            }
            ("namespaces", _, Some(after)) if after["metadata"].get("deletionTimestamp").is_some() => {
                tasks.push((Self::Empty(key.name.clone()), Waiting::Short));
            }
            _ => {}
        }
        // A namespace that waits for one of its objects checks again when that is gone.
        if change.after.is_none() {
            tasks.push((Self::Collect, Waiting::Short));
            if !key.namespace.is_empty() {
                tasks.push((Self::Empty(key.namespace.clone()), Waiting::Short));
            }
        }
        tasks
    }
}

impl Server {
    /// Carries out a task of a controller.
    pub fn act(&mut self, task: &Task, now: &str) {
        match task {
            Task::Serve(key) => self.establish(key, now),
            Task::Unserve(key) => self.unserve(key, now),
            Task::Run(key) => self.run(key, now),
            Task::Empty(namespace) => self.empty(namespace, now),
            Task::Collect => self.collect(now),
        }
    }

    fn unserve(&mut self, key: &Key, now: &str) {
        let is_leaving = |object: &&Arc<Value>| object["metadata"].get("deletionTimestamp").is_some();
        let Some(definition) = self.store.get(key).filter(is_leaving).cloned() else { return };
        let kind = Kinds::of_definition(&definition);
        let inside = self.keys(|key| key.group == kind.group && key.plural == kind.plural);
        for key in &inside {
            self.send("DELETE", key, "", &Value::Null, now);
        }
        if self.keys(|key| key.group == kind.group && key.plural == kind.plural).is_empty() {
            self.kinds.remove(&definition);
            self.store.remove(key);
        }
    }

    fn keys(&self, is_wanted: impl Fn(&Key) -> bool) -> Vec<Key> {
        self.store.all().map(|(key, _)| key).filter(|key| is_wanted(key)).cloned().collect()
    }

    fn establish(&mut self, key: &Key, now: &str) {
        let Some(definition) = self.store.get(key).cloned() else { return };
        self.kinds.add(&definition);
        if definition["metadata"].get("finalizers").is_none() {
            let held = json!({"metadata": {"finalizers": [CLEANUP]}});
            self.send("PATCH", key, "?fieldManager=kube-apiserver", &held, now);
        }
        let condition = |kind: &str, reason: &str| {
            json!({"type": kind, "status": "True", "reason": reason,
            "message": "", "lastTransitionTime": now})
        };
        let status = json!({"acceptedNames": definition["spec"]["names"],
            "storedVersions": [definition["spec"]["versions"][0]["name"]],
            "conditions": [condition("NamesAccepted", "NoConflicts"), condition("Established", "InitialNamesAccepted")]});
        self.set_status(key, &status, now);
    }

    fn run(&mut self, key: &Key, now: &str) {
        let Some(workload) = self.store.get(key).cloned() else { return };
        let generation = workload["metadata"]["generation"].clone();
        let is_broken = workload["metadata"]["annotations"].get(BROKEN).is_some();
        let condition = |kind: &str, status: &str, reason: &str| {
            json!({"type": kind, "status": status,
            "reason": reason, "message": "", "lastTransitionTime": now, "lastUpdateTime": now})
        };
        let status = match (key.plural.as_str(), is_broken) {
            ("jobs", false) => json!({"succeeded": 1, "startTime": now, "completionTime": now, "ready": 0,
                "conditions": [condition("Complete", "True", "CompletionsReached")]}),
            ("jobs", true) => json!({"failed": 1, "startTime": now, "ready": 0,
                "conditions": [condition("Failed", "True", "BackoffLimitExceeded")]}),
            (_, false) => json!({"observedGeneration": generation, "replicas": 1, "updatedReplicas": 1,
                "readyReplicas": 1, "availableReplicas": 1,
                "conditions": [condition("Available", "True", "MinimumReplicasAvailable"),
                    condition("Progressing", "True", "NewReplicaSetAvailable")]}),
            (_, true) => json!({"observedGeneration": generation, "replicas": 1, "updatedReplicas": 1,
                "unavailableReplicas": 1, "conditions": [condition("Available", "False", "MinimumReplicasUnavailable")]}),
        };
        if key.plural == "jobs" {
            self.make_pod(key, &workload["metadata"]["uid"], now);
        }
        self.set_status(key, &status, now);
    }

    fn empty(&mut self, namespace: &str, now: &str) {
        let key = Key::new("", "namespaces", "", namespace);
        let is_leaving =
            self.store.get(&key).is_some_and(|of| of["metadata"].get("deletionTimestamp").is_some());
        if !is_leaving {
            return;
        }
        for key in self.keys(|key| key.namespace == namespace) {
            self.send("DELETE", &key, "", &Value::Null, now);
        }
        if self.keys(|key| key.namespace == namespace).is_empty() {
            self.store.remove(&key);
        }
    }

    fn collect(&mut self, now: &str) {
        let uids: BTreeSet<String> = self
            .store
            .all()
            .filter_map(|(_, object)| Some(object["metadata"]["uid"].as_str()?.to_owned()))
            .collect();
        let is_orphan = |object: &Value| {
            let owners = object.pointer("/metadata/ownerReferences").and_then(Value::as_array);
            owners.is_some_and(|owners| {
                !owners.is_empty()
                    && owners.iter().all(|owner| !uids.contains(owner["uid"].as_str().unwrap_or_default()))
            })
        };
        let orphans: Vec<Key> =
            self.store.all().filter(|(_, object)| is_orphan(object)).map(|(key, _)| key.clone()).collect();
        for key in orphans {
            self.send("DELETE", &key, "", &Value::Null, now);
        }
    }

    fn set_status(&mut self, key: &Key, status: &Value, now: &str) {
        let query = "/status?fieldManager=kube-controller-manager";
        self.send("PATCH", key, query, &json!({"status": status}), now);
    }

    /// Makes the pod of a Job, with the Job as its owner.
    fn make_pod(&mut self, job: &Key, uid: &Value, now: &str) {
        let key = Key::new("", "pods", &job.namespace, &format!("{}-pod", job.name));
        let owner = json!({"apiVersion": "batch/v1", "kind": "Job", "name": job.name, "uid": uid});
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "spec": {},
            "metadata": {"name": key.name, "namespace": key.namespace, "ownerReferences": [owner]}});
        let collection = Key { name: String::new(), ..key };
        self.send("POST", &collection, "", &pod, now);
    }

    /// A request of a controller, to the object of a key.
    fn send(&mut self, method: &str, key: &Key, rest: &str, body: &Value, now: &str) {
        let kind = self.kinds.all().iter().find(|kind| kind.group == key.group && kind.plural == key.plural);
        let Some(kind) = kind else { return };
        let root = if key.group.is_empty() { "/api".to_owned() } else { format!("/apis/{}", key.group) };
        let namespace =
            if key.namespace.is_empty() { String::new() } else { format!("/namespaces/{}", key.namespace) };
        let name = if key.name.is_empty() { String::new() } else { format!("/{}", key.name) };
        let path = format!("{root}/{}{namespace}/{}{name}{rest}", kind.version, key.plural);
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let request = Request {
            method: method.into(),
            path,
            accept: "application/json".into(),
            content_type: "application/merge-patch+json".into(),
            body,
        };
        // A task may be impossible by now, for example because the object is gone.
        let _: Answer = self.answer(&request, now);
    }
}
