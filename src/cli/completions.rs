//! `lockgate completions`.

use std::process::ExitCode;

use clap::Args;
use clap_complete::Shell;

use super::output::{self, CommandError};

/// Print a shell's completion script
#[derive(Args)]
#[command(after_help = "For bash: source <(lockgate completions bash)")]
pub(super) struct Arguments {
    /// The shell
    shell: Shell,
}

pub(super) fn run(arguments: &Arguments, command: &mut clap::Command) -> Result<ExitCode, CommandError> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, command, "lockgate", &mut script);
    output::write(&String::from_utf8_lossy(&script))?;
    Ok(ExitCode::SUCCESS)
}
