//! The objects that pods depend on: the ConfigMaps, Secrets, claims and ServiceAccount that a pod template
//! refers to.

use std::collections::HashSet;

use serde_json::Value;

use lockgate_base::model::{Object, ObjectId};

/// The paths of pod templates, by group and kind.
const TEMPLATES: [(&str, &str, &str); 8] = [
    ("", "Pod", "/spec"),
    ("apps", "Deployment", "/spec/template/spec"),
    ("apps", "StatefulSet", "/spec/template/spec"),
    ("apps", "DaemonSet", "/spec/template/spec"),
    ("apps", "ReplicaSet", "/spec/template/spec"),
    ("", "ReplicationController", "/spec/template/spec"),
    ("batch", "Job", "/spec/template/spec"),
    ("batch", "CronJob", "/spec/jobTemplate/spec/template/spec"),
];

/// The kinds that pods depend on.
const USED: [&str; 4] = ["ConfigMap", "Secret", "ServiceAccount", "PersistentVolumeClaim"];

/// Whether pods may refer to objects of the kind.
pub fn is_used(id: &ObjectId) -> bool {
    id.group.is_empty() && USED.contains(&id.kind.as_str())
}

/// The objects that a live object refers to, for pods that run or that the cluster may start. A ReplicaSet
/// without replicas is a record of the past, and a pod that has ended needs nothing.
pub fn uses(object: &Object) -> HashSet<ObjectId> {
    let (group, kind) = (object.group(), object.kind());
    let template = TEMPLATES.iter().find(|(of, named, _)| (*of, *named) == (group, kind));
    let spec = template.and_then(|(.., at)| object.pointer(at));
    let is_past = match kind {
        "ReplicaSet" => object.pointer("/spec/replicas").is_some_and(|count| *count == 0),
        "Pod" => matches!(object.text("/status/phase"), Some("Succeeded" | "Failed")),
        "Job" => object.pointer("/status/completionTime").is_some(),
        _ => false,
    };
    let mut used = Used { namespace: object.namespace().unwrap_or_default(), ids: HashSet::new() };
    if let Some(spec) = spec.filter(|_| !is_past) {
        used.spec(spec);
    }
    used.ids
}

struct Used<'o> {
    namespace: &'o str,
    ids: HashSet<ObjectId>,
}

impl Used<'_> {
    fn spec(&mut self, spec: &Value) {
        self.names("ServiceAccount", spec, "/serviceAccountName");
        for secret in items(spec, "/imagePullSecrets") {
            self.names("Secret", secret, "/name");
        }
        for volume in items(spec, "/volumes") {
            self.names("ConfigMap", volume, "/configMap/name");
            self.names("Secret", volume, "/secret/secretName");
            self.names("PersistentVolumeClaim", volume, "/persistentVolumeClaim/claimName");
            for source in items(volume, "/projected/sources") {
                self.names("ConfigMap", source, "/configMap/name");
                self.names("Secret", source, "/secret/name");
            }
        }
        for list in ["/containers", "/initContainers", "/ephemeralContainers"] {
            for container in items(spec, list) {
                for from in items(container, "/envFrom") {
                    self.names("ConfigMap", from, "/configMapRef/name");
                    self.names("Secret", from, "/secretRef/name");
                }
                for variable in items(container, "/env") {
                    self.names("ConfigMap", variable, "/valueFrom/configMapKeyRef/name");
                    self.names("Secret", variable, "/valueFrom/secretKeyRef/name");
                }
            }
        }
    }

    fn names(&mut self, kind: &str, value: &Value, pointer: &str) {
        if let Some(name) = value.pointer(pointer).and_then(Value::as_str) {
            self.ids.insert(ObjectId {
                namespace: self.namespace.to_owned(),
                name: name.to_owned(),
                group: String::new(),
                kind: kind.to_owned(),
            });
        }
    }
}

fn items<'v>(value: &'v Value, pointer: &str) -> &'v [Value] {
    value.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(api_version: &str, kind: &str, content: &Value) -> Object {
        let mut value =
            json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": "a", "namespace": "n"}});
        value.as_object_mut().unwrap().extend(content.as_object().unwrap().clone());
        Object::parse(value).unwrap()
    }

    #[test]
    fn each_way_in_which_a_pod_refers_to_an_object_is_found() {
        let container = json!({"envFrom": [{"configMapRef": {"name": "c1"}}, {"secretRef": {"name": "s1"}}],
            "env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "c2", "key": "k"}}},
                    {"name": "B", "valueFrom": {"secretKeyRef": {"name": "s2", "key": "k"}}}, {"name": "C", "value": "v"}]});
        let spec = json!({"serviceAccountName": "sa", "imagePullSecrets": [{"name": "s3"}], "containers": [container],
            "initContainers": [{"envFrom": [{"configMapRef": {"name": "c3"}}]}],
            "volumes": [{"configMap": {"name": "c4"}}, {"secret": {"secretName": "s4"}}, {"emptyDir": {}},
                        {"persistentVolumeClaim": {"claimName": "p"}},
                        {"projected": {"sources": [{"configMap": {"name": "c5"}}, {"secret": {"name": "s5"}}]}}]});
        let expected = "n_c1__ConfigMap n_c2__ConfigMap n_c3__ConfigMap n_c4__ConfigMap n_c5__ConfigMap \
                        n_p__PersistentVolumeClaim n_s1__Secret n_s2__Secret n_s3__Secret n_s4__Secret n_s5__Secret \
                        n_sa__ServiceAccount";
        let expected: HashSet<ObjectId> = expected.split_whitespace().map(|id| id.parse().unwrap()).collect();
        let template = json!({"spec": {"template": {"spec": spec}}});
        let cron = json!({"spec": {"jobTemplate": {"spec": {"template": {"spec": spec}}}}});
        assert_eq!(uses(&object("v1", "Pod", &json!({"spec": spec}))), expected);
        assert_eq!(uses(&object("apps/v1", "StatefulSet", &template)), expected);
        assert_eq!(uses(&object("batch/v1", "CronJob", &cron)), expected);
        assert!(expected.iter().all(is_used));
    }

    #[test]
    fn what_is_past_uses_nothing() {
        let spec = json!({"serviceAccountName": "sa"});
        let set = |replicas: u32| json!({"spec": {"replicas": replicas, "template": {"spec": spec}}});
        assert_eq!(uses(&object("apps/v1", "ReplicaSet", &set(0))).len(), 0);
        assert_eq!(uses(&object("apps/v1", "ReplicaSet", &set(1))).len(), 1);
        assert_eq!(
            uses(&object("v1", "Pod", &json!({"spec": spec, "status": {"phase": "Failed"}}))).len(),
            0
        );
        assert_eq!(uses(&object("x.io/v1", "Pod", &json!({"spec": spec}))).len(), 0);
    }
}
