//! Follows Flux's controllers: an object of a kind that lockgate does not act on is judged by what its controller says of it
//! for as long as that runs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::shared::Shared;
use super::watch::{Pump, Sink, run};
use crate::cluster::preflight::FluxController;
use crate::cluster::{Cluster, Query};
use lockgate_base::model::{Gvk, KindId, Object, Ref};
use lockgate_core::health::Rules;
use lockgate_core::queue::Signal;

const DEPLOYMENT: KindId = KindId { group: "apps", kind: "Deployment" };

/// Follows them for ever.
pub(super) async fn follow_controllers(shared: Arc<Shared>) {
    let gvk = Gvk { group: DEPLOYMENT.group.into(), version: "v1".into(), kind: DEPLOYMENT.kind.into() };
    let query = Query::of(&gvk, "deployments", None, Some(("app.kubernetes.io/part-of", "flux")));
    let running = Running { cluster: shared.cluster.clone(), known: BTreeMap::new(), synced: false };
    run(&shared, &query, Pump::new(DEPLOYMENT, false, shared.notices.clone(), running)).await;
}

/// The controllers that run.
struct Running {
    cluster: Cluster,
    known: BTreeMap<Ref, FluxController>,
    /// Whether a list was complete: until then, one that is not known may run.
    synced: bool,
}

impl Running {
    fn judge(&self) {
        if self.synced {
            let controllers: Vec<_> = self.known.values().cloned().collect();
            self.cluster.judge_by(Rules::beside(FluxController::actors(&controllers).idle_kinds()));
        }
    }
}

impl Sink for Running {
    fn there(&mut self, key: Ref, object: &Object) -> Option<Signal> {
        match FluxController::running(object.value()) {
            Some(controller) => self.known.insert(key, controller),
            None => self.known.remove(&key),
        };
        self.judge();
        None
    }

    fn gone(&mut self, key: Ref) -> Option<Signal> {
        self.known.remove(&key);
        self.judge();
        None
    }

    fn listed(&mut self, listed: &BTreeSet<Ref>) -> Vec<Signal> {
        self.known.retain(|key, _| listed.contains(key));
        self.synced = true;
        self.judge();
        Vec::new()
    }
}
