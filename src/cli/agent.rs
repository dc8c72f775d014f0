//! `lockgate agent`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, FromArgMatches as _};
use rustix::fs::Mode;
#[cfg(target_os = "linux")]
use rustix::process::{
    DumpableBehavior, Resource, Rlimit, dumpable_behavior, set_dumpable_behavior, setrlimit,
};
use tracing::Level;

use super::log;
use super::output::CommandError;
use super::shared::ClusterArguments;
use crate::agent::{self, Config, MarkFolder, SystemClock, Threads};
use crate::cluster;
use crate::preview::AgentRules;
use crate::source::Sources;
use crate::web::Pages;
use lockgate_base::keys;
use lockgate_core::pipeline::Tenancy;
use lockgate_core::plan::DriftPolicy;
use lockgate_git::helm::Helm;
use lockgate_git::oci::OciFetcher;
use lockgate_git::{Disk, FetchMemory, GitFetcher};

/// Threads of the runtime. The work is waiting for the network; two keep one busy task from delaying the
/// lease.
const THREADS: usize = 2;

/// The memory of the process where nothing is known of a limit: that of the Deployment.
const MEMORY: u64 = 256 << 20;
/// Which part of it is for fetches that are under way. What builds may have leaves as much.
const FOR_FETCHES: u64 = 4;

/// Run the agent: the command of the Deployment, which also runs outside a cluster
#[derive(Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    cluster: ClusterArguments,
    /// The namespace of the agent's Lease
    #[arg(short, long, value_name = "NAME", default_value = keys::DEFAULT_NAMESPACE)]
    namespace: String,
    /// The one namespace whose Kustomizations and sources are served; without it all are
    #[arg(long, value_name = "NAME")]
    watch_namespace: Option<String>,
    /// Where /healthz and /readyz are served
    #[arg(long, value_name = "ADDRESS")]
    health_addr: Option<SocketAddr>,
    /// Where /metrics is served
    #[arg(long, value_name = "ADDRESS")]
    metrics_addr: Option<SocketAddr>,
    /// A folder for fetched objects, of one agent at a time; it may be empty at each start
    #[arg(long, value_name = "FOLDER", default_value = "/tmp/lockgate")]
    state_dir: PathBuf,
    /// How much of the disk all that is fetched may take together, in MiB; 3072 without it
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u64).range(1..1 << 40))]
    disk_limit: Option<u64>,
    /// How much memory the process may have, in MiB; without it the limit of its control group, or 256
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u64).range(1..1 << 40))]
    memory_limit: Option<u64>,
    /// How many reconciles build or write at a time; those that wait for health are not counted
    #[arg(long, value_name = "NUMBER", default_value_t = 8)]
    concurrency: usize,
    /// The ServiceAccount of Kustomizations that name none
    #[arg(long, value_name = "NAME")]
    default_service_account: Option<String>,
    /// Refuse references to other namespaces and Kustomizations without a ServiceAccount
    #[arg(long)]
    lockdown: bool,
    /// Let spec.insecure of OCIRepositories reach registries on other machines without TLS, or with any
    /// certificate
    #[arg(long)]
    allow_insecure_registries: bool,
    /// What is done about drift: put it back as it is seen, or at the interval, or only report it;
    /// lockgate.dev/drift on a Kustomization or an object says otherwise
    #[arg(long, value_name = "POLICY", default_value = "watch", value_parser = drift)]
    drift: DriftPolicy,
    /// Go on though Flux's controllers run
    #[arg(long)]
    adopt: bool,
    /// How much is logged: error, warn, info, debug or trace; LOCKGATE_LOG takes directives such as
    /// `info,lockgate::agent=trace` instead
    #[arg(long, value_name = "LEVEL", default_value = "info", value_parser = log::read_level)]
    log_level: Level,
}

pub(super) fn drift(text: &str) -> Result<DriftPolicy, String> {
    DriftPolicy::read(text).ok_or_else(|| "write watch, interval or report".into())
}

/// What an agent holds Kustomizations to that is started with these arguments, the first of which names the
/// command. An error says what is wrong with them.
pub(super) fn rules(arguments: &[String]) -> Result<AgentRules, String> {
    let command = Arguments::augment_args(clap::Command::new("agent"));
    let read = command.try_get_matches_from(arguments).and_then(|found| Arguments::from_arg_matches(&found));
    let arguments = read.map_err(|error| error.to_string().trim_end().to_owned())?;
    Ok(AgentRules {
        watch_namespace: arguments.watch_namespace,
        tenancy: Tenancy {
            lockdown: arguments.lockdown,
            default_service_account: arguments.default_service_account,
        },
        drift: arguments.drift,
        allows_insecure_registries: arguments.allow_insecure_registries,
    })
}

