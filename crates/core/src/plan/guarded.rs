//! Fields that the control plane and other controllers depend on. Their field manager keeps them, unless Git
//! sets them: taking them over would remove them.

use super::fields::{Fields, reach};

/// The kinds of Kubernetes whose replica count an autoscaler or `kubectl scale` can set apart from the rest.
const SCALED: [(&str, &str); 4] =
    [("apps", "Deployment"), ("apps", "StatefulSet"), ("apps", "ReplicaSet"), ("", "ReplicationController")];

/// Whether the replica count of a kind of Kubernetes can be set apart.
pub(super) fn is_scaled(group: &str, kind: &str) -> bool {
    SCALED.contains(&(group, kind))
}

/// Whether a field of an object, by its path in `fieldsV1`, stays with its field manager. `is_scaled` says
/// whether the replica count of the object is set separately, and `of_git` has the fields that Git sets.
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
        // A port that Git does not have is removed as a whole.
        ("", "Service", ["f:spec", "f:ports", _, "f:nodePort"]) => {
            of_git.is_some_and(|fields| reach(fields, &path[..3]))
        }
        (_, _, ["f:spec", "f:replicas"]) => is_scaled,
        _ => false,
    }
}
