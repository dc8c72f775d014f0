//! The claims of other Kustomizations to objects that one of them would delete.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use tokio::sync::Mutex;

use super::agents::Agents;
use super::sources::Snapshots;
use crate::cluster::Reader;
use lockgate_base::model::{ObjectId, Ref};
use lockgate_core::api::Kustomization;
use lockgate_core::pipeline::workers::{Ended, Work};
use lockgate_core::pipeline::{self, Candidate, Claim, Claims, Holdings, Tenancy, Workers};
use lockgate_render::helm::shelf::Shelf;

/// The Kustomizations of a cluster, as they are or as they will be.
pub(crate) type KnownKustomizations = BTreeMap<Ref, Kustomization>;

/// The state that is shared by the previews of several Kustomizations.
pub(crate) struct ClusterPlatform {
    pub(crate) reader: Reader,
    pub(crate) known: KnownKustomizations,
    pub(crate) snapshots: Snapshots,
    pub(crate) agents: Agents,
    held: Mutex<BTreeMap<Ref, Arc<HashSet<ObjectId>>>>,
}

impl ClusterPlatform {
    pub(crate) fn new(
        reader: Reader,
        known: KnownKustomizations,
        snapshots: Snapshots,
        agents: Agents,
    ) -> Self {
        Self { reader, known, snapshots, agents, held: Mutex::default() }
    }

    /// The account that the agent impersonates for a Kustomization, and the references that it allows.
    pub(super) fn tenancy_of(&self, kustomization: &Kustomization) -> Tenancy {
        self.agents.serving(&kustomization.metadata.namespace).tenancy
    }

    /// The objects that a Kustomization manages, or will manage. It is built only if its objects are asked
    /// for.
    async fn held(&self, kustomization: &Kustomization) -> Arc<HashSet<ObjectId>> {
        let key = kustomization.reference();
        let mut known = self.held.lock().await;
        if let Some(held) = known.get(&key) {
            return Arc::clone(held);
        }
        let held = match self.snapshots.of(kustomization).await {
            Ok(snapshot) => pipeline::held(&self.reader, kustomization, &snapshot, None, &Here).await,
            Err(_) => pipeline::recorded(kustomization),
        };
        let held = Arc::new(held);
        known.insert(key, Arc::clone(&held));
        held
    }
}

/// The claims of all Kustomizations but one.
pub(super) struct OtherOwners<'p> {
    pub(super) platform: &'p ClusterPlatform,
    pub(super) own: &'p Kustomization,
}

impl Claims for OtherOwners<'_> {
    async fn claimed(&self, candidates: &[Candidate]) -> Vec<Option<Claim>> {
        let own = self.platform.tenancy_of(self.own);
        let mut others = Vec::new();
        for other in self.platform.known.values() {
            let theirs = self.platform.tenancy_of(other);
            let accounts = (own.account_of(self.own), theirs.account_of(other));
            if pipeline::may_hold((self.own, accounts.0), (other, accounts.1), own.lockdown) {
                let held = Some(self.platform.held(other).await);
                let (recorded, needs) = (pipeline::recorded(other), pipeline::needs(other));
                others.push(Holdings { key: other.reference(), recorded, held, needs });
            }
        }
        let all: Vec<&Kustomization> = self.platform.known.values().collect();
        let holders = pipeline::holders(candidates, &others, &all);
        holders.into_iter().map(|holder| holder.map(Claim::from)).collect()
    }

    fn dependents(&self, _: &ObjectId) -> Vec<ObjectId> {
        // A preview shows which objects are deleted, but not in which order.
        Vec::new()
    }
}

/// Builds in the calling thread, which has a large stack.
#[derive(Debug)]
struct Here;

impl Workers for Here {
    fn run(&self, work: Work) -> Ended {
        work(&mut Shelf::default());
        Box::pin(std::future::ready(Ok(())))
    }
}
