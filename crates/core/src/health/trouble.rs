//! Why a pod does not run or is not ready, from what the kubelet and the scheduler say of it: its status, and
//! the events about it, which alone tell of probes that fail, sandboxes that cannot be made and volumes that
//! cannot be mounted.

use serde_json::Value;

use super::status::{JudgedObject, StatusCondition};
use lockgate_base::model::Object;

/// The kubelet's reasons for a container that is only being started.
const STARTING: [&str; 2] = ["PodInitializing", "ContainerCreating"];
/// The kubelet's reasons for a container without its image.
const IMAGE: [&str; 6] = [
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "ErrImageNeverPull",
    "ImageInspectError",
    "RegistryUnavailable",
];
/// The kubelet's reason for a container that ends again and again.
const BACK_OFF: &str = "CrashLoopBackOff";
/// Events about a pod that the node cannot prepare.
const UNPREPARED: [&str; 3] = ["FailedCreatePodSandBox", "FailedMount", "FailedAttachVolume"];
/// Events about an object for which something else cannot be made: pods or a volume.
const UNMADE: [&str; 3] = ["FailedCreate", "ProvisioningFailed", "FailedBinding"];
/// The event about a claim whose volume somebody else is to make, who has not yet.
const UNMADE_BY_OTHERS: [&str; 1] = ["ExternalProvisioning"];
/// Events that tell of a node that is being made for the pod, by cluster-autoscaler and Karpenter.
const NODE_ON_ITS_WAY: [&str; 2] = ["TriggeredScaleUp", "Nominated"];
/// How many characters of a container's last message are shown: its end says most.
const LAST_WORDS: usize = 300;

/// The kinds of trouble of a pod, ordered by how much they explain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TroubleKind {
    /// The pod is starting, and no problem is known.
    Starting,
    /// Its init containers have not ended yet.
    Initializing,
    /// It runs and is not ready.
    NotReady,
    /// The node cannot create its sandbox or mount its volumes, and keeps trying.
    Unprepared,
    /// No node takes it, and one is being made.
    NodeAwaited,
    /// No node takes it.
    Unschedulable,
    /// A container has ended, and has not been started again yet.
    Ended,
    /// A container ends again and again.
    Crashing,
    /// A container cannot be made, such as where a Secret that it names is not there.
    Uncreatable,
    /// The image of a container cannot be had.
    NoImage,
    /// The pod as a whole has failed, such as one that was evicted.
    Failed,
}

/// Why a pod is not ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodTrouble {
    /// The kind of trouble.
    pub kind: TroubleKind,
    /// The trouble without the pod's name: `container web: ImagePullBackOff: Back-off pulling image ...`.
    pub text: String,
}

impl PodTrouble {
    fn new(kind: TroubleKind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into() }
    }

    /// Whether the pod is only being started, and will be ready without help.
    pub fn is_start(&self) -> bool {
        self.kind == TroubleKind::Starting
    }

    /// Whether it will probably stay until somebody changes the pod, its node or an object that it refers to.
    pub fn is_lasting(&self) -> bool {
        self.kind >= TroubleKind::Unschedulable && self.kind != TroubleKind::Ended
    }

    /// With the pod's name.
    pub fn of(&self, pod: &Object) -> String {
        format!("pod {}: {}", pod.name(), self.text)
    }
}

/// Why a pod is not ready. Of several troubles, this is the one that explains most; of several of one kind,
/// that of the container that starts first. `events` are the known events about the pod. `None` if the pod is
/// ready, or has done its work.
pub fn pod_trouble(pod: &Object, events: &[Object]) -> Option<PodTrouble> {
    trouble(JudgedObject::of(pod), events)
}

/// Why nothing is made for an object, such as the pods of a workload that a quota keeps back, or the volume
/// of a claim: the newest event that says so.
pub fn newest_refusal(events: &[Object]) -> Option<String> {
    newest(events, &UNMADE).or_else(|| newest(events, &UNMADE_BY_OTHERS)).map(event_text)
}

pub(super) fn trouble(pod: JudgedObject<'_>, events: &[Object]) -> Option<PodTrouble> {
    let is_over = pod.text("/status/phase") == "Succeeded";
    if is_over || pod.true_condition("Ready").is_some() {
        return None;
    }
    let init = pod.list("/status/initContainerStatuses").iter().map(|status| (status, is_init(pod, status)));
    let containers = pod.list("/status/containerStatuses").iter().map(|status| (status, false));
    let found = whole(pod)
        .into_iter()
        .chain(unscheduled(pod, events))
        .chain(
            init.chain(containers)
                .filter_map(|(status, is_init)| ContainerState { pod, status, is_init, events }.trouble()),
        )
        .chain(unmet(pod));
    found
        .reduce(|best, next| if next.kind > best.kind { next } else { best })
        .or_else(|| not_begun(pod, events))
}