/// Runs the agent. It makes the runtime itself, since libgit2 is to be set up before there are threads.
pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, CommandError> {
    log::start(arguments.log_level);
    #[cfg(target_os = "linux")]
    seal_memory();
    // What it keeps of repositories is nobody else's to read, also while it is being written.
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
    let disk = arguments.disk_limit.map_or_else(Disk::default, |mebibytes| Disk::of(mebibytes << 20));
    let git = GitFetcher::on(&arguments.state_dir, &disk)
        .map_err(|error| CommandError::failed(error.to_string()))?;
    let oci = OciFetcher::new(&arguments.state_dir, &disk, arguments.allow_insecure_registries);
    let oci = oci.map_err(|error| CommandError::failed(error.to_string()))?;
    let helm =
        Helm::new(&arguments.state_dir, &disk).map_err(|error| CommandError::failed(error.to_string()))?;
    let memory = memory(arguments);
    let of_fetches = FetchMemory::of(memory / FOR_FETCHES);
    let (git, oci, helm) =
        (git.sharing(&of_fetches), Arc::new(oci.sharing(&of_fetches)), helm.sharing(&of_fetches));
    let sources = Sources::of_git(Arc::new(git)).and_oci(oci.clone()).and_helm(Arc::new(helm), oci);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(THREADS).enable_all().build();
    let runtime =
        runtime.map_err(|error| CommandError::failed(format!("the runtime does not start: {error}")))?;
    let result = runtime.block_on(start(arguments, sources, memory));
    // A fetch from a host that does not answer must not hold up the end.
    runtime.shutdown_background();
    result
}

/// Keeps the memory, which holds keys and tokens, from being written into a core file, and from being looked
/// at by other processes of the same user.
#[cfg(target_os = "linux")]
fn seal_memory() {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    let sealed = setrlimit(Resource::Core, none)
        .and_then(|()| set_dumpable_behavior(DumpableBehavior::NotDumpable))
        .and_then(|()| dumpable_behavior());
    if !matches!(sealed, Ok(DumpableBehavior::NotDumpable)) {
        tracing::warn!(?sealed, "the memory of this process may be written into a core file");
    }
}

/// How much memory the process may have, in bytes.
fn memory(arguments: &Arguments) -> u64 {
    let given = arguments.memory_limit.map(|mebibytes| mebibytes << 20);
    given.or_else(agent::memory_limit).unwrap_or(MEMORY)
}

async fn start(arguments: &Arguments, sources: Sources, memory: u64) -> Result<ExitCode, CommandError> {
    let client = cluster::Client::connect(&arguments.cluster.target()).await;
    let workers = Threads::start(memory);
    let workers = workers
        .map_err(|error| CommandError::failed(format!("the threads for builds do not start: {error}")))?;
    let listen = [(Pages::Probes, arguments.health_addr), (Pages::Metrics, arguments.metrics_addr)];
    let listen = listen.into_iter().filter_map(|(pages, address)| Some((pages, address?)));
    let marks = MarkFolder::open(&arguments.state_dir);
    let marks = marks.map_err(|error| {
        CommandError::failed(format!(
            "{}: no folder can be made there: {error}",
            arguments.state_dir.display()
        ))
    })?;
    let pod = std::env::var("POD_NAME").ok().filter(|name| !name.is_empty());
    if pod.is_none() && std::env::var_os("KUBERNETES_SERVICE_HOST").is_some() {
        tracing::warn!(
            "POD_NAME is not set, so the next agent cannot see that this one has ended and waits for its lease"
        );
    }
    let config = Config {
        client: client.map_err(|error| CommandError::unreachable(error.to_string()))?,
        namespace: arguments.namespace.clone(),
        watch_namespace: arguments.watch_namespace.clone(),
        pod,
        listen: listen.collect(),
        sources,
        clock: Arc::new(SystemClock),
        workers: Arc::new(workers),
        marks: Arc::new(marks),
        adopt: arguments.adopt,
        drift: arguments.drift,
        lockdown: arguments.lockdown,
        default_service_account: arguments.default_service_account.clone(),
        concurrency: arguments.concurrency,
    };
    agent::hide_panics();
    let ended = match agent::stop_signal() {
        Ok(stop) => agent::run(config, stop).await,
        Err(error) => Err(error),
    };
    ended.map(|()| ExitCode::SUCCESS).map_err(|error| CommandError::failed(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_read_from_the_arguments_of_a_deployment() {
        let read = |more: &[&str]| {
            let all =
                ["agent", "--namespace=$(POD_NAMESPACE)", "--health-addr=[::]:9440", "--state-dir=/tmp"];
            rules(&all.iter().chain(more).map(|argument| (*argument).to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(read(&[]), Ok(AgentRules::default()));
        let flags = [
            "--lockdown",
            "--drift",
            "report",
            "--default-service-account=apps",
            "--watch-namespace",
            "team",
            "--allow-insecure-registries",
        ];
        let expected = AgentRules {
            watch_namespace: Some("team".into()),
            tenancy: Tenancy { lockdown: true, default_service_account: Some("apps".into()) },
            drift: DriftPolicy::Report,
            allows_insecure_registries: true,
        };
        assert_eq!(read(&flags), Ok(expected));
        let told = read(&["--of-the-future"]).unwrap_err();
        assert!(told.contains("unexpected argument '--of-the-future'"), "{told}");
    }
}
