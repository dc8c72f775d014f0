//! What a pod says of why it does not run: its containers as the kubelet sees them, then its conditions.

use serde_json::Value;

use super::status::JudgedObject;
use lockgate_base::model::Object;

/// What the kubelet says of a container that is only being started.
const STARTING: [&str; 2] = ["PodInitializing", "ContainerCreating"];

/// One thing that keeps a pod from running, as the pod's status has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PodTrouble<'p> {
    /// What it is about.
    pub subject: TroubleSubject<'p>,
    /// `ImagePullBackOff`, `Unschedulable`, ...; empty where the status gives none.
    pub reason: &'p str,
    /// What happened, in a sentence; often empty.
    pub message: &'p str,
}

/// What of a pod is in trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TroubleSubject<'p> {
    /// A container of that name that waits.
    Waiting(&'p str),
    /// A container of that name that has ended.
    Terminated(&'p str),
    /// A condition of that type that is not met.
    Condition(&'p str),
}

impl PodTrouble<'_> {
    /// Whether it is no more than a container that is being started.
    pub fn is_start(&self) -> bool {
        matches!(self.subject, TroubleSubject::Waiting(_)) && STARTING.contains(&self.reason)
    }

    /// `ImagePullBackOff: Back-off pulling image ...`
    pub fn text(&self) -> String {
        let parts = [self.reason, self.message];
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(": ")
    }
}

/// All that keeps a pod from running, in the order in which a pod gets there: its init containers, its
/// containers, its conditions. An init container that has ended has done its work.
pub fn pod_troubles(pod: &Object) -> impl Iterator<Item = PodTrouble<'_>> {
    troubles(JudgedObject::of(pod))
}

pub(super) fn troubles(status: JudgedObject<'_>) -> impl Iterator<Item = PodTrouble<'_>> {
    let init = status.list("/status/initContainerStatuses").iter().filter_map(waiting);
    let containers = status.list("/status/containerStatuses").iter();
    let containers = containers.filter_map(|container| waiting(container).or_else(|| terminated(container)));
    let conditions = status.list("/status/conditions").iter().filter_map(unmet);
    init.chain(containers).chain(conditions)
}

fn waiting(container: &Value) -> Option<PodTrouble<'_>> {
    let state = container.pointer("/state/waiting").filter(|state| !state.is_null())?;
    Some(trouble(TroubleSubject::Waiting(text(container, "name")), state))
}

fn terminated(container: &Value) -> Option<PodTrouble<'_>> {
    let state = container.pointer("/state/terminated").filter(|state| !state.is_null())?;
    Some(trouble(TroubleSubject::Terminated(text(container, "name")), state))
}

fn unmet(condition: &Value) -> Option<PodTrouble<'_>> {
    let is_unmet = condition["status"] == "False";
    is_unmet.then(|| trouble(TroubleSubject::Condition(text(condition, "type")), condition))
}

fn trouble<'p>(subject: TroubleSubject<'p>, state: &'p Value) -> PodTrouble<'p> {
    PodTrouble { subject, reason: text(state, "reason"), message: text(state, "message") }
}

fn text<'p>(value: &'p Value, field: &str) -> &'p str {
    value[field].as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pod_tells_its_troubles_in_the_order_in_which_it_gets_there() {
        let pod = Object::parse(json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "status": {
            "initContainerStatuses": [
                {"name": "done", "state": {"terminated": {"reason": "Completed"}}},
                {"name": "init", "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}}}],
            "containerStatuses": [
                {"name": "web", "state": {"waiting": {"reason": "PodInitializing"}}},
                {"name": "side", "state": {"running": {}}},
                {"name": "ended", "state": {"terminated": {"exitCode": 1}}}],
            "conditions": [{"type": "Initialized", "status": "True"}, {"type": "Ready", "status": "False", "message": "m"}]}}))
        .unwrap();
        let told: Vec<_> = pod_troubles(&pod).map(|trouble| (trouble.subject, trouble.text())).collect();
        assert_eq!(
            told,
            [
                (TroubleSubject::Waiting("init"), "CrashLoopBackOff: back-off 10s".to_owned()),
                (TroubleSubject::Waiting("web"), "PodInitializing".to_owned()),
                (TroubleSubject::Terminated("ended"), String::new()),
                (TroubleSubject::Condition("Ready"), "m".to_owned()),
            ]
        );
        let is_start: Vec<_> = pod_troubles(&pod).map(|trouble| trouble.is_start()).collect();
        assert_eq!(is_start, [false, true, false, false]);
    }
}
