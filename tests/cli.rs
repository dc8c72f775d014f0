//! The commands that need no cluster, as a user runs them.

mod bombs;
mod build;
mod chart;
mod chart_bombs;
mod chart_mistakes;
mod diff;
mod releases;

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// The end of a command.
struct Ended {
    code: i32,
    stdout: String,
    stderr: String,
}

/// Runs `lockgate` in a folder, with a text on standard input.
fn lockgate(folder: &Path, arguments: &[&str], input: &str) -> Ended {
    let mut child = Command::new(env!("CARGO_BIN_EXE_lockgate"))
        .args(arguments)
        .current_dir(folder)
        .env("KUBECONFIG", "/nonexistent")
        .env_remove("GITHUB_TOKEN")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that does not read its input may end before all of it is written.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    Ended {
        code: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}
