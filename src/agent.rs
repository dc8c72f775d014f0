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
mod workers;
mod subject;
mod events;
mod lease;
mod report;
mod world;
mod notice;
mod shared;
mod watch;
mod controllers;
mod fetch;
mod reconcile;
mod drive;

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::{mpsc, watch as channel};

use crate::cluster::{self, Client, Cluster};
use crate::source::Sources;
use crate::web::Server;
use lockgate_core::api::Actors;
use lockgate_core::health::Rules;
use lockgate_core::pipeline::Clock;
use lockgate_core::queue::{Limits, Signal};

pub(crate) use error::AgentError;

use clock::SystemClock;
use events::Told;
use lease::{Holder, Leadership};
use metrics::Metrics;
use report::Reporter;
use shared::Shared;
use state::State;
use workers::Threads;
use world::World;

/// How the agent runs.
#[derive(Clone)]
pub(crate) struct Config {
    /// The cluster.
    pub client: Client,
    /// The namespace of the agent's Lease.
    pub namespace: String,
    /// The one namespace whose objects are served; `None` for all.
    pub watch_namespace: Option<String>,
    /// The pod that this process is, when it is one.
    pub pod: Option<String>,
    /// Where probes and metrics are served; `None` for nowhere.
    pub listen: Option<SocketAddr>,
    /// Where the files of sources come from.
    pub sources: Sources,
    /// Whether to go on though Flux's controllers run.
    pub adopt: bool,
    /// Whether references to other namespaces are refused and a ServiceAccount must be named.
    pub lockdown: bool,
    /// The ServiceAccount of Kustomizations that name none.
    pub default_service_account: Option<String>,
    /// How many reconciles may build or write at a time.
    pub concurrency: usize,
}

/// Runs the agent until the process is told to end (SIGTERM or SIGINT).
pub(crate) async fn run(config: Config) -> Result<(), AgentError> {
    fault::install();
    let stop = stop_signal()?;
    let metrics = Arc::new(Metrics::new());
    let state = Arc::new(State::new(Arc::clone(&metrics)));
    if let Some(address) = config.listen {
        let listen = |source| AgentError::Listen { address, source };
        let server = Server::bind(address).await.map_err(listen)?;
        tracing::info!(address = %server.address().map_err(listen)?, "serves probes and metrics");
        let probes = Arc::clone(&state);
        tokio::spawn(server.serve(probes));
    }
    let workers = Arc::new(Threads::start().map_err(AgentError::Threads)?);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let actors = guard::wait_for_cluster(&config.client, config.adopt, &state, &*clock, stop.clone()).await?;
    let (client, holder) = (&config.client, Holder::this(config.pod.as_deref(), &*clock));
    let watched = config.watch_namespace.as_deref();
    let leadership = Leadership::new(client, &config.namespace, watched, holder, Arc::clone(&clock));
    let process = Process { actors, metrics, state, clock, workers };
    while !*stop.borrow() {
        let mut stopped = stop.clone();
        tokio::select! {
            () = leadership.acquire() => {}
            _ = stopped.wait_for(|stop| *stop) => break,
        }
        process.metrics.leads(true);
        lead(&config, &leadership, &process, stop.clone()).await;
        process.metrics.leads(false);
        process.state.stands_by();
    }
    leadership.release().await;
    tracing::info!("ended");
    Ok(())
}

/// What the process keeps from one time that it leads to the next.
struct Process {
    actors: Actors,
    metrics: Arc<Metrics>,
    state: Arc<State>,
    clock: Arc<dyn Clock>,
    workers: Arc<Threads>,
}

/// Works for as long as the lease is ours.
async fn lead(config: &Config, leadership: &Leadership, process: &Process, stop: channel::Receiver<bool>) {
    let Process { actors, metrics, state, clock, workers } = process;
    let fence = leadership.fence();
    let gate = fence.clone();
    let closed = || "the lease is not held".to_owned();
    let (cluster, changes) = Cluster::new(config.client.clone());
    let may_write: cluster::Fence = Arc::new(move || if gate.is_open() { Ok(()) } else { Err(closed()) });
    let cluster = cluster.fenced(Arc::clone(&may_write));
    cluster.judge_by(Rules::beside(actors.idle_kinds()));
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
        workers: Arc::clone(workers),
        lockdown: config.lockdown,
        default_service_account: config.default_service_account.clone(),
        watch_namespace: config.watch_namespace.clone(),
    });
    let reopened = {
        let shared = Arc::clone(&shared);
        move || shared.tell(Signal::Recovered)
    };
    let limits = Limits { reconciles: config.concurrency, fetches: fetch::AT_ONCE };
    let write = async |Told { subject, notice, at }: Told| {
        if let Err(error) = reporter.event(&subject, &notice, at).await {
            tracing::debug!(%error, "an event was not written");
        }
    };
    tokio::select! {
        () = drive::drive(shared, receiver, changes, limits, stop) => {}
        holder = leadership.keep(reopened) => tracing::warn!(%holder, "the lease was lost; nothing more is written"),
        // It ends when all that hand events over have ended.
        () = inbox.deliver(write) => {}
    }
}

/// Becomes true when the process is told to end.
fn stop_signal() -> Result<channel::Receiver<bool>, AgentError> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).map_err(AgentError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(AgentError::Signals)?;
    let (sender, receiver) = channel::channel(false);
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("is told to end");
        sender.send_replace(true);
        // Kept open, so that nobody mistakes its end for a signal.
        std::future::pending::<()>().await;
    });
    Ok(receiver)
}

#[cfg(test)]
mod tests;
