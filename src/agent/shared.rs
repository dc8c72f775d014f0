//! What the parts of the agent share while it leads.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::clock::timestamp;
use super::events::{ObjectNotice, Outbox};
use super::lease::Fence;
use super::metrics::Metrics;
use super::notice::LoopMessage;
use super::report::Reporter;
use super::state::Obstacles;
use super::subject::Subject;
use super::world::World;
use crate::cluster::Cluster;
use crate::source::Sources;
use lockgate_base::keys;
use lockgate_base::model::{Ref, Timestamp};
use lockgate_core::api::{DependsOn, HelmRelease, Kustomization};
use lockgate_core::pipeline::{Clock, Workers};
use lockgate_core::plan::DriftPolicy;
use lockgate_core::quarantine::Quarantine;
use lockgate_core::queue::Signal;
use lockgate_core::verdict::{self, Common};

/// What all parts of the agent share.
pub(super) struct Shared {
    /// The cluster, as ourselves.
    pub(super) cluster: Cluster,
    pub(super) world: Arc<World>,
    pub(super) reporter: Reporter,
    pub(super) metrics: Arc<Metrics>,
    pub(super) fence: Fence,
    pub(super) state: Arc<Obstacles>,
    pub(super) notices: mpsc::UnboundedSender<LoopMessage>,
    pub(super) events: Outbox<ObjectNotice>,
    pub(super) sources: Sources,
    pub(super) clock: Arc<dyn Clock>,
    /// When this process began to lead.
    pub(super) leads_since: Timestamp,
    pub(super) workers: Arc<dyn Workers>,
    pub(super) quarantine: Arc<Quarantine>,
    pub(super) lockdown: bool,
    /// Whether to go on though Flux's controllers run.
    pub(super) adopt: bool,
    /// What is done about drift, where nobody says otherwise.
    pub(super) drift: DriftPolicy,
    pub(super) default_service_account: Option<String>,
    pub(super) watch_namespace: Option<String>,
}

impl Shared {
    /// Tells the main loop what happened.
    pub(super) fn tell(&self, signal: Signal) {
        // The loop ends with the process, and then nobody listens.
        let _ = self.notices.send(LoopMessage::Queue(Box::new(signal)));
    }

    /// Hands events over to be written, without waiting for it: a reconcile is over when its status is
    /// written.
    pub(super) fn tell_of(&self, subject: &Subject, notices: &[verdict::Notice]) {
        for notice in notices {
            let told = ObjectNotice {
                subject: subject.clone(),
                notice: notice.clone(),
                at: timestamp(self.clock.wall()),
            };
            if !self.events.put(told) {
                tracing::warn!(
                    kind = subject.kind,
                    name = subject.key.name,
                    namespace = subject.key.namespace,
                    reason = notice.reason(),
                    "event dropped: too many are waiting to be written"
                );
            }
        }
    }

    /// Whether a Kustomization's source is in a namespace of others, of which nothing may be taken, nor told.
    pub(super) fn forbids_source_of(&self, kustomization: &Kustomization) -> bool {
        let (own, source) = (&kustomization.metadata.namespace, &kustomization.spec.source_ref.namespace);
        self.lockdown && source.as_ref().is_some_and(|source| source != own)
    }

    /// What is done about the drift of a Kustomization's objects that say nothing of it themselves.
    pub(super) fn drift_of(&self, kustomization: &Kustomization) -> DriftPolicy {
        let said = kustomization.metadata.annotations.get(keys::DRIFT);
        said.and_then(|said| DriftPolicy::read(said)).unwrap_or(self.drift)
    }

    /// The ServiceAccount that a Kustomization names or is given; `None` where the agent acts as itself.
    pub(super) fn account_of<'a>(&'a self, kustomization: &'a Kustomization) -> Option<&'a str> {
        kustomization.spec.service_account_name.as_deref().or(self.default_service_account.as_deref())
    }

    /// The cluster in the name of a Kustomization, or why that cannot be.
    pub(super) fn cluster_for(&self, kustomization: &Kustomization) -> Result<Cluster, String> {
        self.cluster_of(kustomization.reference(), self.account_of(kustomization))
    }

    /// The cluster in the name of an applier that names an account or is given one, or why that cannot be.
    pub(super) fn cluster_of(&self, owner: Ref, account: Option<&str>) -> Result<Cluster, String> {
        if account.is_none() && self.lockdown {
            return Err("spec.serviceAccountName must be set: the agent runs with --lockdown".into());
        }
        self.cluster.acting_for(owner, account).map_err(|error| format!("spec.serviceAccountName: {error}"))
    }

    /// The cluster as the agent itself, for what it writes for an applier under its marks.
    pub(super) fn cluster_as_itself(&self, owner: Ref) -> Cluster {
        // Without an account there is none that could be invalid.
        self.cluster.acting_for(owner, None).unwrap_or_else(|_| self.cluster.clone())
    }

    /// The ServiceAccount that a HelmRelease names or is given; `None` where the agent acts as itself.
    pub(super) fn account_of_release<'a>(&'a self, release: &'a HelmRelease) -> Option<&'a str> {
        release.spec.service_account_name.as_deref().or(self.default_service_account.as_deref())
    }

    /// Whether all that an object depends on can be depended on, and is where it may be looked at.
    pub(super) fn allows(&self, own: &Ref, depends_on: &[DependsOn]) -> Result<(), Common> {
        let (mut problems, mut foreign) = (Vec::new(), Vec::new());
        for named in depends_on {
            match named.target(own) {
                Ok(target) if self.lockdown && target.namespace != own.namespace => foreign.push(target),
                Ok(_) => {}
                Err(problem) => problems.push(problem),
            }
        }
        if !problems.is_empty() {
            return Err(Common::Malformed { message: problems.join("\n") });
        }
        let blocked = foreign.iter().map(|target| {
            format!("can't access '{target}', cross-namespace references have been blocked: remove it from spec.dependsOn")
        });
        let message = blocked.collect::<Vec<_>>().join("\n");
        if message.is_empty() { Ok(()) } else { Err(Common::AccessDenied { message }) }
    }
}