/// A pod that has failed as a whole.
fn whole(pod: JudgedObject<'_>) -> Option<PodTrouble> {
    let text = joined(&[pod.text("/status/reason"), pod.text("/status/message")]);
    let has_failed = pod.text("/status/phase") == "Failed" && !text.is_empty();
    has_failed.then(|| PodTrouble::new(TroubleKind::Failed, text))
}

fn unscheduled(pod: JudgedObject<'_>, events: &[Object]) -> Option<PodTrouble> {
    let scheduled = pod.condition("PodScheduled").filter(|condition| condition.is_false())?;
    let text = condition_text(scheduled);
    Some(match newest(events, &NODE_ON_ITS_WAY) {
        Some(event) => {
            let text = format!("{text}; a node is on its way: {}", said(event));
            PodTrouble::new(TroubleKind::NodeAwaited, text)
        }
        None => PodTrouble::new(TroubleKind::Unschedulable, text),
    })
}

/// A condition that is not met and says more than that the containers are not ready, such as a readiness
/// gate.
fn unmet(pod: JudgedObject<'_>) -> Option<PodTrouble> {
    let told = ["", "ContainersNotReady", "ContainersNotInitialized", "PodCompleted", "PodFailed"];
    let says_more = |condition: &StatusCondition<'_>| {
        condition.is_false() && condition.kind() != "PodScheduled" && !told.contains(&condition.reason())
    };
    let unmet = pod.conditions().find(says_more)?;
    Some(PodTrouble::new(TroubleKind::NotReady, condition_text(unmet)))
}

/// A pod of which the kubelet has told nothing yet.
fn not_begun(pod: JudgedObject<'_>, events: &[Object]) -> Option<PodTrouble> {
    let has_begun = !pod.list("/status/containerStatuses").is_empty();
    if let Some(event) = newest(events, &UNPREPARED).or_else(|| newest(events, &["FailedScheduling"])) {
        return (!has_begun).then(|| PodTrouble::new(TroubleKind::Unprepared, event_text(event)));
    }
    let is_pending = !has_begun && pod.text("/status/phase") != "Running";
    is_pending.then(|| PodTrouble::new(TroubleKind::Starting, "it is pending"))
}

/// Whether an init container must end before the pod continues. A sidecar is one that must not.
fn is_init(pod: JudgedObject<'_>, status: &Value) -> bool {
    let specs = pod.list("/spec/initContainers");
    let spec = specs.iter().find(|spec| spec["name"] == status["name"]);
    spec.is_none_or(|spec| spec["restartPolicy"] != "Always")
}

/// One container as the kubelet sees it.
struct ContainerState<'p> {
    pod: JudgedObject<'p>,
    status: &'p Value,
    is_init: bool,
    events: &'p [Object],
}

