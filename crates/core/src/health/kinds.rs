//! The rules of the built-in kinds, one file each. A kind that is not here is judged by its Ready condition.

mod api_service;
mod cron_job;
mod custom_resource_definition;
mod daemon_set;
mod deployment;
mod job;
mod persistent_volume_claim;
mod pod;
mod pod_disruption_budget;
mod replica_set;
mod service;
mod stateful_set;

use super::state::Health;
use super::status::JudgedObject;

/// The health of an object of one kind.
pub(super) type KindHealth = fn(JudgedObject<'_>) -> Health;

/// Group, kind and rule. To add a kind, add a file and a line.
pub(super) const RULES: [(&str, &str, KindHealth); 12] = [
    ("", "PersistentVolumeClaim", persistent_volume_claim::health),
    ("", "Pod", pod::health),
    ("", "Service", service::health),
    ("apiextensions.k8s.io", "CustomResourceDefinition", custom_resource_definition::health),
    ("apiregistration.k8s.io", "APIService", api_service::health),
    ("apps", "DaemonSet", daemon_set::health),
    ("apps", "Deployment", deployment::health),
    ("apps", "ReplicaSet", replica_set::health),
    ("apps", "StatefulSet", stateful_set::health),
    ("batch", "CronJob", cron_job::health),
    ("batch", "Job", job::health),
    ("policy", "PodDisruptionBudget", pod_disruption_budget::health),
];
