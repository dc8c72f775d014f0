//! The cost of a program from start to end: time, processor time and the largest memory.

use std::fs::{self, File};
use std::io::Read as _;
use std::mem::MaybeUninit;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;

/// The cost of one run.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// The time from start to end.
    pub wall: Duration,
    /// The processor time of all threads, in user code and in the kernel.
    pub cpu: Duration,
    /// The largest resident memory. The kernel's count begins with the memory of the caller of [`measured`],
    /// so this is `None` if the caller held as much.
    pub peak_kib: Option<u64>,
}

impl Cost {
    /// The run with the median processor time, and the median memory. An error if there was no run, or if
    /// this process held as much memory as a measured one.
    pub fn median(mut costs: Vec<Self>) -> anyhow::Result<Self> {
        let middle = costs.len() / 2;
        costs.sort_by_key(|cost| cost.peak_kib);
        let peak_kib = costs.get(middle).context("there was no run")?.peak_kib;
        anyhow::ensure!(peak_kib.is_some(), "this process held as much memory as the one that it measured");
        costs.sort_by_key(|cost| cost.cpu);
        costs.get(middle).map(|cost| Self { peak_kib, ..*cost }).context("there was no run")
    }

    /// The largest resident memory in MiB; 0 if it is not known.
    #[expect(clippy::cast_precision_loss, reason = "kibibytes of memory fit a float")]
    pub fn mib(&self) -> f64 {
        self.peak_kib.unwrap_or_default() as f64 / 1024.0
    }
}

/// Copies a program to `folder/name`, so that two programs whose memory is compared are equally fresh in the
/// page cache: the way in which a file came into the cache decides how much of it a fault maps.
pub fn fresh_copy(program: &Path, folder: &Path, name: &str) -> anyhow::Result<PathBuf> {
    let copy = folder.join(name);
    fs::copy(program, &copy).with_context(|| format!("cannot copy {}", program.display()))?;
    Ok(copy)
}

/// Runs a program to its end with its standard output in a file, and returns its cost. The error of a failed
/// program contains its standard error.
pub fn measured(command: &mut Command, output: File) -> anyhow::Result<Cost> {
    let what = format!("{command:?}");
    let (status, errors, cost) = ended(command, output)?;
    anyhow::ensure!(status.success(), "{what} ended with {status}: {}", errors.trim());
    Ok(cost)
}

/// Runs a program to its end, successful or not, with its standard output in a file. Returns its exit status,
/// its standard error, and its cost.
pub fn ended(command: &mut Command, output: File) -> anyhow::Result<(ExitStatus, String, Cost)> {
    let what = format!("{command:?}");
    command.stdin(Stdio::null()).stdout(output).stderr(Stdio::piped());
    let start = Instant::now();
    let mut child = command.spawn().with_context(|| format!("failed to start {what}"))?;
    let held = peak_of_this_process()?;
    let mut errors = String::new();
    child.stderr.take().context("no standard error")?.read_to_string(&mut errors)?;
    let (status, usage) = wait(&child)?;
    let wall = start.elapsed();
    let time = |value: libc::timeval| -> anyhow::Result<Duration> {
        Ok(Duration::from_secs(value.tv_sec.try_into()?) + Duration::from_micros(value.tv_usec.try_into()?))
    };
    let cpu = time(usage.ru_utime)? + time(usage.ru_stime)?;
    let peak_kib = u64::try_from(usage.ru_maxrss)?;
    let peak_kib = (peak_kib > held + held / 10).then_some(peak_kib);
    Ok((status, errors, Cost { wall, cpu, peak_kib }))
}

fn peak_of_this_process() -> anyhow::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number =
        line.and_then(|line| line.split_whitespace().next()).context("no VmHWM in /proc/self/status")?;
    Ok(number.parse()?)
}

#[expect(unsafe_code, reason = "wait4(2) alone tells what one child used, and has no safe wrapper in std")]
fn wait(child: &Child) -> anyhow::Result<(ExitStatus, libc::rusage)> {
    let mut status = 0;
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    let pid = libc::pid_t::try_from(child.id())?;
    // SAFETY: both pointers are to values that live through the call; integers may hold any bits, so zeros
    // are a valid usage.
    let (waited, usage) =
        unsafe { (libc::wait4(pid, &raw mut status, 0, usage.as_mut_ptr()), usage.assume_init()) };
    anyhow::ensure!(waited == pid, "failed to wait for a child: {}", std::io::Error::last_os_error());
    Ok((ExitStatus::from_raw(status), usage))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_told_with_its_output_and_cost_and_a_failure_with_its_errors() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("output");
        let shell = |script: &str| {
            let mut command = Command::new("sh");
            command.args(["-c", script]);
            measured(&mut command, File::create(&path).unwrap())
        };
        let small = shell("echo out; echo aside >&2").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "out\n");
        assert_eq!(small.peak_kib, None, "a shell holds less than this process");
        let large = shell("exec dd if=/dev/zero of=/dev/null bs=200M count=1 2>&1").unwrap();
        assert!(large.peak_kib > Some(200 * 1024), "{large:?}");
        let error = shell("echo why >&2; exit 3").unwrap_err().to_string();
        assert!(error.ends_with("exit status: 3: why"), "{error}");
    }
}