impl ContainerState<'_> {
    fn trouble(&self) -> Option<PodTrouble> {
        let state = |pointer: &str| self.status.pointer(pointer).filter(|state| !state.is_null());
        let before = state("/lastState/terminated").filter(|ended| self.is_failure(ended));
        if let Some(waiting) = state("/state/waiting") {
            return Some(self.waiting(waiting, before));
        }
        if let Some(ended) = state("/state/terminated") {
            return self.is_failure(ended).then(|| {
                let kind = if self.restarts() > 0 { TroubleKind::Crashing } else { TroubleKind::Ended };
                PodTrouble::new(kind, self.told(&self.ended(ended)))
            });
        }
        let is_ready = self.status["ready"] == true;
        if is_ready || state("/state/running").is_none() {
            return None;
        }
        Some(if self.is_init {
            PodTrouble::new(TroubleKind::Initializing, self.told("has not ended yet"))
        } else {
            PodTrouble::new(TroubleKind::NotReady, self.told(&self.not_ready(before)))
        })
    }

    fn waiting(&self, waiting: &Value, before: Option<&Value>) -> PodTrouble {
        let reason = text(waiting, "reason");
        if let Some(before) = before.filter(|_| reason == BACK_OFF || STARTING.contains(&reason)) {
            return PodTrouble::new(TroubleKind::Crashing, self.told(&self.ended(before)));
        }
        if STARTING.contains(&reason) || reason.is_empty() {
            return match newest(self.events, &UNPREPARED) {
                Some(event) => PodTrouble::new(TroubleKind::Unprepared, event_text(event)),
                None => PodTrouble::new(TroubleKind::Starting, self.told("is being started")),
            };
        }
        let kind = match reason {
            BACK_OFF => TroubleKind::Crashing,
            reason if IMAGE.contains(&reason) => TroubleKind::NoImage,
            _ => TroubleKind::Uncreatable,
        };
        let text = format!("{}: {}", self.name(), joined(&[reason, text(waiting, "message")]));
        PodTrouble::new(kind, text)
    }

    /// The message about a container that runs but is not ready.
    fn not_ready(&self, before: Option<&Value>) -> String {
        let mut told = "runs and is not ready".to_owned();
        if let Some(probe) = newest(self.events, &["Unhealthy", "ProbeWarning", "ProbeError"]) {
            told = format!("{told}: {}", said(probe));
        }
        match before {
            Some(before) => format!("{told}; before that it {}", self.ended(before)),
            None => told,
        }
    }

    /// `ended with exit code 137 (OOMKilled), restarted 3 times: out of memory`.
    fn ended(&self, state: &Value) -> String {
        let signal = state["signal"].as_i64().filter(|signal| *signal != 0);
        let code = state["exitCode"].as_i64().unwrap_or_default();
        let mut told = match signal {
            Some(signal) => format!("was ended by signal {signal}"),
            None => format!("ended with exit code {code}"),
        };
        let reason = text(state, "reason");
        if !["", "Error", "Completed"].contains(&reason) {
            told = format!("{told} ({reason})");
        }
        match self.restarts() {
            0 => {}
            1 => told.push_str(", restarted once"),
            count => told = format!("{told}, restarted {count} times"),
        }
        let words = last_words(text(state, "message"));
        if !words.is_empty() {
            return format!("{told}: {words}");
        }
        match newest(self.events, &["Unhealthy"]) {
            Some(probe) => format!("{told}: {}", said(probe)),
            None => told,
        }
    }

    /// Whether the end of a container is a failure: any end, if its pod should run for ever.
    fn is_failure(&self, ended: &Value) -> bool {
        let has_failed =
            ended["exitCode"].as_i64().unwrap_or_default() != 0 || ended["signal"].as_i64().unwrap_or(0) != 0;
        let runs_for_ever = !self.is_init && ["", "Always"].contains(&self.pod.text("/spec/restartPolicy"));
        has_failed || runs_for_ever
    }

    fn restarts(&self) -> i64 {
        self.status["restartCount"].as_i64().unwrap_or_default()
    }

    fn name(&self) -> String {
        let what = if self.is_init { "init container" } else { "container" };
        format!("{what} {}", text(self.status, "name"))
    }

    fn told(&self, what: &str) -> String {
        format!("{} {what}", self.name())
    }
}

fn condition_text(condition: StatusCondition<'_>) -> String {
    match condition.reason() {
        reason if !reason.is_empty() && condition.message() != reason => {
            format!("{reason}: {}", condition.message())
        }
        _ => condition.message(),
    }
}

/// The event of one of the reasons that was seen last.
fn newest<'e>(events: &'e [Object], reasons: &[&str]) -> Option<&'e Object> {
    let is_of = |event: &&Object| event.text("/reason").is_some_and(|reason| reasons.contains(&reason));
    events.iter().filter(is_of).max_by_key(|event| last_seen(event))
}

/// When an event was seen last, as the API server writes times.
fn last_seen(event: &Object) -> &str {
    let fields = ["/series/lastObservedTime", "/lastTimestamp", "/eventTime", "/metadata/creationTimestamp"];
    fields.into_iter().find_map(|field| event.text(field)).unwrap_or_default()
}

/// `FailedMount: MountVolume.SetUp failed ...`
fn event_text(event: &Object) -> String {
    joined(&[event.text("/reason").unwrap_or_default(), said(event)])
}

fn said(event: &Object) -> &str {
    event.text("/message").unwrap_or_default().trim()
}

/// The end of a container's last message, on one line.
fn last_words(message: &str) -> String {
    let lines: Vec<&str> = message.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let line = lines.join("; ");
    match line.char_indices().rev().nth(LAST_WORDS) {
        Some((start, _)) => {
            format!("…{}", line[start..].trim_start_matches(|c: char| !c.is_whitespace()).trim_start())
        }
        None => line,
    }
}

/// `ImagePullBackOff: Back-off pulling image ...`
fn joined(parts: &[&str]) -> String {
    parts.iter().copied().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(": ")
}

fn text<'p>(value: &'p Value, field: &str) -> &'p str {
    value[field].as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests;
