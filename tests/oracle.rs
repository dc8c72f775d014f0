//! Differential tests: lockgate and the Go code of Flux get the same random input.
//!
//! The Go side is the small module in `go/`, built on first use. `ORACLE_CASES` sets the number of cases of a
//! test, and `ORACLE_SEED` the first seed.

mod engine;
mod helm;
mod kustomize;
mod print;
mod random;
mod schema;
mod substitute;
mod yaml;

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::OnceLock;

use serde_json::{Value, json};

/// A Go program that answers one request at a time, a line of JSON each. It is ended on drop.
pub(crate) struct Peer {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Peer {
    /// Starts a program. Its standard error is dropped: warnings of deprecated fields, and the many lines of
    /// a stack that a template filled.
    pub(crate) fn start(program: &Path) -> Self {
        let command =
            Command::new(program).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let mut child = command.expect("the Go program starts");
        let input = child.stdin.take().expect("standard input is piped");
        let output = BufReader::new(child.stdout.take().expect("standard output is piped"));
        Self { child, input, output }
    }

    /// Sends a request and returns its answer.
    pub(crate) fn request(&mut self, request: &Value) -> Value {
        writeln!(self.input, "{request}").expect("the Go program takes a request");
        let mut line = String::new();
        self.output.read_line(&mut line).expect("the Go program answers");
        assert!(!line.is_empty(), "the Go program ended at {request}");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The Go program around the code of Flux.
pub(crate) struct Oracle(Peer);

/// The Go program's answer to a request: documents, or its refusal.
pub(crate) type Answer = Result<Vec<Value>, String>;

impl Oracle {
    /// Starts the program.
    pub(crate) fn start() -> Self {
        static PROGRAM: OnceLock<Result<PathBuf, String>> = OnceLock::new();
        let program = PROGRAM.get_or_init(build).as_ref();
        let program = program.unwrap_or_else(|reason| panic!("the oracle cannot be built: {reason}"));
        Self(Peer::start(program))
    }

    /// Runs one operation with its arguments.
    pub(crate) fn ask(&mut self, operation: &str, mut arguments: Value) -> Answer {
        arguments["op"] = json!(operation);
        let answer = self.0.request(&arguments);
        match answer["error"].as_str() {
            Some(error) if !error.is_empty() => Err(error.into()),
            _ => Ok(answer["documents"].as_array().cloned().unwrap_or_default()),
        }
    }
}

fn build() -> Result<PathBuf, String> {
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("oracle-go");
    let module = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/go");
    let output = Command::new("go")
        // This is the version that `buildMetadata: [managedByLabel]` shows.
        .args(["build", "-ldflags", "-X sigs.k8s.io/kustomize/api/provenance.version=v5.8.1", "-o"])
        .arg(&program)
        .arg(".")
        .current_dir(module)
        .output()
        .map_err(|error| format!("go cannot be run: {error}"))?;
    if output.status.success() {
        Ok(program)
    } else {
        Err(format!("the Go module cannot be built: {}", String::from_utf8_lossy(&output.stderr)))
    }
}

/// The number of cases of a test.
pub(crate) fn cases(default: usize) -> usize {
    std::env::var("ORACLE_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// The seed of the random numbers.
pub(crate) fn seed() -> u64 {
    std::env::var("ORACLE_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}
