//! The agent: watches its kinds, reconciles them, and reports. One process leads; others stand by.
//!
//! ```text
//! watch → Event → queue → Command → reconcile (pipeline → verdict → report) → Event
//!                                 → fetch (source → verdict → report)       → Event
//! ```

mod clock;
mod error;
mod fault;
mod log;
mod metrics;
mod state;
mod guard;
mod memory;
mod workers;
mod marks;
mod subject;
mod events;
mod process;
mod lease;
mod report;
mod world;
mod notice;
mod shared;
mod watch;
mod controllers;
mod fetch;
mod claims;
mod task;
mod journal;
mod applier;
mod reconcile;
mod release;
mod outage;
mod drive;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::{mpsc, watch as channel};

use crate::cluster::{self, Client, Cluster};
use crate::source::Sources;
use crate::web::{Pages, Server};
use lockgate_core::api::Actors;
use lockgate_core::health::HealthRules;
use lockgate_core::pipeline::{Clock, Tenancy, Workers};
use lockgate_core::plan::DriftPolicy;
use lockgate_core::quarantine::{Marks, Quarantine};
use lockgate_core::queue::{Limits, Signal};

pub(crate) use clock::SystemClock;
pub use error::AgentError;
pub(crate) use fault::hide_panics;
pub(crate) use marks::MarkFolder;
pub(crate) use memory::limit as memory_limit;
pub(crate) use workers::Threads;

use events::ObjectNotice;
use lease::{Leadership, LeaseHolder};
use metrics::Metrics;
use report::Reporter;
use shared::Shared;
use state::Obstacles;
use world::World;

/// The settings of the agent.
#[derive(Clone)]
pub struct Config {
    /// The cluster.
    pub client: Client,
    /// The namespace of the agent's Lease.
    pub namespace: String,
    /// The only namespace whose objects are reconciled; `None` for all.
    pub watch_namespace: Option<String>,
    /// The pod of this process, if it runs in one.
    pub pod: Option<String>,
    /// The pages that are served over HTTP, and their addresses.
    pub listen: Vec<(Pages, SocketAddr)>,
    /// The adapters that fetch sources.
    pub sources: Sources,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The threads for builds.
    pub workers: Arc<dyn Workers>,
    /// The store for marks of running builds and fetches.
    pub marks: Arc<dyn Marks>,
    /// Whether to run although Flux's controllers run.
    pub adopt: bool,
    /// The drift policy, unless a Kustomization or an object sets another.
    pub drift: DriftPolicy,
    /// Whether references to other namespaces are refused and a ServiceAccount must be named.
    pub lockdown: bool,
    /// The ServiceAccount of Kustomizations that name none.
    pub default_service_account: Option<String>,
    /// How many reconciles may build or write at a time.
    pub concurrency: usize,
}

/// Runs the agent until `stop` becomes true.
pub async fn run(config: Config, stop: channel::Receiver<bool>) -> Result<(), AgentError> {
    let metrics = Arc::new(Metrics::new());
    let state = Arc::new(Obstacles::new(Arc::clone(&metrics)));
    for &(pages, address) in &config.listen {
        let listen = |source| AgentError::Listen { address, source };
        let server = Server::bind(address, pages).await.map_err(listen)?;
        tracing::info!(address = %server.address().map_err(listen)?, "serving {pages}");
        let probes = Arc::clone(&state);
        tokio::spawn(server.serve(probes));
    }
    let (client, clock) = (&config.client, &config.clock);
    let holder = LeaseHolder::this(config.pod.as_deref(), &**clock);
    let watched = config.watch_namespace.as_deref();
    let leadership = Leadership::new(client, &config.namespace, watched, holder, Arc::clone(clock));
    let quarantine = Arc::new(Quarantine::open(Arc::clone(&config.marks), Arc::clone(clock)));
    for (subject, ends) in quarantine.suspects() {
        tracing::warn!(subject, ends, "found an object whose run was under way when the agent ended");
    }
    let process = Process { metrics, state, quarantine };
    while !*stop.borrow() {
        let (clock, mut stopped) = (&*config.clock, stop.clone());
        let actors = guard::wait_for_cluster(client, config.adopt, &process.state, clock, stop.clone()).await;
        let looked = clock.now();
        tokio::select! {
            biased;
            _ = stopped.wait_for(|stop| *stop) => break,
            () = leadership.acquire() => {}
        }
        // A standby may have waited for days.
        if clock.since(looked) < guard::LOOK || guard::rivals(client, config.adopt).await.is_none() {
            process.metrics.leads(true);
            lead(&config, &leadership, &process, &actors, stop.clone()).await;
            process.metrics.leads(false);
        }
        leadership.release().await;
        process.state.stands_by();
    }
    tracing::info!("stopped");
    Ok(())
}

