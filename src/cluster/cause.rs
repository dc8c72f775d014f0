//! Finds the cause of an object's bad health if the object itself does not state it: in its pods, and in the
//! events about the pods and the object. What the account may not read is left out.

use serde_json::Value;

use super::client::{ApiRequest, JSON};
use super::handle::Cluster;
use super::path::encode;
use lockgate_base::model::Object;
use lockgate_core::health::{Health, PodTrouble, TroubleKind, newest_refusal, pod_trouble};
use lockgate_core::pipeline::ports::{ObjectReference, Unhealthy};

/// Kinds whose trouble shows in their pods.
const WITH_PODS: [&str; 5] = ["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job"];
/// Kinds whose trouble shows in their own status and events.
const ALONE: [&str; 2] = ["Pod", "PersistentVolumeClaim"];
/// The most pods of a workload that are examined.
const PODS: usize = 20;

/// Whether more can be found out about an unhealthy object.
pub(super) fn has_cause(one: &Unhealthy) -> bool {
    let kind = one.id.kind.as_str();
    WITH_PODS.contains(&kind) || ALONE.contains(&kind)
}

impl Cluster {
    /// Adds the cause to an unhealthy object, as far as it can be found.
    pub(super) async fn explain(&self, reference: &ObjectReference, one: &mut Unhealthy) {
        let Some(object) = self.whole(reference).await else { return };
        if one.id.kind == "Pod" {
            if let Some(trouble) = self.trouble(&object).await {
                one.health = told(&one.health, trouble.text);
            }
            return;
        }
        one.cause = self.in_pods(&object).await;
        if one.cause.is_none() {
            one.cause = newest_refusal(&self.events(&object).await);
        }
    }

    async fn whole(&self, reference: &ObjectReference) -> Option<Object> {
        let resource = self.shared.discovery.any(&self.shared.client, reference).await.ok()?;
        self.live(&resource, reference, JSON).await.ok()?
    }

    /// The trouble of a workload's pods: of the pod whose trouble explains most.
    async fn in_pods(&self, workload: &Object) -> Option<String> {
        let labels = workload.pointer("/spec/selector/matchLabels")?.as_object()?;
        let selector: Vec<String> =
            labels.iter().filter_map(|(key, value)| Some(format!("{key}={}", value.as_str()?))).collect();
        let query = format!("limit={PODS}&labelSelector={}", encode(&selector.join(",")));
        let pods = self.listed(workload, "pods", "Pod", &query).await;
        let is_staying = |pod: &&Object| pod.text("/metadata/deletionTimestamp").is_none();
        let troubled = pods.iter().filter(is_staying).filter_map(|pod| Some((pod, pod_trouble(pod, &[])?)));
        let age = |pod: &Object| pod.text("/metadata/creationTimestamp").unwrap_or_default().to_owned();
        let (pod, _) = troubled.max_by_key(|(pod, trouble)| (trouble.kind, age(pod)))?;
        let trouble = self.trouble(pod).await?;
        (!trouble.is_start()).then(|| trouble.of(pod))
    }

    /// What keeps a pod from being ready. Of a volume that it waits for, the scheduler says no more than that
    /// it is not bound; the claim knows why.
    async fn trouble(&self, pod: &Object) -> Option<PodTrouble> {
        let mut trouble = pod_trouble(pod, &self.events(pod).await)?;
        if trouble.kind != TroubleKind::Unschedulable {
            return Some(trouble);
        }
        for name in claims(pod) {
            let query = format!("fieldSelector={}", encode(&format!("metadata.name={name}")));
            let found = self.listed(pod, "persistentvolumeclaims", "PersistentVolumeClaim", &query).await;
            let Some(claim) = found.iter().find(|claim| claim.text("/status/phase") != Some("Bound")) else {
                continue;
            };
            if let Some(refusal) = newest_refusal(&self.events(claim).await) {
                trouble.text = format!("{}; claim {name}: {refusal}", trouble.text);
            }
        }
        Some(trouble)
    }

    /// The events about an object.
    async fn events(&self, object: &Object) -> Vec<Object> {
        let Some(uid) = object.text("/metadata/uid") else { return Vec::new() };
        let query = format!("fieldSelector={}", encode(&format!("involvedObject.uid={uid}")));
        self.listed(object, "events", "Event", &query).await
    }

    /// Objects of a kind of the core group, in the namespace of another object.
    async fn listed(&self, beside: &Object, plural: &str, kind: &str, query: &str) -> Vec<Object> {
        let namespace = encode(beside.namespace().unwrap_or_default()).into_owned();
        let path = format!("/api/v1/namespaces/{namespace}/{plural}?{query}");
        let Ok(mut reply) = self.client.send(ApiRequest::get(path, JSON)).await else { return Vec::new() };
        let items = reply.body.get_mut("items").and_then(Value::as_array_mut).map(std::mem::take);
        let typed = |mut item: Value| {
            item["apiVersion"] = "v1".into();
            item["kind"] = kind.into();
            Object::parse(item).ok()
        };
        items.unwrap_or_default().into_iter().filter_map(typed).collect()
    }
}

/// The names of the claims whose volumes a pod mounts.
fn claims(pod: &Object) -> Vec<String> {
    let volumes = pod.pointer("/spec/volumes").and_then(Value::as_array);
    let name = |volume: &Value| {
        let claim = volume.pointer("/persistentVolumeClaim/claimName").and_then(Value::as_str);
        let own =
            || Some(format!("{}-{}", pod.name(), volume.get("ephemeral").and(volume["name"].as_str())?));
        claim.map(ToOwned::to_owned).or_else(own)
    };
    volumes.into_iter().flatten().filter_map(name).collect()
}

/// The same state of health with another text.
fn told(health: &Health, text: String) -> Health {
    match health {
        Health::InProgress(_) => Health::InProgress(text),
        Health::Failed(_) => Health::Failed(text),
        Health::Current | Health::Terminating(_) | Health::NotFound => health.clone(),
    }
}
