//! The state that the parts of the agent share while it leads.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use super::events::{ObjectNotice, Outbox};
use super::lease::Fence;
use super::metrics::Metrics;
use super::notice::LoopMessage;
use super::report::Reporter;
use super::state::Obstacles;
use super::subject::Subject;
use super::world::World;
use crate::clock::timestamp;
use crate::cluster::Cluster;
use crate::source::Sources;
use lockgate_base::keys;
use lockgate_base::model::{KindId, Ref, Timestamp};
use lockgate_core::api::{HelmRelease, Kustomization};
use lockgate_core::pipeline::{Clock, Tenancy, Workers};
use lockgate_core::plan::DriftPolicy;
use lockgate_core::quarantine::Quarantine;
use lockgate_core::queue::Signal;
use lockgate_core::verdict;

/// The state that all parts of the agent share.
pub(super) struct Shared {
    /// The cluster, with the agent's own account.
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
    /// When this process became leader.
    pub(super) leads_since: Timestamp,
    pub(super) workers: Arc<dyn Workers>,
    pub(super) quarantine: Arc<Quarantine>,
    /// The accounts that Kustomizations use, and the references that are allowed.
    pub(super) tenancy: Tenancy,
    /// Whether to run although Flux's controllers run.
    pub(super) adopt: bool,
    /// The kinds that are left to controllers of Flux that run.
    pub(super) left: watch::Sender<BTreeSet<KindId>>,
    /// The drift policy, unless a Kustomization or an object sets another.
    pub(super) drift: DriftPolicy,
    pub(super) watch_namespace: Option<String>,
}

impl Shared {
    /// Sends a signal to the main loop.
    pub(super) fn tell(&self, signal: Signal) {
        // The loop ends with the process, and then nobody listens.
        let _ = self.notices.send(LoopMessage::Queue(Box::new(signal)));
    }

    /// Queues events without waiting for them: a reconcile is over when its status is written.
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

    /// Whether a kind is left to a controller of Flux that runs.
    pub(super) fn leaves(&self, kind: KindId) -> bool {
        self.left.borrow().contains(&kind)
    }

    /// Takes note of the kinds that controllers of Flux act on, and leaves them to these. What is left to
    /// nobody any more is worked on at once.
    pub(super) fn leave(&self, kinds: BTreeSet<KindId>) {
        if self.adopt || *self.left.borrow() == kinds {
            return;
        }
        let names: Vec<&str> = kinds.iter().map(|kind| kind.kind).collect();
        tracing::warn!(
            kinds = names.join(", "),
            "kinds that are left to the controllers of Flux on this cluster"
        );
        self.left.send_replace(kinds);
        self.tell(Signal::Recovered);
    }

    /// The drift policy for those objects of a Kustomization that set none themselves.
    pub(super) fn drift_of(&self, kustomization: &Kustomization) -> DriftPolicy {
        let said = kustomization.metadata.annotations.get(keys::DRIFT);
        said.and_then(|said| DriftPolicy::read(said)).unwrap_or(self.drift)
    }

    /// The cluster with the account of a Kustomization, or why it has none.
    pub(super) fn cluster_for(&self, kustomization: &Kustomization) -> Result<Cluster, String> {
        self.cluster_of(kustomization.reference(), self.tenancy.account_of(kustomization))
    }

    /// The cluster with the account that an object names or gets by default, or why it has none.
    pub(super) fn cluster_of(&self, owner: Ref, account: Option<&str>) -> Result<Cluster, String> {
        let account = self.tenancy.checked(account)?;
        self.cluster.acting_for(owner, account).map_err(|error| format!("spec.serviceAccountName: {error}"))
    }

    /// The cluster with the agent's own account, for what it writes with the labels of an owner.
    pub(super) fn cluster_as_itself(&self, owner: Ref) -> Cluster {
        // Without an account, no name can be invalid.
        self.cluster.acting_for(owner, None).unwrap_or_else(|_| self.cluster.clone())
    }

    /// The ServiceAccount that a HelmRelease names or gets by default; `None` for the agent's own account.
    pub(super) fn account_of_release<'a>(&'a self, release: &'a HelmRelease) -> Option<&'a str> {
        self.tenancy.given(release.spec.service_account_name.as_deref())
    }
}
