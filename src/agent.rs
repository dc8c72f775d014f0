//! The agent: watches its kinds, reconciles them, and reports. One process leads; others stand by.
//!
//! ```text
//! watch → Event → queue → Command → reconcile (pipeline → verdict → report) → Event
//!                                 → fetch (source → verdict → report)       → Event
//! ```

mod clock;
mod drive;
mod events;
mod fault;
mod fetch;
mod guard;
mod lease;
mod log;
mod metrics;
mod reconcile;
mod report;
mod state;
mod watch;
mod world;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::{mpsc, watch as channel};

use crate::cluster::{Client, Cluster};
use crate::web::Server;
use lockgate_base::model::Timestamp;
use lockgate_core::api::Kustomization;
use lockgate_core::pipeline::Clock;
use lockgate_core::pipeline::ports::Owner;
use lockgate_core::queue::{Event, Limits};
use lockgate_core::verdict;
use lockgate_git::Git;

use clock::SystemClock;
use events::{Outbox, Told};
use lease::{Fence, Holder, Leadership};
use metrics::Metrics;
use report::{Reporter, Subject};
use state::State;
use watch::Notice;
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
    /// The adapter for Git repositories, made before the process had threads.
    pub git: Git,
    /// Whether to go on though Flux's controllers run.
    pub adopt: bool,
    /// Whether references to other namespaces are refused and a ServiceAccount must be named.
    pub lockdown: bool,
    /// The ServiceAccount of Kustomizations that name none.
    pub default_service_account: Option<String>,
    /// How many reconciles may build or write at a time.
    pub concurrency: usize,
}

/// Why the agent ended other than by being told to.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The address is taken, or not ours.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// Flux runs on the cluster, and two agents would work against each other.
    #[error(
        "Flux runs on this cluster ({0}); scale it to zero first, or start with --adopt to take over from it"
    )]
    FluxRuns(String),
    /// Signals cannot be heard.
    #[error("signals: {0}")]
    Signals(std::io::Error),
}

/// What all parts of the agent share.
struct Shared {
    /// The cluster, as ourselves.
    cluster: Cluster,
    world: Arc<World>,
    reporter: Reporter,
    metrics: Arc<Metrics>,
    fence: Fence,
    state: Arc<State>,
    notices: mpsc::UnboundedSender<Notice>,
    events: Outbox<Told>,
    git: Git,
    clock: Arc<dyn Clock>,
    lockdown: bool,
    default_service_account: Option<String>,
    watch_namespace: Option<String>,
}

impl Shared {
    /// Tells the main loop what happened.
    fn tell(&self, event: Event) {
        // The loop ends with the process, and then nobody listens.
        let _ = self.notices.send(Notice::Queue(event));
    }

    /// Hands events over to be written, without waiting for it: a reconcile is over when its status is written.
    fn tell_of(&self, subject: &Subject, events: &[verdict::Event]) {
        for event in events {
            let told =
                Told { subject: subject.clone(), event: event.clone(), at: timestamp(self.clock.wall()) };
            if !self.events.put(told) {
                tracing::warn!(
                    kind = subject.kind,
                    name = subject.key.name,
                    namespace = subject.key.namespace,
                    reason = event.reason,
                    "an event is left out: too many wait to be written"
                );
            }
        }
    }

    /// The ServiceAccount that a Kustomization names or is given; `None` where the agent acts as itself.
    fn account_of<'a>(&'a self, kustomization: &'a Kustomization) -> Option<&'a str> {
        kustomization.spec.service_account_name.as_deref().or(self.default_service_account.as_deref())
    }

    /// The cluster in the name of a Kustomization, or why that cannot be.
    fn cluster_for(&self, kustomization: &Kustomization) -> Result<Cluster, String> {
        let metadata = &kustomization.metadata;
        let owner = Owner { namespace: metadata.namespace.clone(), name: metadata.name.clone() };
        let account = self.account_of(kustomization);
        if account.is_none() && self.lockdown {
            return Err("spec.serviceAccountName must be set: the agent runs with --lockdown".into());
        }
        self.cluster.acting_for(owner, account).map_err(|error| format!("spec.serviceAccountName: {error}"))
    }
}

/// Runs the agent until the process is told to end (SIGTERM or SIGINT).
pub async fn run(config: Config) -> Result<(), AgentError> {
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
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    guard::wait_for_cluster(&config.client, config.adopt, &state, &*clock, stop.clone()).await?;
    let (client, holder) = (config.client.kube(), Holder::this(config.pod.as_deref(), &*clock));
    let watched = config.watch_namespace.as_deref();
    let leadership = Leadership::new(client, &config.namespace, watched, holder, Arc::clone(&clock));
    while !*stop.borrow() {
        let mut stopped = stop.clone();
        tokio::select! {
            () = leadership.acquire() => {}
            _ = stopped.wait_for(|stop| *stop) => break,
        }
        metrics.leads(true);
        lead(&config, &leadership, &metrics, &state, &clock, stop.clone()).await;
        metrics.leads(false);
        state.stands_by();
    }
    leadership.release().await;
    tracing::info!("ended");
    Ok(())
}

/// Works for as long as the lease is ours.
async fn lead(
    config: &Config,
    leadership: &Leadership,
    metrics: &Arc<Metrics>,
    state: &Arc<State>,
    clock: &Arc<dyn Clock>,
    stop: channel::Receiver<bool>,
) {
    let fence = leadership.fence();
    let gate = fence.clone();
    let closed = || "the lease is not held".to_owned();
    let (cluster, changes) = Cluster::new(config.client.clone());
    let cluster = cluster.fenced(Arc::new(move || if gate.is_open() { Ok(()) } else { Err(closed()) }));
    let (notices, receiver) = mpsc::unbounded_channel();
    let (events, inbox) = events::queue();
    let reporter = Reporter::new(config.client.kube(), fence.clone(), Arc::clone(metrics), Arc::clone(clock));
    let shared = Arc::new(Shared {
        cluster,
        world: Arc::new(World::default()),
        reporter: reporter.clone(),
        metrics: Arc::clone(metrics),
        fence,
        state: Arc::clone(state),
        notices,
        events,
        git: config.git.clone(),
        clock: Arc::clone(clock),
        lockdown: config.lockdown,
        default_service_account: config.default_service_account.clone(),
        watch_namespace: config.watch_namespace.clone(),
    });
    let reopened = {
        let shared = Arc::clone(&shared);
        move || shared.tell(Event::Recovered)
    };
    let limits = Limits { reconciles: config.concurrency, fetches: fetch::AT_ONCE };
    let write = async |told: Told| {
        if let Err(error) = reporter.event(&told).await {
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

/// A moment as statuses write it.
fn timestamp(moment: SystemTime) -> Timestamp {
    Timestamp::from_unix(i64::try_from(since_1970(moment).as_secs()).unwrap_or(i64::MAX))
}

/// The time that passed from 1970 to a moment.
fn since_1970(moment: SystemTime) -> Duration {
    moment.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO)
}
