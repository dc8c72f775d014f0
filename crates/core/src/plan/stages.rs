//! The order in which objects are applied: Flux's stages, Flux's order inside a stage, and the wait between
//! two stages.

use std::cmp::Ordering;

use super::refusal::Refusal;
use super::step::{Entry, Observed, PlanOptions, Step, entry};
use lockgate_base::model::{Object, ObjectId};

/// The kinds that come first, in this order, whatever their group. All other kinds come after these.
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

/// The kinds that come last: a webhook whose server is not running yet would refuse all objects after it.
const LAST: [&str; 2] = ["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"];

/// Objects that are applied together, in this order. If one of them is refused, none is written. Before the
/// decision a stage holds the objects alone.
#[derive(Debug, Clone, PartialEq)]
pub struct Stage<E = Entry> {
    /// The objects; after the decision each with its step.
    pub entries: Vec<E>,
    /// The condition for the next stage to begin.
    pub gate: Gate,
}

/// The wait between a stage and the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    /// No wait.
    None,
    /// The definitions that the stage has written are served, since later objects may be of their kinds.
    Served,
    /// All objects of the stage are healthy.
    Healthy,
    /// All objects of the stage have finished: a Job is complete, a Pod has succeeded. An object without an
    /// end has finished once it is healthy.
    Completed,
}

impl Stage {
    /// All refusals of the stage.
    pub fn refusals(&self) -> impl Iterator<Item = &Refusal> {
        self.entries.iter().filter_map(|entry| match &entry.step {
            Step::Refuse(refusal) => Some(refusal),
            _ => None,
        })
    }

    /// Whether there is anything to write.
    pub fn writes(&self) -> bool {
        self.entries.iter().any(|entry| entry.step.writes())
    }
}

/// Cuts a build into stages and sorts each. Definitions come first (CRDs, namespaces, cluster roles), then
/// classes, then the rest. A stage starts when the stage before it is applied. Empty stages are left out.
pub fn stages(objects: Vec<Object>) -> Vec<Stage<Object>> {
    let mut stages: [Vec<(ObjectId, Object)>; 3] = Default::default();
    for object in objects {
        let id = object.id();
        stages[stage_of(&id.kind)].push((id, object));
    }
    let sorted = stages.into_iter().filter(|stage| !stage.is_empty()).map(|mut stage| {
        stage.sort_by(|(a, _), (b, _)| compare(a, b));
        let gate = if stage.iter().any(|(id, _)| is_definition(id)) { Gate::Served } else { Gate::None };
        Stage { entries: stage.into_iter().map(|(_, object)| object).collect(), gate }
    });
    sorted.collect()
}

/// Decides the steps of a stage. A stage that writes no definition does not wait for one to be served.
pub fn plan_stage(stage: Stage<Object>, observed: &Observed, options: &PlanOptions) -> Stage {
    let entries: Vec<Entry> =
        stage.entries.into_iter().map(|object| entry(object, observed, options)).collect();
    let defines = entries.iter().any(|entry| entry.step.writes() && is_definition(&entry.object.id()));
    let gate = if stage.gate == Gate::Served && !defines { Gate::None } else { stage.gate };
    Stage { entries, gate }
}

/// Whether objects of the kind define kinds.
pub fn is_definition(id: &ObjectId) -> bool {
    id.kind == "CustomResourceDefinition"
}

/// Sorts identities in the order in which objects of a stage are applied; deletions use the reverse order.
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
        let printed: Vec<Vec<String>> = staged
            .iter()
            .map(|stage| stage.entries.iter().map(|object| object.id().subject()).collect())
            .collect();
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
