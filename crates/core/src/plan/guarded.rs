//! Fields that the control plane and other controllers live by. Whoever has set them keeps them, unless Git
//! sets them: to take them over would be to remove them.

use super::fields::{Fields, reach};

/// The kinds of Kubernetes whose replica count can be set apart from the rest, by an autoscaler or by
/// `kubectl scale`.
const SCALED: [(&str, &str); 4] =
    [("apps", "Deployment"), ("apps", "StatefulSet"), ("apps", "ReplicaSet"), ("", "ReplicationController")];

/// Whether the objects of a kind of Kubernetes have a replica count that can be set apart.
pub(super) fn is_scaled(group: &str, kind: &str) -> bool {
    SCALED.contains(&(group, kind))
}

/// Whether a field of an object, by its path in `fieldsV1`, is left to whoever has set it. `is_scaled` says
/// whether the object has a replica count that is set apart, and `of_git` holds the fields that Git sets.
pub(super) fn is_guarded(
    (group, kind): (&str, &str),
    path: &[&str],
    is_scaled: bool,
    of_git: Option<&Fields>,
) -> bool {
    match (group, kind, path) {
        (_, _, ["f:metadata", "f:finalizers" | "f:ownerReferences"])
        | ("", "PersistentVolumeClaim", ["f:spec", "f:volumeName"])
        | ("", "Service", ["f:spec", "f:clusterIP" | "f:clusterIPs" | "f:healthCheckNodePort"]) => true,
        // A port that Git does not have goes as a whole.
        ("", "Service", ["f:spec", "f:ports", _, "f:nodePort"]) => {
            of_git.is_some_and(|fields| reach(fields, &path[..3]))
        }
        (_, _, ["f:spec", "f:replicas"]) => is_scaled,
        _ => false,
    }
}
