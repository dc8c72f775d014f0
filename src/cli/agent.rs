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
use serde_json::Value;
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
use lockgate_base::model::Object;
use lockgate_core::pipeline::Tenancy;
use lockgate_core::plan::DriftPolicy;
use lockgate_git::helm::Helm;
use lockgate_git::oci::OciFetcher;
use lockgate_git::{Disk, FetchMemory, GitFetcher};

/// The runtime's threads. Most work waits for the network; with a second thread, one busy task does not delay
/// the lease.
const THREADS: usize = 2;

/// The memory of the process in bytes if no limit is known. It is the limit of the Deployment.
const MEMORY: u64 = 256 << 20;
/// The share of the memory that running fetches may use, as a divisor. The rest is for builds.
const FOR_FETCHES: u64 = 4;

/// Run the agent. This is the command of the Deployment; it also runs outside of a cluster
#[derive(Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    cluster: ClusterArguments,
    /// The namespace of the agent's Lease
    #[arg(short, long, value_name = "NAME", default_value = keys::DEFAULT_NAMESPACE)]
    namespace: String,
    /// The only namespace whose Kustomizations and sources the agent reconciles; all by default
    #[arg(long, value_name = "NAME")]
    watch_namespace: Option<String>,
    /// The address of /healthz and /readyz
    #[arg(long, value_name = "ADDRESS")]
    health_addr: Option<SocketAddr>,
    /// The address of /metrics
    #[arg(long, value_name = "ADDRESS")]
    metrics_addr: Option<SocketAddr>,
    /// The folder for fetched objects. Only one agent at a time may use it; it may be empty at each start
    #[arg(long, value_name = "FOLDER", default_value = "/tmp/lockgate")]
    state_dir: PathBuf,
    /// The disk space that all fetched files together may take, in MiB; 3072 by default
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u64).range(1..1 << 40))]
    disk_limit: Option<u64>,
    /// The memory that the process may use, in MiB; by default the limit of its control group, or 256
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u64).range(1..1 << 40))]
    memory_limit: Option<u64>,
    /// How many reconciles may build or write at a time; those that wait for health do not count
    #[arg(long, value_name = "NUMBER", default_value_t = 8)]
    concurrency: usize,
    /// The ServiceAccount of Kustomizations that name none
    #[arg(long, value_name = "NAME")]
    default_service_account: Option<String>,
    /// Refuse references to other namespaces, and Kustomizations without a ServiceAccount
    #[arg(long)]
    lockdown: bool,
    /// Let spec.insecure of OCIRepositories reach registries on other machines, over plain HTTP or without
    /// checking the certificate
    #[arg(long)]
    allow_insecure_registries: bool,
    /// How to handle drift: correct it when it happens, or at the interval, or only report it;
    /// lockgate.dev/drift on a Kustomization or an object overrides this
    #[arg(long, value_name = "POLICY", default_value = "watch", value_parser = drift)]
    drift: DriftPolicy,
    /// Run although Flux's controllers run
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

/// The rules of a Deployment's agent. An error says what is wrong with its arguments.
pub(super) fn rules_of(deployment: &Object) -> Result<AgentRules, String> {
    let containers = deployment.pointer("/spec/template/spec/containers").and_then(Value::as_array);
    let of = |container: &Value| {
        let arguments = container["args"].as_array()?.iter().filter_map(Value::as_str);
        let arguments: Vec<String> = arguments.map(ToOwned::to_owned).collect();
        (arguments.first().map(String::as_str) == Some("agent")).then_some(arguments)
    };
    rules(&containers.into_iter().flatten().find_map(of).unwrap_or_else(|| vec!["agent".to_owned()]))
}

/// The rules of an agent that is started with these arguments, the first of which names the command. An error
/// says what is wrong with them.
fn rules(arguments: &[String]) -> Result<AgentRules, String> {
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

/// Runs the agent. It creates the runtime itself, since libgit2 must be set up before there are threads.
pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, CommandError> {
    log::start(arguments.log_level);
    #[cfg(target_os = "linux")]
    seal_memory();
    // The files of repositories must not be readable by other users, not even while they are written.
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
    // A fetch from a silent host must not delay the end.
    runtime.shutdown_background();
    result
}

/// Protects the memory, which contains keys and tokens: no core file is written, and other processes of the
/// same user cannot read it.
#[cfg(target_os = "linux")]
fn seal_memory() {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    let sealed = setrlimit(Resource::Core, none)
        .and_then(|()| set_dumpable_behavior(DumpableBehavior::NotDumpable))
        .and_then(|()| dumpable_behavior());
    if !matches!(sealed, Ok(DumpableBehavior::NotDumpable)) {
        tracing::warn!(?sealed, "cannot disable core dumps; a dump may contain secrets");
    }
}

/// The memory that the process may use, in bytes.
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
            "POD_NAME is not set; after this agent ends, the next one waits until the lease expires"
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
