//! Dependents and data that are lost with an object when it is deleted and recreated, and the objects that
//! `spec.force` therefore never deletes.

use super::groups::is_built_in;
use lockgate_base::model::Object;

/// The loss beyond the object itself and the dependents that the cluster recreates; `None` if there is none.
/// An object with such a loss is deleted only if an annotation on the object itself asks for that.
pub(super) fn loss(object: &Object) -> Option<&'static str> {
    Some(match (object.group(), object.kind()) {
        ("", "PersistentVolumeClaim" | "PersistentVolume") => "its data",
        ("", "Namespace") => "everything in it",
        ("apiextensions.k8s.io", "CustomResourceDefinition") => "every object of its kind",
        ("apps", "StatefulSet") if takes_its_claims(object) => "the claims of its pods, and their data",
        (group, _) if !is_built_in(group) => "the state that its controller keeps for it",
        _ => return None,
    })
}

/// The parts of an object that are lost while it is deleted and recreated, and come back with the new one.
pub(super) fn interruption(object: &Object) -> Option<&'static str> {
    Some(match (object.group(), object.kind()) {
        ("apps", "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet")
        | ("", "ReplicationController")
        | ("batch", "Job") => "its pods",
        ("batch", "CronJob") => "its Jobs and their pods",
        ("", "Service") => "its address, unless Git sets it",
        ("", "ServiceAccount") => "its tokens",
        _ => return None,
    })
}

fn takes_its_claims(object: &Object) -> bool {
    object.text("/spec/persistentVolumeClaimRetentionPolicy/whenDeleted") == Some("Delete")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_holds_more_than_itself_is_lost_with_it() {
        let keeps = json!({"persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain"}});
        let deletes = json!({"persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Delete"}});
        let cases = [
            ("v1", "PersistentVolumeClaim", json!({}), Some("its data")),
            ("v1", "PersistentVolume", json!({}), Some("its data")),
            ("v1", "Namespace", json!({}), Some("everything in it")),
            (
                "apiextensions.k8s.io/v1",
                "CustomResourceDefinition",
                json!({}),
                Some("every object of its kind"),
            ),
            ("apps/v1", "StatefulSet", deletes, Some("the claims of its pods, and their data")),
            ("apps/v1", "StatefulSet", keeps, None),
            (
                "kustomize.toolkit.fluxcd.io/v1",
                "Kustomization",
                json!({}),
                Some("the state that its controller keeps for it"),
            ),
            (
                "gateway.networking.k8s.io/v1",
                "Gateway",
                json!({}),
                Some("the state that its controller keeps for it"),
            ),
            ("example.com/v1", "Namespace", json!({}), Some("the state that its controller keeps for it")),
            ("apps/v1", "Deployment", json!({}), None),
            ("networking.k8s.io/v1", "Ingress", json!({}), None),
            ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", json!({}), None),
        ];
        for (api_version, kind, spec, expected) in cases {
            let object =
                json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": "a"}, "spec": spec});
            assert_eq!(loss(&Object::parse(object).unwrap()), expected, "{api_version} {kind}");
        }
    }
}
