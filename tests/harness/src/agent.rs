//! The agent's own binary as a child process.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use anyhow::Context as _;

use crate::dirs::RunDir;
use crate::eventually;
use crate::process::{Lifetime, Process, tail};

/// A running agent, which is killed on drop.
#[derive(Debug)]
pub struct Agent {
    process: Process,
    output: PathBuf,
    home: RunDir,
}

/// How an agent is started.
#[derive(Clone, Debug)]
pub struct AgentBuilder {
    program: PathBuf,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
}

impl AgentBuilder {
    /// Adds arguments.
    #[must_use]
    pub fn args<S: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = S>) -> Self {
        self.arguments.extend(arguments.into_iter().map(|argument| argument.as_ref().to_owned()));
        self
    }

    /// Sets an environment variable; the environment otherwise holds only PATH, HOME and TMPDIR.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.environment.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Sets KUBECONFIG.
    #[must_use]
    pub fn kubeconfig(self, path: &Path) -> Self {
        self.env("KUBECONFIG", path)
    }

    /// Starts the agent, with an empty home directory of its own and both outputs in one file.
    pub fn spawn(self) -> anyhow::Result<Agent> {
        let home = RunDir::temporary("agent")?;
        let output = home.join("output.log");
        let temporary = home.join("tmp");
        std::fs::create_dir(&temporary)?;
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", home.path())
            .env("TMPDIR", &temporary)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(home.path());
        let process = Process::start("the agent", command, &output, Lifetime::Parent)?;
        Ok(Agent { process, output, home })
    }
}

impl Agent {
    /// The binary to run, such as `env!("CARGO_BIN_EXE_lockgate")`.
    #[expect(clippy::new_ret_no_self, reason = "what is made first is how to start it")]
    pub fn new(program: impl Into<PathBuf>) -> AgentBuilder {
        AgentBuilder { program: program.into(), arguments: Vec::new(), environment: Vec::new() }
    }

    /// The process id.
    pub fn pid(&self) -> i32 {
        self.process.pid()
    }

    /// The agent's home directory.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Kills the agent as `kill -9` does, and waits until it is gone.
    pub fn kill9(&self) {
        self.process.kill();
    }

    /// Asks the agent to shut down, as the kubelet does.
    pub fn term(&self) {
        self.process.signal(libc::SIGTERM);
    }

    /// Stops the agent as a debugger would.
    pub fn stop_signal(&self) {
        self.process.signal(libc::SIGSTOP);
    }

    /// Resumes an agent that `stop_signal` has stopped.
    pub fn cont(&self) {
        self.process.signal(libc::SIGCONT);
    }

    /// The exit status of the agent, once it has ended.
    pub fn exited(&self) -> Option<ExitStatus> {
        self.process.exited()
    }

    /// Waits for the end of the agent.
    pub async fn wait_exit(&self, timeout: Duration) -> anyhow::Result<ExitStatus> {
        eventually(timeout, async || self.exited().context("the agent runs"))
            .await
            .with_context(|| format!("the end of its output:\n{}", tail(&self.output, 20)))
    }

    /// Waits until the output contains a text.
    pub async fn wait_output(&self, text: &str, timeout: Duration) -> anyhow::Result<()> {
        eventually(timeout, async || {
            anyhow::ensure!(self.output().contains(text), "no {text:?} in:\n{}", tail(&self.output, 20));
            Ok(())
        })
        .await
    }

    /// The whole text on standard output and standard error.
    pub fn output(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.output).unwrap_or_default()).into_owned()
    }

    /// The largest resident memory so far, in KiB; an error if the agent has ended.
    pub fn peak_rss_kib(&self) -> anyhow::Result<u64> {
        self.status("VmHWM:")
    }

    /// The resident memory now, in KiB; an error if the agent has ended.
    pub fn rss_kib(&self) -> anyhow::Result<u64> {
        self.status("VmRSS:")
    }

    /// The number of threads.
    pub fn threads(&self) -> anyhow::Result<u64> {
        self.status("Threads:")
    }

    /// The number of open files and sockets.
    pub fn open_files(&self) -> anyhow::Result<usize> {
        Ok(std::fs::read_dir(format!("/proc/{}/fd", self.pid()))?.count())
    }

    /// The processor time used so far, user and system.
    pub fn cpu_seconds(&self) -> anyhow::Result<f64> {
        // Linux counts in hundredths of a second towards programs, whatever the kernel's own tick is.
        const TICKS: f64 = 100.0;
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid()))?;
        // The second field, the name, may hold spaces; utime and stime are the 14th and 15th.
        let after = stat.rsplit_once(')').context("not a stat line")?.1;
        let fields: Vec<&str> = after.split_whitespace().collect();
        let ticks = |index: usize| -> anyhow::Result<f64> {
            Ok(fields.get(index).context("a short stat line")?.parse()?)
        };
        Ok((ticks(11)? + ticks(12)?) / TICKS)
    }

    fn status(&self, name: &str) -> anyhow::Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid()))?;
        let value = status.lines().find_map(|line| line.strip_prefix(name)).context("the agent has ended")?;
        Ok(value.split_whitespace().next().context("an empty value")?.parse()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_process_is_watched_and_ended() {
        let agent = Agent::new("/bin/sh")
            .args(["-c", "echo $GREETING; echo err >&2; trap 'exit 7' TERM; while :; do sleep 0.01; done"])
            .env("GREETING", "hello")
            .spawn()
            .unwrap();
        agent.wait_output("err", Duration::from_secs(5)).await.unwrap();
        assert_eq!(agent.output(), "hello\nerr\n");
        assert!(agent.peak_rss_kib().unwrap() >= agent.rss_kib().unwrap() / 2);
        assert!(
            agent.cpu_seconds().unwrap() < 5.0
                && agent.threads().unwrap() == 1
                && agent.open_files().unwrap() >= 3
        );
        agent.term();
        assert_eq!(agent.wait_exit(Duration::from_secs(5)).await.unwrap().code(), Some(7));
        let agent = Agent::new("/bin/sleep").args(["60"]).spawn().unwrap();
        assert!(agent.wait_exit(Duration::from_millis(50)).await.is_err());
        agent.kill9();
        assert!(!agent.exited().unwrap().success());
    }
}
