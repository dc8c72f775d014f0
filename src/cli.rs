//! The command line: arguments and printing only. There is one file for each command, and one table of them.
//!
//! Data goes to standard output, progress to standard error. Exit codes: 0 done, 1 failed, 2 wrong usage, 3
//! the cluster or GitHub could not be reached, 4 refused for safety.

mod log;
mod output;
mod input;
mod lazy;
mod threads;
mod served;
mod releases;
mod build;
mod completions;
mod progress;
mod names;
mod pod;
mod shared;
mod memory;
mod table;
mod token;
mod login;
mod agent;
mod bootstrap;
mod install;
mod keys;
mod rotate_key;
mod status;
mod diff;
mod uninstall;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

use self::lazy::Lazy;
use self::threads::in_runtime;

/// A GitOps agent for Kubernetes that speaks the Flux API.
#[derive(Parser)]
#[command(name = "lockgate", version, propagate_version = true, max_term_width = 100)]
#[command(
    after_help = "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 the cluster or GitHub could not be reached, \
                        4 refused for safety."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// The table of commands.
#[derive(Subcommand)]
enum Command {
    Agent(Lazy<agent::Arguments>),
    Bootstrap(Lazy<bootstrap::Arguments>),
    Build(Lazy<build::Arguments>),
    Diff(Lazy<diff::Arguments>),
    Install(Lazy<install::Arguments>),
    Keys(Lazy<keys::Arguments>),
    RotateKey(Lazy<rotate_key::Arguments>),
    Uninstall(Lazy<uninstall::Arguments>),
    Status(Lazy<status::Arguments>),
    Completions(Lazy<completions::Arguments>),
}

/// Runs the command that the arguments name.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are data; clap knows which stream and which code each has. A closed pipe is no
            // failure.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let result = match cli.command {
        // The agent makes a runtime of its own, before which the process must not have threads.
        Command::Agent(arguments) => agent::run(&arguments.0),
        // A build is over before a runtime has started.
        Command::Build(arguments) => build::run(&arguments.0),
        Command::Diff(arguments) => diff::run(&arguments.0),
        Command::Completions(arguments) => completions::run(&arguments.0, &mut Cli::command()),
        Command::Bootstrap(arguments) => in_runtime(bootstrap::run(*arguments.0)),
        Command::Install(arguments) => in_runtime(install::run(*arguments.0)),
        Command::RotateKey(arguments) => in_runtime(rotate_key::run(*arguments.0)),
        Command::Keys(arguments) => in_runtime(keys::run(*arguments.0)),
        Command::Uninstall(arguments) => in_runtime(uninstall::run(*arguments.0)),
        Command::Status(arguments) => in_runtime(async move { status::run(&arguments.0).await }),
    };
    result.unwrap_or_else(|error| error.report())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_file_stands_in_the_table() {
        let helpers = [
            "input", "lazy", "log", "login", "memory", "names", "output", "pod", "progress", "releases",
            "served", "shared", "table", "threads", "token",
        ];
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/cli");
        let mut files: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().replace('_', "-"))
            .filter(|name| !helpers.contains(&name.as_str()))
            .collect();
        files.sort();
        files.dedup();
        let command = Cli::command();
        let mut commands: Vec<String> =
            command.get_subcommands().map(|command| command.get_name().to_owned()).collect();
        commands.sort();
        assert_eq!(files, commands);
    }
}
