//! Waits for the agent's pod: until the requested one is available and leads, or until it is clear that it
//! will not be. The cause is reported with the flag that cures it.

use std::task::Poll;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::manifests;
use super::problem::Problem;
use super::progress::ProgressLog;
use super::wait::{GRACE, Patience, Wait, condition};
use crate::cluster::objects::Objects;
use lockgate_base::keys;
use lockgate_base::model::Object;
use lockgate_core::health::{PodTrouble, TroubleKind, pod_trouble};
use lockgate_core::pipeline::ports::ApiFailure;

/// How long a container that ends again and again may run in between and still count as failing.
const LULL: Duration = Duration::from_secs(10);

/// Why the agent does not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AgentTrouble {
    /// The pod, or the Deployment if no pod can be created.
    about: String,
    /// The cause in one sentence.
    pub cause: String,
    /// The cure, if it is known.
    pub cure: Option<&'static str>,
    /// Whether it will probably stay.
    is_lasting: bool,
}

/// Waits until the Deployment's own pod is available, and no earlier pod leads any more.
pub(crate) async fn available(
    objects: &Objects,
    deployment: &Object,
    patience: &Patience,
    progress: &mut ProgressLog<'_>,
) -> Result<(), Problem> {
    let mut wait = Wait::new(patience, progress);
    let mut lasting: Option<LastingTrouble> = None;
    loop {
        let Poll::Ready(live) = wait.look(objects, deployment).await? else { continue };
        let namespace = &deployment.id().namespace;
        let trouble = if live.as_ref().is_some_and(is_available) {
            let former = former_leader(objects, namespace).await;
            let Poll::Ready(former) = wait.answer("the agent's Lease", former).await? else { continue };
            let Some(former) = former else { return Ok(()) };
            AgentTrouble::passing(format!("its pod stands by: {former} still holds the lease"))
        } else {
            let found = trouble(objects, deployment, live.as_ref()).await;
            let Poll::Ready(found) = wait.answer("pods", found).await? else { continue };
            found.unwrap_or_else(|| AgentTrouble::passing("its pod is not available yet".into()))
        };
        let is_final = LastingTrouble::look(&mut lasting, &trouble, Instant::now());
        if patience.is_over() || is_final {
            return Err(patience.ended_with(deployment, &trouble.cause, trouble.cure));
        }
        wait.on(trouble.cause).await;
    }
}

/// When a lasting trouble was first seen.
struct LastingTrouble {
    about: String,
    since: Instant,
    seen: Instant,
}

impl LastingTrouble {
    /// Records the present trouble. Returns whether it has lasted long enough to be final.
    fn look(lasting: &mut Option<Self>, trouble: &AgentTrouble, now: Instant) -> bool {
        if !trouble.is_lasting {
            return false;
        }
        let goes_on = |before: &&mut Self| before.about == trouble.about && now - before.seen < LULL;
        if let Some(before) = lasting.as_mut().filter(goes_on) {
            before.seen = now;
            return now - before.since >= GRACE;
        }
        *lasting = Some(Self { about: trouble.about.clone(), since: now, seen: now });
        false
    }
}

impl AgentTrouble {
    const fn passing(cause: String) -> Self {
        Self { about: String::new(), cause, cure: None, is_lasting: false }
    }

    fn of_pod(pod: &Object, trouble: &PodTrouble) -> Self {
        Self {
            about: pod.name().into(),
            cause: trouble.of(pod),
            cure: cure(trouble),
            is_lasting: trouble.is_lasting(),
        }
    }
}

/// Why the agent of a Deployment does not run, as far as it can be found out.
pub(crate) async fn trouble(
    objects: &Objects,
    deployment: &Object,
    live: Option<&Object>,
) -> Result<Option<AgentTrouble>, ApiFailure> {
    let namespace = &deployment.id().namespace;
    let pods = objects.list("v1", "Pod", Some(namespace), manifests::AGENT).await?;
    let is_leaving = |pod: &&Object| pod.text("/metadata/deletionTimestamp").is_some();
    let age = |pod: &&Object| pod.text("/metadata/creationTimestamp").unwrap_or_default().to_owned();
    // An earlier pod may be in trouble too, and is about to be deleted.
    if let Some(pod) = pods.iter().filter(|pod| !is_leaving(pod)).max_by_key(age)
        && let Some(trouble) = pod_trouble(pod, &objects.events(pod).await)
        && !trouble.is_start()
    {
        return Ok(Some(AgentTrouble::of_pod(pod, &trouble)));
    }
    if let Some(trouble) = live.and_then(|live| no_pod(live, deployment)) {
        return Ok(Some(trouble));
    }
    let leaving = pods.iter().find(is_leaving);
    Ok(leaving.map(|pod| {
        let node = pod.text("/spec/nodeName").unwrap_or("no node");
        AgentTrouble::passing(format!("the old pod {} is still terminating on {node}", pod.name()))
    }))
}

