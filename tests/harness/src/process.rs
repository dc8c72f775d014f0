//! Child processes that cannot outlive the process that started them.
//!
//! Linux sends the parent-death signal when the *thread* that forked ends, and test threads and async workers
//! end all the time. So one thread that lives as long as the process forks every child.

use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use anyhow::Context as _;

use crate::dirs;

type Job = Box<dyn FnOnce() + Send>;

/// Locks a mutex, even if a thread has panicked with the lock: the value is only bookkeeping of tests.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What to do with the child when this process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lifetime {
    /// It is killed, however this process ends.
    Parent,
    /// It continues; its pid is in a file beside its log.
    Own,
}

/// A running child: its own process group, output in one log file.
#[derive(Debug)]
pub(crate) struct Process {
    name: String,
    child: Mutex<Child>,
    pid: i32,
    log: PathBuf,
    lifetime: Lifetime,
}

impl Process {
    /// Starts `command` with both outputs appended to `log`.
    pub(crate) fn start(
        name: &str,
        mut command: Command,
        log: &Path,
        lifetime: Lifetime,
    ) -> anyhow::Result<Self> {
        let out = File::options().create(true).append(true).open(log)?;
        command.stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out).process_group(0);
        if lifetime == Lifetime::Parent {
            die_with_parent(&mut command);
        }
        let child = spawn(command).with_context(|| format!("failed to start {name}"))?;
        let pid = i32::try_from(child.id())?;
        if lifetime == Lifetime::Parent {
            dirs::kill_at_exit(pid);
        }
        if lifetime == Lifetime::Own {
            std::fs::write(log.with_extension("pid"), pid.to_string())?;
        }
        Ok(Self { name: name.to_owned(), child: Mutex::new(child), pid, log: log.to_owned(), lifetime })
    }

    pub(crate) fn pid(&self) -> i32 {
        self.pid
    }

    /// Sends a signal to the process; an ended one is no error.
    pub(crate) fn signal(&self, signal: i32) {
        if matches!(lock(&self.child).try_wait(), Ok(None)) {
            send_signal(self.pid, signal);
        }
    }

    /// Kills the process and its group and waits until it is gone.
    pub(crate) fn kill(&self) {
        let mut child = lock(&self.child);
        if matches!(child.try_wait(), Ok(None)) {
            send_signal(-self.pid, libc::SIGKILL);
        }
        // It was ended by SIGKILL or has ended by itself: there is nothing to learn from its status.
        let _ = child.wait();
        dirs::ended(self.pid);
    }

    /// The exit status, once there is one.
    pub(crate) fn exited(&self) -> Option<ExitStatus> {
        lock(&self.child).try_wait().ok().flatten()
    }

    /// Fails, with the end of its log, when the process has ended.
    pub(crate) fn check_alive(&self) -> anyhow::Result<()> {
        match self.exited() {
            None => Ok(()),
            Some(status) => anyhow::bail!("{} ended with {status}:\n{}", self.name, tail(&self.log, 20)),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.lifetime == Lifetime::Parent {
            self.kill();
        }
    }
}

/// Runs a program to its end and gives its standard output; fails with its standard error.
pub(crate) fn run(command: Command, input: &[u8]) -> anyhow::Result<Vec<u8>> {
    use std::io::Write as _;
    let mut command = command;
    let what = format!("{command:?}");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("failed to start {what}"))?;
    let mut stdin = child.stdin.take().context("no standard input")?;
    let bytes = input.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&bytes));
    let output = child.wait_with_output()?;
    // A program may rightly end before it has read everything; its status tells whether that was a failure.
    let _ = writer.join();
    if !output.status.success() {
        anyhow::bail!(
            "{what} ended with {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(output.stdout)
}

/// Where a script of the tests has built its programs: it prints that. The first call on a machine may take
/// minutes.
pub(crate) fn built_by(script: &str) -> anyhow::Result<PathBuf> {
    built(script, None)
}

/// The program of a Go module in `tests/oracle`, built once into the cache.
pub fn oracle(module: &str) -> anyhow::Result<PathBuf> {
    built("oracle/build.sh", Some(module))
}

fn built(script: &str, argument: Option<&str>) -> anyhow::Result<PathBuf> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(script);
    let output = Command::new("bash").arg(&script).args(argument).stderr(Stdio::inherit()).output();
    let output = output.with_context(|| format!("failed to run {}", script.display()))?;
    anyhow::ensure!(output.status.success(), "{} ended with {}", script.display(), output.status);
    Ok(PathBuf::from(String::from_utf8(output.stdout)?.trim()))
}

/// The last lines of a file, for messages.
pub(crate) fn tail(path: &Path, lines: usize) -> String {
    let bytes = std::fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let all: Vec<&str> = text.lines().collect();
    all.get(all.len().saturating_sub(lines)..).unwrap_or_default().join("\n")
}

/// Kills the process group that a pid file names, unless that number belongs to another program by now.
pub(crate) fn kill_by_pid_file(path: &Path) -> anyhow::Result<()> {
    let pid: i32 = std::fs::read_to_string(path)?
        .trim()
        .parse()
        .with_context(|| format!("{} holds no pid", path.display()))?;
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    // The kernel keeps the first 15 bytes of a program's name.
    let running = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    if !running.trim().is_empty() && name.starts_with(running.trim()) {
        send_signal(-pid, libc::SIGKILL);
    }
    Ok(())
}

/// Whether a process of that id exists.
pub(crate) fn exists(pid: i32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

#[expect(unsafe_code, reason = "kill(2) takes two integers and has no safe wrapper in std")]
pub(crate) fn send_signal(pid: i32, signal: i32) {
    // SAFETY: no memory is involved.
    unsafe { libc::kill(pid, signal) };
}

#[expect(unsafe_code, reason = "the parent-death signal can only be asked for between fork and exec")]
fn die_with_parent(command: &mut Command) {
    let parent = std::process::id();
    // SAFETY: prctl and getppid are async-signal-safe and touch no memory of the parent.
    unsafe {
        command.pre_exec(move || {
            if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) != 0 {
                return Err(io::Error::last_os_error());
            }
            if u32::try_from(libc::getppid()) != Ok(parent) {
                return Err(io::Error::other("the parent ended"));
            }
            Ok(())
        });
    }
}

/// Forks on the one thread that never ends.
fn spawn(mut command: Command) -> io::Result<Child> {
    static SPAWNER: OnceLock<Mutex<Sender<Job>>> = OnceLock::new();
    let jobs = SPAWNER.get_or_init(|| {
        let (sender, receiver) = channel::<Job>();
        std::thread::spawn(move || receiver.into_iter().for_each(|job| job()));
        Mutex::new(sender)
    });
    let (answer, answered) = channel();
    let job: Job = Box::new(move || {
        // The asker waits for the answer; if it were gone the child would be dropped and killed by nobody's
        // wish.
        let _ = answer.send(command.spawn());
    });
    lock(jobs).send(job).map_err(|_| io::Error::other("the forking thread ended"))?;
    answered.recv().map_err(io::Error::other)?
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_child_outlives_the_thread_that_asked_for_it_and_dies_on_drop() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("sleep.log");
        let process = std::thread::spawn(move || {
            let mut command = Command::new("sleep");
            command.arg("60");
            Process::start("sleep", command, &log, Lifetime::Parent).unwrap()
        })
        .join()
        .unwrap();
        std::thread::sleep(Duration::from_millis(100));
        process.check_alive().unwrap();
        let pid = process.pid();
        drop(process);
        assert!(!exists(pid));
    }
}
