//! `lockgate rotate-key`.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::output::CommandError;
use super::progress::{Printer, ProgressFormat};
use super::shared::{ClusterArguments, KeyArguments, duration};
use super::token::{HubArguments, TOKEN_VARIABLE};
use crate::bootstrap::deploy_key::KeyPlan;
use crate::bootstrap::manifests::Installation;
use crate::bootstrap::progress::ProgressLog;
use crate::bootstrap::steps::{self, RotationPlan};
use lockgate_base::keys;

const EXAMPLES: &str = "\
Examples:
  lockgate rotate-key
      with the token in GITHUB_TOKEN
  lockgate rotate-key --name platform --api-url https://github.example.com/api/v3

The same command completes an interrupted run; the cluster has a working key at every moment. Exit codes: 0 done,
1 failed, 2 wrong usage, 3 the cluster or GitHub could not be reached, 4 refused for safety.";

/// Replace the key with which the cluster reads its repository
///
/// Creates a key pair, registers it, puts it into the Secret, waits until the agent has fetched with it, and
/// deletes the old key at GitHub. For other hosts it prints the public key, and waits until the host accepts
/// it.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    #[command(flatten)]
    cluster: ClusterArguments,
    /// The agent's namespace
    #[arg(short, long, value_name = "NAME", default_value = keys::DEFAULT_NAMESPACE)]
    namespace: String,
    /// The GitRepository; by default the only one that is read over SSH
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    #[command(flatten)]
    hub: HubArguments,
    #[command(flatten)]
    key: KeyArguments,
    /// How long each wait may take
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = duration)]
    timeout: Duration,
    /// How to print the progress
    #[arg(short, long, value_enum, default_value_t)]
    output: ProgressFormat,
}

pub(super) async fn run(arguments: Arguments) -> Result<ExitCode, CommandError> {
    let hub = arguments.hub.as_far_as_known()?;
    let target = arguments.cluster.connect_withholding(&[TOKEN_VARIABLE]).await?;
    let key = KeyPlan { replace: true, ..arguments.key.plan("") };
    let rotation = RotationPlan {
        installation: Installation::in_namespace(&arguments.namespace),
        name: arguments.name,
        key,
        timeout: arguments.timeout,
    };
    let mut printer = Printer::new(arguments.output);
    printer.heading(&format!("context   {}", target.name));
    let mut sink = |event| printer.print(&event);
    let mut progress = ProgressLog::new(&mut sink);
    let result = steps::rotate(&target, &rotation, &hub, &mut progress).await;
    let (changed, took) = (progress.changed, progress.started.elapsed());
    printer.end(result, changed, took, "lockgate status")
}
