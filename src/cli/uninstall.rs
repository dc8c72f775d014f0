//! `lockgate uninstall`.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::output::CommandError;
use super::progress::{Printer, ProgressFormat};
use super::shared::{ClusterArguments, duration};
use super::token::{HubArguments, TOKEN_VARIABLE};
use crate::bootstrap::progress::ProgressLog;
use crate::bootstrap::uninstall::{self, Removal};
use crate::cluster::objects::Objects;
use lockgate_base::keys;

const EXAMPLES: &str = "\
Examples:
  lockgate uninstall
      the applied objects stay, and so do the namespace and its Secrets
  lockgate uninstall --purge --delete-key
      removes everything from the cluster and, with the token in GITHUB_TOKEN, from GitHub

Running it again completes an interrupted run. Exit codes: 0 done or nothing to do, 1 failed, 2 wrong usage, 3 the
cluster or GitHub could not be reached, 4 refused for safety.";

/// Remove the agent, its kinds and their objects; the applied objects stay
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    #[command(flatten)]
    cluster: ClusterArguments,
    /// The agent's namespace
    #[arg(short, long, value_name = "NAME", default_value = keys::DEFAULT_NAMESPACE)]
    namespace: String,
    /// Also remove the applied objects, and the Secret with the key
    #[arg(long)]
    purge: bool,
    /// Also delete the deploy key at GitHub, with the token in GITHUB_TOKEN unless a flag says otherwise
    #[arg(long)]
    delete_key: bool,
    #[command(flatten)]
    hub: HubArguments,
    /// Also remove the kinds and objects that Flux's controllers reconcile
    #[arg(long)]
    adopt: bool,
    /// How long to wait for the agent's end, and for the purge
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = duration)]
    timeout: Duration,
    /// How to print the progress
    #[arg(short, long, value_enum, default_value_t)]
    output: ProgressFormat,
}

pub(super) async fn run(arguments: Arguments) -> Result<ExitCode, CommandError> {
    let hub = arguments.delete_key.then(|| arguments.hub.as_far_as_known()).transpose()?;
    let target = arguments.cluster.connect_withholding(&[TOKEN_VARIABLE]).await?;
    let removal = Removal {
        namespace: arguments.namespace,
        purge: arguments.purge,
        adopt: arguments.adopt,
        hub,
        timeout: arguments.timeout,
    };
    let mut printer = Printer::new(arguments.output);
    printer.heading(&format!("context   {}", target.name));
    let mut sink = |event| printer.print(&event);
    let mut progress = ProgressLog::new(&mut sink);
    let result = uninstall::uninstall(&Objects::new(&target.client), &removal, &mut progress).await;
    let (changed, took) = (progress.changed, progress.started.elapsed());
    printer.end(result, changed, took, "")
}
