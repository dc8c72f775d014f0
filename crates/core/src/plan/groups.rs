//! The API groups that belong to Kubernetes itself.

/// The groups of Kubernetes itself. Objects of all other groups are custom resources, or served by an
/// aggregated API. Source: the groups of kube-apiserver's `pkg/controlplane/apiserver`, and those that it has
/// served earlier.
const BUILT_IN: [&str; 24] = [
    "",
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "apiregistration.k8s.io",
    "apps",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "autoscaling",
    "batch",
    "certificates.k8s.io",
    "coordination.k8s.io",
    "discovery.k8s.io",
    "events.k8s.io",
    "extensions",
    "flowcontrol.apiserver.k8s.io",
    "internal.apiserver.k8s.io",
    "networking.k8s.io",
    "node.k8s.io",
    "policy",
    "rbac.authorization.k8s.io",
    "resource.k8s.io",
    "scheduling.k8s.io",
    "storage.k8s.io",
    "storagemigration.k8s.io",
];

/// Whether an API group is one of Kubernetes itself.
pub(super) fn is_built_in(group: &str) -> bool {
    BUILT_IN.contains(&group)
}