/// Why no pod can be created, for example because of a quota or a policy of the cluster.
fn no_pod(live: &Object, deployment: &Object) -> Option<AgentTrouble> {
    let failure = condition(live, "ReplicaFailure").filter(|failure| failure["status"] == "True")?;
    let text = failure["message"].as_str().or_else(|| failure["reason"].as_str())?;
    let cure = if text.contains("violates PodSecurity") {
        "leave out what the namespace's pod-security labels forbid, or change these labels"
    } else if text.contains("exceeded quota") || text.contains("must specify") {
        "raise the quota of the namespace, or ask for less with --cpu-request, --memory-request and --memory-limit"
    } else if text.contains("usage per") {
        "stay within the LimitRange of the namespace with --cpu-request, --memory-request and --memory-limit"
    } else {
        "change the policy, or have it leave out the agent's namespace"
    };
    Some(AgentTrouble {
        about: deployment.name().into(),
        cause: format!("its pod cannot be created: {text}"),
        cure: Some(cure),
        is_lasting: true,
    })
}

/// The flag, or another cure, for a pod that does not run.
fn cure(trouble: &PodTrouble) -> Option<&'static str> {
    let says = |words: &[&str]| {
        let text = trouble.text.to_lowercase();
        words.iter().any(|word| text.contains(word))
    };
    Some(match trouble.kind {
        TroubleKind::NoImage
            if says(&["401", "403", "unauthorized", "authorization", "denied", "no basic auth"]) =>
        {
            "the registry wants a login, or another one: --image-pull-secret NAME=FILE makes a Secret of a file such as \
             ~/.docker/config.json, --image-pull-secret NAME takes one that is there"
        }
        TroubleKind::NoImage if says(&["no match for platform"]) => PLATFORM,
        TroubleKind::NoImage => "name an image that the nodes can pull with --image",
        TroubleKind::Crashing | TroubleKind::Ended if says(&["exec format error"]) => PLATFORM,
        TroubleKind::Crashing | TroubleKind::Ended => {
            "kubectl logs --previous shows what it said; put that right, or name another image with --image"
        }
        TroubleKind::Unschedulable if says(&["untolerated taint"]) => {
            "let the pod onto such a node with --toleration KEY[=VALUE][:EFFECT]"
        }
        TroubleKind::Unschedulable if says(&["node affinity", "node selector"]) => {
            "choose nodes that are there with --node-selector KEY=VALUE"
        }
        TroubleKind::Unschedulable if says(&["insufficient", "too many pods"]) => {
            "make room on a node, or ask for less with --cpu-request and --memory-request"
        }
        _ => return None,
    })
}

/// The cure if the image does not fit the nodes.
const PLATFORM: &str = "the image is of another architecture than the node: name one of the node's with --image, or choose \
                        nodes with --node-selector kubernetes.io/arch=ARCH";

/// Whether all pods of the Deployment have the last requested form, and are available.
fn is_available(deployment: &Object) -> bool {
    let number = |pointer: &str| deployment.pointer(pointer).and_then(Value::as_i64).unwrap_or(0);
    let updated = number("/status/updatedReplicas");
    number("/status/observedGeneration") >= number("/metadata/generation")
        && updated >= 1
        && number("/status/replicas") == updated
        && number("/status/availableReplicas") == updated
}

/// The pod that holds the agent's Lease and is terminating or gone; `None` if the leader stays.
async fn former_leader(objects: &Objects, namespace: &str) -> Result<Option<String>, ApiFailure> {
    let lease = json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": {"name": keys::LEASE, "namespace": namespace},
    });
    let Ok(lease) = Object::parse(lease) else { return Ok(None) };
    let lease = match objects.get(&lease).await {
        // A user who may not read it gets less information.
        Err(ApiFailure::Forbidden(_)) => None,
        lease => lease?,
    };
    let trace = lease.as_ref().and_then(|lease| lease.annotation(keys::LEASE_HOLDER));
    // An agent outside of a pod does not belong to the Deployment.
    let Some(holder) = trace.and_then(|trace| trace.strip_prefix("pod/")) else { return Ok(None) };
    let pods = objects.list("v1", "Pod", Some(namespace), manifests::AGENT).await?;
    let stays = |pod: &Object| pod.name() == holder && pod.text("/metadata/deletionTimestamp").is_none();
    Ok((!pods.iter().any(stays)).then(|| format!("pod {holder}")))
}

#[cfg(test)]
mod tests;
