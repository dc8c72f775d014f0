//! The objects that run pods in a namespace, or will run them.

use serde_json::Value;

use super::client::{ApiRequest, Client, JSON};
use super::path::ServedKind;
use lockgate_base::model::Object;
use lockgate_core::pipeline::ports::ApiFailure;

/// Group, version, kind and plural.
const RUNNERS: [(&str, &str, &str, &str); 8] = [
    ("", "v1", "Pod", "pods"),
    ("", "v1", "ReplicationController", "replicationcontrollers"),
    ("apps", "v1", "DaemonSet", "daemonsets"),
    ("apps", "v1", "Deployment", "deployments"),
    ("apps", "v1", "ReplicaSet", "replicasets"),
    ("apps", "v1", "StatefulSet", "statefulsets"),
    ("batch", "v1", "CronJob", "cronjobs"),
    ("batch", "v1", "Job", "jobs"),
];

/// The objects of a namespace that run or will run pods, and the pods themselves.
pub(super) async fn runners(client: &Client, namespace: &str) -> Result<Vec<Object>, ApiFailure> {
    let mut objects = Vec::new();
    for (group, version, kind, plural) in RUNNERS {
        let resource = ServedKind {
            group: group.into(),
            version: version.into(),
            kind: kind.into(),
            plural: plural.into(),
            namespaced: true,
        };
        let mut reply = client.send(ApiRequest::get(resource.collection(namespace), JSON)).await?;
        let items = reply.body["items"].as_array_mut().map(std::mem::take).unwrap_or_default();
        // A list states the type of its items only once.
        let typed = |mut item: Value| {
            item["apiVersion"] = resource.api_version().into();
            item["kind"] = kind.into();
            Object::parse(item).ok()
        };
        objects.extend(items.into_iter().filter_map(typed));
    }
    Ok(objects)
}
