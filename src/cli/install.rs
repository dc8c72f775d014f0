//! `lockgate install`.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::memory::{self, Recalled};
use super::output::{self, CommandError};
use super::progress::{Printer, ProgressFormat};
use super::shared::{ClusterArguments, InstallationArguments, duration};
use crate::bootstrap::memory::RememberedFlags;
use crate::bootstrap::problem::FailedStep;
use crate::bootstrap::progress::{ProgressLog, at};
use crate::bootstrap::{manifests, steps};
use crate::cluster::objects::Objects;

const EXAMPLES: &str = "\
Examples:
  lockgate install --image registry.example.com/lockgate:1
  lockgate install --export
      the YAML, to look at or to commit

Running it again changes nothing, or completes an interrupted run. Exit codes: 0 done or nothing to do, 1 failed,
2 wrong usage, 3 the cluster could not be reached, 4 refused for safety.";

/// Install the agent and its kinds, without a repository
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    #[command(flatten)]
    cluster: ClusterArguments,
    #[command(flatten)]
    installation: InstallationArguments,
    /// How long to wait for the agent
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = duration)]
    timeout: Duration,
    /// Print the objects as YAML and change nothing; connects to no cluster
    #[arg(long)]
    export: bool,
    /// How to print the progress
    #[arg(short, long, value_enum, default_value_t)]
    output: ProgressFormat,
}

pub(super) async fn run(arguments: Arguments) -> Result<ExitCode, CommandError> {
    if arguments.export {
        let installation = arguments.installation.installation()?;
        let problem = |problem| CommandError::from(FailedStep { step: "export", problems: vec![problem] });
        let mut objects = manifests::namespace(&installation).map_err(problem)?;
        objects.extend(manifests::crds().map_err(problem)?);
        objects.extend(manifests::agent(&installation).map_err(problem)?);
        output::write(&manifests::to_yaml(&objects))?;
        return Ok(ExitCode::SUCCESS);
    }
    let target = arguments.cluster.connect().await?;
    let remembered = RememberedFlags::of(
        &Objects::new(&target.client),
        Some(&arguments.installation.namespace),
        None,
        None,
    )
    .await;
    let remembered = remembered.map_err(|problem| CommandError::from(at("preflight")(problem)))?;
    let Recalled { arguments, mut kept, told } =
        memory::recall::<Arguments>(&[(&memory::AGENT, &remembered.agent)], &[])?;
    let installation = arguments.installation.installation()?;
    let mut printer = Printer::new(arguments.output);
    printer.heading(&format!("context   {}", target.name));
    let mut sink = |event| printer.print(&event);
    let mut progress = ProgressLog::new(&mut sink);
    progress.tell_all(told);
    let flags = kept.pop().unwrap_or_default();
    let result = steps::install(&target, &installation, &flags, arguments.timeout, &mut progress).await;
    let (changed, took) = (progress.changed, progress.started.elapsed());
    printer.end(result, changed, took, "lockgate status · kubectl get ks -A")
}
