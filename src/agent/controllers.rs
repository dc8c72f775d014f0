//! Follows Flux's controllers. While the controller of a kind runs, objects of that kind are judged by their
//! status, unless lockgate acts on the kind itself. Beside a controller that does lockgate's own work,
//! lockgate writes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch as channel;

use super::notice::LoopMessage;
use super::shared::Shared;
use super::subject::Subject;
use super::watch::{Pump, Sink, run};
use crate::cluster::Query;
use crate::cluster::flux::{self, FluxController};
use lockgate_base::model::{Gvk, KindId, Object, ObjectId, Ref};
use lockgate_core::api::Kustomization;
use lockgate_core::health::HealthRules;
use lockgate_core::pipeline;
use lockgate_core::plan::Inventory;
use lockgate_core::queue::Signal;
use lockgate_core::verdict;

const DEPLOYMENT: KindId = KindId { group: "apps", kind: "Deployment" };
/// How often the rights of a possible controller of Flux are checked again: they may be granted and revoked
/// while it runs.
const AGAIN: Duration = Duration::from_secs(30);

/// Follows Flux's controllers for ever.
pub(super) async fn follow_controllers(shared: Arc<Shared>) {
    let gvk = Gvk { group: DEPLOYMENT.group.into(), version: "v1".into(), kind: DEPLOYMENT.kind.into() };
    let query = Query::of(&gvk, "deployments", None, Some(flux::LABEL));
    let (found, changed) = channel::channel(None);
    let claims = Claims { known: BTreeMap::new(), found };
    tokio::select! {
        () = run(&shared, &query, Pump::new(DEPLOYMENT, false, shared.notices.clone(), claims)) => {}
        () = judge(&shared, changed) => {}
    }
}

/// The running Deployments that claim to be controllers of Flux.
struct Claims {
    known: BTreeMap<Ref, FluxController>,
    /// `None` until the first list is complete: a controller that is not listed yet may be running.
    found: channel::Sender<Option<Vec<FluxController>>>,
}

impl Claims {
    fn tell(&self, is_complete: bool) {
        self.found.send_if_modified(|found| {
            let known: Vec<_> = self.known.values().cloned().collect();
            let is_news = (is_complete || found.is_some()) && found.as_ref() != Some(&known);
            if is_news {
                *found = Some(known);
            }
            is_news
        });
    }
}

impl Sink for Claims {
    fn there(&mut self, key: Ref, object: &Object) -> Option<Signal> {
        match FluxController::claimed(object.value()).filter(FluxController::runs) {
            Some(controller) => self.known.insert(key, controller),
            None => self.known.remove(&key),
        };
        self.tell(false);
        None
    }

    fn gone(&mut self, key: Ref) -> Option<Signal> {
        self.known.remove(&key);
        self.tell(false);
        None
    }

    fn listed(&mut self, listed: &BTreeSet<Ref>) -> Vec<Signal> {
        self.known.retain(|key, _| listed.contains(key));
        self.tell(true);
        Vec::new()
    }
}

/// Finds out, for ever, which of the claimed controllers are genuine.
async fn judge(shared: &Shared, mut found: channel::Receiver<Option<Vec<FluxController>>>) {
    let mut idle = None;
    let mut is_told = false;
    loop {
        let claims = found.borrow_and_update().clone();
        let is_any = claims.as_ref().is_some_and(|claims| !claims.is_empty());
        if let Some(claims) = claims {
            match flux::genuine(shared.cluster.client(), claims).await {
                Ok(controllers) => {
                    is_told = false;
                    regard(shared, &controllers, &mut idle);
                }
                Err(failure) if !is_told => {
                    is_told = true;
                    tracing::warn!(%failure, "failed to find out which controllers of Flux run");
                }
                Err(_) => {}
            }
        }
        let again =
            async { if is_any { shared.clock.sleep(AGAIN).await } else { std::future::pending().await } };
        tokio::select! {
            changed = found.changed() => if changed.is_err() { return },
            () = again => {}
        }
    }
}

/// Applies the set of running controllers of Flux. `idle` holds the kinds without a controller at the last
/// call.
fn regard(shared: &Shared, controllers: &[FluxController], idle: &mut Option<BTreeSet<KindId>>) {
    let kinds = FluxController::actors(controllers).idle_kinds();
    if idle.as_ref() != Some(&kinds) {
        let (before, now) = (shared.cluster.rules(), HealthRules::beside(kinds.clone()));
        shared.cluster.judge_by(now.clone());
        tell_of_idle(shared, &before, &now);
        *idle = Some(kinds);
    }
    shared.leave(FluxController::actors(controllers).left_kinds());
    if let Some(rivals) = FluxController::in_the_way(controllers).filter(|_| !shared.adopt) {
        // The receiver is only gone when the process ends.
        let _ = shared.notices.send(LoopMessage::Flux(rivals));
    }
}

/// Reports the objects whose kind has no controller, if a change of the controllers affects them.
fn tell_of_idle(shared: &Shared, before: &HealthRules, now: &HealthRules) {
    for kustomization in shared.world.all::<Kustomization>() {
        let status = &kustomization.status;
        let Some(stored) = &status.inventory else { continue };
        let inventory = Inventory::read(&stored.entries);
        let news = pipeline::idle_news((&inventory, before), (&inventory, now));
        if !news.is_empty() {
            let subjects: Vec<String> = news.iter().map(ObjectId::subject).collect();
            let revision = status.last_applied_revision.as_deref().unwrap_or_default();
            let subject = Subject::of(&kustomization.reference(), &kustomization.metadata);
            shared.tell_of(&subject, &[verdict::Notice::idle(&subjects, revision)]);
        }
    }
}