/// The state that the process keeps from one term as leader to the next.
struct Process {
    metrics: Arc<Metrics>,
    state: Arc<Obstacles>,
    quarantine: Arc<Quarantine>,
}

/// Works while this process holds the lease and no controller of Flux does the same work.
async fn lead(
    config: &Config,
    leadership: &Leadership,
    process: &Process,
    actors: &Actors,
    stop: channel::Receiver<bool>,
) {
    let Process { metrics, state, quarantine } = process;
    let (fence, clock) = (leadership.fence(), &config.clock);
    let gate = fence.clone();
    let closed = || "the lease is not held".to_owned();
    let (cluster, changes) = Cluster::new(config.client.clone());
    let may_write: cluster::WriteGuard =
        Arc::new(move || if gate.is_open() { Ok(()) } else { Err(closed()) });
    let cluster = cluster.fenced(Arc::clone(&may_write));
    cluster.judge_by(HealthRules::beside(actors.idle_kinds()));
    let (notices, receiver) = mpsc::unbounded_channel();
    let (events, inbox) = events::queue();
    let reporter = Reporter::new(&config.client, may_write, Arc::clone(metrics), Arc::clone(clock));
    let shared = Arc::new(Shared {
        cluster,
        world: Arc::new(World::default()),
        reporter: reporter.clone(),
        metrics: Arc::clone(metrics),
        fence,
        state: Arc::clone(state),
        notices,
        events,
        sources: config.sources.clone(),
        clock: Arc::clone(clock),
        leads_since: crate::clock::timestamp(clock.wall()),
        workers: Arc::clone(&config.workers),
        quarantine: Arc::clone(quarantine),
        tenancy: Tenancy {
            lockdown: config.lockdown,
            default_service_account: config.default_service_account.clone(),
        },
        adopt: config.adopt,
        left: channel::Sender::new(if config.adopt { BTreeSet::new() } else { actors.left_kinds() }),
        drift: config.drift,
        watch_namespace: config.watch_namespace.clone(),
    });
    let reopened = {
        let shared = Arc::clone(&shared);
        move || shared.tell(Signal::Recovered)
    };
    let limits = Limits { reconciles: config.concurrency, fetches: fetch::AT_ONCE };
    let write = async |ObjectNotice { subject, notice, at }: ObjectNotice| {
        if let Err(error) = reporter.event(&subject, &notice, at).await {
            tracing::debug!(%error, "failed to write an event");
        }
    };
    tokio::select! {
        biased;
        rivals = drive::drive(shared, receiver, changes, limits, stop) => if let Some(rivals) = rivals {
            tracing::warn!(controllers = rivals, "Flux runs on this cluster; stopped writing");
        },
        holder = leadership.keep(reopened) => tracing::warn!(%holder, "lost the lease; stopped writing"),
        // It ends when all senders of events have ended.
        () = inbox.deliver(write) => {}
    }
}

/// Becomes true when the process is asked to shut down (SIGTERM or SIGINT).
pub(crate) fn stop_signal() -> Result<channel::Receiver<bool>, AgentError> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).map_err(AgentError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(AgentError::Signals)?;
    let (sender, receiver) = channel::channel(false);
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("shutting down");
        sender.send_replace(true);
        // Kept open, so that its end is not mistaken for a signal.
        std::future::pending::<()>().await;
    });
    Ok(receiver)
}

#[cfg(test)]
mod tests;
