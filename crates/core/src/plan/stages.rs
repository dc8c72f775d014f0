//! The order in which objects are applied: Flux's stages, and Flux's order inside a stage.

use std::cmp::Ordering;

use lockgate_base::model::{Object, ObjectId};

/// What comes first, in this order, by kind whatever the group. Kinds that are not named come after these.
const FIRST: [&str; 23] = [
    "CustomResourceDefinition",
    "Namespace",
    "ClusterRole",
    "ClusterClass",
    "RuntimeClass",
    "PriorityClass",
    "StorageClass",
    "VolumeSnapshotClass",
    "IngressClass",
    "GatewayClass",
    "ClusterRoleBinding",
    "ResourceQuota",
    "ServiceAccount",
    "Role",
    "RoleBinding",
    "ConfigMap",
    "Secret",
    "Service",
    "LimitRange",
    "Deployment",
    "StatefulSet",
    "CronJob",
    "PodDisruptionBudget",
];

/// What comes last: a webhook whose server is not there yet would refuse all that comes after it.
const LAST: [&str; 2] = ["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"];

/// Cuts a build into stages and sorts each. Definitions come first (CRDs, namespaces, cluster roles), then classes, then
/// the rest; a stage starts when the one before is there. Empty stages are left out.
pub fn stages(objects: Vec<Object>) -> Vec<Vec<Object>> {
    let mut stages: [Vec<(ObjectId, Object)>; 3] = Default::default();
    for object in objects {
        let id = object.id();
        stages[stage_of(&id.kind)].push((id, object));
    }
    let sorted = stages.into_iter().filter(|stage| !stage.is_empty()).map(|mut stage| {
        stage.sort_by(|(a, _), (b, _)| compare(a, b));
        stage.into_iter().map(|(_, object)| object).collect()
    });
    sorted.collect()
}

/// Sorts identities as objects are sorted inside a stage; deletions go the other way round.
pub fn sort_ids(ids: &mut [ObjectId]) {
    ids.sort_by(compare);
}

fn stage_of(kind: &str) -> usize {
    match kind {
        "CustomResourceDefinition" | "Namespace" | "ClusterRole" => 0,
        kind if kind.ends_with("Class") => 1,
        _ => 2,
    }
}

fn compare(a: &ObjectId, b: &ObjectId) -> Ordering {
    let key = |id: &'_ ObjectId| rank(&id.kind);
    key(a)
        .cmp(&key(b))
        .then_with(|| a.group.cmp(&b.group))
        .then_with(|| a.kind.cmp(&b.kind))
        .then_with(|| a.namespace.cmp(&b.namespace))
        .then_with(|| a.name.cmp(&b.name))
}

fn rank(kind: &str) -> usize {
    let at = |kinds: &[&str]| kinds.iter().position(|known| *known == kind);
    match (at(&FIRST), at(&LAST)) {
        (Some(first), _) => first,
        (None, Some(last)) => FIRST.len() + 1 + last,
        (None, None) => FIRST.len(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(text: &str) -> Object {
        let (api_version, rest) = text.split_once(' ').unwrap();
        let (kind, name) = rest.split_once(' ').unwrap();
        let (namespace, name) = name.split_once('/').unwrap_or(("", name));
        let metadata = json!({"name": name, "namespace": namespace});
        Object::parse(json!({"apiVersion": api_version, "kind": kind, "metadata": metadata})).unwrap()
    }

    #[test]
    fn definitions_then_classes_then_the_rest() {
        let build = [
            "admissionregistration.k8s.io/v1 ValidatingWebhookConfiguration w",
            "admissionregistration.k8s.io/v1 MutatingWebhookConfiguration w",
            "platform.example.com/v1 Issuer b/i",
            "networking.k8s.io/v1 Ingress b/i",
            "apps/v1 StatefulSet b/s",
            "apps/v1 Deployment b/d",
            "apps/v1 Deployment a/d",
            "v1 Service a/z",
            "v1 Secret a/s",
            "v1 ConfigMap a/c",
            "rbac.authorization.k8s.io/v1 ClusterRoleBinding b",
            "networking.k8s.io/v1 IngressClass i",
            "storage.k8s.io/v1 StorageClass s",
            "example.com/v1 WidgetClass w",
            "rbac.authorization.k8s.io/v1 ClusterRole r",
            "v1 Namespace b",
            "v1 Namespace a",
            "apiextensions.k8s.io/v1 CustomResourceDefinition c",
        ];
        let staged = stages(build.iter().map(|text| object(text)).collect());
        let printed: Vec<Vec<String>> =
            staged.iter().map(|stage| stage.iter().map(|object| object.id().subject()).collect()).collect();
        assert_eq!(
            printed,
            [
                vec!["CustomResourceDefinition/c", "Namespace/a", "Namespace/b", "ClusterRole/r"],
                vec!["StorageClass/s", "IngressClass/i", "WidgetClass/w"],
                vec![
                    "ClusterRoleBinding/b",
                    "ConfigMap/a/c",
                    "Secret/a/s",
                    "Service/a/z",
                    "Deployment/a/d",
                    "Deployment/b/d",
                    "StatefulSet/b/s",
                    "Ingress/b/i",
                    "Issuer/b/i",
                    "MutatingWebhookConfiguration/w",
                    "ValidatingWebhookConfiguration/w",
                ],
            ]
        );
    }

    #[test]
    fn an_empty_stage_is_none() {
        assert_eq!(stages(vec![object("v1 ConfigMap a/c")]).len(), 1);
        assert_eq!(stages(vec![]).len(), 0);
    }
}
