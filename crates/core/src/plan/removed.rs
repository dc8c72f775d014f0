//! Versions of Kubernetes' own kinds that later releases no longer serve. Source: the "Deprecated API
//! Migration Guide" of the Kubernetes documentation.

use std::fmt;

use lockgate_base::model::Gvk;

/// The fate of a version of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Removed {
    /// The minor release of Kubernetes 1 that no longer serves it.
    pub since: u32,
    /// The version that replaces it; `None` if there is none.
    pub successor: Option<&'static str>,
}

impl fmt::Display for Removed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "gone since Kubernetes 1.{}", self.since)?;
        match self.successor {
            Some(successor) => write!(f, ", use {successor}"),
            None => f.write_str(", and has no replacement"),
        }
    }
}

const WORKLOADS: &[&str] = &["ControllerRevision", "DaemonSet", "Deployment", "ReplicaSet", "StatefulSet"];
const ROLES: &[&str] = &["ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"];
const WEBHOOKS: &[&str] = &["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"];
const FLOWS: &[&str] = &["FlowSchema", "PriorityLevelConfiguration"];
const REVIEWS: &[&str] = &["LocalSubjectAccessReview", "SelfSubjectAccessReview", "SubjectAccessReview"];
const STORAGE: &[&str] = &["CSIDriver", "CSINode", "StorageClass", "VolumeAttachment"];

/// API version, kinds, the minor release, and the replacement.
const REMOVED: [(&str, &[&str], u32, Option<&str>); 30] = [
    ("extensions/v1beta1", &["DaemonSet", "Deployment", "ReplicaSet"], 16, Some("apps/v1")),
    ("extensions/v1beta1", &["NetworkPolicy"], 16, Some("networking.k8s.io/v1")),
    ("extensions/v1beta1", &["PodSecurityPolicy"], 16, None),
    ("extensions/v1beta1", &["Ingress"], 22, Some("networking.k8s.io/v1")),
    ("apps/v1beta1", WORKLOADS, 16, Some("apps/v1")),
    ("apps/v1beta2", WORKLOADS, 16, Some("apps/v1")),
    ("batch/v2alpha1", &["CronJob"], 21, Some("batch/v1")),
    ("admissionregistration.k8s.io/v1beta1", WEBHOOKS, 22, Some("admissionregistration.k8s.io/v1")),
    ("apiextensions.k8s.io/v1beta1", &["CustomResourceDefinition"], 22, Some("apiextensions.k8s.io/v1")),
    ("apiregistration.k8s.io/v1beta1", &["APIService"], 22, Some("apiregistration.k8s.io/v1")),
    ("authentication.k8s.io/v1beta1", &["TokenReview"], 22, Some("authentication.k8s.io/v1")),
    ("authorization.k8s.io/v1beta1", REVIEWS, 22, Some("authorization.k8s.io/v1")),
    ("certificates.k8s.io/v1beta1", &["CertificateSigningRequest"], 22, Some("certificates.k8s.io/v1")),
    ("coordination.k8s.io/v1beta1", &["Lease"], 22, Some("coordination.k8s.io/v1")),
    ("networking.k8s.io/v1beta1", &["Ingress", "IngressClass"], 22, Some("networking.k8s.io/v1")),
    ("rbac.authorization.k8s.io/v1beta1", ROLES, 22, Some("rbac.authorization.k8s.io/v1")),
    ("scheduling.k8s.io/v1beta1", &["PriorityClass"], 22, Some("scheduling.k8s.io/v1")),
    ("storage.k8s.io/v1beta1", STORAGE, 22, Some("storage.k8s.io/v1")),
    ("autoscaling/v2beta1", &["HorizontalPodAutoscaler"], 25, Some("autoscaling/v2")),
    ("batch/v1beta1", &["CronJob"], 25, Some("batch/v1")),
    ("discovery.k8s.io/v1beta1", &["EndpointSlice"], 25, Some("discovery.k8s.io/v1")),
    ("events.k8s.io/v1beta1", &["Event"], 25, Some("events.k8s.io/v1")),
    ("node.k8s.io/v1beta1", &["RuntimeClass"], 25, Some("node.k8s.io/v1")),
    ("policy/v1beta1", &["PodDisruptionBudget"], 25, Some("policy/v1")),
    ("policy/v1beta1", &["PodSecurityPolicy"], 25, None),
    ("autoscaling/v2beta2", &["HorizontalPodAutoscaler"], 26, Some("autoscaling/v2")),
    ("flowcontrol.apiserver.k8s.io/v1beta1", FLOWS, 26, Some("flowcontrol.apiserver.k8s.io/v1")),
    ("storage.k8s.io/v1beta1", &["CSIStorageCapacity"], 27, Some("storage.k8s.io/v1")),
    ("flowcontrol.apiserver.k8s.io/v1beta2", FLOWS, 29, Some("flowcontrol.apiserver.k8s.io/v1")),
    ("flowcontrol.apiserver.k8s.io/v1beta3", FLOWS, 32, Some("flowcontrol.apiserver.k8s.io/v1")),
];

/// The fate of a version of a kind; `None` if Kubernetes has not removed it.
pub fn removed(gvk: &Gvk) -> Option<Removed> {
    let api_version = gvk.api_version();
    let is_it = |(of, kinds, ..): &&(&str, &[&str], u32, Option<&str>)| {
        *of == api_version && kinds.contains(&gvk.kind.as_str())
    };
    let (.., since, successor) = *REMOVED.iter().find(is_it)?;
    Some(Removed { since, successor })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_that_is_gone_is_told_with_what_takes_its_place() {
        let cases = [
            (
                "extensions",
                "v1beta1",
                "Ingress",
                Some("gone since Kubernetes 1.22, use networking.k8s.io/v1"),
            ),
            ("policy", "v1beta1", "PodDisruptionBudget", Some("gone since Kubernetes 1.25, use policy/v1")),
            ("batch", "v1beta1", "CronJob", Some("gone since Kubernetes 1.25, use batch/v1")),
            (
                "policy",
                "v1beta1",
                "PodSecurityPolicy",
                Some("gone since Kubernetes 1.25, and has no replacement"),
            ),
            ("networking.k8s.io", "v1", "Ingress", None),
            ("", "v1", "Pod", None),
            ("example.com", "v1beta1", "Ingress", None),
        ];
        for (group, version, kind, expected) in cases {
            let gvk = Gvk { group: group.into(), version: version.into(), kind: kind.into() };
            assert_eq!(removed(&gvk).map(|removed| removed.to_string()).as_deref(), expected, "{gvk:?}");
        }
    }
}
