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
use crate::web::Server;
use lockgate_core::api::Actors;
use lockgate_core::health::Rules;
use lockgate_core::pipeline::{Clock, Workers};
use lockgate_core::queue::{Limits, Signal};
use lockgate_git::Fetcher;

pub(crate) use clock::SystemClock;
pub use error::AgentError;
pub(crate) use fault::hide_panics;
pub(crate) use workers::Threads;

use events::Told;
use lease::{Holder, Leadership};
use metrics::Metrics;
use report::Reporter;
use shared::Shared;
use state::State;
use world::World;

/// How the agent runs.
#[derive(Clone)]
pub struct Config {
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
    /// Where the files of GitRepositories come from.
    pub fetcher: Arc<dyn Fetcher>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Where builds run.
    pub workers: Arc<dyn Workers>,
    /// Whether to go on though Flux's controllers run.
    pub adopt: bool,
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
    let state = Arc::new(State::new(Arc::clone(&metrics)));
    if let Some(address) = config.listen {
        let listen = |source| AgentError::Listen { address, source };
        let server = Server::bind(address).await.map_err(listen)?;
        tracing::info!(address = %server.address().map_err(listen)?, "serves probes and metrics");
        let probes = Arc::clone(&state);
        tokio::spawn(server.serve(probes));
    }
    work(&config, &metrics, &state, stop).await
}

/// Comes up, waits for the lease and works, again and again until `stop` becomes true.
async fn work(
    config: &Config,
    metrics: &Arc<Metrics>,
    state: &Arc<State>,
    stop: channel::Receiver<bool>,
) -> Result<(), AgentError> {
    let (client, clock) = (&config.client, &config.clock);
    let actors = guard::wait_for_cluster(client, config.adopt, state, &**clock, stop.clone()).await?;
    let holder = Holder::this(config.pod.as_deref(), &**clock);
    let watched = config.watch_namespace.as_deref();
    let leadership = Leadership::new(client, &config.namespace, watched, holder, Arc::clone(clock));
    let process = Process { actors, metrics: Arc::clone(metrics), state: Arc::clone(state) };
    while !*stop.borrow() {
        let mut stopped = stop.clone();
        tokio::select! {
            biased;
            _ = stopped.wait_for(|stop| *stop) => break,
            () = leadership.acquire() => {}
        }
        process.metrics.leads(true);
        lead(config, &leadership, &process, stop.clone()).await;
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
}

/// Works for as long as the lease is ours.
async fn lead(config: &Config, leadership: &Leadership, process: &Process, stop: channel::Receiver<bool>) {
    let Process { actors, metrics, state } = process;
    let (fence, clock) = (leadership.fence(), &config.clock);
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
        fetcher: Arc::clone(&config.fetcher),
        clock: Arc::clone(clock),
        workers: Arc::clone(&config.workers),
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
        biased;
        () = drive::drive(shared, receiver, changes, limits, stop) => {}
        holder = leadership.keep(reopened) => tracing::warn!(%holder, "the lease was lost; nothing more is written"),
        // It ends when all that hand events over have ended.
        () = inbox.deliver(write) => {}
    }
}

/// Becomes true when the process is told to end (SIGTERM or SIGINT).
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
        tracing::info!("is told to end");
        sender.send_replace(true);
        // Kept open, so that nobody mistakes its end for a signal.
        std::future::pending::<()>().await;
    });
    Ok(receiver)
}

#[cfg(test)]
mod tests;
